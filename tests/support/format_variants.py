"""One frame of skin in every format and variant that is known, with what a reader should find in each."""

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import PIL.Image
import tifffile
from made_up_caption import KNOWN_FONTS
from made_up_dicom import COMPRESSED, NATIVE, dicom

from trainer.phantom.files import encode_bmp

Pixels = npt.NDArray[Any]
VIVASCOPE = (0.5, "vivascope")
UM = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5, "PhysicalSizeXUnit": "µm", "PhysicalSizeYUnit": "µm"}


@dataclass(frozen=True)
class Skin:
    """A frame, uint8 [1000, 1000], and the same with more levels, each of which means the same grey in 8 bits."""

    eight: npt.NDArray[np.uint8]

    def of_bits(self, bits: int) -> npt.NDArray[np.uint16]:
        """Levels between those of 8 bits are used, up to a third of the way to the next."""
        step = (2**bits - 1) / 255
        jitter = np.random.default_rng(bits).uniform(-step / 3, step / 3, self.eight.shape)
        return np.clip(np.rint(self.eight * step + jitter), 0, 2**bits - 1).astype(np.uint16)

    @cached_property
    def sixteen(self) -> npt.NDArray[np.uint16]:
        return self.of_bits(16)

    @property
    def bgr(self) -> npt.NDArray[np.uint8]:
        return np.repeat(self.eight[:, :, None], 3, axis=2)


@dataclass(frozen=True)
class Variant:
    """A way to write the frame.

    Attributes:
        format, name: what it is called.
        suffix: of its file.
        encode: the bytes of the file.
        bits: significant bits that a record should tell; None for floating point.
        bits_from: what tells them.
        scale: µm per pixel that a record should tell, and what tells it.
        depth: µm below the surface, of each slice, and what tells it.
        levels: the levels that are to come out exactly; None where the format itself loses some.
        said: options that the user has to give.
        withheld: a word of the reason, where there must be no score.
        refused: a word of the error, where the file is not read.
    """

    format: str
    name: str
    suffix: str
    encode: Callable[[Skin], bytes]
    bits: int | None = 8
    bits_from: str = "type"
    scale: tuple[float | None, str] = VIVASCOPE
    depth: tuple[tuple[float | None, ...], str] = ((None,), "unknown")
    levels: Callable[[Skin], Pixels] | None = lambda skin: skin.eight
    said: dict[str, Any] = field(default_factory=dict)
    withheld: str = ""
    refused: str = ""


def variants() -> Iterator[Variant]:
    """All of them, in the order of the document."""
    yield from _bmp()
    yield from _png()
    yield from _jpeg()
    yield from _tiff()
    yield from _ome()
    yield from _imagej()
    yield from _dicom()


def _bmp() -> Iterator[Variant]:
    yield Variant("BMP", "8 bit, palette of greys (VivaScope)", ".bmp", lambda skin: encode_bmp(skin.eight))
    yield Variant(
        "BMP",
        "8 bit with a caption (X, Y, Z)",
        ".bmp",
        lambda skin: encode_bmp(np.vstack([skin.eight, _caption()])),
        depth=((35.2,), "caption"),
    )
    yield Variant("BMP", "8 bit, palette turned round", ".bmp", _bmp_turned)
    yield Variant("BMP", "24 bit", ".bmp", lambda skin: _cv2(".bmp", skin.bgr))
    yield Variant("BMP", "32 bit", ".bmp", lambda skin: _pil(skin.bgr[:, :, [0, 1, 2, 0]], "RGBA", "BMP"))
    yield Variant("BMP", "8 bit, under another suffix", ".dat", lambda skin: encode_bmp(skin.eight))


def _png() -> Iterator[Variant]:
    yield Variant("PNG", "8 bit grey", ".png", lambda skin: _cv2(".png", skin.eight))
    yield Variant("PNG", "8 bit RGB", ".png", lambda skin: _cv2(".png", skin.bgr))
    yield Variant("PNG", "palette", ".png", lambda skin: _pil(skin.eight, "L", "PNG", convert="P"))
    yield Variant("PNG", "16 bit grey", ".png", lambda skin: _cv2(".png", skin.sixteen), 16, levels=lambda s: s.sixteen)
    yield Variant(
        "PNG",
        "16 bit grey, of which 12 are used and nothing says so",
        ".png",
        lambda skin: _cv2(".png", skin.of_bits(12)),
        None,
        "unknown",
        levels=lambda skin: skin.of_bits(12),
        withheld="depth of grey unknown",
    )
    yield Variant(
        "PNG",
        "the same with `--grey-range 0:4095`",
        ".png",
        lambda skin: _cv2(".png", skin.of_bits(12)),
        None,
        "option",
        levels=lambda skin: skin.of_bits(12),
        said={"grey_range": (0.0, 4095.0)},
    )
    yield Variant("PNG", "animated", ".png", _animated, refused="animation")


def _jpeg() -> Iterator[Variant]:
    for quality in (75, 95):
        yield Variant(
            "JPEG",
            f"grey, quality {quality}",
            ".jpg",
            lambda skin, q=quality: _cv2(".jpg", skin.eight, [cv2.IMWRITE_JPEG_QUALITY, q]),
            levels=None,
        )
    yield Variant("JPEG", "grey saved as colour", ".jpg", lambda skin: _cv2(".jpg", skin.bgr), levels=None)
    yield Variant(
        "JPEG",
        "progressive",
        ".jpg",
        lambda skin: _cv2(".jpg", skin.eight, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]),
        levels=None,
    )
    yield Variant(
        "JPEG",
        "with a caption, quality 90",
        ".jpg",
        lambda skin: _cv2(".jpg", np.vstack([skin.eight, _caption()]), [cv2.IMWRITE_JPEG_QUALITY, 90]),
        depth=((35.2,), "caption"),
        levels=None,
    )


def _tiff() -> Iterator[Variant]:
    grey = {"photometric": "minisblack"}
    for name, options in {
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
    }.items():
        exact: Callable[[Skin], Pixels] | None = None if name.endswith(" JPEG") else lambda skin: skin.eight
        yield Variant("TIFF", name, ".tif", lambda skin, o=options: _tif(skin.eight, **grey, **o), levels=exact)
    yield Variant("TIFF", "8 bit, white is 0", ".tif", lambda skin: _tif(255 - skin.eight, photometric="miniswhite"))
    yield Variant(
        "TIFF",
        "8 bit, palette of greys",
        ".tif",
        lambda skin: _tif(skin.eight, photometric="palette", colormap=_grey_colormap()),
    )
    yield Variant("TIFF", "RGB", ".tif", lambda skin: _tif(skin.bgr, photometric="rgb"))
    wide: dict[str, Any] = {"bits": 16, "levels": lambda skin: skin.sixteen}
    for name, options in {
        "16 bit": {},
        "16 bit, LZW with predictor": {"compression": "lzw", "predictor": True},
        "16 bit, big-endian, tiles": {"byteorder": ">", "tile": (256, 256)},
    }.items():
        yield Variant("TIFF", name, ".tif", lambda skin, o=options: _tif(skin.sixteen, **grey, **o), **wide)
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
        lambda skin: _tif(_three(skin), **grey),
        levels=_three,
        depth=((None,) * 3, "unknown"),
    )
    yield Variant("TIFF", "pages of different sizes", ".tif", _unlike_pages, refused="differ")


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
        lambda s: ome(_three(s), axes="ZYX", PhysicalSizeZ=5, PhysicalSizeZUnit="µm"),
        levels=_three,
        depth=((0.0, 5.0, 10.0), "ome"),
        **found,
    )
    yield Variant(
        "OME-TIFF",
        "2 channels",
        ".ome.tif",
        lambda s: ome(_three(s)[:2], axes="CYX"),
        levels=lambda s: _three(s)[:2],
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
            _three(s), imagej=True, resolution=(2, 2), metadata={"unit": "um", "spacing": 5.0, "axes": "ZYX"}
        ),
        levels=_three,
        depth=((0.0, 5.0, 10.0), "imagej"),
        **found,
    )


def _dicom() -> Iterator[Variant]:
    found: dict[str, Any] = {"scale": (0.5, "dicom"), "bits_from": "dicom"}
    for encoding in (*NATIVE, *COMPRESSED):
        yield Variant("DICOM", f"8 bit, {encoding}", ".dcm", lambda s, e=encoding: dicom(s.eight, encoding=e), **found)
    yield Variant("DICOM", "8 bit, JPEG", ".dcm", lambda s: dicom(s.eight, encoding="JPEG"), levels=None, **found)
    yield Variant(
        "DICOM",
        "12 bit, JPEG",
        ".dcm",
        lambda s: dicom(s.of_bits(12), 12, encoding="JPEG of 12 bits"),
        12,
        levels=None,
        **found,
    )
    yield Variant(
        "DICOM", "8 bit, JPEG 2000", ".dcm", lambda s: dicom(s.eight, encoding="JPEG 2000"), levels=None, **found
    )
    yield Variant("DICOM", "16 bit", ".dcm", lambda s: dicom(s.sixteen), 16, levels=lambda s: s.sixteen, **found)
    yield Variant(
        "DICOM",
        "12 of 16 bits",
        ".dcm",
        lambda s: dicom(s.of_bits(12), 12),
        12,
        levels=lambda s: s.of_bits(12),
        **found,
    )
    yield Variant(
        "DICOM",
        "12 of 16 bits, JPEG 2000 without loss",
        ".dcm",
        lambda s: dicom(s.of_bits(12), 12, encoding="JPEG 2000 without loss"),
        12,
        levels=lambda s: s.of_bits(12),
        **found,
    )
    yield Variant(
        "DICOM", "MONOCHROME1", ".dcm", lambda s: dicom(255 - s.eight, PhotometricInterpretation="MONOCHROME1"), **found
    )
    yield Variant("DICOM", "RGB of grey", ".dcm", lambda s: dicom(s.bgr), **found)
    yield Variant(
        "DICOM",
        "Image Acquisition Depth 0.035 mm",
        ".dcm",
        lambda s: dicom(s.eight, depth_um=35.0),
        depth=((35.0,), "dicom"),
        **found,
    )
    yield Variant("DICOM", "without a spacing", ".dcm", lambda s: dicom(s.eight, um_per_px=None), bits_from="dicom")
    yield Variant(
        "DICOM", "3 frames", ".dcm", lambda s: dicom(_three(s)), levels=_three, depth=((None,) * 3, "unknown"), **found
    )
    yield Variant(
        "DICOM",
        "another kind (dermoscopic photograph)",
        ".dcm",
        lambda s: dicom(s.eight, sop_class="1.2.840.10008.5.1.4.1.1.77.1.7"),
        withheld="modality",
        **found,
    )
    yield Variant(
        "DICOM",
        "tiles of a pyramid",
        ".dcm",
        lambda s: dicom(s.eight, TotalPixelMatrixRows=8000, TotalPixelMatrixColumns=8000),
        refused="pyramid of tiles",
    )


def _caption() -> npt.NDArray[np.uint8]:
    return KNOWN_FONTS["DejaVu Sans"]("v0000012.bmp  X: 1.25 mm  Y: -0.50 mm  Z: 35.2 um", 20)


def _three(skin: Skin) -> npt.NDArray[np.uint8]:
    return np.stack([skin.eight] * 3)


def _float(skin: Skin) -> npt.NDArray[np.float32]:
    return (skin.sixteen / 65535).astype(np.float32)


def _cv2(suffix: str, pixels: Pixels, options: list[int] | None = None) -> bytes:
    return cv2.imencode(suffix, pixels, options or [])[1].tobytes()


def _pil(pixels: Pixels, mode: str, form: str, *, convert: str | None = None) -> bytes:
    image = PIL.Image.frombytes(mode, pixels.shape[1::-1], np.ascontiguousarray(pixels).tobytes())
    out = io.BytesIO()
    (image.convert(convert) if convert else image).save(out, form)
    return out.getvalue()


def _tif(pixels: Pixels, **options: Any) -> bytes:
    out = io.BytesIO()
    tifffile.imwrite(out, pixels, **options)
    return out.getvalue()


def _grey_colormap() -> npt.NDArray[np.uint16]:
    return np.repeat(np.arange(256, dtype=np.uint16)[None] * 257, 3, axis=0)


def _bmp_turned(skin: Skin) -> bytes:
    data = bytearray(encode_bmp(255 - skin.eight))
    for level in range(256):
        struct.pack_into("<BBBB", data, 54 + 4 * level, *(255 - level,) * 3, 0)
    return bytes(data)


def _animated(skin: Skin) -> bytes:
    data = _cv2(".png", skin.eight)
    chunk = b"acTL" + struct.pack(">II", 2, 0)
    return data[:33] + struct.pack(">I", 8) + chunk + struct.pack(">I", zlib.crc32(chunk)) + data[33:]


def _unlike_pages(skin: Skin) -> bytes:
    out = io.BytesIO()
    with tifffile.TiffWriter(out) as writer:
        writer.write(skin.eight, photometric="minisblack")
        writer.write(skin.eight[:500], photometric="minisblack")
    return out.getvalue()
