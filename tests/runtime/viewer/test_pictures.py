"""What is looked at: the frame, its overlay small and large, its map as numbers."""

import json
import struct
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from msgspec.structs import replace
from watch_bench import Bench

from runtime.ledger import ImageRow
from runtime.place import PlaceForbids
from runtime.viewer import pictures
from runtime.viewer.pictures import NO_SCORE, STEPS_A_GRADE, THUMBNAIL_PX, NotThere, Pictures


@pytest.fixture
def row(bench: Bench, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str]) -> ImageRow:
    save_image(bench.folder / "ä #.bmp", patch_of_skin)
    bench.once()
    return bench.rows()["ä #.bmp"]


def decoded(data: bytes) -> npt.NDArray[np.uint8]:
    found: npt.NDArray[np.uint8] = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    return found


def test_frame_is_the_microscopes(bench: Bench, row: ImageRow, patch_of_skin: npt.NDArray[np.uint8]) -> None:
    found = decoded(Pictures(bench.folder, bench.out).frame(row, 0))
    assert found.shape == patch_of_skin.shape
    assert np.abs(found.astype(int) - patch_of_skin).mean() < 4


def test_map_is_the_files_to_a_thousandth(bench: Bench, row: ImageRow) -> None:
    data = Pictures(bench.folder, bench.out).map(row, 0)
    rows, columns = struct.unpack_from("<II", data)
    steps = np.frombuffer(data, "<u2", offset=8).reshape(rows, columns)
    wanted = tifffile.imread(bench.out / f"{row.path}.map.ome.tif")[0]
    assert steps.shape == wanted.shape
    scored = steps != NO_SCORE
    assert np.array_equal(scored, np.isfinite(wanted))
    assert scored.any()
    assert np.abs(steps[scored] / STEPS_A_GRADE - wanted[scored]).max() <= 0.5 / STEPS_A_GRADE + 1e-6


def test_map_on_another_scale_is_counted_above_its_lowest_grade(bench: Bench, row: ImageRow) -> None:
    file = bench.out / f"{row.path}.map.ome.tif"
    planes = tifffile.imread(file)
    tifffile.imwrite(file, planes + np.array([2020, 0], np.float32)[:, None, None], photometric="minisblack")
    names = json.dumps({str(2020 + grade): 0.2 for grade in range(5)})
    later = replace(row, outcome=replace(row.outcome, area_fraction=names))
    steps = np.frombuffer(Pictures(bench.folder, bench.out).map(later, 0), "<u2", offset=8)
    wanted = planes[0].ravel()
    scored = np.isfinite(wanted)
    assert np.array_equal(steps != NO_SCORE, scored)
    assert np.abs(steps[scored] / STEPS_A_GRADE - wanted[scored]).max() < 1.1 / STEPS_A_GRADE


def test_overlay_is_the_file_and_its_thumbnail_is_small(bench: Bench, row: ImageRow) -> None:
    found = Pictures(bench.folder, bench.out)
    assert found.overlay(row) == (bench.out / f"{row.path}.overlay.jpg").read_bytes()
    assert max(decoded(found.thumbnail(row)).shape[:2]) <= THUMBNAIL_PX


def test_record_is_score_json(bench: Bench, row: ImageRow) -> None:
    assert Pictures(bench.folder, bench.out).record(row) == bench.record(str(row.path))


def test_slices_of_a_stack_are_told_apart(bench: Bench, patch_of_skin: npt.NDArray[np.uint8]) -> None:
    tifffile.imwrite(bench.folder / "stack.tif", np.stack([patch_of_skin, 255 - patch_of_skin]))
    bench.once()
    stack, found = bench.rows()["stack.tif"], Pictures(bench.folder, bench.out)
    assert decoded(found.frame(stack, 0)).mean() < decoded(found.frame(stack, 1)).mean()
    for picture in (found.frame, found.map):
        with pytest.raises(NotThere, match="no such slice"):
            picture(stack, 2)


def test_what_is_gone_is_said_so(bench: Bench, row: ImageRow) -> None:
    found = Pictures(bench.folder, bench.out)
    for file in bench.out.glob("ä*"):
        file.unlink()
    (bench.folder / row.path).unlink()
    for picture in (found.overlay, found.thumbnail, found.record):
        with pytest.raises(NotThere):
            picture(row)
    with pytest.raises(NotThere):
        found.map(row, 0)
    with pytest.raises(pictures.InflamapError):
        found.frame(row, 0)
    gone = replace(row, outcome=replace(row.outcome, overlay_file=None, map_file=None))
    with pytest.raises(NotThere, match="removed"):
        found.overlay(gone)


def linked(bench: Bench, tmp_path: Path, patch: npt.NDArray[np.uint8], *, folder: bool) -> ImageRow:
    """An image that the watch refused, because it, or its folder, has become a link to one outside."""
    outside = tmp_path / "outside"
    outside.mkdir()
    cv2.imwrite(str(outside / "v.bmp"), patch)
    (bench.folder / "P1").mkdir()
    cv2.imwrite(str(bench.folder / "P1" / "v.bmp"), patch[::-1])
    bench.once()
    try:
        if folder:
            (bench.folder / "P1").rename(tmp_path / "before")
            (bench.folder / "P1").symlink_to(outside)
        else:
            (bench.folder / "P1" / "v.bmp").unlink()
            (bench.folder / "P1" / "v.bmp").symlink_to(outside / "v.bmp")
    except OSError:
        pytest.skip("this account may make no links")
    return bench.rows()["P1/v.bmp"]


@pytest.mark.parametrize("folder", [False, True], ids=["a file", "a folder"])
def test_a_frame_behind_a_link_that_leads_out_is_not_shown(
    bench: Bench, tmp_path: Path, patch_of_skin: npt.NDArray[np.uint8], folder: bool
) -> None:
    row = linked(bench, tmp_path, patch_of_skin, folder=folder)
    with pytest.raises(PlaceForbids, match="leads out of the watched folder"):
        Pictures(bench.folder, bench.out).frame(row, 0)


def test_a_damaged_map_is_said_so(bench: Bench, row: ImageRow) -> None:
    (bench.out / f"{row.path}.map.ome.tif").write_bytes(b"II*\0")
    with pytest.raises(NotThere, match="damaged"):
        Pictures(bench.folder, bench.out).map(row, 0)


def test_made_once_and_forgotten_when_there_are_too_many(
    bench: Bench, row: ImageRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []
    before = pictures.read_frames
    monkeypatch.setattr(pictures, "read_frames", lambda path, **how: read.append(path) or before(path, **how))
    found = Pictures(bench.folder, bench.out)
    first = found.frame(row, 0)
    assert found.frame(row, 0) is first
    assert len(read) == 1
    # of an image that was done anew it is another one
    found.frame(replace(row, finished=row.finished + 1 if row.finished else 1.0), 0)
    assert len(read) == 2
    monkeypatch.setattr(pictures, "MOST_BYTES", len(first))
    found.thumbnail(row)
    found.frame(row, 0)
    assert len(read) == 3
