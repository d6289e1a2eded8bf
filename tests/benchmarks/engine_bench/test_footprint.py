"""Memory and processor time are an engine's own, at the microscope's rate."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path, PurePath
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from benchmarks.engine_bench import footprint
from benchmarks.engine_bench.footprint import measure_footprint, peak_memory, score_paced
from benchmarks.engine_bench.frames import Frames
from runtime.bundle import Bundle
from runtime.errors import CheckFailed
from runtime.model import Model


@pytest.fixture
def frames(tmp_path: Path, skin: npt.NDArray[np.uint8], save_image: Callable[..., str]) -> Frames:
    save_image(tmp_path / "a.png", skin)
    return Frames("here", (tmp_path / "a.png",), ((400, 400),), 0.5)


class Clock:
    """Time that passes only when somebody works or sleeps."""

    def __init__(self) -> None:
        self.now = self.worked = 0.0

    def work(self, seconds: float) -> None:
        self.now += seconds
        self.worked += seconds

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def module(self) -> Any:
        return SimpleNamespace(perf_counter=lambda: self.now, process_time=lambda: self.worked, sleep=self.sleep)


@pytest.mark.parametrize(("frame_s", "cores", "reached"), [(0.05, 0.45, 9.0), (0.25, 1.0, 4.0)])
def test_rate_and_cores(
    frame_s: float,
    cores: float,
    reached: float,
    frames: Frames,
    tmp_path: Path,
    model: Model,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    names: list[PurePath] = []

    def score(_path: Path, relative: PurePath, *_arguments: Any, **_options: Any) -> None:
        names.append(relative)
        # the warm-up is slow, and does not count
        clock.work(frame_s if len(names) > footprint.WARM_UP_FRAMES else 9.0)

    monkeypatch.setattr(footprint, "time", clock.module())
    monkeypatch.setattr(footprint, "score_file", score)
    found = score_paced(model, frames, tmp_path / "out", seconds=2.0)
    assert len(set(names)) == len(names) == 18 + footprint.WARM_UP_FRAMES
    assert found.cores_at_9_fps == pytest.approx(cores, abs=1e-3)
    assert found.cpu_share_at_9_fps == pytest.approx(cores / (os.cpu_count() or 1), abs=2e-3)
    assert found.reached_fps == pytest.approx(reached, abs=0.01)


def test_a_process_of_its_own_tells_what_it_took(frames: Frames, bundle_with: Callable[..., Bundle]) -> None:
    started = time.monotonic()
    found = measure_footprint(bundle_with(), "onnxruntime-int8", frames, threads=1, seconds=0.5)
    assert time.monotonic() - started > 0.5
    # Python, numpy, OpenCV and an engine
    assert 50 < found.peak_memory_mb < 2000
    assert found.cores_at_9_fps > 0
    assert 0 < found.reached_fps <= 9


def test_thousands_of_frames_with_long_names_are_told_to_it(
    tmp_path: Path, frames: Frames, bundle_with: Callable[..., Bundle]
) -> None:
    """On the command line they would not fit; nor are names there what every file system allows."""
    odd = tmp_path / os.fsdecode(b"caf\xe9.png")
    odd.write_bytes(frames.paths[0].read_bytes())
    missing = [tmp_path / f"{'x' * 200}-{number}.png" for number in range(20_000)]
    # the warm-up takes the last two
    many = Frames("here", (*[odd] * 9, *missing, odd, odd), ((400, 400),), 0.5)
    assert measure_footprint(bundle_with(), "onnxruntime-fp32", many, threads=1, seconds=0.4).reached_fps > 0


def test_a_process_that_fails_is_told_with_its_reason(frames: Frames, bundle_with: Callable[..., Bundle]) -> None:
    with pytest.raises(CheckFailed, match=r"gpu: memory and processor time were not measured; seen: no such engine"):
        measure_footprint(bundle_with(), "gpu", frames, threads=1, seconds=0.1)


@pytest.mark.skipif(sys.platform == "win32", reason="exec replaces a process on POSIX alone")
def test_memory_of_whoever_started_it_does_not_count() -> None:
    # a process that held 400 MB becomes another one
    inner = "from benchmarks.engine_bench.footprint import peak_memory; print(peak_memory())"
    outer = f"import os, sys; b'x' * 400_000_000; os.execv(sys.executable, [sys.executable, '-c', {inner!r}])"
    done = subprocess.run([sys.executable, "-c", outer], check=True, capture_output=True, text=True)
    assert 10e6 < int(done.stdout) < 300e6


def test_memory_that_was_given_back_counts() -> None:
    before = peak_memory()
    block = np.ones(before + 50_000_000, np.uint8)
    del block
    assert peak_memory() > before + 40_000_000
