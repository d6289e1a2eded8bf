"""What the cells of an image come to, with an order of the grades and without."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.analysis import Analysis
from runtime.dense_map import Geometry, InflammationMap
from runtime.grading import Grading
from runtime.summary import sum_up

GEOMETRY = Geometry(32, 8, 0.5)
NAMES = ("healthy", "eczematous", "psoriatic", "lichenoid", "rolled-in_scale")
CLASSES = Grading(NAMES, ordered=False)


def analysis(
    probabilities: npt.NDArray[np.float32], valid: npt.NDArray[np.bool_], *, withheld: bool = False
) -> Analysis:
    found = InflammationMap(probabilities, np.zeros(valid.shape, np.float32), GEOMETRY)
    return Analysis(np.zeros((8, 8), np.uint8), 0.5, found, valid, withheld, ())


def of_classes(*classes: int, of: int = 5) -> Analysis:
    """A row of cells, each certain of its class."""
    probabilities = np.eye(of, dtype=np.float32)[list(classes)].T[:, None]
    return analysis(np.ascontiguousarray(probabilities), np.ones((1, len(classes)), bool))


@st.composite
def analyses(draw: st.DrawFn) -> list[Analysis]:
    """One frame or several slices of one size; some withheld, some without a valid cell."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows, columns = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    found = []
    for _ in range(draw(st.integers(1, 4))):
        probabilities = rng.dirichlet(np.full(5, 0.3), (rows, columns)).transpose(2, 0, 1).astype(np.float32)
        valid = rng.random((rows, columns)) < draw(st.sampled_from([0.0, 0.5, 1.0]))
        found.append(analysis(probabilities, valid, withheld=draw(st.booleans())))
    return found


@given(analyses())
def test_without_order_the_score_is_a_class_with_the_most_area(found: list[Analysis]) -> None:
    score = sum_up(found, CLASSES)
    counted = [each for each in found if not each.withheld and each.valid is not None and each.valid.any()]
    if not counted:
        assert score is None
        return
    assert score is not None
    assert score.mean is None
    assert score.worst_region is None
    grades = np.concatenate([each.map.grade()[each.valid] for each in counted if each.map is not None])
    counts = np.bincount(grades, minlength=5)
    assert counts[score.grade] == counts.max() > 0
    assert score.grade_name == NAMES[score.grade]
    assert list(score.area_fraction) == list(NAMES)
    assert list(score.area_fraction.values()) == pytest.approx((counts / counts.sum()).tolist())
    cells = len(found) * np.size(found[0].valid)
    assert score.withheld_fraction == pytest.approx(1 - len(grades) / cells)


@given(analyses(), st.permutations(range(5)))
def test_without_order_the_numbers_of_the_classes_do_not_matter(found: list[Analysis], order: list[int]) -> None:
    renamed = Grading(tuple(NAMES[index] for index in order), ordered=False)
    other = [
        analysis(np.ascontiguousarray(each.map.probabilities[order]), each.valid, withheld=each.withheld)
        for each in found
        if each.map is not None and each.valid is not None
    ]
    first, second = sum_up(found, CLASSES), sum_up(other, renamed)
    assert (first is None) == (second is None)
    if first is not None and second is not None:
        assert first.grade_name == second.grade_name
        assert first.area_fraction == second.area_fraction


def test_no_class_between_two_others_appears() -> None:
    # the mean of these class numbers is 2.8: class 3, which no cell is of
    score = sum_up([of_classes(*[4] * 56, *[0] * 44)], CLASSES)
    assert score is not None
    assert score.grade_name == "rolled-in_scale"
    assert score.area_fraction["lichenoid"] == 0
    assert score.headline("Inflammation") == "rolled-in_scale · 56 % of the area"


def test_of_equal_areas_the_more_probable_class_wins() -> None:
    probabilities = np.array([[0.6, 0.2], [0.4, 0.8]], np.float32)[:, None]
    score = sum_up([analysis(probabilities, np.ones((1, 2), bool))], Grading(("a", "b"), ordered=False))
    assert score is not None
    assert score.grade_name == "b"


def test_with_order_the_score_is_the_mean_grade_with_its_worst_region() -> None:
    score = sum_up([of_classes(*[4] * 56, *[0] * 44)], Grading(NAMES))
    assert score is not None
    assert score.mean == pytest.approx(2.24)
    assert score.grade == 2
    assert score.worst_region is not None


def test_frame_without_a_valid_cell_is_no_score() -> None:
    nothing = analysis(np.full((5, 2, 2), 0.2, np.float32), np.zeros((2, 2), bool))
    assert sum_up([nothing], CLASSES) is None
    assert sum_up([nothing], Grading(NAMES)) is None


@given(analyses(), st.sampled_from([1, 98]))
def test_a_scale_that_begins_later_moves_every_number_and_nothing_else(found: list[Analysis], lowest: int) -> None:
    from_zero = sum_up(found, Grading(("0", "1", "2", "3", "4")))
    moved = sum_up(found, Grading(tuple(str(lowest + grade) for grade in range(5))))
    assert (from_zero is None) == (moved is None)
    if from_zero is None or moved is None:
        return
    assert from_zero.mean is not None
    assert moved.mean == pytest.approx(from_zero.mean + lowest)
    assert moved.grade == round(moved.mean)
    assert moved.grade_name == str(moved.grade)
    assert list(moved.area_fraction.values()) == list(from_zero.area_fraction.values())
    assert moved.withheld_fraction == from_zero.withheld_fraction
    one, other = from_zero.worst_region, moved.worst_region
    assert one is not None
    assert other is not None
    assert other.mean == pytest.approx(one.mean + lowest)
    assert (other.x_um, other.y_um, other.size_um, other.slice) == (one.x_um, one.y_um, one.size_um, one.slice)


def test_classes_named_by_numbers_are_counted_by_index() -> None:
    score = sum_up([of_classes(*[2] * 3, 0)], Grading(("1", "2", "3", "4", "5"), ordered=False))
    assert score is not None
    assert (score.mean, score.grade, score.grade_name) == (None, 2, "3")


GRADES = Grading(("0", "1", "2", "3", "4"))
# cells of 50 µm: a region of 100 µm is two cells wide
COARSE = Geometry(200, 100, 0.5)


def of_grades(grades: list[list[int]], valid: list[list[int]], geometry: Geometry = GEOMETRY) -> Analysis:
    """A map whose cells are certain of their grades."""
    probabilities = np.ascontiguousarray(np.eye(5, dtype=np.float32)[np.array(grades)].transpose(2, 0, 1))
    shown = np.array(valid, bool)
    found = InflammationMap(probabilities, np.zeros(shown.shape, np.float32), geometry)
    return Analysis(np.zeros((8, 8), np.uint8), 0.5, found, shown, False, ())


def test_worst_region_of_a_single_valid_cell_is_about_that_cell() -> None:
    """Half of the cells of a region are never valid here: the region that has most of them counts."""
    valid = np.zeros((30, 30), int)
    valid[17, 4] = 1
    grades = np.zeros((30, 30), int)
    grades[17, 4] = 3
    score = sum_up([of_grades(grades.tolist(), valid.tolist())], GRADES)
    assert score is not None
    assert score.worst_region is not None
    assert (score.mean, score.worst_region.mean, score.worst_region.size_um) == (3.0, 3.0, 100.0)
    # the cell's centre is at 8 µm plus 4 µm a cell
    assert abs(score.worst_region.x_um - (8 + 4 * 4)) <= 50
    assert abs(score.worst_region.y_um - (8 + 4 * 17)) <= 50


def test_worst_region_of_one_row_is_a_cell() -> None:
    score = sum_up([of_grades([[0, 2, 4, 1]], [[1, 1, 0, 1]])], GRADES)
    assert score is not None
    found = score.worst_region
    assert found is not None
    assert (found.mean, found.x_um, found.y_um, found.size_um) == (2.0, 8 + 4, 8, 4)


def test_slice_without_a_valid_cell_has_no_worst_region() -> None:
    """Its cells count as left out."""
    nothing, some = of_grades([[4, 4]], [[0, 0]]), of_grades([[1, 1]], [[1, 1]])
    score = sum_up([nothing, some], GRADES)
    assert score is not None
    assert score.worst_region is not None
    assert (score.worst_region.mean, score.worst_region.slice) == (1.0, 1)
    assert score.withheld_fraction == 0.5


@pytest.mark.parametrize(("last", "worst"), [([1, 1], 4.0), ([1, 0], 1.0)], ids=["half", "less than half"])
def test_region_counts_where_half_of_its_cells_are_valid(last: list[int], worst: float) -> None:
    valid = [[1, 1, 0, 0, last[0]], [1, 1, 0, 0, last[1]]]
    score = sum_up([of_grades([[1, 1, 0, 0, 4]] * 2, valid, COARSE)], GRADES)
    assert score is not None
    assert score.worst_region is not None
    assert score.worst_region.mean == worst


@pytest.mark.parametrize(
    ("low", "high", "grade"),
    [(0, 1, 0), (1, 2, 2), (2, 3, 2), (3, 4, 4)],
    ids=["0.5", "1.5", "2.5", "3.5"],
)
def test_mean_halfway_between_two_grades_is_the_even_one(low: int, high: int, grade: int) -> None:
    score = sum_up([of_grades([[low, high]], [[1, 1]])], GRADES)
    assert score is not None
    assert (score.mean, score.grade) == ((low + high) / 2, grade)
    # one cell in 400 more decides
    for more, wanted in ((low, low), (high, high)):
        grades = [[low] * 200 + [high] * 200 + [more]]
        score = sum_up([of_grades(grades, [[1] * 401])], GRADES)
        assert score is not None
        assert score.grade == wanted


@given(analyses())
def test_area_fractions_of_all_grades_sum_to_one(found: list[Analysis]) -> None:
    for grading in (GRADES, CLASSES):
        score = sum_up(found, grading)
        if score is not None:
            assert len(score.area_fraction) == 5
            assert all(0 <= share <= 1 for share in score.area_fraction.values())
            assert sum(score.area_fraction.values()) == pytest.approx(1.0, abs=1e-12)
