"""What an overlay says of an image: its place, its date, its score in the bundle's words."""

import os
import time
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile

from runtime import pictures
from runtime.acquisition import Acquisition
from runtime.bundle import Bundle
from runtime.model import Model
from runtime.overlay import OverlayText
from runtime.pictures import ImageLabel, local_minute
from runtime.pseudonyms import Pseudonyms
from runtime.scoring import examine, score_file, write_examined

PLACE = PurePath("Müller, Erika 1961", "Forearm left", "v0000001.bmp")
# a summer's day, so that a mistake about daylight saving time shows in most places
TAKEN = time.mktime((2026, 7, 1, 14, 5, 30, 0, 0, -1))


@pytest.fixture
def texts(monkeypatch: pytest.MonkeyPatch) -> list[OverlayText]:
    """What overlays were drawn with."""
    found: list[OverlayText] = []
    for name in ("draw_overlay", "draw_slices"):
        draw = getattr(pictures, name)

        def listen(*arguments: Any, draw: Any = draw) -> npt.NDArray[np.uint8]:
            found.append(arguments[-1])
            drawn: npt.NDArray[np.uint8] = draw(*arguments)
            return drawn

        monkeypatch.setattr(pictures, name, listen)
    return found


@pytest.fixture
def image(tmp_path: Path, skin: npt.NDArray[np.uint8], save_image: Callable[..., str]) -> Path:
    path = tmp_path / "in" / PLACE
    save_image(path, skin)
    os.utime(path, (TAKEN, TAKEN))
    return path


def test_overlay_names_folder_and_date(tmp_path: Path, image: Path, model: Model, texts: list[OverlayText]) -> None:
    score_file(image, PLACE, tmp_path / "out", model, acquisition=Acquisition(0.5))
    (text,) = texts
    assert text.folders == ("Müller, Erika 1961", "Forearm left")
    assert text.taken == f"{time.strftime('%Y-%m-%d %H:%M', time.localtime(TAKEN))}"
    assert text.footer.startswith("v0000001.bmp   ")


def test_pseudonymised_overlay_and_map_tell_neither_name_nor_folder_nor_date(
    tmp_path: Path, image: Path, model: Model, texts: list[OverlayText]
) -> None:
    pseudonyms = Pseudonyms(bytes(32))
    examined = examine(image, PLACE, model, acquisition=Acquisition(0.5))
    write_examined(examined, PLACE, tmp_path / "out", model, pseudonyms=pseudonyms)
    (text,) = texts
    assert (text.folders, text.taken) == ((), "")
    said = " ".join([text.title, *text.reasons, text.footer])
    for name in ("Müller", "Erika", "1961", "Forearm", "v0000001", "2026"):
        assert name not in said
    # the name that the log has for it
    assert text.footer.startswith(f"{pseudonyms.of(PLACE)}   ")
    with tifffile.TiffFile(tmp_path / "out" / f"{PLACE}.map.ome.tif") as file:
        assert file.ome_metadata is not None
        assert "v0000001" not in file.ome_metadata
        assert pseudonyms.of(PLACE).rpartition("/")[2] in file.ome_metadata


def test_same_file_scored_again_gives_the_same_overlay(tmp_path: Path, image: Path, model: Model) -> None:
    overlays = []
    for out in (tmp_path / "a", tmp_path / "b"):
        score_file(image, PLACE, out, model, acquisition=Acquisition(0.5))
        overlays.append((out / f"{PLACE}.overlay.jpg").read_bytes())
    assert overlays[0] == overlays[1]


def test_ordered_score_has_the_bundles_name(
    tmp_path: Path, image: Path, bundle_with: Callable[..., Bundle], texts: list[OverlayText]
) -> None:
    other = Model.load(bundle_with(quantity="Spongiosis"), threads=1)
    result = score_file(image, PLACE, tmp_path / "out", other, acquisition=Acquisition(0.5))
    assert result.score is not None
    assert texts[0].title == f"Spongiosis {result.score.mean:.1f} · grade {result.score.grade}"


def test_without_order_the_title_is_the_class_with_the_most_area(
    tmp_path: Path, image: Path, bundle_with: Callable[..., Bundle], texts: list[OverlayText]
) -> None:
    names = ["healthy", "eczematous", "psoriatic", "lichenoid", "rolled-in_scale"]
    classes = Model.load(bundle_with(ordered=False, grades=names), threads=1)
    result = score_file(image, PLACE, tmp_path / "out", classes, acquisition=Acquisition(0.5))
    assert result.score is not None
    share = result.score.area_fraction[names[result.score.grade]]
    assert share == max(result.score.area_fraction.values()) > 0
    assert texts[0].title == f"{names[result.score.grade]} · {100 * share:.0f} % of the area"
    assert "Inflammation" not in texts[0].title
    grade = tifffile.imread(tmp_path / "out" / f"{PLACE}.map.ome.tif")[0]
    assert set(np.unique(grade[~np.isnan(grade)])) <= {0.0, 1.0, 2.0, 3.0, 4.0}
    record = result.to_json()
    assert (record["score"]["mean"], record["score"]["worst_region"]) == (None, None)
    assert (record["model"]["ordered"], record["model"]["quantity"]) == (False, "Inflammation")


def test_reasons_count_slices_from_one(
    tmp_path: Path, skin: npt.NDArray[np.uint8], model: Model, texts: list[OverlayText]
) -> None:
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, np.stack([skin, np.zeros_like(skin)]), photometric="minisblack")
    result = score_file(path, PurePath("stack.tif"), tmp_path / "out", model, acquisition=Acquisition(0.5))
    assert any(reason.startswith("slice 2: dark") for reason in result.reasons)
    assert not any(reason.startswith("slice 0") for reason in result.reasons)
    assert texts[0].reasons == result.reasons


def test_long_name_leaves_room_for_model_and_engine_and_keeps_its_number(
    tmp_path: Path, skin: npt.NDArray[np.uint8], model: Model, save_image: Callable[..., str], texts: list[OverlayText]
) -> None:
    name = "Müller " + "x" * 150 + " v0000012.png"
    save_image(tmp_path / name, skin)
    score_file(tmp_path / name, PurePath(name), tmp_path / "out", model, acquisition=Acquisition(0.5))
    shown, _, rest = texts[0].footer.partition("   ")
    assert len(shown) < 50
    assert shown.startswith("Müller xxx")
    assert shown.endswith("xxx v0000012.png")
    assert rest == f"{model.bundle.manifest.name}   {model.engine.name}"


@pytest.mark.parametrize("seconds", [None, 1e300, -1e300, float("inf"), float("nan"), 4e11])
def test_time_that_is_no_date_is_left_out(seconds: float | None) -> None:
    assert local_minute(seconds) == ""


def test_image_directly_in_the_folder_has_no_folders() -> None:
    assert ImageLabel.of(PurePath("v.bmp"), None, None) == ImageLabel("v.bmp", (), "")
