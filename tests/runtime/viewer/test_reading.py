"""The page's process keeps up with a ledger that another process writes."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from page_server import SHIPPED_SCALE
from watch_bench import Bench

from runtime.ledger import State, open_ledger
from runtime.outputs import LEDGER_FILE, remove_overlay
from runtime.viewer import reading
from runtime.viewer.address import Address
from runtime.viewer.reading import ALL_AGAIN_S, LedgerReader
from runtime.viewer.setup import Setup


class Clock:
    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@contextmanager
def reader_of(bench: Bench, clock: Clock, *, pseudonymise: bool = False) -> Iterator[LedgerReader]:
    setup = Setup(bench.folder, bench.out, Address("127.0.0.1", 0), None, 0.0, pseudonymise, SHIPPED_SCALE)
    with closing(LedgerReader(setup, clock)) as reader:
        yield reader


def names(reader: LedgerReader) -> list[str]:
    return [entry.name for entry in reader.session.entries()]


@pytest.fixture
def scored(bench: Bench, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str]) -> Bench:
    save_image(bench.folder / "P1" / "a.bmp", patch_of_skin)
    (bench.folder / "broken.bmp").write_bytes(b"BM")
    bench.once()
    return bench


def test_new_results_are_seen_at_the_next_look(
    scored: Bench, clock: Clock, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str]
) -> None:
    with reader_of(scored, clock) as reader:
        assert reader.look()
        assert sorted(names(reader)) == ["P1/a.bmp", "broken.bmp"]
        assert not reader.look()
        save_image(scored.folder / "b.bmp", patch_of_skin)
        scored.once()
        assert reader.look()
        assert "b.bmp" in names(reader)
        assert reader.status is not None
        assert reader.status.counts[State.SCORED] == 2


def test_a_retry_and_a_removed_overlay_are_seen_soon(scored: Bench, clock: Clock) -> None:
    with reader_of(scored, clock) as reader:
        reader.look()
        entry = next(entry for entry in reader.session.entries() if entry.state is State.SCORED)
        row = reader.session.row(entry.id)
        assert row is not None
        reader.retry(row)
        assert reader.look()
        assert reader.session.entries(entry.version)[-1].state is State.WAITING
        scored.once()
        remove_overlay(scored.out, row.path)
        with open_ledger(scored.out) as ledger:
            ledger.overlay_removed(row.path)
        clock.ahead_s += ALL_AGAIN_S
        assert reader.look()
        changed = next(each for each in reader.session.entries() if each.id == entry.id)
        assert (changed.state, changed.overlay) == (State.SCORED, False)


def test_an_image_that_is_dropped_is_gone_from_the_page(scored: Bench, clock: Clock) -> None:
    with reader_of(scored, clock) as reader:
        reader.look()
        (scored.folder / "broken.bmp").unlink()
        scored.once()
        with open_ledger(scored.out) as ledger:
            ledger.dropped(Path("broken.bmp"))
        clock.ahead_s += ALL_AGAIN_S
        reader.look()
        assert names(reader) == ["P1/a.bmp"]
        assert reader.session.dropped > 0


def test_a_ledger_that_is_away_is_read_once_it_is_back(scored: Bench, clock: Clock) -> None:
    ledger = scored.out / LEDGER_FILE
    with reader_of(scored, clock) as reader:
        reader.look()
        ledger.rename(scored.out / "aside")
        for beside in scored.out.glob(f"{LEDGER_FILE}-*"):
            beside.unlink()
        assert reader.look()
        assert reader.status is None
        assert not reader.look()
        (scored.out / "aside").rename(ledger)
        reader.look()
        assert reader.status is not None
        assert len(names(reader)) == 2


def test_folders_tell_mean_and_worst_region(scored: Bench, clock: Clock) -> None:
    with reader_of(scored, clock) as reader:
        reader.look()
        whole, patient = reader.folders()
        assert (whole["scored"], whole["failed"]) == (1, 1)
        assert (patient["name"], patient["worst"]["name"]) == ("P1", "P1/a.bmp")
        # records are read once
        (scored.out / "P1" / "a.bmp.score.json").unlink()
        assert reader.folders()[1]["worst"] == patient["worst"]


def test_with_pseudonyms_no_name_is_shown(scored: Bench, clock: Clock) -> None:
    with reader_of(scored, clock, pseudonymise=True) as reader:
        reader.look()
        assert len(names(reader)) == 2
        assert all(re.fullmatch(r"([0-9a-f]{10}/)?[0-9a-f]{10}\.bmp", name) for name in names(reader))


def test_counting_many_images_is_no_part_of_every_look(
    scored: Bench, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[float] = []
    status_of = reading.status_of

    def slow(*arguments: Any, **options: Any) -> Any:
        counted.append(clock())
        time.sleep(0.2)
        return status_of(*arguments, **options)

    monkeypatch.setattr(reading, "status_of", slow)
    with reader_of(scored, clock) as reader:
        for number in range(3):
            with open_ledger(scored.out) as ledger:
                ledger.note("paused", str(number))
            reader.look()
        assert len(counted) == 1
        # and what changed meanwhile is told in the end
        clock.ahead_s += 10.0
        reader.look()
        assert reader.status is not None
        assert reader.status.paused == "2"
