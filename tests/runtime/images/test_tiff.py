import io
import struct
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile

from runtime.errors import NeverAnImage, UnreadableImage
from runtime.images import tiff as tiff_reader

Grey = npt.NDArray[np.uint8]


def encoded(image: npt.NDArray[Any], **options: Any) -> bytes:
    out = io.BytesIO()
    tifffile.imwrite(out, image, **options)
    return out.getvalue()


def decode_tiff(data: bytes) -> npt.NDArray[Any]:
    """The only plane of a TIFF."""
    (plane,) = tiff_reader.decode_tiff(data).planes
    return plane


def with_tag(data: bytes, code: int, value: int, kind: str = "<H") -> bytes:
    """A copy of a little-endian TIFF with the first value of one tag changed."""
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        at = tiff.pages[0].tags[code].valueoffset
    changed = bytearray(data)
    struct.pack_into(kind, changed, at, value)
    return bytes(changed)


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"rowsperstrip": 7},
        {"tile": (16, 32)},
        {"compression": "zlib"},
        {"compression": "zlib", "rowsperstrip": 7},
        {"compression": "zlib", "tile": (16, 32)},
        {"compression": "zlib", "predictor": True},
        {"bigtiff": True},
    ],
)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_grey_is_read_at_its_depth(grey: Grey, byteorder: Any, options: dict[str, Any], dtype: Any) -> None:
    image = grey if dtype == np.uint8 else grey.astype(np.uint16) * 257 - 3
    decoded = decode_tiff(encoded(image, byteorder=byteorder, photometric="minisblack", **options))
    assert decoded.dtype == dtype
    assert decoded.dtype.isnative
    assert np.array_equal(decoded, image)


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_rgb_comes_out_blue_first(grey: Grey, planar: Any) -> None:
    rgb = np.stack([grey, grey // 2, grey // 4], axis=-1)
    stored = rgb if planar == "contig" else np.moveaxis(rgb, -1, 0)
    decoded = decode_tiff(encoded(stored, photometric="rgb", planarconfig=planar))
    assert np.array_equal(decoded, rgb[:, :, ::-1])


def test_alpha_is_dropped(grey: Grey) -> None:
    rgba = np.stack([grey, grey, grey, np.zeros_like(grey)], axis=-1)
    decoded = decode_tiff(encoded(rgba, photometric="rgb", extrasamples=["unassalpha"]))
    assert np.array_equal(decoded, rgba[:, :, :3])
    pair = np.stack([grey, np.zeros_like(grey)], axis=-1)
    decoded = decode_tiff(encoded(pair, photometric="minisblack", planarconfig="contig", extrasamples=["unassalpha"]))
    assert np.array_equal(decoded, grey)


def test_white_is_zero_is_turned_round(grey: Grey) -> None:
    assert np.array_equal(decode_tiff(encoded(grey, photometric="miniswhite")), 255 - grey)


@pytest.mark.parametrize("bigtiff", [False, True])
def test_each_page_of_a_stack_is_a_plane(grey: Grey, bigtiff: bool) -> None:
    slices = np.stack([grey, 255 - grey, grey // 2])
    data = encoded(slices, photometric="minisblack", bigtiff=bigtiff, compression="zlib")
    planes = tiff_reader.decode_tiff(data).planes
    assert len(planes) == 3
    for plane, wanted in zip(planes, slices, strict=True):
        assert np.array_equal(plane, wanted)


def test_a_preview_is_no_slice(grey: Grey) -> None:
    out = io.BytesIO()
    with tifffile.TiffWriter(out) as tiff:
        tiff.write(grey, photometric="minisblack", metadata=None)
        tiff.write(grey[::2, ::2], photometric="minisblack", subfiletype=1, metadata=None)
    assert np.array_equal(decode_tiff(out.getvalue()), grey)


@pytest.mark.parametrize("other", [np.zeros((8, 9), np.uint8), np.zeros((61, 83), np.uint16)])
def test_pages_that_differ_are_no_stack(grey: Grey, other: npt.NDArray[Any]) -> None:
    out = io.BytesIO()
    with tifffile.TiffWriter(out) as tiff:
        for image in (grey, other):
            tiff.write(image, photometric="minisblack", metadata=None)
    with pytest.raises(NeverAnImage, match=r"pages differ, so they are no stack; seen: .* after 83 x 61 uint8"):
        tiff_reader.decode_tiff(out.getvalue())


def test_an_imagej_stack_behind_one_page_is_refused(grey: Grey) -> None:
    data = encoded(grey, photometric="minisblack", description="ImageJ=1.54f\nimages=20\nslices=20\n", metadata=None)
    with pytest.raises(NeverAnImage, match="behind one page; seen: 20 images in 1 pages"):
        tiff_reader.decode_tiff(data)


@pytest.mark.parametrize(
    ("image", "options", "match"),
    [
        (np.zeros((8, 8), np.float32), {}, "number format of a TIFF is not read; seen: 32 bits, float32"),
        (np.zeros((8, 8), np.int16), {}, "number format"),
        (np.zeros((8, 8), np.uint32), {}, "number format"),
        (np.zeros((8, 8), bool), {}, "number format"),
        (np.zeros((8, 8, 2), np.uint8), {"planarconfig": "contig"}, "colour of a TIFF is not read; seen: 2 samples"),
        (np.zeros((4, 16, 16), np.uint8), {"volumetric": True, "tile": (4, 16, 16)}, "volume"),
        (np.zeros((8, 8), np.uint8), {"compression": "lzma"}, "compression of a TIFF is not read"),
    ],
)
def test_other_kinds_are_named(image: npt.NDArray[Any], options: dict[str, Any], match: str) -> None:
    with pytest.raises(UnreadableImage, match=match):
        decode_tiff(encoded(image, photometric="minisblack", **options))


def test_lzw_is_named_with_the_way_out(grey: Grey) -> None:
    data = with_tag(encoded(grey, photometric="minisblack", compression="zlib"), 259, 5)
    with pytest.raises(UnreadableImage, match=r"LZW.*wanted: none or deflate; next: save it as plain grey TIFF"):
        decode_tiff(data)


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"rowsperstrip": 7}, {"tile": (16, 32)}])
def test_a_file_cut_within_its_pixels_is_called_truncated(grey: Grey, options: dict[str, Any]) -> None:
    data = encoded(grey, photometric="minisblack", **options)
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        page = tiff.pages[0]
        end = page.dataoffsets[-1] + page.databytecounts[-1]
        assert all(tag.valueoffset < page.dataoffsets[0] for tag in page.tags), "the cut leaves the tags whole"
    decode_tiff(data[:end])
    with pytest.raises(UnreadableImage, match="truncated"):
        decode_tiff(data[: end - 1])


def test_a_strip_left_out_is_not_filled_with_black(grey: Grey) -> None:
    data = with_tag(encoded(grey, photometric="minisblack", rowsperstrip=20), 273, 0, "<I")
    with pytest.raises(UnreadableImage, match="truncated"):
        decode_tiff(data)


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_strips_with_too_few_rows_are_not_filled_with_black(grey: Grey, compression: Any) -> None:
    data = encoded(grey, photometric="minisblack", compression=compression)
    taller = with_tag(with_tag(data, 257, 70), 278, 70)
    with pytest.raises(UnreadableImage, match="truncated"):
        decode_tiff(taller)


def test_a_bomb_is_refused_before_it_is_inflated(grey: Grey) -> None:
    data = encoded(grey, photometric="minisblack", compression="zlib")
    with pytest.raises(UnreadableImage, match="too large; seen: 65535 x 65535"):
        decode_tiff(with_tag(with_tag(data, 256, 65535), 257, 65535))
    with pytest.raises(UnreadableImage, match="strips are damaged"):
        decode_tiff(with_tag(data, 257, 5))


def test_a_deflated_strip_without_its_checksum_is_refused(grey: Grey) -> None:
    data = encoded(grey, photometric="minisblack", compression="zlib")
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        count = tiff.pages[0].databytecounts[0]
    with pytest.raises(UnreadableImage, match="strips are damaged"):
        decode_tiff(with_tag(data, 279, count - 1))


def test_a_damaged_directory_says_so_and_logs_nothing(grey: Grey, caplog: pytest.LogCaptureFixture) -> None:
    data = encoded(grey, photometric="minisblack")
    for broken in (data[:8], data[:60], data[:4] + b"\xff\xff\xff\x7f" + data[8:], with_tag(data, 258, 9)):
        with pytest.raises(UnreadableImage):
            decode_tiff(broken)
    assert caplog.records == []


def test_a_stack_cut_behind_its_first_image_is_not_read_as_one(grey: Grey) -> None:
    data = encoded(np.stack([grey] * 3), photometric="minisblack", metadata=None)
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        first, second = tiff.pages[0], tiff.pages[1]
        ends = [first.dataoffsets[0] + grey.size, second.offset, second.offset + 1, second.offset + 50]
    for end in ends:
        for cut in (data[:end], data[:end].ljust(len(data), b"\0")):
            with pytest.raises(UnreadableImage, match=r"truncated|pages differ") as caught:
                tiff_reader.decode_tiff(cut)
            # one whose end is still zeros is known by the reader
            assert len(cut) == len(data) or not isinstance(caught.value, NeverAnImage)


def test_a_private_tag_that_leads_nowhere_is_no_matter(grey: Grey) -> None:
    data = encoded(grey, photometric="minisblack", extratags=[(65000, 4, 3, (1, 2, 3), True)])
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        at = tiff.pages[0].tags[65000].offset
    assert np.array_equal(decode_tiff(data[: at + 8] + b"\xff" * 4 + data[at + 12 :]), grey)
