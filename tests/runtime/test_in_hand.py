"""While one image is scored the next is read; large ones wait for their turn, and a stop lets go what only was read."""

import gc
import threading
import weakref
from concurrent.futures import Future
from pathlib import PurePath
from typing import Any

import numpy as np
import pytest

from runtime.errors import InflamapError, UnreadableImage
from runtime.file_state import FileState
from runtime.in_hand import READ_AHEAD_BYTES, Earlier, InHand, Stages
from runtime.ledger import ImageRow, State
from runtime.ledger.row import Outcome


class Slow:
    """An examiner whose scoring waits until it is told to go on, and which notes what it does."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.scoring, self.go_on = threading.Event(), threading.Event()
        self.was_read = threading.Event()

    def read(self, row: ImageRow) -> Any:
        self.done.append(f"read {row.path}")
        if row.path.name == "bad":
            raise UnreadableImage("bad")
        if row.path.name == "b":
            self.was_read.set()
        return row.path.name

    def score(self, found: Any) -> Any:
        self.scoring.set()
        assert self.go_on.wait(10)
        self.done.append(f"score {found}")
        return f"examined {found}"


def row(name: str, size: int = 1000) -> ImageRow:
    return ImageRow(PurePath(name), State.WAITING, "", 1, False, FileState(size, 1), 1.0, 0.0, None, Outcome())


def test_the_next_image_is_read_while_one_is_scored() -> None:
    slow = Slow()
    with Stages(slow, threading.Event()) as stages:  # type: ignore[arg-type]
        first = stages.begin(row("a"))
        assert slow.scoring.wait(10)
        second = stages.begin(row("b"))
        assert slow.was_read.wait(10)
        assert slow.done == ["read a", "read b"]
        slow.go_on.set()
        assert (first.examined.result(10), second.examined.result(10)) == ("examined a", "examined b")
    assert slow.done == ["read a", "read b", "score a", "score b"]


def test_a_mosaic_is_read_when_the_one_before_is_done_with() -> None:
    slow = Slow()
    with Stages(slow, threading.Event()) as stages:  # type: ignore[arg-type]
        stages.begin(row("a"))
        assert slow.scoring.wait(10)
        second = stages.begin(row("b", READ_AHEAD_BYTES + 1))
        assert not slow.was_read.wait(0.1)
        slow.go_on.set()
        assert second.examined.result(10) == "examined b"  # type: ignore[comparison-overlap]
    assert slow.done == ["read a", "score a", "read b", "score b"]


def test_a_stop_lets_go_what_is_not_being_scored() -> None:
    slow, stop = Slow(), threading.Event()
    with Stages(slow, stop) as stages:  # type: ignore[arg-type]
        hands = [stages.begin(row(name)) for name in "abc"]
        assert slow.scoring.wait(10)
        stop.set()
        slow.go_on.set()
        assert [hand.examined.result(10) for hand in hands] == ["examined a", None, None]  # type: ignore[comparison-overlap]


def test_what_cannot_be_read_is_told_with_the_image() -> None:
    slow = Slow()
    slow.go_on.set()
    with Stages(slow, threading.Event()) as stages:  # type: ignore[arg-type]
        bad, good = stages.begin(row("bad")), stages.begin(row("a"))
        assert isinstance(bad.examined.result(10), UnreadableImage)
        assert not isinstance(good.examined.result(10), Earlier)


def test_image_is_stuck_after_a_quarter_of_an_hour_and_not_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks come every ten seconds at the least; what is longer is a machine that slept."""
    clock = [1000.0]
    monkeypatch.setattr("runtime.in_hand.time.monotonic", lambda: clock[0])
    hand = InHand(row("a"), Future(), seen=1000.0)
    for _ in range(90):
        clock[0] += 10.0
        assert not hand.is_stuck()
    # 900 s to the instant
    assert hand.lasts_s == 900.0
    clock[0] += 0.5
    assert hand.is_stuck()
    hand.examined.set_result(None)
    assert not hand.is_stuck()


def test_sleep_of_the_machine_counts_as_one_look(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr("runtime.in_hand.time.monotonic", lambda: clock[0])
    hand = InHand(row("a"), Future(), seen=1000.0)
    clock[0] += 7 * 3600.0
    assert not hand.is_stuck()
    assert hand.lasts_s == 10.0


class Failing:
    """An examiner that fails with some pixels in its hands. `pixels`: refers to those of each image."""

    def __init__(self, error: Exception, *, scoring: bool) -> None:
        self._error, self._scoring = error, scoring
        self.pixels: list[weakref.ref[Any]] = []

    def read(self, row: ImageRow) -> Any:
        return self._fail() if not self._scoring else row

    def score(self, _found: Any) -> Any:
        return self._fail()

    def _fail(self) -> None:
        pixels = np.zeros(10)
        self.pixels.append(weakref.ref(pixels))
        try:
            raise KeyError("what a decoder trips over")
        except KeyError:
            raise self._error  # noqa: B904 - it has a context


@pytest.mark.parametrize("error", [UnreadableImage("bad"), MemoryError("much"), RecursionError("deep"), ValueError()])
@pytest.mark.parametrize("size", [1000, READ_AHEAD_BYTES + 1])
@pytest.mark.parametrize("scoring", [False, True])
def test_an_error_is_a_value_that_keeps_nothing_of_the_image(error: Exception, size: int, scoring: bool) -> None:
    failing = Failing(error, scoring=scoring)
    gc.collect()
    gc.disable()
    try:
        with Stages(failing, threading.Event()) as stages:  # type: ignore[arg-type]
            hand = stages.begin(row("bad", size))
            found = hand.examined.result(10)
        assert isinstance(found, InflamapError)
        assert type(error).__name__ in f"{type(found).__name__} {found}"
        assert (found.__traceback__, found.__cause__, found.__context__) == (None, None, None)
        if not isinstance(error, InflamapError):
            # the test's own, which is raised again and again, keeps its frames
            error.__traceback__ = error.__context__ = None
        assert [each() for each in failing.pixels] == [None]
    finally:
        gc.enable()
