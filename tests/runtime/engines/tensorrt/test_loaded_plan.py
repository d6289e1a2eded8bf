"""What lives on the GPU ends in the order that NVIDIA wants, whatever fails, and its end raises nothing."""

import gc
import sys
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from runtime.errors import CheckFailed, EngineMissing

ORDER = ["context", "config", "cache", "engine", "runtime", "memory"]


def test_all_ends_with_the_engine_and_the_memory_last(machine: Any) -> None:
    engine = machine.open()
    engine.run(np.zeros((1, 1, 20, 20), np.uint8))
    gc.collect()
    assert machine.memory.ended == []
    del engine
    gc.collect()
    assert machine.memory.ended == ORDER
    assert machine.memory.blocks == {}


def test_config_and_kernels_live_as_long_as_the_context(machine: Any) -> None:
    """The fake context only borrows them, as the real one does."""
    engine = machine.open()
    gc.collect()
    engine.run(np.zeros((1, 1, 20, 20), np.uint8))
    assert machine.trt.compiled == [(1, 1, 20, 20)]


def test_end_that_fails_raises_nothing(machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    raised: list[Any] = []

    def fail() -> None:
        machine.memory.ended.append("memory")
        raise CheckFailed("the GPU cannot free memory")

    monkeypatch.setattr(sys, "unraisablehook", raised.append)
    monkeypatch.setattr(machine.memory, "close", fail)
    engine = machine.open()
    del engine
    gc.collect()
    assert machine.memory.ended == ORDER
    assert raised == []


@pytest.mark.parametrize(
    ("call", "ended"),
    [
        ("Runtime", ["memory"]),
        ("build", ["runtime", "memory"]),
        ("load", ["runtime", "memory"]),
        ("context", ["config", "cache", "engine", "runtime", "memory"]),
    ],
)
def test_opening_that_fails_lets_go_of_all_at_once(machine: Any, call: str, ended: list[str]) -> None:
    machine.trt.fails.add(call)
    with pytest.raises(CheckFailed) as raised:
        machine.open()
    # though the error is kept, as bench does, and with it all that it was raised in
    assert raised.value.__traceback__ is not None
    assert machine.memory.ended == ended


def test_gpu_that_is_not_known_lets_go_of_all_too(machine: Any) -> None:
    machine.gpu = replace(machine.gpu, compute_capability="9.0")
    with pytest.raises(EngineMissing):
        machine.open()
    assert machine.memory.ended == ["runtime", "memory"]
