"""TIFF, OME-TIFF and ImageJ TIFF, in every way that is known."""

import io
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

from benchmarks.microscope_files.skin import Pixels, Skin, Variant, three

UM = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5, "PhysicalSizeXUnit": "µm", "PhysicalSizeYUnit": "µm"}


def tiff_variants() -> Iterator[Variant]:
    """All of them, in the order of the document."""
    yield from _tiff()
    yield from _ome()
    yield from _imagej()


def _tiff() -> Iterator[Variant]:
    grey: dict[str, Any] = {"photometric": "minisblack"}
    narrow: dict[str, dict[str, Any]] = {
        "8 bit": {},
        "8 bit, tiles": {"tile": (256, 256)},
        "8 bit, big-endian": {"byteorder": ">"},
        "8 bit, BigTIFF": {"bigtiff": True},
        "8 bit, deflate": {"compression": "zlib"},
        "8 bit, LZW with predictor": {"compression": "lzw", "predictor": True},
        "8 bit, PackBits": {"compression": "packbits"},
        "8 bit, zstd": {"compression": "zstd"},
        "8 bit, JPEG 2000 without loss": {"compression": "jpeg2000", "tile": (512, 512)},
        "8 bit, JPEG": {"compression": "jpeg", "compressionargs": {"level": 95}, "tile": (512, 512)},
    }
    for name, options in narrow.items():
        exact: Callable[[Skin], Pixels] | None = None if name.endswith(" JPEG") else lambda skin: skin.eight
        yield Variant("TIFF", name, ".tif", partial(_eight_tif, **grey, **options), levels=exact)
    yield from _white_is_zero()
    yield Variant(
        "TIFF",
        "8 bit, palette of greys",
        ".tif",
        lambda skin: _tif(skin.eight, photometric="palette", colormap=_grey_colormap()),
    )
    yield Variant("TIFF", "RGB", ".tif", lambda skin: _tif(skin.bgr, photometric="rgb"))
    sixteen: dict[str, Any] = {"bits": 16, "levels": lambda skin: skin.sixteen}
    wide: dict[str, dict[str, Any]] = {
        "16 bit": {},
        "16 bit, LZW with predictor": {"compression": "lzw", "predictor": True},
        "16 bit, big-endian, tiles": {"byteorder": ">", "tile": (256, 256)},
    }
    for name, options in wide.items():
        yield Variant("TIFF", name, ".tif", partial(_sixteen_tif, **grey, **options), **sixteen)
    yield Variant(
        "TIFF",
        "16 bit, of which 12 are used and nothing says so",
        ".tif",
        lambda skin: _tif(skin.of_bits(12), **grey),
        None,
        "unknown",
        levels=lambda skin: skin.of_bits(12),
        withheld="depth of grey unknown",
    )
    yield Variant(
        "TIFF",
        "16 bit, MaxSampleValue 4095",
        ".tif",
        lambda skin: _tif(skin.of_bits(12), extratags=[(281, 3, 1, 4095, True)], **grey),
        12,
        "tiff",
        levels=lambda skin: skin.of_bits(12),
    )
    yield Variant(
        "TIFF",
        "32 bit",
        ".tif",
        lambda skin: _tif(skin.sixteen.astype(np.uint32) * 65537, **grey),
        None,
        "unknown",
        levels=lambda skin: skin.sixteen.astype(np.uint32) * 65537,
        withheld="depth of grey unknown",
    )
    yield Variant(
        "TIFF",
        "floating point",
        ".tif",
        lambda skin: _tif(_float(skin), **grey),
        None,
        "unknown",
        levels=_float,
        withheld="depth of grey unknown",
    )
    yield Variant(
        "TIFF",
        "the same with `--grey-range 0:1`",
        ".tif",
        lambda skin: _tif(_float(skin), **grey),
        None,
        "option",
        levels=_float,
        said={"grey_range": (0.0, 1.0)},
    )
    yield Variant(
        "TIFF",
        "resolution of 20,000 px a cm",
        ".tif",
        lambda skin: _tif(skin.eight, resolution=(20000, 20000), resolutionunit="CENTIMETER", **grey),
        scale=(0.5, "tiff"),
    )
    yield Variant(
        "TIFF",
        "resolution of 72 dpi (a printer's)",
        ".tif",
        lambda skin: _tif(skin.eight, resolution=(72, 72), resolutionunit="INCH", **grey),
    )
    yield Variant(
        "TIFF",
        "3 pages",
        ".tif",
        lambda skin: _tif(three(skin), **grey),
        levels=three,
        depth=((None,) * 3, "unknown"),
    )
    yield Variant("TIFF", "pages of different sizes", ".tif", _unlike_pages, refused="differ")


def _white_is_zero() -> Iterator[Variant]:
    white: dict[str, Any] = {"photometric": "miniswhite"}
    yield Variant("TIFF", "8 bit, white is 0", ".tif", lambda skin: _tif(255 - skin.eight, **white))
    yield Variant(
        "TIFF",
        "16 bit, white is 0",
        ".tif",
        lambda skin: _tif(65535 - skin.sixteen, **white),
        16,
        levels=lambda skin: skin.sixteen,
    )
    yield Variant(
        "TIFF",
        "16 bit, white is 0, MaxSampleValue 4095",
        ".tif",
        lambda skin: _tif(4095 - skin.of_bits(12), extratags=[(281, 3, 1, 4095, True)], **white),
        12,
        "tiff",
        levels=lambda skin: skin.of_bits(12),
    )
    # turned round by the highest level there is, as long as nothing tells which one is black
    unknown: dict[str, Any] = {"levels": lambda skin: skin.of_bits(12) - skin.of_bits(12).min()}
    yield Variant(
        "TIFF",
        "16 bit, white is 0, of which 12 are used and nothing says so",
        ".tif",
        lambda skin: _tif(4095 - skin.of_bits(12), **white),
        None,
        "unknown",
        withheld="depth of grey unknown",
        **unknown,
    )
    yield Variant(
        "TIFF",
        "the same with `--grey-range 0:4095`",
        ".tif",
        lambda skin: _tif(4095 - skin.of_bits(12), **white),
        None,
        "option",
        said={"grey_range": (0.0, 4095.0)},
        **unknown,
    )
    yield Variant(
        "TIFF",
        "floating point, white is 0, with `--grey-range 0:1`",
        ".tif",
        lambda skin: _tif(1 - _float(skin), **white),
        None,
        "option",
        levels=lambda skin: -(1 - _float(skin)),
        said={"grey_range": (0.0, 1.0)},
    )


def _ome() -> Iterator[Variant]:
    def ome(pixels: Pixels, **metadata: Any) -> bytes:
        options = metadata.pop("options", {})
        return _tif(pixels, ome=True, photometric="minisblack", metadata=UM | metadata, **options)

    found: dict[str, Any] = {"scale": (0.5, "ome")}
    yield Variant("OME-TIFF", "8 bit, PhysicalSize 0.5 µm", ".ome.tif", lambda s: ome(s.eight, axes="YX"), **found)
    yield Variant(
        "OME-TIFF",
        "PhysicalSize in nm",
        ".ome.tif",
        lambda s: ome(
            s.eight, axes="YX", PhysicalSizeX=500, PhysicalSizeY=500, PhysicalSizeXUnit="nm", PhysicalSizeYUnit="nm"
        ),
        **found,
    )
    yield Variant(
        "OME-TIFF", "16 bit", ".ome.tif", lambda s: ome(s.sixteen, axes="YX"), 16, levels=lambda s: s.sixteen, **found
    )
    yield Variant(
        "OME-TIFF",
        "16 bit, SignificantBits 12",
        ".ome.tif",
        lambda s: ome(s.of_bits(12), axes="YX", SignificantBits=12),
        12,
        "ome",
        levels=lambda s: s.of_bits(12),
        **found,
    )
    yield Variant(
        "OME-TIFF",
        "zstd, tiles, BigTIFF",
        ".ome.tif",
        lambda s: ome(s.eight, axes="YX", options={"compression": "zstd", "tile": (256, 256), "bigtiff": True}),
        **found,
    )
    yield Variant(
        "OME-TIFF",
        "stack of 3, PhysicalSizeZ 5 µm",
        ".ome.tif",
        lambda s: ome(three(s), axes="ZYX", PhysicalSizeZ=5, PhysicalSizeZUnit="µm"),
        levels=three,
        depth=((0.0, 5.0, 10.0), "ome"),
        **found,
    )
    yield Variant(
        "OME-TIFF",
        "2 channels",
        ".ome.tif",
        lambda s: ome(three(s)[:2], axes="CYX"),
        levels=lambda s: three(s)[:2],
        depth=((None,) * 2, "unknown"),
        withheld="channels",
        **found,
    )


def _imagej() -> Iterator[Variant]:
    found: dict[str, Any] = {"scale": (0.5, "imagej")}
    yield Variant(
        "ImageJ TIFF",
        "8 bit, scale in µm",
        ".tif",
        lambda s: _tif(s.eight, imagej=True, resolution=(2, 2), metadata={"unit": "um"}),
        **found,
    )
    yield Variant(
        "ImageJ TIFF",
        "16 bit",
        ".tif",
        lambda s: _tif(s.sixteen, imagej=True, resolution=(2, 2), metadata={"unit": "um"}),
        16,
        levels=lambda s: s.sixteen,
        **found,
    )
    yield Variant(
        "ImageJ TIFF",
        "stack of 3, spacing 5 µm",
        ".tif",
        lambda s: _tif(
            three(s), imagej=True, resolution=(2, 2), metadata={"unit": "um", "spacing": 5.0, "axes": "ZYX"}
        ),
        levels=three,
        depth=((0.0, 5.0, 10.0), "imagej"),
        **found,
    )


def _float(skin: Skin) -> npt.NDArray[np.float32]:
    return (skin.sixteen / 65535).astype(np.float32)


def _eight_tif(skin: Skin, **options: Any) -> bytes:
    return _tif(skin.eight, **options)


def _sixteen_tif(skin: Skin, **options: Any) -> bytes:
    return _tif(skin.sixteen, **options)


def _tif(pixels: Pixels, **options: Any) -> bytes:
    out = io.BytesIO()
    tifffile.imwrite(out, pixels, **options)
    return out.getvalue()


def _grey_colormap() -> npt.NDArray[np.uint16]:
    return np.repeat(np.arange(256, dtype=np.uint16)[None] * 257, 3, axis=0)


def _unlike_pages(skin: Skin) -> bytes:
    out = io.BytesIO()
    with tifffile.TiffWriter(out) as writer:
        writer.write(skin.eight, photometric="minisblack")
        writer.write(skin.eight[:500], photometric="minisblack")
    return out.getvalue()
