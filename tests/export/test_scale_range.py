"""How far a microscope's sampling may be off: contiguous, cautious, and the same each time."""

import math

import numpy as np
import numpy.typing as npt
import pytest

from export import scale_range
from export.distance import Distance
from export.run_files import read_run
from export.run_images import read_part
from export.scale_range import STEP, STEPS, TOLERANCE, measure_scale_range
from runtime.dense_map import Geometry
from runtime.engines import EngineOutput
from runtime.engines.onnxruntime_cpu import OnnxRuntimeEngine

GEOMETRY = Geometry(32, 8, 0.5)
GRADES = Distance.between(ordered=True)


class Brightness:
    """An engine whose expected grade is the mean grey level over 200, and its unfamiliarity that level over `edge`."""

    name, precision = "brightness", "fp32"

    def __init__(self, edge: float = 1e9) -> None:
        self.edge = edge

    def run(self, images: npt.NDArray[np.uint8]) -> EngineOutput:
        grade = np.float32(images.mean() / 200)
        return EngineOutput(
            np.array([1 - grade, grade], np.float32).reshape(1, 2, 1, 1),
            np.full((1, 1, 1), images.mean() / self.edge, np.float32),
        )


@pytest.fixture
def shifts_by(monkeypatch):
    """Makes resampling from `step` steps away shift the expected grade by what a function of the step says."""

    def install(shift) -> list[int]:
        asked: list[int] = []

        def as_seen_at(patch, um_per_px, geometry):
            step = round(math.log(um_per_px / geometry.um_per_px, STEP))
            asked.append(step)
            return patch + np.uint8(round(200 * shift(step)))

        monkeypatch.setattr(scale_range, "as_seen_at", as_seen_at)
        return asked

    return install


PATCHES = np.full((3, 1, 32, 32), 10, np.uint8)


def test_the_range_ends_before_the_mean_shift_passes_a_tenth_of_a_grade(shifts_by):
    shifts_by(lambda step: 0.04 * abs(step))
    found = measure_scale_range(PATCHES, Brightness(), GEOMETRY, 1.0, GRADES)
    low, high, shifts = found.low, found.high, found.shifts
    assert (low, high) == (pytest.approx(0.5 / STEP**2), pytest.approx(0.5 * STEP**2))
    # what was tried is told too, the two that failed among it
    assert list(shifts) == [f"{0.5 * STEP**step:.3f}" for step in range(-3, 4)]
    assert list(shifts.values()) == pytest.approx([0.12, 0.08, 0.04, 0, 0.04, 0.08, 0.12], abs=1e-3)
    assert TOLERANCE == 0.1


def test_the_range_ends_before_the_skin_looks_unfamiliar(shifts_by):
    shifts_by(lambda step: 0.01 * abs(step))
    # grey levels 10, 12, 14, 16, ...: 15 is the edge of the familiar
    found = measure_scale_range(PATCHES, Brightness(edge=15), GEOMETRY, 1.0, GRADES)
    assert (found.low, found.high) == (pytest.approx(0.5 / STEP**2), pytest.approx(0.5 * STEP**2))
    assert max(found.shifts.values()) < TOLERANCE
    assert list(found.withheld.values()) == [1, 0, 0, 0, 0, 0, 1]


def test_a_scale_that_holds_beyond_one_that_does_not_is_not_in_the_range(shifts_by):
    asked = shifts_by(lambda step: 0.3 if step in {2, -1} else 0.0)
    found = measure_scale_range(PATCHES, Brightness(), GEOMETRY, 1.0, GRADES)
    low, high = found.low, found.high
    assert (low, high) == (0.5, pytest.approx(0.5 * STEP))
    assert set(asked) == {-1, 1, 2}


def test_a_model_that_takes_everything_gets_an_end_all_the_same(shifts_by):
    shifts_by(lambda _step: 0.05)
    found = measure_scale_range(PATCHES, Brightness(), GEOMETRY, 1.0, GRADES)
    low, high, shifts = found.low, found.high, found.shifts
    assert (low, high) == (pytest.approx(0.5 / STEP**STEPS), pytest.approx(0.5 * STEP**STEPS))
    assert len(shifts) == 2 * STEPS + 1


def test_the_shift_is_a_mean_of_sizes_so_that_opposite_ones_do_not_cancel(monkeypatch):
    def as_seen_at(patch, _um_per_px, _geometry):
        return patch + np.uint8(40) if patch[0, 0] < 100 else patch - np.uint8(40)

    monkeypatch.setattr(scale_range, "as_seen_at", as_seen_at)
    patches = np.stack([np.full((1, 32, 32), level, np.uint8) for level in (50, 150)])
    found = measure_scale_range(patches, Brightness(), GEOMETRY, 1.0, GRADES)
    assert (found.low, found.high) == (0.5, 0.5)


def test_a_trained_model_holds_around_its_own_scale_and_the_same_each_time(finished, graphs):
    patches = read_part(read_run(finished.folder), None, finished.geometry, "val", 300).patches[:, None]
    engine = OnnxRuntimeEngine(graphs[8], name="onnxruntime-fp32", precision="fp32", threads=1)
    first = measure_scale_range(patches, engine, finished.geometry, 1.0, GRADES)
    low, high, shifts = first.low, first.high, first.shifts
    assert low <= 0.5 <= high
    assert shifts["0.500"] == 0
    inside = [shift for scale, shift in shifts.items() if low - 1e-3 <= float(scale) <= high + 1e-3]
    assert max(inside) <= TOLERANCE
    assert measure_scale_range(patches, engine, finished.geometry, 1.0, GRADES) == first


@pytest.mark.parametrize("step", [*range(-STEPS, 0), *range(1, STEPS + 1)])
def test_a_patch_comes_back_from_every_scale_in_its_place(step):
    y, x = np.mgrid[:32, :32]
    patch = (100 + 3 * x + y).astype(np.uint8)
    seen = scale_range.as_seen_at(patch, 0.5 * STEP**step, GEOMETRY)
    assert seen.shape == (32, 32)
    assert seen.dtype == np.uint8
    # an even slope survives any resampling; where it is off, the patch was moved
    np.testing.assert_allclose(seen[4:-4, 4:-4], patch[4:-4, 4:-4], atol=1.5)


def test_a_coarser_microscope_shows_less_detail():
    noise = np.random.default_rng(1).integers(0, 256, (32, 32), np.uint8)
    detail = [
        float(np.diff(scale_range.as_seen_at(noise, scale, GEOMETRY).astype(float)).std()) for scale in (0.6, 0.9, 1.3)
    ]
    assert float(np.diff(noise.astype(float)).std()) > detail[0] > detail[1] > detail[2]
