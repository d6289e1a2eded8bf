import io
import struct
import sys
import time
import tracemalloc
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


@pytest.mark.parametrize("options", [{}, {"rowsperstrip": 7}])
def test_plain_pixels_are_the_files_own_bytes(grey: Grey, options: dict[str, Any]) -> None:
    data = encoded(grey, photometric="minisblack", **options)
    assert np.shares_memory(decode_tiff(data), np.frombuffer(data, np.uint8)), "no copy of a mosaic"


def test_bits_stored_the_other_way_round_are_turned(grey: Grey) -> None:
    reverse = np.packbits(np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1)[:, ::-1], axis=1)[:, 0]
    # tifffile writes no FillOrder (266) itself
    data = bytearray(encoded(reverse[grey], photometric="minisblack", extratags=[(65000, "H", 1, 2, True)]))
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as tiff:
        struct.pack_into("<H", data, tiff.pages[0].tags[65000].offset, 266)
    assert np.array_equal(decode_tiff(bytes(data)), grey)


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


def behind_one_page(slices: npt.NDArray[Any], count: int, **options: Any) -> bytes:
    """A stack as ImageJ writes those of gigabytes: one directory, then image after image."""
    description = f"ImageJ=1.54f\nimages={count}\nslices={count}\nunit=micron\nspacing=3.0\n"
    data = encoded(slices[0], photometric="minisblack", description=description, metadata=None, **options)
    rest = slices[1:].astype(slices.dtype.newbyteorder(options.get("byteorder", "<")))
    return data + rest.tobytes()


@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_an_imagej_stack_behind_one_page_is_read(grey: Grey, byteorder: str) -> None:
    slices = np.stack([grey, 255 - grey, grey // 2]).astype(np.uint16) * 200
    data = behind_one_page(slices, 3, byteorder=byteorder)
    decoded = tiff_reader.decode_tiff(data)
    assert np.array_equal(np.stack(decoded.planes), slices)
    assert decoded.z_um == (0.0, 3.0, 6.0)
    with pytest.raises(UnreadableImage, match=r"truncated.*wanted: image 3 of 3"):
        tiff_reader.decode_tiff(data[:-1])


def test_an_imagej_stack_that_claims_what_no_file_holds_is_refused(grey: Grey) -> None:
    with pytest.raises(NeverAnImage, match="too large"):
        tiff_reader.decode_tiff(behind_one_page(grey[None], 900_000_000))
    with pytest.raises(NeverAnImage, match="not in one piece"):
        tiff_reader.decode_tiff(behind_one_page(grey[None], 3, compression="zlib"))


@pytest.mark.parametrize("compression", ["lzw", "packbits", "zstd"])
@pytest.mark.parametrize("options", [{}, {"rowsperstrip": 7}, {"tile": (16, 32)}])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_rarer_compressions(grey: Grey, compression: str, options: dict[str, Any], dtype: Any) -> None:
    image = grey.astype(dtype) * (1 if dtype == np.uint8 else 257)
    predictor = compression == "lzw"
    data = encoded(image, photometric="minisblack", compression=compression, predictor=predictor, **options)
    assert np.array_equal(decode_tiff(data), image)
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        count, at = tiff.pages[0].databytecounts[0], tiff.pages[0].tags[279 if "tile" not in options else 325]
    if at.count == 1:
        with pytest.raises(UnreadableImage, match=r"truncated|damaged"):
            decode_tiff(with_tag(data, at.code, count // 2, "<I" if at.dtype == 4 else "<H"))


@pytest.mark.parametrize("compression", ["jpeg", "jpeg2000"])
@pytest.mark.parametrize("tile", [None, (64, 96)])
def test_strips_that_are_images(grey: Grey, compression: str, tile: Any) -> None:
    whole = np.ascontiguousarray(np.resize(grey, (128, 192)))
    lossy: dict[str, Any] = {"compressionargs": {"level": 98}} if compression == "jpeg" else {}
    data = encoded(whole, photometric="minisblack", compression=compression, tile=tile, **lossy)
    found = decode_tiff(data)
    assert np.abs(found.astype(int) - whole).mean() < 2
    rgb = np.stack([whole, whole // 2, whole // 4], axis=-1)
    found = decode_tiff(encoded(rgb, photometric="rgb", compression=compression, tile=tile, **lossy))
    assert np.abs(found.astype(int) - rgb[:, :, ::-1]).mean() < 4


def test_strips_that_are_images_of_another_size_are_refused(grey: Grey) -> None:
    data = encoded(grey, photometric="minisblack", compression="jpeg")
    with pytest.raises(NeverAnImage, match="strips contradict its header; seen: 83 x 61"):
        decode_tiff(with_tag(data, 256, 80))


@pytest.mark.parametrize("predictor", [False, True])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floating_point_is_read(grey: Grey, dtype: Any, predictor: bool) -> None:
    image = (grey / 256).astype(dtype)
    found = decode_tiff(encoded(image, photometric="minisblack", compression="zlib", predictor=predictor))
    assert found.dtype == np.float32
    assert np.array_equal(found, image.astype(np.float32))


def test_32_bits_are_read(grey: Grey) -> None:
    image = grey.astype(np.uint32) << 23
    assert np.array_equal(decode_tiff(encoded(image, photometric="minisblack", byteorder=">")), image)


def test_a_palette_is_looked_up(grey: Grey) -> None:
    table = np.stack([np.arange(256), 255 - np.arange(256), np.full(256, 7)]).astype(np.uint16) * 257
    found = decode_tiff(encoded(grey, photometric="palette", colormap=table))
    assert np.array_equal(found, np.stack([np.full_like(grey, 7), 255 - grey, grey], axis=-1))


@pytest.mark.parametrize(
    ("options", "um"),
    [
        ({"resolution": (20000, 20000), "resolutionunit": 3}, 0.5),
        ({"resolution": (50800, 50800), "resolutionunit": 2}, 0.5),
        ({"resolution": (72, 72), "resolutionunit": 2}, None),
        ({"resolution": (300, 300), "resolutionunit": 2}, None),
        ({"resolution": (20000, 20000), "resolutionunit": 1}, None),
        ({"resolution": ((0, 1), (0, 1)), "resolutionunit": 3}, None),
        ({}, None),
    ],
)
def test_resolution_is_a_scale_unless_it_is_a_printers(grey: Grey, options: dict[str, Any], um: float | None) -> None:
    decoded = tiff_reader.decode_tiff(encoded(grey, photometric="minisblack", metadata=None, **options))
    assert decoded.um_per_px == (None if um is None else pytest.approx(um))
    assert decoded.um_per_px_from == ("unknown" if um is None else "tiff")


def test_pixels_that_are_not_square_are_objected_to(grey: Grey) -> None:
    data = encoded(grey, photometric="minisblack", metadata=None, resolution=(20000, 30000), resolutionunit=3)
    decoded = tiff_reader.decode_tiff(data)
    assert decoded.um_per_px is None
    assert decoded.objections[0].startswith("scale: the pixels are not square")


@pytest.mark.parametrize(
    ("highest", "bits"), [(4095, 12), (1023, 10), (65535, 16), (255, 8), (4000, None), (127, None), (0, None)]
)
def test_bits_by_the_highest_sample(grey: Grey, highest: int, bits: int | None) -> None:
    image = grey.astype(np.uint16) // 2 if highest < 4096 and highest >= 255 else grey.astype(np.uint16)
    depth = tiff_reader.decode_tiff(
        encoded(image, photometric="minisblack", metadata=None, extratags=[(281, 3, 1, highest, True)])
    ).depth
    assert (None if depth is None else (depth.bits, depth.source)) == (None if bits is None else (bits, "tiff"))


def test_bits_that_the_levels_contradict_are_not_believed(grey: Grey) -> None:
    data = encoded(
        grey.astype(np.uint16) * 100, photometric="minisblack", metadata=None, extratags=[(281, 3, 1, 4095, True)]
    )
    assert tiff_reader.decode_tiff(data).depth is None


def test_a_missing_predictor_is_said_with_what_to_install(grey: Grey, monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(grey.astype(np.float32), photometric="minisblack", compression="zlib", predictor=True)
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    with pytest.raises(UnreadableImage, match=r"seen: floatpred; next: install it"):
        decode_tiff(data)


def test_a_missing_codec_is_said_with_what_to_install(grey: Grey, monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(grey, photometric="minisblack", compression="lzw")
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    with pytest.raises(
        UnreadableImage, match=r'seen: lzw; next: install it: pip install "inflamap\[formats\]"'
    ) as caught:
        decode_tiff(data)
    assert not isinstance(caught.value, NeverAnImage)


def test_pages_that_all_name_the_same_many_values_are_refused() -> None:
    offsets = struct.pack("<I", 8) * 250_000
    directory_at = 8 + len(offsets)
    size = 2 + 12 + 4
    data = b"II*\0" + struct.pack("<I", directory_at) + offsets
    for page in range(1000):
        after = directory_at + (page + 1) * size if page < 999 else 0
        data += struct.pack("<HHHIII", 1, 273, 4, 250_000, 8, after)
    assert len(data) < 1_100_000
    started = time.monotonic()
    with pytest.raises(NeverAnImage, match="directories contradict each other"):
        decode_tiff(data)
    assert time.monotonic() - started < 1


def test_empty_jpeg_2000_tiles_are_refused_before_they_are_decoded() -> None:
    data = encoded(
        np.zeros((9000, 9000), np.uint8), photometric="minisblack", compression="jpeg2000", tile=(4096, 4096)
    )
    with pytest.raises(NeverAnImage, match="claims more pixels"):
        decode_tiff(data)


@pytest.mark.parametrize("compression", ["lzw", "zstd", "packbits"])
def test_a_bomb_in_a_strip_costs_little(compression: str) -> None:
    pixels = np.zeros((4096, 4096), np.uint8)
    black = encoded(pixels, photometric="minisblack", compression=compression, rowsperstrip=4096)
    small = with_tag(with_tag(black, 257, 8), 278, 8)
    tracemalloc.start()
    with pytest.raises(UnreadableImage, match="damaged"):
        decode_tiff(small)
    assert tracemalloc.get_traced_memory()[1] < 5e6
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("image", "options", "match"),
    [
        (np.zeros((8, 8), np.int16), {}, "number format of a TIFF is not read; seen: 16 bits, int16"),
        (np.zeros((8, 8), bool), {}, "number format"),
        (np.zeros((8, 8, 2), np.uint8), {"planarconfig": "contig"}, "colour of a TIFF is not read; seen: 2 samples"),
        (np.zeros((4, 16, 16), np.uint8), {"volumetric": True, "tile": (4, 16, 16)}, "volume"),
        (np.zeros((8, 8), np.uint8), {"compression": "lzma"}, "compression of a TIFF is not read"),
    ],
)
def test_other_kinds_are_named(image: npt.NDArray[Any], options: dict[str, Any], match: str) -> None:
    with pytest.raises(UnreadableImage, match=match):
        decode_tiff(encoded(image, photometric="minisblack", **options))


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
