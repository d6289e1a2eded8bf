"""Real textures, and folders of pictures as other people keep them: nothing is tuned to skin."""

import json
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import real_textures
from benchmarks.real_textures import LIMIT, SIDE_PX, TEXTURES, bundled, inflamap, places, show, write_textures
from trainer.dataset import read_scored_patches
from trainer.split import split_patches

# the benchmark


@settings(deadline=None)
@given(patch_px=st.integers(16, SIDE_PX // 3))
def test_the_parts_have_no_pixel_in_common(patch_px):
    drawn = {part: np.zeros((SIDE_PX, SIDE_PX), bool) for part in ("train", "val", "test")}
    for place in places(patch_px):
        assert 0 <= place.x <= SIDE_PX - patch_px
        assert 0 <= place.y <= SIDE_PX - patch_px
        drawn[place.part][place.y : place.y + patch_px, place.x : place.x + patch_px] = True
    assert all(pixels.any() for pixels in drawn.values())
    assert sum(pixels.astype(int) for pixels in drawn.values()).max() == 1


def test_one_patch_more_or_less_among_those_judged_by_does_not_decide():
    judged = len(TEXTURES) * sum(place.part == "test" for place in places(128))
    assert judged * (1 - LIMIT) >= 3


@pytest.mark.parametrize("texture", TEXTURES)
def test_the_photographs_come_with_scikit_image_and_are_not_fetched(texture, monkeypatch):
    monkeypatch.setattr("socket.socket.connect", None)
    photograph = bundled(texture)
    assert photograph.shape == (SIDE_PX, SIDE_PX)
    assert photograph.dtype == np.uint8
    assert photograph.std() > 20


def test_patches_lie_in_a_folder_of_their_textures_name_and_the_split_names_each(tmp_path):
    write_textures(tmp_path / "textures", tmp_path / "split.csv", 160)
    data = read_scored_patches(tmp_path / "textures", patch_px=160, model_um_per_px=0.5, um_per_px=0.5)
    assert data.grades == TEXTURES
    parts = split_patches(data, str(tmp_path / "split.csv"), 0)
    wanted = {(texture, place.part): 0 for texture in TEXTURES for place in places(160)}
    found = Counter((data.grades[patch.grade], part) for patch, part in zip(data.patches, parts, strict=True))
    assert found.keys() == wanted.keys()
    assert len(data) == len(TEXTURES) * len(places(160))
    for patch, pixels in zip(data.patches[::17], data.pixels[::17], strict=True):
        texture, name = patch.path.split("/")
        x, y = (int(word[1:]) for word in name.removesuffix(".png").split("-")[1:])
        assert np.array_equal(pixels, bundled(texture)[y : y + 160, x : x + 160])


@pytest.mark.parametrize(("accuracy", "code"), [(0.99, 0), (1.0, 0), (0.9899, 1)])
def test_it_ends_with_1_below_the_limit(tmp_path, monkeypatch, capsys, accuracy, code):
    asked = []

    def answer(*arguments: object) -> str:
        asked.append([str(word) for word in arguments])
        return json.dumps({"accuracy": {"value": accuracy}, "patches": 375})

    monkeypatch.setattr(real_textures, "inflamap", answer)
    monkeypatch.setattr(real_textures, "write_textures", lambda *_asked: None)
    assert show(tmp_path) == code
    assert f"accuracy {accuracy:.4f} on 375 patches" in capsys.readouterr().out
    train, evaluate = asked
    assert train[:2] == ["train", str(tmp_path / "textures")]
    assert train[train.index("--split") + 1] == str(tmp_path / "split.csv")
    assert train[train.index("--loss") + 1] == "cross-entropy"
    assert evaluate[:3] == ["evaluate", train[train.index("--out") + 1], train[1]]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_brick_grass_and_gravel_are_told_apart(tmp_path):
    assert show(tmp_path) == 0


# other people's folders


def draw(kind: int, height: int, width: int, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """One of six textures, uint8 [height, width], as light or dark as chance will have it."""
    y, x = np.mgrid[:height, :width] + rng.uniform(0, 100, 2)[:, None, None]
    noise = rng.standard_normal((height, width))
    values = (
        np.sin(x * 0.9) * np.sin(y * 0.9),
        np.sin(x * 0.35),
        np.sign(np.sin(x * 0.2) * np.sin(y * 0.2)),
        3 * cv2.GaussianBlur(noise, (0, 0), 1.5),
        12 * cv2.GaussianBlur(noise, (0, 0), 6),
        (np.sin(x * 0.25) > 0.9) | (np.sin(y * 0.25) > 0.9),
    )[kind]
    levels = rng.uniform(90, 150) + rng.uniform(30, 50) * values + 6 * rng.standard_normal((height, width))
    return np.clip(levels, 0, 255).astype(np.uint8)


def held_out_accuracy(data: Path, work: Path, epochs: int) -> dict:
    """What `inflamap evaluate` says of a run trained as a user would."""
    inflamap("train", data, "--out", work / "run", "--loss", "cross-entropy", "--um-per-px", 0.5, "--epochs", epochs)
    return json.loads(inflamap("evaluate", work / "run", data, "--um-per-px", 0.5, "--json"))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_grey_jpegs_of_200_px_in_six_named_folders_train_as_they_are(tmp_path):
    rng = np.random.default_rng(0)
    names = ("Bark", "Canvas, coarse", "Fliesen", "granite", "marble", "Netz")
    for kind, name in enumerate(names):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(24):
            jpeg = cv2.imencode(".jpg", draw(kind, 200, 200, rng))[1].tobytes()
            (tmp_path / "data" / name / f"{number:03d}.jpg").write_bytes(jpeg)
    found = held_out_accuracy(tmp_path / "data", tmp_path, epochs=32)
    assert list(found["per_grade"]) == sorted(names)
    assert found["patches"] == 30
    assert found["accuracy"]["value"] >= 0.7


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_photographs_in_colour_and_of_many_sizes_train_as_they_are(tmp_path):
    rng = np.random.default_rng(1)
    for kind, name in enumerate(("woven", "striped", "chequered")):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(30):
            height, width = rng.integers(130, 360, 2)
            tint = rng.uniform(0.6, 1.0, 3)
            photograph = (draw(kind, height, width, rng)[..., None] * tint).astype(np.uint8)
            suffix = (".jpg", ".png")[number % 2]
            (tmp_path / "data" / name / f"IMG_{number:04d}{suffix}").write_bytes(
                cv2.imencode(suffix, photograph)[1].tobytes()
            )
    found = held_out_accuracy(tmp_path / "data", tmp_path, epochs=32)
    assert list(found["per_grade"]) == ["chequered", "striped", "woven"]
    assert found["patches"] == 19
    assert found["accuracy"]["value"] >= 0.8
