"""From an image file to the files of its result."""

import json
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Any
from xml.etree import ElementTree as ET

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import tifffile

from runtime import pictures
from runtime.acquisition import Acquisition
from runtime.bundle import Bundle
from runtime.dense_map import dense_map
from runtime.model import Model
from runtime.result import Result
from runtime.scoring import ChangedMeanwhile, examine, score_file, write_examined
from runtime.version import NOTICE, SYNTHETIC_WARNING, __version__


def scored(path: Path, out: Path, model: Model, um_per_px: float | None = 0.5) -> dict[str, Any]:
    score_file(path, PurePath(path.name), out, model, acquisition=Acquisition(um_per_px))
    document: dict[str, Any] = json.loads((out / f"{path.name}.score.json").read_text(encoding="utf-8"))
    return document


def test_record_holds_every_key_of_the_contract(
    tmp_path: Path, skin: npt.NDArray[np.uint8], model: Model, save_image: Callable[..., str]
) -> None:
    sha256 = save_image(tmp_path / "skin.bmp", skin)
    record = scored(tmp_path / "skin.bmp", tmp_path / "out", model)
    assert record["schema"] == "inflamap.score/1"
    assert record["image"] == {
        "path": "skin.bmp",
        "sha256": sha256,
        "width": 400,
        "height": 400,
        "um_per_px": 0.5,
        "um_per_px_from": "option",
        "bits": 8,
        "bits_from": "type",
        "z_um": None,
        "z_from": "unknown",
        "x_mm": None,
        "y_mm": None,
        "slices": 1,
        "folder": None,
    }
    assert record["notes"] == ["depth unknown: nothing tells how far below the skin's surface this is"]
    assert record["slices"] is None
    assert record["model"] == {
        "name": model.bundle.manifest.name,
        "sha256": model.bundle.manifest.files["model.fp32.onnx"],
        "engine": "onnxruntime-fp32",
        "precision": "fp32",
        "synthetic": True,
        "ordered": True,
        "quantity": "Inflammation",
    }
    assert record["status"] == "scored"
    assert record["map"] == {
        "file": "skin.bmp.map.ome.tif",
        "patch_px": 128,
        "stride_px": 16,
        "shape": [18, 18],
        "origin_um": [32.0, 32.0],
    }
    assert record["overlay"] == {"file": "skin.bmp.overlay.jpg"}
    assert set(record["timing_ms"]) == {"read", "infer", "write", "total"}
    assert record["version"] == __version__
    assert record["notice"] == NOTICE


def test_score_sums_up_the_valid_cells_of_the_one_dense_map(
    tmp_path: Path, skin: npt.NDArray[np.uint8], model: Model, save_image: Callable[..., str]
) -> None:
    save_image(tmp_path / "skin.png", skin)
    record = scored(tmp_path / "skin.png", tmp_path, model)
    channels = tifffile.imread(tmp_path / "skin.png.map.ome.tif")
    found = dense_map(skin, model.engine, model.bundle.geometry)
    valid = np.isfinite(channels[0])
    np.testing.assert_array_equal(channels[0][valid], found.expected_grade()[valid])
    np.testing.assert_array_equal(channels[1][valid], found.confidence()[valid])
    score = record["score"]
    assert score["mean"] == pytest.approx(channels[0][valid].mean(), abs=1e-5)
    assert score["grade"] == round(score["mean"])
    assert score["withheld_fraction"] == pytest.approx(1 - valid.mean())
    shares = {str(grade): float((found.grade()[valid] == grade).mean()) for grade in range(5)}
    assert score["area_fraction"] == pytest.approx(shares)


def test_severity_that_grows_to_the_right_is_scored_so(skin: npt.NDArray[np.uint8], model: Model) -> None:
    expected = dense_map(skin, model.engine, model.bundle.geometry).expected_grade().mean(axis=0)
    assert expected[-3:].mean() - expected[:3].mean() > 1.5


@pytest.mark.parametrize("factor", [1.25, 0.8])
def test_frame_at_another_scale_is_resampled_and_the_map_lies_where_it_should(
    factor: float, tmp_path: Path, skin: npt.NDArray[np.uint8], model: Model, save_image: Callable[..., str]
) -> None:
    low, high = model.bundle.manifest.um_per_px_range
    um_per_px = 0.5 * factor
    assert low <= um_per_px <= high
    save_image(
        tmp_path / "skin.png", cv2.resize(skin, None, fx=1 / factor, fy=1 / factor, interpolation=cv2.INTER_AREA)
    )
    record = scored(tmp_path / "skin.png", tmp_path, model, um_per_px)
    assert record["map"]["shape"] == [18, 18]
    with tifffile.TiffFile(tmp_path / "skin.png.map.ome.tif") as file:
        pixels = ET.fromstring(file.ome_metadata or "").find(".//{*}Pixels")
    assert pixels is not None
    assert float(pixels.attrib["PhysicalSizeX"]) == 8.0
    plane = pixels.find("{*}Plane")
    assert plane is not None
    assert float(plane.attrib["PositionX"]) == 32.0


def test_sixteen_bit_frame_scores_as_its_eight_bit_self(
    tmp_path: Path, skin: npt.NDArray[np.uint8], model: Model, save_image: Callable[..., str]
) -> None:
    save_image(tmp_path / "a.png", skin)
    save_image(tmp_path / "b.png", skin.astype(np.uint16) * 257)
    means = [scored(tmp_path / name, tmp_path, model)["score"]["mean"] for name in ("a.png", "b.png")]
    assert means[0] == pytest.approx(means[1], abs=1e-6)


COLOUR = np.random.default_rng(1).integers(0, 256, (200, 200, 3), dtype=np.uint8)
LEVELS_OF_12_BITS = np.random.default_rng(1).integers(0, 4096, (200, 200), dtype=np.uint16)


@pytest.mark.parametrize(
    ("pixels", "um_per_px", "reason"),
    [
        (np.zeros((300, 300), np.uint8), 0.5, "dark: "),
        (np.zeros((1, 1), np.uint8), 0.5, "too small: 1x1 px at the model's scale, a patch needs 128x128"),
        (COLOUR, 0.5, "colour: "),
        (LEVELS_OF_12_BITS, 0.5, "depth of grey unknown: "),
        (np.full((200, 200), 90, np.uint8), None, "scale unknown: "),
        (np.full((200, 200), 90, np.uint8), 5.0, "scale: 5 µm/px is outside "),
    ],
)
def test_image_that_must_not_be_scored_is_withheld_with_overlay_and_reason(
    pixels: npt.NDArray[Any],
    um_per_px: float | None,
    reason: str,
    tmp_path: Path,
    model: Model,
    save_image: Callable[..., str],
) -> None:
    save_image(tmp_path / "x.png", pixels)
    record = scored(tmp_path / "x.png", tmp_path / "out", model, um_per_px)
    assert record["status"] == "withheld"
    assert record["score"] is None
    assert record["map"] is None
    assert any(text.startswith(reason) for text in record["reasons"])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["x.png.overlay.jpg", "x.png.score.json"]
    assert cv2.imread(str(tmp_path / "out" / "x.png.overlay.jpg")) is not None


def test_only_a_synthetic_model_warns_on_the_overlay(
    tmp_path: Path,
    skin: npt.NDArray[np.uint8],
    model: Model,
    bundle_with: Callable[..., Bundle],
    save_image: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = []
    draw = pictures.draw_overlay

    def listen(*arguments: Any) -> npt.NDArray[np.uint8]:
        said.append(arguments[-1].warning)
        return draw(*arguments)

    monkeypatch.setattr(pictures, "draw_overlay", listen)
    save_image(tmp_path / "skin.png", skin)
    assert scored(tmp_path / "skin.png", tmp_path, model)["model"]["synthetic"] is True
    real = Model.load(bundle_with(synthetic=False), threads=1)
    assert scored(tmp_path / "skin.png", tmp_path, real)["model"]["synthetic"] is False
    assert said == [SYNTHETIC_WARNING, None]
    assert SYNTHETIC_WARNING == "synthetic-trained model: not for real findings"


def test_result_of_a_file_that_changed_meanwhile_is_not_written(
    tmp_path: Path, skin: npt.NDArray[np.uint8], model: Model, save_image: Callable[..., str]
) -> None:
    path, out = tmp_path / "in" / "v.bmp", tmp_path / "out"
    save_image(path, skin)
    score_file(path, PurePath("v.bmp"), out, model, acquisition=Acquisition(0.5))
    before = {file: file.read_bytes() for file in out.iterdir()}
    examined = examine(path, PurePath("v.bmp"), model, acquisition=Acquisition(0.5))
    # as a copy that fills a file in place: as long as before
    save_image(path, skin[::-1].copy())
    with pytest.raises(ChangedMeanwhile, match=r"v\.bmp: the file changed while it was scored; next: score it again"):
        write_examined(examined, PurePath("v.bmp"), out, model)
    assert {file: file.read_bytes() for file in out.iterdir()} == before


def test_result_of_a_file_that_is_gone_meanwhile_is_written(
    tmp_path: Path, skin: npt.NDArray[np.uint8], model: Model, save_image: Callable[..., str]
) -> None:
    path, out = tmp_path / "v.bmp", tmp_path / "out"
    sha256 = save_image(path, skin)
    examined = examine(path, PurePath("v.bmp"), model, acquisition=Acquisition(0.5))
    path.unlink()
    result = write_examined(examined, PurePath("v.bmp"), out, model)
    assert result.image.sha256 == sha256
    assert (out / "v.bmp.score.json").is_file()


def save_stack(path: Path, slices: list[npt.NDArray[np.uint8]]) -> None:
    tifffile.imwrite(path, np.stack(slices), photometric="minisblack", compression="zlib")


def test_slices_of_a_stack_are_scored_one_by_one(tmp_path: Path, skin: npt.NDArray[np.uint8], model: Model) -> None:
    cv2.imwrite(str(tmp_path / "one.png"), skin)
    alone = scored(tmp_path / "one.png", tmp_path, model)
    black = np.zeros_like(skin)
    save_stack(tmp_path / "stack.tif", [skin, black, skin[::-1].copy()])
    record = scored(tmp_path / "stack.tif", tmp_path / "out", model)
    assert record["status"] == "scored"
    assert record["image"]["slices"] == 3
    first, second, third = record["slices"]
    assert first["score"]["mean"] == pytest.approx(alone["score"]["mean"], abs=1e-6)
    assert (second["status"], second["score"]) == ("withheld", None)
    assert any("dark" in reason for reason in second["reasons"])
    # over the valid cells of all slices together, which are not equally many
    maps = tifffile.imread(tmp_path / "out" / "stack.tif.map.ome.tif")
    assert maps.shape == (3, 2, *record["map"]["shape"])
    grades = maps[:, 0]
    assert record["score"]["mean"] == pytest.approx(np.nanmean(grades), abs=1e-5)
    assert np.isnan(grades[1]).all()
    assert np.nanmean(grades[2]) == pytest.approx(third["score"]["mean"], abs=1e-5)
    assert record["score"]["withheld_fraction"] == pytest.approx(np.isnan(grades).mean())
    assert record["score"]["worst_region"]["slice"] in (0, 2)
    assert all(reason.startswith("slice 2: ") for reason in record["reasons"] if "dark" in reason)
    assert "depth unknown of 3 slices" in record["notes"][0]
    overlay = cv2.imread(str(tmp_path / "out" / "stack.tif.overlay.jpg"))
    assert overlay.shape[1] > 2 * skin.shape[1], "side by side"
    assert json.loads(json.dumps(Result.from_json(record).to_json())) == record


def test_stack_of_nothing_but_withheld_slices_is_withheld(
    tmp_path: Path, skin: npt.NDArray[np.uint8], model: Model
) -> None:
    save_stack(tmp_path / "stack.tif", [np.zeros_like(skin)] * 2)
    record = scored(tmp_path / "stack.tif", tmp_path, model)
    assert (record["status"], record["score"], record["map"]) == ("withheld", None, None)
    assert not (tmp_path / "stack.tif.map.ome.tif").exists()
    assert cv2.imread(str(tmp_path / "stack.tif.overlay.jpg")) is not None


def test_slices_outside_the_depth_that_is_scored_are_left_out(
    tmp_path: Path, skin: npt.NDArray[np.uint8], model: Model
) -> None:
    metadata = {"axes": "ZYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5, "PhysicalSizeZ": 20.0}
    path = tmp_path / "stack.ome.tif"
    tifffile.imwrite(path, np.stack([skin] * 3), ome=True, photometric="minisblack", metadata=metadata)
    result = score_file(path, PurePath(path.name), tmp_path / "out", model, acquisition=Acquisition(depth_um=(10, 30)))
    assert result.slices is not None
    assert [(each.z_um, each.status) for each in result.slices] == [
        (0.0, "withheld"),
        (20.0, "scored"),
        (40.0, "withheld"),
    ]
    assert result.status == "scored"
    assert result.reasons[0] == "slice 1: depth: 0 µm below the surface is outside 10 to 30, which are to be scored"
    assert result.notes[0].startswith("depth counted from the stack's first slice")


def test_macroscopic_pictures_are_never_scored(
    tmp_path: Path, skin: npt.NDArray[np.uint8], model: Model, save_image: Callable[..., str]
) -> None:
    folder = tmp_path / "site #1" / "Macroscopic Images"
    folder.mkdir(parents=True)
    # grey, and as if it were skin: the folder alone tells
    save_image(folder / "skin.png", skin)
    relative = PurePath("site #1", "Macroscopic Images", "skin.png")
    result = score_file(folder / "skin.png", relative, tmp_path / "out", model, acquisition=Acquisition(0.5))
    assert result.status == "withheld"
    assert result.reasons[0].startswith("macroscopic")
    assert result.image.folder == "macroscopic"


def test_worst_region_lies_where_the_map_is_highest(
    tmp_path: Path, skin: npt.NDArray[np.uint8], model: Model, save_image: Callable[..., str]
) -> None:
    save_image(tmp_path / "skin.png", skin)
    record = scored(tmp_path / "skin.png", tmp_path, model)
    grade = tifffile.imread(tmp_path / "skin.png.map.ome.tif")[0]
    worst = record["score"]["worst_region"]
    assert worst["slice"] is None
    side = round(worst["size_um"] / 8.0)
    left, top = (round((worst[f"{axis}_um"] - 32.0) / 8.0 - (side - 1) / 2) for axis in "xy")
    region = grade[top : top + side, left : left + side]
    assert region.shape == (side, side)
    assert worst["mean"] == pytest.approx(np.nanmean(region), abs=1e-5)
    windows = np.lib.stride_tricks.sliding_window_view(grade, (side, side))
    assert worst["mean"] == pytest.approx(np.nanmax(np.nanmean(windows, axis=(2, 3))), abs=1e-5)


def test_what_was_examined_holds_no_more_than_can_be_shown(
    tmp_path: Path, skin: npt.NDArray[np.uint8], model: Model, save_image: Callable[..., str]
) -> None:
    save_image(tmp_path / "mosaic.bmp", np.tile(skin, (1, 6)))
    examined = examine(tmp_path / "mosaic.bmp", PurePath("mosaic.bmp"), model, acquisition=Acquisition(0.5))
    (analysis,) = examined.analyses
    assert analysis.map is not None
    assert analysis.map.shape == (18, 143)
    assert analysis.shown.shape == (333, 2000)
    assert analysis.um_per_px == pytest.approx(0.5 * 2400 / 2000)
    record = write_examined(examined, PurePath("mosaic.bmp"), tmp_path / "out", model).to_json()
    assert (record["image"]["width"], record["map"]["shape"]) == (2400, (18, 143))
