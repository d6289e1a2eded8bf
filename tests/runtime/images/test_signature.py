import pytest

from runtime.images.signature import image_format


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"\xff\xd8\xff\xe0", "JPEG"),
        (b"II*\0", "TIFF"),
        (b"MM\0*", "TIFF"),
        (b"II+\0", "TIFF"),
        (b"MM\0+", "TIFF"),
        (b"BM" + bytes(12) + b"\x28\0\0\0", "BMP"),
        (b"BM" + bytes(12) + b"\x7c\0\0\0", "BMP"),
    ],
)
def test_the_first_bytes_name_the_format(head: bytes, name: str) -> None:
    assert image_format(head) == name


@pytest.mark.parametrize(
    "head", [b"", b"GIF89a", b"BMW is a car and no image", bytes(18), b"RIFF\0\0\0\0WEBP", b"\x89PNG\n\x1a\n"]
)
def test_other_files_have_no_format(head: bytes) -> None:
    assert image_format(head) is None


def test_a_bmp_cut_in_its_first_header_is_still_a_bmp() -> None:
    assert image_format(b"BM\x36\x10") == "BMP"
