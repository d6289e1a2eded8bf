"""The oldest overlays go, by age or size; records and maps stay, and nothing is scored again for it."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import arrive, result_of
from watch_bench import Bench

from runtime.errors import InflamapError
from runtime.file_state import FileState
from runtime.ledger import Ledger, open_ledger
from runtime.outputs import write_result
from runtime.retention import DAY_S, HOUR_S, PAGE, SWEEP_S, DailyShare, Keep, Retention
from runtime.service import Tally
from runtime.service_log import ServiceLog

NOW = 100 * DAY_S


def record(out: Path, ledger: Ledger, name: str, days_ago: float) -> None:
    """A scored image with an overlay of a thousand bytes."""
    result = result_of(Path(name))
    write_result(out, Path(name), overlay=bytes(1000), map_file=b"map", record=result.to_json())
    arrive(ledger, Path(name), FileState(1, 1), NOW - days_ago * DAY_S)
    row = ledger.take(NOW)
    assert row is not None
    ledger.finished(row, result, NOW - days_ago * DAY_S)


def sweep(retention: Retention, now: float = NOW) -> int:
    steps = 0
    while retention.step(now):
        steps += 1
    return steps


def retention_of(out: Path, ledger: Ledger, keep: Keep, said: list[str], **seams: Any) -> Retention:
    return Retention(out, ledger, keep, lambda act: act(), ServiceLog(said.append), **seams)


def done(ledger: Ledger, name: str, finished: float) -> None:
    """An image whose result was finished then, by the clock of then; its files are left out."""
    arrive(ledger, Path(name), FileState(1, 1), finished)
    row = ledger.take(finished)
    assert row is not None
    ledger.finished(row, result_of(Path(name)), finished)


def overlays(out: Path) -> list[str]:
    return sorted(path.name.removesuffix(".overlay.jpg") for path in out.rglob("*.overlay.jpg"))


@pytest.mark.parametrize(
    ("keep", "left"),
    [
        (Keep(), ["0.bmp", "1.bmp", "2.bmp", "3.bmp"]),
        (Keep(days=1.5), ["0.bmp", "1.bmp"]),
        (Keep(gb=3.5e-6), ["0.bmp", "1.bmp", "2.bmp"]),
        (Keep(days=2.5, gb=1e-6), ["0.bmp"]),
        (Keep(days=0.5, gb=1.0), ["0.bmp"]),
    ],
    ids=str,
)
def test_oldest_overlays_go_and_everything_else_stays(tmp_path: Path, keep: Keep, left: list[str]) -> None:
    said = list[str]()
    with open_ledger(tmp_path, create=True) as ledger:
        for number in range(4):
            record(tmp_path, ledger, f"{number}.bmp", days_ago=number)
        sweep(retention_of(tmp_path, ledger, keep, said))
        assert overlays(tmp_path) == left
        rows = {row.path.name: row.outcome.overlay_file for row in ledger.rows()}
    assert {name for name, overlay in rows.items() if overlay} == set(left)
    for number in range(4):
        name = f"{number}.bmp"
        document = json.loads((tmp_path / f"{name}.score.json").read_text())
        assert document["overlay"] == {"file": f"{name}.overlay.jpg" if name in left else None}
        assert document["score"]["mean"] == 2.25
        assert (tmp_path / f"{name}.map.ome.tif").exists()
    assert said == ([f"{4 - len(left)} old overlays removed to make room"] if len(left) < 4 else [])


def test_sweep_is_done_a_little_at_a_time_and_not_again_at_once(tmp_path: Path) -> None:
    clock = [0.0]
    with open_ledger(tmp_path, create=True) as ledger:
        for number in range(5):
            record(tmp_path, ledger, f"{number}.bmp", days_ago=number)
        retention = retention_of(tmp_path, ledger, Keep(days=2.5), [], steady=lambda: clock[0])
        assert sweep(retention) == 2
        record(tmp_path, ledger, "late.bmp", days_ago=9)
        assert sweep(retention) == 0
        clock[0] += SWEEP_S
        assert sweep(retention) == 1


def test_more_than_a_page_goes_too(tmp_path: Path) -> None:
    with open_ledger(tmp_path, create=True) as ledger:
        for number in range(PAGE + 5):
            done(ledger, f"{number}.bmp", NOW - 2 * DAY_S)
        done(ledger, "new.bmp", NOW)
        sweep(retention_of(tmp_path, ledger, Keep(days=1), [], share=DailyShare(1.0)))
        assert [overlay.path.name for overlay in ledger.overlays(None, 10)] == ["new.bmp"]


@pytest.mark.parametrize("days", [-400.0, -40.0, 40.0, 400.0, 30_000.0])
def test_a_clock_far_from_the_newest_result_removes_nothing_by_age_and_is_told_of_once(
    tmp_path: Path, days: float
) -> None:
    said, clock = list[str](), [0.0]
    with open_ledger(tmp_path, create=True) as ledger:
        for number in range(30):
            done(ledger, f"{number}.bmp", NOW - number * DAY_S)
        retention = retention_of(tmp_path, ledger, Keep(days=20), said, steady=lambda: clock[0])
        for _ in range(3):
            sweep(retention, NOW + days * DAY_S)
            clock[0] += SWEEP_S
        assert ledger.overlay_count() == 30
        assert len(said) == 1
        assert said[0].startswith("inflamap: 0.bmp: this is the newest result, and the clock is ")
        # the limit of size needs no clock, and a clock that is right again removes what is too old
        sweep(retention)
        assert ledger.overlay_count() == 21


def test_the_limit_of_size_is_held_whatever_the_clock_says(tmp_path: Path) -> None:
    with open_ledger(tmp_path, create=True) as ledger:
        for number in range(4):
            record(tmp_path, ledger, f"{number}.bmp", days_ago=number)
        share = DailyShare(0.0, 0)
        sweep(retention_of(tmp_path, ledger, Keep(days=1, gb=1.5e-6), [], share=share), NOW + 1000 * DAY_S)
        assert overlays(tmp_path) == ["0.bmp"]


@pytest.mark.parametrize(
    ("overlays", "least", "left"), [(50, 100, (1, 1)), (50, 3, (45, 41)), (9, 3, (6, 3)), (200, 5, (180, 162))]
)
def test_a_share_goes_by_age_within_a_day(tmp_path: Path, overlays: int, least: int, left: tuple[int, int]) -> None:
    said, clock, share = list[str](), [1000.0], DailyShare(least=least)
    with open_ledger(tmp_path, create=True) as ledger:
        for number in range(overlays - 1):
            done(ledger, f"{number}.bmp", NOW - 5 * DAY_S + number)
        done(ledger, "new.bmp", NOW)
        for wanted in left:
            for _ in range(5):
                # each time by a watch that was started anew
                sweep(retention_of(tmp_path, ledger, Keep(days=2), said, share=share, steady=lambda: clock[0]))
                assert ledger.overlay_count() == wanted
                clock[0] += DAY_S / 5
            clock[0] += HOUR_S
    assert any("within a day, which is the most" in line for line in said) == (left[0] > 1)


def test_an_overlay_that_stays_is_none_of_the_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]

    def refuse(_out: Path, relative: Path) -> None:
        raise InflamapError(f"{relative}.overlay.jpg cannot be written", seen="Permission denied")

    with open_ledger(tmp_path, create=True) as ledger:
        for number in range(9):
            done(ledger, f"{number}.bmp", NOW - 5 * DAY_S)
        done(ledger, "new.bmp", NOW)
        share = DailyShare(least=4)
        retention = retention_of(tmp_path, ledger, Keep(days=2), [], share=share, steady=lambda: clock[0])
        with monkeypatch.context() as patched:
            patched.setattr("runtime.retention.remove_overlay", refuse)
            sweep(retention)
        clock[0] += SWEEP_S
        sweep(retention)
        assert ledger.overlay_count() == 6


# what happens to a computer within a day: seconds that pass, what its clock is set to meanwhile, restarts
EVENT = st.tuples(
    st.floats(0, 6 * HOUR_S),
    st.one_of(st.just(NOW), st.floats(0, 4e9), st.floats(NOW - 30 * DAY_S, NOW + 30 * DAY_S)),
    st.sampled_from(["goes on", "watch restarts", "computer restarts"]),
)


@settings(max_examples=60, deadline=None)
@given(events=st.lists(EVENT, max_size=25), ages=st.lists(st.floats(-5, 60), min_size=1, max_size=30), data=st.data())
def test_whatever_the_clock_does_no_more_than_a_share_goes_by_age_in_a_day(
    tmp_path_factory: pytest.TempPathFactory,
    events: list[tuple[float, float, str]],
    ages: list[float],
    data: st.DataObject,
) -> None:
    out, share, keep = tmp_path_factory.mktemp("out"), DailyShare(0.1, 2), Keep(days=7)
    steady, really = [0.0], 0.0
    removed = list[tuple[float, int]]()
    with open_ledger(out, create=True) as ledger:
        for number, age in enumerate(ages):
            done(ledger, f"{number}.bmp", NOW - age * DAY_S)

        def begun() -> Retention:
            return retention_of(out, ledger, keep, [], share=share, steady=lambda: steady[0])

        retention = begun()
        for number, (seconds, clock, what) in enumerate(events):
            steady[0], really = steady[0] + seconds, really + seconds
            if what == "computer restarts":
                steady[0] = 0.0
            if what != "goes on":
                retention = begun()
            before = ledger.overlay_count()
            sweep(retention, clock)
            removed.append((really, before - ledger.overlay_count()))
            if data.draw(st.booleans(), label="a result comes"):
                done(ledger, f"new {number}.bmp", clock)
        for start, _ in removed:
            within = sum(count for at, count in removed if start <= at < start + DAY_S)
            assert within <= share.of(len(ages) + len(events))
        # with a clock that is right, all that is too old goes in the end
        now = max(NOW, *(finished for finished, _ in ledger.overlays(None, 1000))) if ledger.overlay_count() else NOW
        done(ledger, "last.bmp", now)
        for _ in range(2 * (len(ages) + len(events))):
            sweep(retention, now)
            steady[0] += DAY_S
        left = [overlay.finished for overlay in ledger.overlays(None, 1000)]
        assert all(finished >= now - 7 * DAY_S for finished in left)


def test_overlay_that_is_held_open_is_told_once_and_goes_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = list[str]()
    monkeypatch.setattr("runtime.retention.SWEEP_S", 0.0)

    def refuse(_out: Path, relative: Path) -> None:
        raise InflamapError(f"{relative}.overlay.jpg cannot be written", seen="Permission denied")

    with open_ledger(tmp_path, create=True) as ledger:
        for number in range(2):
            record(tmp_path, ledger, f"{number}.bmp", days_ago=9)
        done(ledger, "new.bmp", NOW)
        retention = retention_of(tmp_path, ledger, Keep(days=1), said)
        with monkeypatch.context() as patched:
            patched.setattr("runtime.retention.remove_overlay", refuse)
            for _ in range(3):
                sweep(retention)
        assert len(said) == 2
        assert overlays(tmp_path) == ["0.bmp", "1.bmp"]
        sweep(retention)
        assert overlays(tmp_path) == []


def test_watch_removes_overlays_and_a_lost_ledger_has_nothing_scored_again(
    bench: Bench, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.bmp", "b.bmp"):
        save_image(bench.folder / name, patch_of_skin)
    assert bench.once() == Tally(done=2)
    time.sleep(0.01)
    assert bench.once(keep=Keep(days=1e-9)) == Tally()
    assert overlays(bench.out) == []
    assert bench.rows()["a.bmp"].outcome.overlay_file is None

    def refuse(*_: object, **__: Any) -> None:
        raise AssertionError("scored again")

    monkeypatch.setattr("runtime.in_hand.read_image", refuse)
    bench.lose_ledger()
    time.sleep(0.01)
    assert bench.once() == Tally(kept=2)
    assert bench.rows()["a.bmp"].outcome.overlay_file is None


def test_full_disk_is_made_room_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = list[str]()
    really_open = Path.open

    def full(self: Path, mode: str = "r", **keywords: Any) -> Any:
        if mode == "xb" and overlays(tmp_path) == ["0.bmp", "1.bmp"]:
            raise OSError(28, "No space left on device")
        return really_open(self, mode, **keywords)

    with open_ledger(tmp_path, create=True) as ledger:
        for number in range(2):
            record(tmp_path, ledger, f"{number}.bmp", days_ago=9)
        done(ledger, "new.bmp", NOW)
        monkeypatch.setattr(Path, "open", full)
        sweep(retention_of(tmp_path, ledger, Keep(days=1), said))
    assert overlays(tmp_path) == []
    assert json.loads((tmp_path / "0.bmp.score.json").read_text())["overlay"] == {"file": None}
    assert said == ["2 old overlays removed to make room"]


def test_overlay_exactly_as_old_as_is_kept_stays(tmp_path: Path) -> None:
    """A day has 86,400 seconds."""
    with open_ledger(tmp_path, create=True) as ledger:
        record(tmp_path, ledger, "edge.bmp", days_ago=172_800 / DAY_S)
        record(tmp_path, ledger, "older.bmp", days_ago=172_801 / DAY_S)
        sweep(retention_of(tmp_path, ledger, Keep(days=2.0), []))
    assert overlays(tmp_path) == ["edge.bmp"]


def test_overlays_of_exactly_the_size_that_is_kept_stay(tmp_path: Path) -> None:
    """Three of a thousand bytes each; gigabytes are of 10^9 bytes."""
    with open_ledger(tmp_path, create=True) as ledger:
        for number in range(3):
            record(tmp_path, ledger, f"{number}.bmp", days_ago=number)
        sweep(retention_of(tmp_path, ledger, Keep(gb=3000 / 1e9), []))
        assert overlays(tmp_path) == ["0.bmp", "1.bmp", "2.bmp"]
        sweep(retention_of(tmp_path, ledger, Keep(gb=2999 / 1e9), []))
        assert overlays(tmp_path) == ["0.bmp", "1.bmp"]


def test_sweep_comes_every_ten_minutes(tmp_path: Path) -> None:
    clock = [0.0]
    with open_ledger(tmp_path, create=True) as ledger:
        retention = retention_of(tmp_path, ledger, Keep(days=2.0), [], steady=lambda: clock[0])
        sweep(retention)
        record(tmp_path, ledger, "late.bmp", days_ago=9)
        record(tmp_path, ledger, "new.bmp", days_ago=0)
        clock[0] = 599.9
        assert sweep(retention) == 0
        clock[0] = 600.0
        assert sweep(retention) > 0
    assert overlays(tmp_path) == ["new.bmp"]


def test_ledger_is_told_of_an_overlay_that_went_when_it_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before, the row still names the overlay, and the next sweep comes to it again."""
    there: list[bool] = []
    told = Ledger.overlay_removed

    def see(self: Ledger, relative: Path) -> None:
        there.append((tmp_path / "a.bmp.overlay.jpg").exists())
        told(self, relative)

    monkeypatch.setattr(Ledger, "overlay_removed", see)
    with open_ledger(tmp_path, create=True) as ledger:
        record(tmp_path, ledger, "a.bmp", days_ago=9)
        record(tmp_path, ledger, "new.bmp", days_ago=0)
        sweep(retention_of(tmp_path, ledger, Keep(days=2.0), []))
    assert there == [False]


def test_removal_that_ended_halfway_is_finished_at_the_next_sweep(tmp_path: Path) -> None:
    with open_ledger(tmp_path, create=True) as ledger:
        for number in range(5):
            record(tmp_path, ledger, f"{number}.bmp", days_ago=number)
        # the oldest one went from a full disk to which nothing could be written; of another one the record was written
        for number in (4, 1, 0):
            (tmp_path / f"{number}.bmp.overlay.jpg").unlink()
        score = tmp_path / "1.bmp.score.json"
        score.write_text(json.dumps(json.loads(score.read_text()) | {"overlay": {"file": None}}))
        sweep(retention_of(tmp_path, ledger, Keep(gb=1.0), []))
        # that the newest one went was nobody's here
        assert {row.path.name for row in ledger.rows() if row.outcome.overlay_file} == {"0.bmp", "2.bmp", "3.bmp"}
    named = {name: json.loads((tmp_path / f"{name}.bmp.score.json").read_text())["overlay"]["file"] for name in "01234"}
    assert [name for name, overlay in named.items() if overlay] == ["0", "2", "3"]
