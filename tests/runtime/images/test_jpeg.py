import os
import struct
from io import BytesIO

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from runtime.errors import UnreadableImage
from runtime.images.jpeg import decode_jpeg

Grey = npt.NDArray[np.uint8]


def encoded(image: Grey, *options: int) -> bytes:
    return bytes(cv2.imencode(".jpg", image, options)[1])


def entropy_start(data: bytes) -> int:
    at = data.index(b"\xff\xda")
    return at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")


@pytest.mark.parametrize(
    "options",
    [
        (),
        (cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
        (cv2.IMWRITE_JPEG_RST_INTERVAL, 3),
        (cv2.IMWRITE_JPEG_OPTIMIZE, 1),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_the_usual_kinds_are_read(grey: Grey, channels: int, options: tuple[int, ...]) -> None:
    image = grey if channels == 1 else np.repeat(grey[:, :, None], 3, axis=2)
    decoded = decode_jpeg(encoded(image, cv2.IMWRITE_JPEG_QUALITY, 100, *options))
    assert decoded.shape == image.shape
    assert np.abs(decoded.astype(int) - image).max() <= 3


def test_pixels_stay_as_stored_whatever_the_exif_orientation(grey: Grey) -> None:
    plain = encoded(grey)
    tiff = b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0) + bytes(4)
    body = b"Exif\0\0" + tiff
    turned = plain[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + plain[2:]
    upright = cv2.imdecode(np.frombuffer(turned, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert upright.shape == grey.shape[::-1], "the orientation written here is one that OpenCV would apply"
    assert np.array_equal(decode_jpeg(turned), decode_jpeg(plain))


def test_bytes_behind_the_end_and_padded_markers_are_harmless(grey: Grey) -> None:
    plain = encoded(grey)
    padded = plain[:2] + b"\xff\xff" + plain[2:] + b"preview"
    assert np.array_equal(decode_jpeg(padded), decode_jpeg(plain))


def test_every_cut_of_a_file_is_called_truncated(grey: Grey, capfd: pytest.CaptureFixture[str]) -> None:
    whole = encoded(grey)
    for length in [*range(3, len(whole), 53), len(whole) - 1]:
        with pytest.raises(UnreadableImage, match="truncated"):
            decode_jpeg(whole[:length])
    assert capfd.readouterr() == ("", "")


def test_a_preallocated_tail_of_zeros_is_called_truncated(grey: Grey) -> None:
    whole = encoded(grey)
    with pytest.raises(UnreadableImage, match="truncated"):
        decode_jpeg(whole[: len(whole) // 2].ljust(len(whole), b"\0"))


def test_lost_pixel_data_is_refused_though_the_decoder_would_fill_it_with_grey(
    grey: Grey, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = encoded(grey)
    start = entropy_start(whole)
    half = whole[: start + (len(whole) - start) // 2] + b"\xff\xd9"
    with pytest.raises(UnreadableImage, match="damaged; seen: Corrupt JPEG data: premature end"):
        decode_jpeg(half)
    assert capfd.readouterr() == ("", ""), "the damage is told once, in the error"


def test_what_others_write_to_stderr_meanwhile_is_passed_on(
    grey: Grey, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    decode = cv2.imdecode

    def interrupted(*args: object) -> object:
        os.write(2, b"another thread speaks\n")
        return decode(*args)

    monkeypatch.setattr("runtime.images.opencv.cv2.imdecode", interrupted)
    decode_jpeg(encoded(grey))
    assert capfd.readouterr() == ("", "another thread speaks\n")


@pytest.mark.parametrize(
    ("before", "is_damage"),
    [(b"another thread speaks", True), (b"inflamap: other.jpg: the JPEG is damaged; seen: ", False)],
)
def test_damage_is_heard_behind_another_threads_words_and_not_in_them(
    grey: Grey, before: bytes, is_damage: bool, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    decode, said = cv2.imdecode, b"Corrupt JPEG data: premature end of data segment\n"

    def interrupted(*args: object) -> object:
        os.write(2, before + said)
        return decode(*args)

    monkeypatch.setattr("runtime.images.opencv.cv2.imdecode", interrupted)
    if is_damage:
        with pytest.raises(UnreadableImage, match="seen: Corrupt JPEG data: premature end of data segment; next"):
            decode_jpeg(encoded(grey))
    else:
        decode_jpeg(encoded(grey))
    assert capfd.readouterr().err == (before if is_damage else before + said).decode()


def frame_header(data: bytes) -> int:
    return data.index(b"\xff\xc0")


def test_bombs_and_lying_headers_are_refused(grey: Grey) -> None:
    data = bytearray(encoded(grey))
    at = frame_header(data) + 5
    struct.pack_into(">HH", data, at, 65535, 65535)
    with pytest.raises(UnreadableImage, match="too large; seen: 65535 x 65535"):
        decode_jpeg(bytes(data))
    struct.pack_into(">HH", data, at, 16384, 16384)
    with pytest.raises(UnreadableImage, match="pixel data for 16384 x 16384 pixels"):
        decode_jpeg(bytes(data))
    struct.pack_into(">HH", data, at, 0, 83)
    with pytest.raises(UnreadableImage, match="without pixels"):
        decode_jpeg(bytes(data))


def test_rare_kinds_are_named(grey: Grey) -> None:
    data = bytearray(encoded(grey))
    at = frame_header(data)
    data[at + 4] = 12
    with pytest.raises(UnreadableImage, match="12 bits, 1 channels; wanted: 8 bits"):
        decode_jpeg(bytes(data))
    data[at + 1] = 0xC3  # lossless
    with pytest.raises(UnreadableImage, match="frame type 0xc3"):
        decode_jpeg(bytes(data))


def test_cmyk_is_refused(grey: Grey) -> None:
    image = pytest.importorskip("PIL.Image", reason="Pillow writes the CMYK file")
    out = BytesIO()
    image.fromarray(np.repeat(grey[:, :, None], 4, axis=2), "CMYK").save(out, "JPEG")
    with pytest.raises(UnreadableImage, match="4 channels"):
        decode_jpeg(out.getvalue())


@pytest.mark.parametrize("body", [b"\xd9", b"\xe0\0\x04ab\xff\xd9"])
def test_an_end_without_an_image_is_called_truncated(body: bytes) -> None:
    with pytest.raises(UnreadableImage, match="an end marker without an image"):
        decode_jpeg(b"\xff\xd8\xff" + body)


def test_text_where_a_marker_should_be_is_damage() -> None:
    with pytest.raises(UnreadableImage, match="damaged; seen: 0x68 at byte 6; wanted: a marker"):
        decode_jpeg(b"\xff\xd8\xff\xe0\0\x02hello")
