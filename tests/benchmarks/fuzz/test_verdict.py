"""A reader that does what none may do is told."""

import contextlib
import os
import sys
import time
from collections.abc import Callable

import numpy as np
import pytest

from benchmarks.fuzz import verdict
from benchmarks.fuzz.targets import Target
from benchmarks.fuzz.verdict import judge
from runtime.errors import NeverAnImage, UnreadableImage


def does(act: Callable[[], object]) -> Target:
    return Target("planted", lambda _: act(), lambda: (b"",))


def raises(error: BaseException, cause: BaseException | None = None) -> Target:
    def act() -> None:
        raise error from cause

    return does(act)


def test_reading_and_refusing_are_no_failures() -> None:
    found = judge(does(lambda: None), b"")
    assert (found.outcome, found.caught, found.failure) == ("read", None, None)
    found = judge(raises(NeverAnImage("not an image")), b"")
    assert (found.outcome, found.caught, found.failure) == ("not an image", None, None)


def test_what_only_the_last_seam_would_catch_is_told() -> None:
    found = judge(raises(KeyError("x")), b"")
    assert (found.outcome, found.caught, found.failure) == ("KeyError", "KeyError", None)


@pytest.mark.parametrize(
    "target",
    [
        raises(MemoryError()),
        raises(UnreadableImage("cannot be read"), MemoryError()),
        raises(UnreadableImage("cannot be read"), ValueError("(-4:Insufficient memory) Failed to allocate")),
    ],
)
def test_a_request_for_too_much_memory_is_a_failure_however_it_is_wrapped(target: Target) -> None:
    failure = judge(target, b"").failure
    assert failure is not None
    assert "memory" in failure


def test_a_hang_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdict, "MOST_SECONDS", 0.05)
    failure = judge(does(lambda: time.sleep(0.1)), b"").failure
    assert failure is not None
    assert failure.startswith("took 0.")


def test_memory_that_was_taken_and_given_back_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdict, "MOST_BYTES", 50 << 20)
    monkeypatch.setattr(verdict, "_little_memory", contextlib.nullcontext)
    act = does(lambda: np.ones(100 << 20, np.uint8).sum())
    found = judge(act, b"")
    if not found.peak_bytes:
        pytest.skip("this system does not tell the most memory of a while")
    assert found.failure is not None
    assert found.failure.startswith("grew by ")
    assert judge(does(lambda: None), b"").failure is None


@pytest.mark.parametrize("number", [1, 2])
def test_words_on_stdout_or_stderr_are_a_failure(number: int) -> None:
    failure = judge(does(lambda: os.write(number, b"libfoo: warning\n")), b"").failure
    assert failure == r"printed b'libfoo: warning\n'"


def test_a_flood_of_words_does_not_block() -> None:
    def flood() -> None:
        for _ in range(200):
            try:
                os.write(2, bytes(4096))
            except BlockingIOError:
                return

    assert judge(does(flood), b"").failure is not None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux can refuse a process memory")
def test_a_request_that_is_never_used_is_refused_and_told() -> None:
    found = judge(does(lambda: np.empty(1200 << 20, np.uint8)), b"")
    assert found.failure is not None
    assert found.failure.startswith("asked for more memory than there is")
    assert judge(does(lambda: np.empty(800 << 20, np.uint8)), b"").failure is None
    # and nobody else is held to it
    assert np.empty(1200 << 20, np.uint8).size
