"""How grades are read: values of cells, and what a score may be called."""

import csv
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from watch_bench import Bench

from runtime import folder_report, pictures
from runtime.bundle import Bundle
from runtime.dense_map import Geometry, InflammationMap
from runtime.grading import MAX_QUANTITY_LENGTH, Grading, check_quantity
from runtime.ledger import open_ledger
from runtime.ledger.rebuild import rebuild
from runtime.model import Model
from runtime.result_table import to_csv

NAMES = ("healthy", "eczematous", "psoriatic")


def found() -> InflammationMap:
    probabilities = np.array([[0.5, 0.1], [0.0, 0.3], [0.5, 0.6]], np.float32).reshape(3, 1, 2)
    return InflammationMap(probabilities, np.zeros((1, 2), np.float32), Geometry(32, 8, 0.5))


def test_ordered_cells_hold_their_expected_grade_and_others_their_class() -> None:
    np.testing.assert_allclose(Grading(NAMES).cell_values(found()), [[1.0, 1.5]], atol=1e-6)
    values = Grading(NAMES, ordered=False).cell_values(found())
    # between the first class and the last there is no middle one
    np.testing.assert_array_equal(values, [[0, 2]])
    assert values.dtype == np.float32


@pytest.mark.parametrize("quantity", ["", " x", "x ", "a\nb", "x" * (MAX_QUANTITY_LENGTH + 1), "\x1b[31m", "b\udcff"])
def test_quantity_that_does_not_fit_a_title_is_refused(quantity: str) -> None:
    with pytest.raises(ValueError, match=r"quantity .*, wanted one line of 1 to 40 printable characters"):
        check_quantity(quantity)


@given(st.text(max_size=60))
def test_quantity_that_is_taken_is_one_printable_line(quantity: str) -> None:
    try:
        check_quantity(quantity)
    except ValueError:
        return
    assert quantity.isprintable()
    assert len(quantity.splitlines()) == 1
    assert 0 < len(quantity.strip()) == len(quantity) <= MAX_QUANTITY_LENGTH


def test_grades_named_1_to_3_are_counted_from_1_and_classes_by_their_index() -> None:
    ordered, classes = Grading(("1", "2", "3")), Grading(("1", "2", "3"), ordered=False)
    assert (ordered.lowest, classes.lowest, Grading(NAMES).lowest) == (1, 0, 0)
    np.testing.assert_allclose(ordered.cell_values(found()), [[2.0, 2.5]], atol=1e-6)
    assert ordered.cell_values(found()).dtype == np.float32
    np.testing.assert_array_equal(classes.cell_values(found()), [[0, 2]])


def test_every_number_of_a_result_is_on_the_scale_of_the_names(
    tmp_path: Path,
    model: Model,
    bundle_with: Callable[..., Bundle],
    patch_of_skin: npt.NDArray[np.uint8],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same model with grades named 0 to 4 and 1 to 5: all numbers differ by one grade, and nothing else does."""
    titles: list[str] = []
    monkeypatch.setattr(pictures, "draw_slices", lambda *drawn: titles.append(drawn[-1].title) or patch_of_skin)
    (tmp_path / "in" / "P1").mkdir(parents=True)
    tifffile.imwrite(tmp_path / "in" / "P1" / "a.tif", np.stack([patch_of_skin, patch_of_skin[::-1]]))
    from_1 = Model(bundle_with(grades=["1", "2", "3", "4", "5"]), model.engine)
    benches = [Bench(tmp_path / "in", tmp_path / name, each) for name, each in (("0", model), ("1", from_1))]
    for bench in benches:
        bench.out.mkdir()
        bench.once()
    zero, one = (bench.record("P1/a.tif") for bench in benches)
    score, mean = one["score"], zero["score"]["mean"] + 1
    assert list(score["area_fraction"]) == ["1", "2", "3", "4", "5"]
    assert list(score["area_fraction"].values()) == list(zero["score"]["area_fraction"].values())
    assert score["mean"] == pytest.approx(mean)
    assert score["grade"] == round(mean)
    assert score["worst_region"]["mean"] == pytest.approx(zero["score"]["worst_region"]["mean"] + 1)
    for slice_zero, slice_one in zip(zero["slices"], one["slices"], strict=True):
        assert slice_one["score"]["mean"] == pytest.approx(slice_zero["score"]["mean"] + 1)
        assert slice_one["score"]["grade"] == round(slice_one["score"]["mean"])
    assert titles[1] == f"Inflammation {mean:.1f} · grade {round(mean)}"
    assert any(f"P1/a.tif: {mean:.2f} (grade {round(mean)})" in line for line in benches[1].said)
    planes = [tifffile.imread(bench.out / "P1" / "a.tif.map.ome.tif") for bench in benches]
    np.testing.assert_allclose(planes[1][:, 0], planes[0][:, 0] + 1, atol=1e-6)
    np.testing.assert_array_equal(planes[1][:, 1], planes[0][:, 1])

    # a ledger that was lost comes back the same
    benches[1].lose_ledger()
    with open_ledger(benches[1].out, create=True) as ledger:
        assert rebuild(ledger, benches[1].out, tmp_path / "in") == 1
        rows = list(ledger.rows())
    (line,) = csv.DictReader(io.StringIO(to_csv(rows).decode("utf-8-sig")))
    assert float(line["score"]) == pytest.approx(mean)
    assert (line["grade"], line["grade_name"]) == (str(round(mean)), str(round(mean)))
    grades = folder_report.grade_numbers(rows)
    assert grades == range(1, 6)
    folders = folder_report.fold(rows, benches[1].out, grades)
    assert folders[0].mean == pytest.approx(mean)
    assert folders[0].worst is not None
    assert folders[0].worst.mean == score["worst_region"]["mean"]
    assert next(folder_report.to_lines(folders, grades, 120)).split()[-5:] == ["1", "2", "3", "4", "5"]
