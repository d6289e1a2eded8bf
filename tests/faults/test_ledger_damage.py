"""Damage to the ledger's file is found, and the ledger made anew; or it is harmless, which is shown.

The full form, of 600 single bytes, 200 torn pages, cut files and damaged -wal files:

    pytest -m slow -s tests/faults/test_ledger_damage.py
"""

import random
import shutil
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from fake_engines import FakeEngine, constant
from watch_bench import AT_ONCE, Bench, wait_for

from runtime.acquisition import Acquisition
from runtime.errors import InflamapError
from runtime.ledger import ImageRow, Ledger, State, open_ledger
from runtime.ledger.start import started_ledger
from runtime.model import Model
from runtime.service import ServiceSettings, Tally, watch
from runtime.service_log import ServiceLog

DONE, WAITING = 20, 6
BROKEN = "broken.bmp"
LEDGER, WAL = "inflamap.db", "inflamap.db-wal"
# a watch is run after every so many ledgers that were made anew; after each that differs from the undamaged one
WATCH_EVERY = 8


@pytest.fixture
def bench(tmp_path: Path, model: Model) -> Bench:
    (tmp_path / "in").mkdir()
    return Bench(tmp_path / "in", tmp_path / "out", model)


@dataclass
class Site:
    """A watched folder and its results, some done and some waiting.

    Attributes:
        out: results, with a closed ledger.
        killed: the same, with the files of a watch that was killed.
        older: content of the ledger's file some images before.
        answers: all that the undamaged ledger tells.
    """

    folder: Path
    out: Path
    killed: Path
    older: bytes
    model: Model
    answers: Any


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, model: Model, skin: npt.NDArray[np.uint8]) -> Site:
    place = tmp_path_factory.mktemp("site")
    folder, out, killed = (place / name for name in ("in", "out", "killed"))
    folder.mkdir()
    out.mkdir()
    bench = Bench(folder, out, Model(model.bundle, FakeEngine(model.engine, "onnxruntime-int8", constant)))
    generator = np.random.default_rng(1)

    def save(name: str) -> None:
        left, top = generator.integers(0, 200, 2)
        pixels = skin[top : top + 200, left : left + 200]
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(cv2.imencode(".bmp", pixels)[1].tobytes())

    for number in range(DONE):
        save(f"site {number % 3}/v{number:07}.bmp")
        if number == DONE // 2:
            bench.once()
            older = (out / LEDGER).read_bytes()
    (folder / BROKEN).write_bytes(b"BM" + bytes(500))
    bench.once()
    assert Counter(bench.states().values()) == {"scored": DONE, "failed": 1}
    names = [f"site 0/w{number:07}.bmp" for number in range(WAITING)]
    for name in names:
        save(name)
    with open_ledger(out, create=True):
        for name in names:
            bench.arrive(name)
        # with the rows that are in no other file yet
        shutil.copytree(out, killed)
    assert (killed / WAL).stat().st_size > 0
    assert not (out / WAL).exists()
    with open_ledger(out, create=True) as ledger:
        answers = answers_of(ledger)
    return Site(folder, out, killed, older, bench.model, answers)


def answers_of(ledger: Ledger) -> Any:
    """All that the ledger holds, and all that it answers."""
    tables = [
        ledger._database.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()
        for table in ("images", "notes", "totals")
    ]
    return (
        tables,
        [list(ledger.rows(state)) for state in (None, *State)],
        (list(ledger.known()), ledger.counts(), ledger.waits(), ledger.oldest_waiting(), ledger.models()),
        (ledger.finished_between(0, 1e11), ledger.newest(1000), ledger.done_since(0, 1000), ledger.damaged_rows()),
        (ledger.overlays(None, 1000), ledger.failed_before(1e11, b"", 1000), ledger.at_other_scale(0.7)),
    )


def what_is_known(row: ImageRow) -> object:
    """What the ledger holds of a result, to the digits of the record."""
    outcome = row.outcome
    return row.path, row.state, row.reason, outcome.sha256, outcome.score and round(outcome.score, 4), outcome.map_file


# a damage: takes the content of the file, the content of an older one, and gives the damaged one
Damage = Callable[[bytes, bytes, random.Random], bytes]


def one_byte(data: bytes, _older: bytes, draw: random.Random) -> bytes:
    place = draw.randrange(len(data))
    # most of a small ledger's pages is empty, which every other time is left out
    while draw.choice([True, False]) and not data[place]:
        place = draw.randrange(len(data))
    return data[:place] + bytes([data[place] ^ draw.randrange(1, 256)]) + data[place + 1 :]


def torn_page(data: bytes, older: bytes, draw: random.Random) -> bytes:
    size = int.from_bytes(data[16:18])
    start = size * draw.randrange(len(data) // size)
    kept = draw.choice([0, 512 * draw.randrange(size // 512)])
    other = size * draw.randrange(len(data) // size)
    of_other = data[other + kept : other + size]
    tail = draw.choice([bytes(size - kept), older[start + kept : start + size] or bytes(size - kept), of_other])
    return data[: start + kept] + tail + data[start + size :]


def cut_file(data: bytes, _older: bytes, draw: random.Random) -> bytes:
    return data[: draw.randrange(len(data))]


@dataclass
class Found:
    """How many damages were found, left all answers as they are, or only cost work that the watch did again."""

    found: int = 0
    harmless: int = 0
    healed: int = 0
    second_starts: int = 0

    def __str__(self) -> str:
        return (
            f"{self.found} found and the ledger made anew, {self.harmless} without any effect, {self.healed} healed by "
            f"the watch; {self.second_starts} second starts"
        )


def try_damages(site: Site, tmp_path: Path, source: Path, name: str, damage: Damage, number: int, seed: int) -> Found:
    draw, tally = random.Random(seed), Found()
    whole = (source / name).read_bytes()
    for count in range(number):
        out = tmp_path / f"{damage.__name__} {name} {count}"
        shutil.copytree(source, out)
        (out / name).write_bytes(damage(whole, site.older, draw))
        try_damage(site, out, tally, always=count % WATCH_EVERY == 0)
        shutil.rmtree(out)
    return tally


def try_damage(site: Site, out: Path, tally: Found, *, always: bool) -> None:
    """Start a watch on damaged results, at most twice, and see that no image is lost, and none done twice."""
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.score.json")}
    started_twice = False
    for start in (1, 2):
        with suppress(InflamapError), started_ledger(out, site.folder) as started:
            found = started.damage is not None
            if found:
                assert started.taken_over == DONE
                done = [row for row in site.answers[1][0] if row.state in (State.SCORED, State.FAILED)]
                assert [what_is_known(row) for row in started.ledger.rows()] == [what_is_known(row) for row in done]
            same = not found and answers_of(started.ledger) == site.answers
            if not same and (always or not found):
                run_watch(site, out, started.ledger)
                assert_all_done_once(site, out, before)
            break
        started_twice = start == 1
        assert started_twice, "it does not start"
    tally.second_starts += started_twice
    tally.found += found
    tally.harmless += same
    tally.healed += not (found or same)


def run_watch(site: Site, out: Path, ledger: Ledger) -> None:
    settings = ServiceSettings(AT_ONCE, Acquisition(0.5), min_free_gb=0.0, once=True)
    watch(site.folder, out, ledger, site.model, settings, threading.Event(), log=ServiceLog(lambda _line: None))


def assert_all_done_once(site: Site, out: Path, before: dict[Path, int]) -> None:
    images = {path.relative_to(site.folder) for path in site.folder.rglob("*.bmp")}
    with open_ledger(out) as ledger:
        rows = {row.path: row.state for row in ledger.rows()}
        assert not ledger.waits()
        assert ledger.damaged_rows() == 0
    assert rows.keys() == images
    assert {path for path, state in rows.items() if state is State.FAILED} == {Path(BROKEN)}
    records = {path: path.stat().st_mtime_ns for path in out.rglob("*.score.json")}
    assert len(records) == DONE + WAITING
    assert {path: records[path] for path in before} == before, "a record was written twice"


KINDS = [("out", LEDGER, one_byte), ("out", LEDGER, torn_page), ("out", LEDGER, cut_file), ("killed", WAL, one_byte)]


def try_all(site: Site, tmp_path: Path, numbers: list[int], seed: int) -> Iterator[tuple[str, Found]]:
    for (place, name, damage), number in zip(KINDS, numbers, strict=True):
        source = site.out if place == "out" else site.killed
        yield f"{damage.__name__} of {name}", try_damages(site, tmp_path, source, name, damage, number, seed)


def test_damaged_ledger_is_found_or_harmless(site: Site, tmp_path: Path) -> None:
    for what, tally in try_all(site, tmp_path, [32, 16, 4, 8], seed=7):
        assert tally.found or what.endswith(WAL), f"{what}: {tally}"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_many_damaged_ledgers_are_found_or_harmless(site: Site, tmp_path: Path) -> None:
    for what, tally in try_all(site, tmp_path, [600, 200, 40, 60], seed=1):
        print(f"{what}: {tally}")
        assert tally.found or what.endswith(WAL)


def test_file_of_a_killed_watch_is_whole(site: Site, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(site.killed, out)
    tally = Found()
    try_damage(site, out, tally, always=True)
    assert tally == Found(harmless=1)


@pytest.mark.parametrize(
    "damage",
    [
        # a value, a text that is no UTF-8, and a table that is not there
        "UPDATE images SET score = 3.75 WHERE path = x'612E626D70'",
        "UPDATE images SET reason = CAST(x'C3' AS TEXT) WHERE path = x'612E626D70'",
        "ALTER TABLE images RENAME TO gone",
    ],
)
def test_watch_that_meets_damage_ends_and_its_next_start_makes_the_ledger_anew(
    bench: Bench, skin: npt.NDArray[np.uint8], save_image: Callable[..., str], damage: str
) -> None:
    bench.out.mkdir(exist_ok=True)
    save_image(bench.folder / "a.bmp", skin[:200, :200])
    with bench.running(fails=InflamapError):
        wait_for(lambda: bench.states() == {"a.bmp": "scored"})
        with closing(sqlite3.connect(bench.out / LEDGER, isolation_level=None)) as other:
            other.execute(damage)
        # it is met when the row is written to
        (bench.folder / "a.bmp").touch()
        wait_for((bench.out / f"{LEDGER}.damaged").exists)
    assert "the ledger is damaged" in bench.said[-1]
    assert "next: start the watch again" in bench.said[-1]
    before = bench.record("a.bmp")
    with started_ledger(bench.out, bench.folder) as start:
        assert (start.taken_over, start.damage is not None) == (1, True)
    assert bench.once() == Tally(kept=1)
    assert bench.record("a.bmp") == before
    with started_ledger(bench.out, bench.folder) as start:
        assert start.damage is None


def test_damage_that_no_statement_meets_is_not_made_to_fit_by_the_next_change(site: Site, tmp_path: Path) -> None:
    """A score that was changed behind the ledger's back is not covered up when its row is written to."""
    out = tmp_path / "out"
    shutil.copytree(site.out, out)
    with closing(sqlite3.connect(out / LEDGER, isolation_level=None)) as other:
        other.execute("UPDATE images SET score = 3.75 WHERE path = ?", (b"site 0/v0000000.bmp",))
    with pytest.raises(InflamapError, match="the ledger is damaged"), open_ledger(out, create=True) as ledger:
        ledger.overlay_removed(Path("site 0/v0000000.bmp"))
    assert (out / f"{LEDGER}.damaged").read_text() == "a row of the ledger is damaged"
    tally = Found()
    try_damage(site, out, tally, always=True)
    assert tally == Found(found=1)
    assert {path.name for path in out.iterdir() if "damaged" in path.name} == {f"{LEDGER}.damaged-1"}
