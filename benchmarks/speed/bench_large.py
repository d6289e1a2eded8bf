"""Large images, tile by tile, against one call and against single frames; and the memory that they take."""

import functools
import json
import time
from collections.abc import Callable
from pathlib import Path, PurePath
from subprocess import PIPE

import numpy as np
import numpy.typing as npt

from benchmarks.child_process import python_module, run_child
from benchmarks.speed.ratio import Against
from runtime.acquisition import Acquisition
from runtime.dense_map import dense_map
from runtime.images import EIGHT_BIT, Frame, on_grid
from runtime.model import Model
from runtime.scoring import score_file
from trainer.phantom.files import encode_bmp

# of the frame's own pixels; 0.37 µm/px makes them 2220 of the model's, in four tiles
SIDE, UM_PER_PX = 3000, 0.37
MOSAIC, SHORT_MOSAIC = 16_000, 6_000
MOST_MB = 900
LONGER = 1.05


def mosaic(frame: npt.NDArray[np.uint8], side: int) -> npt.NDArray[np.uint8]:
    times = -(-side // frame.shape[0])
    return np.tile(frame, (times, times))[:side, :side]


def test_tiles_against_one_call(against: Against, model: Model, frame: npt.NDArray[np.uint8]) -> None:
    """The map is equal, though no tile begins where a pixel of the file does."""
    geometry = model.bundle.geometry
    grid = on_grid(Frame(mosaic(frame, SIDE), EIGHT_BIT, "00", UM_PER_PX, "option"), geometry.um_per_px)

    def untiled() -> npt.NDArray[np.float32]:
        probabilities: npt.NDArray[np.float32] = model.engine.run(grid.whole()[None, None]).probabilities[0]
        return probabilities

    tiles = []
    found = dense_map(grid, model.engine, geometry, seen=lambda cells, _pixels: tiles.append(cells))
    assert len(tiles) == 4
    np.testing.assert_allclose(found.probabilities, untiled(), rtol=0, atol=1e-5)
    against.slower(lambda: dense_map(grid, model.engine, geometry), untiled, rounds=6)


def test_mosaic_against_single_frames(
    against: Against, model: Model, frame: npt.NDArray[np.uint8], frame_files: tuple[Path, ...], tmp_path: Path
) -> None:
    """Time a megapixel, from the file to all of its results."""
    side = MOSAIC if against.full else SHORT_MOSAIC
    path, out = tmp_path / "mosaic.bmp", tmp_path / "out"
    path.write_bytes(encode_bmp(mosaic(frame, side)))
    whole = functools.partial(score_file, path, PurePath("mosaic.bmp"), out, model, acquisition=Acquisition(0.5))
    result = whole()
    assert result.score is not None
    assert result.map is not None
    assert result.map.shape == ((side - 128) // 16 + 1,) * 2

    def singly() -> None:
        for number in range(20):
            score_file(frame_files[number % 3], PurePath(f"{number}.bmp"), out, model)

    megapixels, singles = side**2 / 1e6, 20.0
    ratios = []
    for _ in range(against.rounds(6)):
        before, large, after = _s(singly), _s(whole), _s(singly)
        ratios.append(large / megapixels / ((before + after) / 2 / singles))
    against.record(ratios, "lower", megapixels=megapixels)
    against.promise(LONGER)


def test_memory_of_a_mosaic(against: Against, frame: npt.NDArray[np.uint8], tmp_path: Path) -> None:
    """Peak of a whole process, against the pixels' own bytes."""
    path = tmp_path / "mosaic.bmp"
    path.write_bytes(encode_bmp(mosaic(frame, MOSAIC)))
    try:
        peak_mb = peak_memory_mb("score", str(path), "--um-per-px", "0.5", "--out", str(tmp_path / "out"))
    finally:
        path.unlink()
    against.record([peak_mb * 1e6 / MOSAIC**2] * 3, "lower", peak_mb=peak_mb)
    assert peak_mb <= MOST_MB


def peak_memory_mb(*arguments: str) -> float:
    """Largest resident memory of an inflamap command, in 10^6 bytes."""
    done = run_child(python_module("benchmarks.speed.peak_memory", *arguments), stdout=PIPE, check=True)
    code, peak = json.loads(done.stdout)
    assert code == 0
    return float(peak / 1e6)


def _s(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
