from pathlib import PurePath

import pytest

from runtime.images.vivascope import folder_kind, slice_number


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("case/patient/site/Confocal Images/v0000000.bmp", "confocal"),
        ("patient/VivaStack #1/v0000000.bmp", "stack"),
        ("patient/vivastack #12/v0000000.bmp", "stack"),
        ("VIVABLOCK #1/v0000000.bmp", "block"),
        ("VivaBlock_2/v0000000.bmp", "block"),
        ("Macroscopic Images/a.jpg", "macroscopic"),
        ("macroscopic  images/deeper/a.jpg", "macroscopic"),
        ("MacroscopicImages/a.jpg", "macroscopic"),
        # the nearest decides
        ("Macroscopic Images/VivaStack #1/v0000000.bmp", "stack"),
        ("VivaStack #1/Macroscopic Images/a.bmp", "macroscopic"),
        # a file's own name says nothing
        ("patient/Macroscopic Images", None),
        ("patient/site #1/v0000000.bmp", None),
        ("macroscopic images of the lake/a.bmp", None),
        ("v0000000.bmp", None),
    ],
)
def test_folders_are_known_by_their_names(path: str, kind: str | None) -> None:
    assert folder_kind(PurePath(path)) == kind


@pytest.mark.parametrize(
    ("name", "number"),
    [("v0000012.bmp", 12), ("V7.tif", 7), ("v.bmp", None), ("w0000001.bmp", None), ("v1 copy.bmp", None)],
)
def test_frames_are_counted_by_their_names(name: str, number: int | None) -> None:
    assert slice_number(PurePath("VivaStack #1", name)) == number
