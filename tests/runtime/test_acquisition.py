"""What the user says of the images holds, and what contradicts their files is noted."""

from pathlib import PurePath
from typing import Any

import numpy as np
import pytest

from runtime.acquisition import Acquisition, pattern_holds
from runtime.errors import InflamapError
from runtime.images import EIGHT_BIT, Frame, folder_kind

PATH = PurePath("Patient 1", "VivaStack #1", "v0000004.bmp")


def frame(**more: Any) -> Frame:
    known: dict[str, Any] = {"um_per_px": 0.5, "um_per_px_from": "vivascope", **more}
    return Frame(known.pop("pixels", np.zeros((4, 4), np.uint8)), known.pop("depth", EIGHT_BIT), "", **known)


def told(acquisition: Acquisition, path: PurePath = PATH, **more: Any) -> Frame:
    (found,) = acquisition.tell((frame(**more),), path, folder_kind(path))
    return found


def test_nothing_said_changes_nothing() -> None:
    given = frame()
    (found,) = Acquisition().tell((given,), PATH, None)
    assert found is given


def test_the_option_beats_patterns_and_those_the_file() -> None:
    patterns = {"patient 2": 0.9, "Patient*": 0.7, "*": 0.6}
    assert (
        told(Acquisition(um_per_px_in=patterns)).um_per_px,
        told(Acquisition(um_per_px_in=patterns)).um_per_px_from,
    ) == (
        0.7,
        "folder",
    )
    both = told(Acquisition(um_per_px=0.4, um_per_px_in=patterns))
    assert (both.um_per_px, both.um_per_px_from) == (0.4, "option")


def test_a_scale_that_contradicts_the_file_is_noted() -> None:
    assert told(Acquisition(um_per_px=0.6)).notes == ("scale: 0.6 µm/px was given, vivascope tells 0.5",)
    assert told(Acquisition(um_per_px=0.505)).notes == ()
    assert told(Acquisition(um_per_px=0.6), um_per_px=None, um_per_px_from="unknown").notes == ()


def test_what_the_file_says_against_any_scale_becomes_a_note() -> None:
    odd = "scale: the pixels are not square, and a model knows no others"
    unknown = {"um_per_px": None, "um_per_px_from": "unknown", "objections": (odd, "modality: x")}
    found = told(Acquisition(um_per_px=0.6), **unknown)
    assert (found.objections, found.notes) == (("modality: x",), (odd,))
    assert told(Acquisition(), **unknown).objections == (odd, "modality: x")


@pytest.mark.parametrize(
    ("pattern", "holds"),
    [
        ("Patient 1", True),
        ("patient 1/vivastack #1", True),
        ("Patient 1\\VivaStack #1", True),
        ("*/VivaStack*", True),
        ("*.bmp", True),
        ("Patient", False),
        ("VivaStack #1", False),
        ("v0000004.bmp", False),
        ("Patient 1/VivaStack #1/v0000004.bmp", True),
    ],
)
def test_patterns_name_folders_below_the_watched_one(pattern: str, holds: bool) -> None:
    assert pattern_holds(pattern, PATH) is holds


def test_images_of_unknown_depth_get_the_range_that_was_given_and_others_do_not() -> None:
    objection = ("depth of grey unknown: floating point, and so on",)
    unknown = {"depth": None, "objections": objection, "pixels": np.zeros((4, 4), np.float32)}
    assert told(Acquisition(), **unknown).objections == objection
    known = told(Acquisition(grey_range=(0.0, 2.0)), **unknown)
    assert known.depth is not None
    assert (known.depth.black, known.depth.white, known.depth.source) == (0.0, 2.0, "option")
    assert known.objections == ()
    assert told(Acquisition(grey_range=(0.0, 2.0))).depth == EIGHT_BIT


def test_slices_of_a_vivastack_lie_a_step_apart() -> None:
    found = told(Acquisition(stack_step_um=5))
    assert (found.z_um, found.z_from) == (20.0, "stack")
    assert told(Acquisition(stack_step_um=5), PurePath("Confocal Images", "v0000004.bmp")).z_um is None
    assert told(Acquisition(stack_step_um=5), z_um=33.0, z_from="dicom").z_um == 33.0


@pytest.mark.parametrize(("z_um", "withheld"), [(9.9, True), (10.0, False), (80.0, False), (80.1, True), (None, False)])
def test_what_is_known_to_lie_outside_the_depth_is_withheld(z_um: float | None, withheld: bool) -> None:
    found = told(Acquisition(depth_um=(10, 80)), z_um=z_um, z_from="dicom")
    assert any(each.startswith("depth: ") for each in found.objections) is withheld


@pytest.mark.parametrize(
    "wrong",
    [
        {"um_per_px": 0.0},
        {"um_per_px": float("nan")},
        {"um_per_px_in": {"a": -1.0}},
        {"stack_step_um": float("inf")},
        {"grey_range": (1.0, 1.0)},
        {"depth_um": (80.0, 10.0)},
    ],
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InflamapError, match=r"is no scale|is no range"):
        Acquisition(**wrong)
