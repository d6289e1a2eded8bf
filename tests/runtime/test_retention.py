"""The oldest overlays go, by age or size; records and maps stay, and nothing is scored again for it."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from made_up import arrive, result_of
from watch_bench import Bench

from runtime.errors import InflamapError
from runtime.file_state import FileState
from runtime.ledger import Ledger, open_ledger
from runtime.outputs import write_result
from runtime.retention import DAY_S, PAGE, SWEEP_S, Keep, Retention
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


def sweep(retention: Retention) -> int:
    steps = 0
    while retention.step(NOW):
        steps += 1
    return steps


def retention_of(out: Path, ledger: Ledger, keep: Keep, said: list[str]) -> Retention:
    return Retention(out, ledger, keep, lambda act: act(), ServiceLog(said.append))


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


def test_sweep_is_done_a_little_at_a_time_and_not_again_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr("runtime.retention.time.monotonic", lambda: clock[0])
    with open_ledger(tmp_path, create=True) as ledger:
        for number in range(5):
            record(tmp_path, ledger, f"{number}.bmp", days_ago=number)
        retention = retention_of(tmp_path, ledger, Keep(days=2.5), [])
        assert sweep(retention) == 2
        record(tmp_path, ledger, "late.bmp", days_ago=9)
        assert sweep(retention) == 0
        clock[0] += SWEEP_S
        assert sweep(retention) == 1


def test_more_than_a_page_goes_too(tmp_path: Path) -> None:
    with open_ledger(tmp_path, create=True) as ledger:
        for number in range(PAGE + 5):
            arrive(ledger, Path(f"{number}.bmp"), FileState(1, 1), NOW)
            row = ledger.take(NOW)
            assert row is not None
            ledger.finished(row, result_of(Path(row.path)), NOW - 2 * DAY_S)
        sweep(retention_of(tmp_path, ledger, Keep(days=1), []))
        assert ledger.overlays(None, 10) == []


def test_overlay_that_is_held_open_is_told_once_and_goes_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = list[str]()
    monkeypatch.setattr("runtime.retention.SWEEP_S", 0.0)

    def refuse(_out: Path, relative: Path) -> None:
        raise InflamapError(f"{relative}.overlay.jpg cannot be written", seen="Permission denied")

    with open_ledger(tmp_path, create=True) as ledger:
        for number in range(2):
            record(tmp_path, ledger, f"{number}.bmp", days_ago=9)
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
        monkeypatch.setattr(Path, "open", full)
        sweep(retention_of(tmp_path, ledger, Keep(days=1), said))
    assert overlays(tmp_path) == []
    assert json.loads((tmp_path / "0.bmp.score.json").read_text())["overlay"] == {"file": None}
    assert said == ["2 old overlays removed to make room"]


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
