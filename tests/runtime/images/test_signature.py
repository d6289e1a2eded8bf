import pytest

from runtime.images.signature import HEAD_BYTES, image_format, may_become_image


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"\xff\xd8\xff\xe0", "JPEG"),
        (b"II*\0", "TIFF"),
        (b"MM\0*", "TIFF"),
        (b"II+\0", "TIFF"),
        (b"MM\0+", "TIFF"),
        (bytes(128) + b"DICM", "DICOM"),
        # pathologists' DICOM begins as a TIFF
        (b"II*\0".ljust(128, b"\1") + b"DICM", "DICOM"),
        (b"BM" + bytes(12) + b"\x28\0\0\0", "BMP"),
        (b"BM" + bytes(12) + b"\x7c\0\0\0", "BMP"),
    ],
)
def test_the_first_bytes_name_the_format(head: bytes, name: str) -> None:
    assert image_format(head) == name


@pytest.mark.parametrize(
    "head",
    [
        b"",
        bytes(128) + b"DIC",
        b"GIF89a",
        b"BMW is a car and no image",
        bytes(18),
        b"RIFF\0\0\0\0WEBP",
        b"\x89PNG\n\x1a\n",
    ],
)
def test_other_files_have_no_format(head: bytes) -> None:
    assert image_format(head) is None


def test_a_bmp_cut_in_its_first_header_is_still_a_bmp() -> None:
    assert image_format(b"BM\x36\x10") == "BMP"


WHOLE = [
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0",
    b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\0\0\0",
    b"II*\0\x08" + bytes(13),
    b"MM\0+\0\x08" + bytes(12),
    b"BM\x36\x10" + bytes(6) + b"\x36\0\0\0\x28\0\0\0",
    bytes(128) + b"DICM",
]


@pytest.mark.parametrize("head", WHOLE)
def test_the_beginning_of_an_image_may_become_one_cut_or_filled_with_zeros(head: bytes) -> None:
    for length in range(len(head)):
        for begun in (head[:length], head[:length].ljust(HEAD_BYTES, b"\0")):
            assert image_format(begun) or may_become_image(begun)


@pytest.mark.parametrize(
    "head", [b"GIF89a", b"BMW is a car and no image", b"\x89PNG\n\x1a\n", b"hello", b"BM" + bytes(12) + b"\x29\0\0\0"]
)
def test_the_beginning_of_something_else_never_becomes_an_image(head: bytes) -> None:
    assert not may_become_image(head)
    assert not may_become_image(head.ljust(HEAD_BYTES, b"\0")[:HEAD_BYTES])
