"""The dense map against the same model run one patch a call, on one frame, in one run.

    python -m benchmarks.dense_map [--repeats N]

Checks first that both give the same scores; then measures them interleaved and ends with 1 when the ratio of the
medians is below the limit. The frame is synthetic (phantom); the model is the one that ships.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from runtime.bundle import DEFAULT_BUNDLE, open_bundle
from runtime.dense_map import Geometry, dense_map
from runtime.engines import Engine
from runtime.engines.registry import default_threads, open_engine
from trainer.phantom import draw_subjects, paint_frame

FRAME_PX = 1000
LIMIT = 16.0
EQUAL = 1e-5


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    bundle = open_bundle(DEFAULT_BUNDLE)
    geometry, threads = bundle.geometry, default_threads()
    engine = open_engine(bundle, threads=threads)
    severity = np.tile(np.linspace(0.0, 4.0, FRAME_PX, dtype=np.float32), (FRAME_PX, 1))
    frame = paint_frame(draw_subjects(0)[0], severity, np.random.default_rng(0))

    mapped = dense_map(frame, engine, geometry).expected_grade()
    difference = float(np.abs(mapped - one_patch_a_call(frame, engine, geometry)).max())
    print(f"{mapped.size} cells; largest difference in expected grade {difference:.1e}; limit {EQUAL:g}")
    if not difference <= EQUAL:
        return 1

    seconds: dict[str, list[float]] = {"map": [], "patches": []}
    for _ in range(repeats):
        for _ in range(5):
            seconds["map"].append(_seconds(lambda: dense_map(frame, engine, geometry)))
        seconds["patches"].append(_seconds(lambda: one_patch_a_call(frame, engine, geometry)))
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    ratio = medians["patches"] / medians["map"]
    print(
        f"{FRAME_PX}x{FRAME_PX} px at {geometry.stride_px} px stride, {threads} thread(s): map {medians['map']:.3f} s, "
        f"one patch a call {medians['patches']:.2f} s, {ratio:.1f} times; limit {LIMIT:g}"
    )
    return int(ratio < LIMIT)


def one_patch_a_call(frame: npt.NDArray[np.uint8], engine: Engine, geometry: Geometry) -> npt.NDArray[np.float32]:
    """Expected grade of every cell, float32 [h, w], each patch handed to the engine by itself."""
    rows, columns = (geometry.cells(length) for length in frame.shape)
    grades = np.empty((rows, columns), np.float32)
    for i in range(rows):
        for j in range(columns):
            top, left = i * geometry.stride_px, j * geometry.stride_px
            patch = frame[top : top + geometry.patch_px, left : left + geometry.patch_px]
            probabilities = engine.run(np.ascontiguousarray(patch)[None, None]).probabilities[0, :, 0, 0]
            grades[i, j] = probabilities @ np.arange(len(probabilities), dtype=np.float32)
    return grades


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(main())
