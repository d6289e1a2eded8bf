"""Kernels compiled for a size are there at the next start, are trusted no more than plans, and are seldom written."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from fake_tensorrt import model_file, true_map

from runtime.engines.tensorrt import engine as engine_module
from runtime.engines.tensorrt import kernels as kernels_module
from runtime.engines.tensorrt.kernels import MOST_WRITES
from runtime.engines.tensorrt.plan import Profile


def images_of(side: int) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(side).integers(0, 256, (1, 1, side, side), dtype=np.uint8)


def kept(machine: Any) -> Path:
    (file,) = machine.cache.glob("*.kernels")
    return Path(file)


def test_second_start_compiles_nothing_for_sizes_that_were_met(machine: Any) -> None:
    machine.open().run(images_of(20))
    again = machine.open()
    for side in (20, 23):
        np.testing.assert_array_equal(
            again.run(images_of(side)).unfamiliarity, true_map(images_of(side), 8, 3)["unfamiliarity"]
        )
    assert machine.trt.compiled == [(1, 1, 20, 20), (1, 1, 23, 23)]
    machine.open().run(images_of(23))
    assert len(machine.trt.compiled) == 2
    assert len(machine.trt.builds) == 1


def test_run_over_a_size_that_is_known_writes_nothing(machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # tiles of at most 20 px, and others at the edges
    profile = Profile((1, 1, 8, 8), (1, 1, 20, 20), (2, 1, 20, 20))
    monkeypatch.setattr(engine_module, "profile_of", lambda _geometry: profile)
    engine = machine.open()
    engine.run(images_of(58))
    shapes = set(machine.trt.shapes)
    assert len(shapes) > 1
    assert machine.trt.serialized == 1
    for _ in range(3):
        engine.run(images_of(58))
    assert machine.trt.serialized == 1
    # at the next start they are asked for once, and not written again
    file = kept(machine).stat().st_ino
    machine.open().run(images_of(58))
    assert machine.trt.serialized == 2
    assert set(machine.trt.compiled) == shapes
    assert kept(machine).stat().st_ino == file


def test_frames_that_all_differ_in_size_are_not_written_for_ever(machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = machine.open()
    writes: list[bytes] = []
    monkeypatch.setattr(kernels_module.PlanCache, "write", lambda _cache, _key, data: writes.append(data))
    for side in range(20, 20 + 3 * (MOST_WRITES + 3), 3):
        engine.run(images_of(side))
    assert len(writes) == MOST_WRITES == machine.trt.serialized


def test_kernels_that_are_too_many_are_not_written(machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels_module, "LARGEST", 3)
    machine.open().run(images_of(20))
    assert list(machine.cache.glob("*.kernels*")) == []


@pytest.mark.parametrize("call", ["kernels", "deserialize", "serialize"])
def test_what_fails_is_compiled_again_and_runs(machine: Any, call: str) -> None:
    machine.open().run(images_of(20))
    machine.trt.fails.add(call)
    engine = machine.open()
    np.testing.assert_array_equal(
        engine.run(images_of(23)).unfamiliarity, true_map(images_of(23), 8, 3)["unfamiliarity"]
    )
    assert machine.trt.compiled[-1] == (1, 1, 23, 23)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda file: file.write_bytes(file.read_bytes() + b" "),
        lambda file: file.with_name(file.name + ".json").write_text("{}"),
        lambda file: file.chmod(0o666),
    ],
    ids=["altered", "another description", "writable by others"],
)
def test_kernels_that_cannot_be_trusted_are_compiled_again_and_said(machine: Any, spoil: Any) -> None:
    machine.open().run(images_of(20))
    spoil(kept(machine))
    machine.open().run(images_of(20))
    assert machine.trt.compiled == [(1, 1, 20, 20)] * 2
    assert "is not used and built anew" in machine.said[1]
    # what was written instead is used
    machine.open().run(images_of(20))
    assert len(machine.trt.compiled) == 2


def test_plan_that_is_built_anew_begins_without_kernels(machine: Any) -> None:
    machine.open().run(images_of(20))
    (plan,) = machine.cache.glob("*.plan")
    plan.unlink()
    # other bytes under the same key
    build = machine.trt.Builder

    def other(logger: Any) -> Any:
        builder = build(logger)
        plain = builder.build_serialized_network
        builder.build_serialized_network = lambda network, config: plain(network, config) + b" "
        return builder

    machine.trt.Builder = other
    machine.open().run(images_of(20))
    assert machine.trt.compiled == [(1, 1, 20, 20)] * 2


def test_another_model_has_its_own(machine: Any) -> None:
    machine.open().run(images_of(20))
    machine.open(model_file(8, 3, comment="another")).run(images_of(20))
    assert len(machine.trt.compiled) == 2
    assert len(list(machine.cache.glob("*.kernels"))) == 2
