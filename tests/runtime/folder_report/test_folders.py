"""What the images below a folder come to."""

import json
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from runtime.file_state import FileState
from runtime.folder_report.folders import FolderFigures, fold, grade_numbers
from runtime.ledger import ImageRow, State
from runtime.ledger.row import Outcome

Study = Callable[..., list[ImageRow]]


def by_path(figures: list[FolderFigures]) -> dict[str, FolderFigures]:
    return {each.path.as_posix(): each for each in figures}


def test_every_level_has_its_figures(study: Study, tmp_path: Path) -> None:
    rows = study(
        [("P1/left/a.bmp", 1.0), ("P1/left/b.bmp", 2.0), ("P1/right/a.bmp", 3.0), ("P2/left/a.bmp", None)],
        failed=["P2/left/b.bmp"],
    )
    found = by_path(fold(rows, tmp_path, range(5)))
    assert list(found) == [".", "P1", "P1/left", "P1/right", "P2", "P2/left"]
    assert [each.level for each in found.values()] == [0, 1, 2, 2, 1, 2]
    assert (found["."].scored, found["."].withheld, found["."].failed, found["."].waiting) == (3, 1, 1, 0)
    assert found["P1"].mean == pytest.approx(2.0)
    assert (found["P2"].mean, found["P2"].ci95, found["P2"].worst) == (None, None, None)
    assert (found["P1"].unit, found["P1"].units) == ("folders", 2)
    assert (found["P1/left"].unit, found["P1/left"].units) == ("images", 2)
    worst = found["."].worst
    assert worst is not None
    assert (worst.mean, worst.image, worst.x_um, worst.slice) == (3.5, PurePath("P1/right/a.bmp"), 100.0, None)


def test_the_interval_is_by_patients_and_not_by_their_many_frames(study: Study, tmp_path: Path) -> None:
    images = [(f"P{p}/v{k}.bmp", 1.0 + p + 0.001 * k) for p in range(3) for k in range(20)]
    found = by_path(fold(study(images), tmp_path, range(5)))
    whole, one = found["."].ci95, found["P1"].ci95
    assert whole is not None
    assert one is not None
    assert whole[1] - whole[0] > 1.0
    assert one[1] - one[0] < 0.01


def test_a_single_folder_on_the_way_is_no_sample(study: Study, tmp_path: Path) -> None:
    rows = study([(f"Study/P{p}/Confocal Images/v.bmp", float(p)) for p in range(4)])
    found = by_path(fold(rows, tmp_path, range(5)))
    assert (found["."].unit, found["."].units) == ("folders", 4)
    assert found["."].ci95 == found["Study"].ci95 is not None
    assert [each.path.as_posix() for each in found.values() if each.alone] == [
        "Study",
        *(f"Study/P{p}/Confocal Images" for p in range(4)),
    ]


def test_images_beside_folders_are_one_unit_more(study: Study, tmp_path: Path) -> None:
    rows = study([("a/v.bmp", 1.0), ("b/v.bmp", 2.0), ("v1.bmp", 3.0), ("v2.bmp", 3.0)])
    found = by_path(fold(rows, tmp_path, range(5)))["."]
    assert (found.unit, found.units, found.mean) == ("folders", 3, pytest.approx(2.25))


def test_macroscopic_pictures_are_not_counted(study: Study, tmp_path: Path) -> None:
    rows = study([("P1/Confocal Images/v.bmp", 1.0), ("P1/Macroscopic Images/m.jpg", None)])
    found = by_path(fold(rows, tmp_path, range(5)))
    assert "P1/Macroscopic Images" not in found
    assert found["."].withheld == 0


def test_models_are_told_folder_by_folder(study: Study, tmp_path: Path) -> None:
    rows = study([("P1/a.bmp", 1.0), ("P1/b.bmp", 2.0), ("P2/a.bmp", 3.0), ("P3/a.bmp", None)])
    other = replace(rows[2].outcome, model_sha256="0" * 64, synthetic=False)
    rows[2] = replace(rows[2], outcome=other)
    found = by_path(fold(rows, tmp_path, range(5)))
    assert {path: (each.models, each.synthetic) for path, each in found.items()} == {
        ".": (2, True),
        "P1": (1, True),
        "P2": (1, False),
        "P3": (0, False),
    }


WRONG = {"endless": ("mean", float("inf")), "too large": ("x_um", 10**400), "words": ("slice", "\x1b[31m")}


@pytest.mark.parametrize("damage", ["missing", "no json", "older", "of another content", *WRONG])
def test_records_that_tell_no_worst_region_are_no_matter(study: Study, tmp_path: Path, damage: str) -> None:
    rows = study([("a.bmp", 1.0), ("b.bmp", 2.0)])
    file = tmp_path / "b.bmp.score.json"
    record: dict[str, Any] = json.loads(file.read_text())
    if damage == "older":
        del record["score"]["worst_region"]
    if damage in WRONG:
        key, value = WRONG[damage]
        record["score"]["worst_region"][key] = value
    record["image"]["sha256"] = "0" * 64 if damage == "of another content" else record["image"]["sha256"]
    file.write_text("{" if damage == "no json" else json.dumps(record))
    if damage == "missing":
        file.unlink()
    worst = fold(rows, tmp_path, range(5))[0].worst
    assert worst is not None
    assert worst.image == PurePath("a.bmp")


def test_numbers_of_the_grades_are_those_of_the_results(study: Study) -> None:
    assert grade_numbers(study([("a.bmp", 1.0)])) == range(5)
    assert grade_numbers([]) == range(0)


def test_on_a_scale_from_1_an_interval_ends_at_1_and_at_5(
    study: Study, tmp_path: Path, from_1: dict[str, float]
) -> None:
    low = study([(f"low/{number}.bmp", score) for number, score in enumerate((1.0, 1.0, 1.9))], areas=from_1)
    assert grade_numbers(low) == range(1, 6)
    rows = study([(f"high/{number}.bmp", score) for number, score in enumerate((5.0, 5.0, 4.1))], areas=from_1)
    found = by_path(fold(rows, tmp_path, grade_numbers(rows)))
    assert found["low"].ci95 == (1.0, pytest.approx(1.3 + 4.3027 * 0.3, abs=1e-3))
    assert found["high"].ci95 == (pytest.approx(4.7 - 4.3027 * 0.3, abs=1e-3), 5.0)


def test_results_of_two_scales_share_an_axis_that_holds_both(study: Study, from_1: dict[str, float]) -> None:
    study([("a.bmp", 0.5)])
    assert grade_numbers(study([("b.bmp", 4.5)], areas=from_1)) == range(6)


def row(path: str, score: float | None) -> ImageRow:
    state = State.WITHHELD if score is None else State.SCORED
    return ImageRow(Path(path), state, "", 1, False, FileState(1, 1), 0.0, None, 1.0, Outcome(score=score))


names = st.sampled_from(["a", "b", "c", "VivaStack #1"])
paths = st.lists(names, max_size=4).map(lambda parts: "/".join([*parts, "v.bmp"]))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(paths, st.none() | st.floats(0, 4)), min_size=1, max_size=40), st.randoms(use_true_random=False)
)
def test_each_folder_is_the_sum_of_what_is_below(
    tmp_path: Path, images: list[tuple[str, float | None]], order: Any
) -> None:
    rows = [row(path, score) for path, score in images]
    found = fold(rows, tmp_path, range(5))
    for each in found:
        below = [image for image in rows if each.path.parts == image.path.parts[: len(each.path.parts)]]
        scores = [image.outcome.score for image in below if image.outcome.score is not None]
        assert (each.scored, each.withheld) == (len(scores), len(below) - len(scores))
        assert each.mean == (pytest.approx(np.mean(scores)) if scores else None)
        if each.ci95 is not None and each.mean is not None:
            assert each.ci95[0] - 1e-9 <= each.mean <= each.ci95[1] + 1e-9
    order.shuffle(rows)
    again = fold(rows, tmp_path, range(5))
    assert [(each.path, each.scored, each.unit, each.units) for each in again] == [
        (each.path, each.scored, each.unit, each.units) for each in found
    ]
    for one, other in zip(found, again, strict=True):
        assert one.mean == (None if other.mean is None else pytest.approx(other.mean))
        # the root of a sum that is nothing but rounding is some 1e-8
        assert one.ci95 == (None if other.ci95 is None else pytest.approx(other.ci95, abs=1e-6))


def test_ten_thousand_folders_deep_is_no_recursion(tmp_path: Path) -> None:
    assert len(fold([row("a/" * 2000 + "v.bmp", 1.0)], tmp_path, range(5))) == 2001
