import hashlib
import io
import os
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.microscope_files.captions import KNOWN_FONTS
from runtime.errors import InflamapError, UnreadableImage
from runtime.images import EIGHT_BIT, GreyDepth, file_sha256, find_images, read_frame
from runtime.images.limits import MAX_FILE_BYTES

Grey = npt.NDArray[np.uint8]
Save = Callable[..., Path]


def written(suffix: str, image: npt.NDArray[Any]) -> bytes:
    if suffix != ".tif":
        return bytes(cv2.imencode(suffix, image)[1])
    out = io.BytesIO()
    tifffile.imwrite(out, image, photometric="minisblack" if image.ndim == 2 else "rgb")
    return out.getvalue()


@pytest.mark.parametrize("suffix", [".bmp", ".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_frame_holds_the_grey_levels_of_the_file_and_the_hash_of_its_bytes(
    grey: Grey, save: Save, suffix: str, channels: int
) -> None:
    data = written(suffix, grey if channels == 1 else cv2.merge([grey] * channels))
    frame = read_frame(save(data))
    assert np.array_equal(frame.pixels, grey)
    assert (frame.height, frame.width, frame.depth, frame.colour) == (61, 83, EIGHT_BIT, False)
    assert frame.sha256 == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_stay_sixteen(grey: Grey, save: Save, suffix: str) -> None:
    deep = grey.astype(np.uint16) * 257 - 1
    frame = read_frame(save(written(suffix, deep)))
    assert frame.depth == GreyDepth.of_bits(16, "type")
    assert np.array_equal(frame.pixels, deep)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_objected_to(grey: Grey, save: Save, value: float) -> None:
    pixels = grey.astype(np.float32)
    assert not any("no numbers" in each for each in read_frame(save(written(".tif", pixels))).objections)
    pixels[3, 4] = value
    assert "pixels: some are no numbers" in read_frame(save(written(".tif", pixels))).objections


@pytest.mark.parametrize("suffix", [".bmp", ".png", ".jpg", ".tif"])
def test_a_dermoscopy_picture_is_marked_as_colour(grey: Grey, save: Save, suffix: str) -> None:
    red_last = cv2.merge([grey // 2, grey // 2, grey])
    stored = red_last if suffix != ".tif" else red_last[:, :, ::-1]
    frame = read_frame(save(written(suffix, stored)))
    assert frame.colour
    luminance = 0.299 * grey + 0.701 * (grey // 2)
    assert np.abs(frame.pixels - luminance).mean() < 3, "red counts as red in every format"


def test_the_bytes_decide_and_not_the_name(grey: Grey, save: Save) -> None:
    assert np.array_equal(read_frame(save(written(".png", grey), "frame.bmp")).pixels, grey)


@pytest.mark.parametrize(
    ("size", "option", "expected"),
    [
        ((1000, 1000), None, (0.5, "vivascope")),
        ((1045, 1000), None, (0.5, "vivascope")),
        ((1000, 1045), None, (None, "unknown")),
        ((1000, 999), None, (None, "unknown")),
        ((384, 384), None, (None, "unknown")),
        ((1000, 1000), 0.7, (0.7, "option")),
        ((384, 384), 400 / 384, (400 / 384, "option")),
    ],
)
def test_the_scale_and_where_it_comes_from(
    save: Save, size: tuple[int, int], option: float | None, expected: tuple[float | None, str]
) -> None:
    frame = read_frame(save(written(".bmp", np.zeros(size, np.uint8))), um_per_px=option)
    assert (frame.um_per_px, frame.um_per_px_from) == expected


@pytest.mark.parametrize("option", [None, 0.5])
def test_the_caption_of_a_vivascope_export_is_not_part_of_the_frame(save: Save, option: float | None) -> None:
    tissue = np.random.default_rng(0).integers(0, 256, (1000, 1000), np.uint8)
    caption = np.full((45, 1000), 255, np.uint8)
    frame = read_frame(save(written(".bmp", np.vstack([tissue, caption]))), um_per_px=option)
    np.testing.assert_array_equal(frame.pixels, tissue)


@pytest.mark.parametrize("suffix", [".bmp", ".png", ".jpg", ".tif"])
def test_what_the_caption_says_goes_with_the_frame(save: Save, suffix: str) -> None:
    tissue = np.random.default_rng(0).integers(0, 256, (1000, 1000), np.uint8)
    caption = KNOWN_FONTS["DejaVu Sans"]("v0000012.bmp  X: 1.25 mm  Y: -0.50 mm  Z: 35.2 um", 20)
    frame = read_frame(save(written(suffix, np.vstack([tissue, caption]))))
    assert (frame.x_mm, frame.y_mm, frame.z_um, frame.z_from) == (1.25, -0.5, 35.2, "caption")
    deep = np.vstack([tissue, caption]).astype(np.uint16) * 257
    if suffix in (".png", ".tif"):
        assert read_frame(save(written(suffix, deep))).z_um == 35.2
    if suffix == ".tif":
        assert read_frame(save(written(suffix, deep.astype(np.float32)))).height == 1000
    frame = read_frame(save(written(suffix, tissue)))
    assert (frame.x_mm, frame.y_mm, frame.z_um, frame.z_from) == (None, None, None, "unknown")


@pytest.mark.parametrize("option", [0.0, -0.5, float("nan"), float("inf")])
def test_an_impossible_scale_is_refused(save: Save, grey: Grey, option: float) -> None:
    with pytest.raises(InflamapError, match="positive number"):
        read_frame(save(written(".bmp", grey)), um_per_px=option)


def test_every_error_begins_with_the_path(tmp_path: Path, save: Save, grey: Grey) -> None:
    cases = {
        tmp_path / "gone.bmp": "No such file",
        tmp_path: "a folder",
        save(b"", "empty.bmp"): "the file is empty",
        save(b"GIF89a....", "a.bmp"): "first bytes 47 49 46 38 39 61 2e 2e; wanted: BMP, PNG, JPEG, TIFF",
        save(bytes(5000), "zeros.bmp"): "first bytes 00 00",
        save(written(".bmp", grey)[:-1], "cut.bmp"): "truncated",
        tmp_path / "nul\0.bmp": "no path",
    }
    for path, reason in cases.items():
        with pytest.raises(UnreadableImage, match=reason) as caught:
            read_frame(path)
        assert caught.value.what.startswith(f"{path}: ")


def test_a_file_without_rights_says_so(save: Save, grey: Grey, monkeypatch: pytest.MonkeyPatch) -> None:
    # rights do not bind root, so the refusal is played
    def refuse(path: Path) -> int:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("runtime.images.opening._open", refuse)
    with pytest.raises(UnreadableImage, match="Permission denied"):
        read_frame(save(written(".bmp", grey)))


@pytest.mark.skipif(sys.platform == "win32", reason="named pipes are other things there")
@pytest.mark.timeout(10)
def test_a_pipe_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.bmp")
    with pytest.raises(UnreadableImage, match="no regular file"):
        read_frame(tmp_path / "pipe.bmp")


def test_the_hash_of_a_file_is_that_of_its_frame(save: Save, grey: Grey) -> None:
    path = save(written(".bmp", grey))
    assert file_sha256(path) == read_frame(path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    # of the content now, whether or not it is an image
    path.write_bytes(b"")
    assert file_sha256(path) == hashlib.sha256(b"").hexdigest()


def test_a_file_that_is_gone_has_no_hash(tmp_path: Path, save: Save) -> None:
    assert file_sha256(tmp_path / "gone.bmp") is None
    assert file_sha256(save(b"a file", "folder") / "gone.bmp") is None


def test_a_file_that_cannot_be_read_is_not_taken_for_gone(
    tmp_path: Path, save: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> int:
        raise PermissionError(13, "Permission denied", str(path))

    with pytest.raises(UnreadableImage, match="a folder"):
        file_sha256(tmp_path)
    monkeypatch.setattr("runtime.images.opening._open", refuse)
    with pytest.raises(UnreadableImage, match="Permission denied"):
        file_sha256(save(b"x"))


def test_a_file_beyond_4_gib_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "huge.bmp"
    with path.open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(UnreadableImage, match="too large; seen: 4294967297 bytes"):
        read_frame(path)


def test_a_decoder_that_trips_is_an_unreadable_image(save: Save, grey: Grey, monkeypatch: pytest.MonkeyPatch) -> None:
    def trip(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("runtime.images.opencv.cv2.imdecode", trip)
    with pytest.raises(UnreadableImage, match="cannot be decoded; seen: MemoryError"):
        read_frame(save(written(".png", grey)))


def with_right_checksums(data: bytes) -> bytes:
    """A damaged PNG whose checksums hold, so that the damage reaches what lies behind them."""
    out, at = bytearray(data), 8
    while at + 12 <= len(out):
        end = at + 12 + struct.unpack_from(">I", out, at)[0]
        if end > len(out):
            break
        struct.pack_into(">I", out, end - 4, zlib.crc32(out[at + 4 : end - 4]))
        at = end
    return bytes(out)


_noise = np.random.default_rng(3).integers(0, 256, (21, 30), np.uint8)
_VALID = [
    written(suffix, image)
    for suffix in (".bmp", ".png", ".jpg", ".tif")
    for image in (_noise, cv2.merge([_noise, _noise, _noise // 2]), np.uint16(_noise))
    if not (image.dtype == np.uint16 and suffix in (".bmp", ".jpg"))
]
_STARTS = [b"BM", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"]


@st.composite
def damaged_files(draw: st.DrawFn) -> bytes:
    """Noise behind a valid signature, or a valid file with bytes changed, mostly in its header, or cut."""
    if draw(st.integers(0, 4)) == 0:
        return draw(st.sampled_from(_STARTS)) + draw(st.binary(max_size=400))
    data = bytearray(draw(st.sampled_from(_VALID)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, min(len(data), draw(st.sampled_from([80, 400, len(data)]))) - 1))
        new = draw(st.one_of(st.binary(min_size=1, max_size=4), st.sampled_from([b"\xff" * 4, bytes(4)])))
        data[at : at + len(new)] = new
    if draw(st.booleans()):
        data = data[: draw(st.integers(0, len(data)))]
    return with_right_checksums(bytes(data)) if data.startswith(b"\x89PNG") and draw(st.booleans()) else bytes(data)


def check_any_bytes(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    frame = said = None
    try:
        frame = read_frame(path)
    except UnreadableImage as error:
        said = str(error)
    if frame is None:
        assert said is not None
        assert said.startswith(f"{path}: ")
        assert "\n" not in said
    else:
        assert frame.pixels.shape == (frame.height, frame.width)
        assert frame.pixels.nbytes < 2000 * len(data), "memory follows the file's length, not its header"


fuzz = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@settings(fuzz, max_examples=600)
@given(data=damaged_files())
def test_any_bytes_give_a_frame_or_an_unreadable_image(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], data: bytes
) -> None:
    check_any_bytes(tmp_path / "image", data)
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
@pytest.mark.timeout(600)
@settings(fuzz, max_examples=20_000)
@given(data=damaged_files())
def test_any_bytes_at_length(tmp_path: Path, capfd: pytest.CaptureFixture[str], data: bytes) -> None:
    check_any_bytes(tmp_path / "image", data)
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif("INFLAMAP_REAL_FRAMES" not in os.environ, reason="INFLAMAP_REAL_FRAMES names no folder of frames")
def test_real_frames_are_read() -> None:
    paths = list(find_images(Path(os.environ["INFLAMAP_REAL_FRAMES"])))
    assert len(paths) >= 40
    for path in paths:
        frame = read_frame(path, um_per_px=400 / 384)
        assert frame.pixels.shape == (384, 384)
        assert not frame.colour, "grey saved as RGB"
        assert frame.pixels.std() > 5
