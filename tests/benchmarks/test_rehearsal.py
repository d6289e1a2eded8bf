"""The real watch keeps its records while frames are being saved, and what stops it is said."""

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from benchmarks.rehearsal import Rehearsal, rehearse
from benchmarks.watch_rate import drift_s
from runtime.errors import CheckFailed


def run(folder: Path, sources: list[bytes], *options: str) -> Rehearsal:
    return rehearse(
        sources,
        folder / "microscope",
        folder / "results",
        ["--threads", "1", "--min-free", "0", *options],
        per_second=10.0,
        count=6,
        settle_s=0.3,
        log=folder / "watch.log",
        show=lambda _command: None,
        progress=lambda _label, _done, _total: None,
    )


def test_every_frame_saved_has_its_record_and_its_time(tmp_path: Path, skin: npt.NDArray[np.uint8]) -> None:
    found = run(tmp_path, [cv2.imencode(".bmp", skin)[1].tobytes()], "--um-per-px", "0.5")
    assert (found.saved, found.recorded, found.states["scored"], len(found.latency_s)) == (6, 6, 6, 6)
    assert min(found.latency_s) >= found.settle_s, "a file rests before it is read"
    assert found.latency(50) <= found.latency(95) <= max(found.latency_s)
    assert found.processor_share > 0
    assert len(list((tmp_path / "results").rglob("*.score.json"))) == 6


def test_a_frame_that_cannot_be_read_is_not_counted_as_recorded(tmp_path: Path, skin: npt.NDArray[np.uint8]) -> None:
    whole = cv2.imencode(".bmp", skin)[1].tobytes()
    found = run(tmp_path, [whole, whole[:2000]], "--um-per-px", "0.5")
    assert (found.saved, found.recorded, found.states["failed"]) == (6, 3, 3)


def test_a_watch_that_cannot_start_is_said_with_its_reason(tmp_path: Path) -> None:
    with pytest.raises(CheckFailed, match=r"no such folder.*next: read .*watch\.log"):
        run(tmp_path, [b""], "--bundle", str(tmp_path / "none"))


def test_falling_behind_is_told_from_keeping_up() -> None:
    def drift(latency_s: tuple[float, ...]) -> float:
        return drift_s(Rehearsal(9.0, len(latency_s), len(latency_s), {}, 1.0, latency_s, 0, 0.0))

    assert drift((1.2, 1.3) * 50) == pytest.approx(0.0)
    assert drift(tuple(1.2 + 0.02 * number for number in range(100))) == pytest.approx(1.8, abs=0.05)
