"""What is fuzzed: each reader, and the valid inputs that are made worse."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import numpy.typing as npt

from benchmarks.microscope_files.captions import KNOWN_FONTS, draw_said
from benchmarks.microscope_files.variants import Skin, Variant, variants
from runtime.images import picture, to_model_scale
from runtime.images.caption import read_caption
from runtime.images.imagej import image_count, read_imagej
from runtime.images.ome import read_ome
from runtime.images.reader import frames_of

_FORMATS = {"BMP": ("BMP",), "PNG": ("PNG",), "JPEG": ("JPEG",), "DICOM": ("DICOM",)}
_TIFFS = ("TIFF", "OME-TIFF", "ImageJ TIFF")
_CAPTION = (45, 1000)
# where scores hold; frames of other scales are withheld before they are resampled
_SCALES = (0.17, 1.5)


@dataclass(frozen=True)
class Target:
    """A reader.

    Attributes:
        name: what it is called.
        read: hands it an input; what it gives is of no interest, how it fails is.
        seeds: valid inputs, small.
    """

    name: str
    read: Callable[[bytes], object]
    seeds: Callable[[], tuple[bytes, ...]]


def targets() -> dict[str, Target]:
    """All readers by name."""
    files = {**_FORMATS, "TIFF": _TIFFS}
    found = [Target(name, read_file, partial(_files, kinds)) for name, kinds in files.items()]
    found += [
        Target("OME-XML", _read_ome, _ome_seeds),
        Target("ImageJ", _read_imagej, _imagej_seeds),
        Target("caption", _read_caption, _caption_seeds),
    ]
    return {target.name: target for target in found}


def read_file(data: bytes) -> None:
    """From a file's bytes to what the model would see."""
    for frame in frames_of(data)[:3]:
        picture(frame)
        if frame.depth is not None and frame.um_per_px is not None and _SCALES[0] <= frame.um_per_px <= _SCALES[1]:
            to_model_scale(frame, 0.5)


@cache
def _skin() -> Skin:
    rng = np.random.default_rng(3)
    return Skin(rng.integers(0, 256, (24, 32), np.uint8))


@cache
def _variants() -> tuple[Variant, ...]:
    return tuple(variants())


def _files(kinds: tuple[str, ...]) -> tuple[bytes, ...]:
    return tuple(variant.encode(_skin()) for variant in _variants() if variant.format in kinds)


def _read_ome(data: bytes) -> None:
    read_ome(data.decode("utf-8", "replace"), 3)


def _ome_seeds() -> tuple[bytes, ...]:
    def description(tiff: bytes) -> bytes:
        start = tiff.index(b"<?xml")
        return tiff[start : tiff.index(b"</OME>") + 6]

    pixels = (
        b'<OME UUID="urn:uuid:1"><Image><Pixels DimensionOrder="XYCZT" SizeZ="3" SizeC="2" SizeT="2" '
        b'PhysicalSizeX="500" PhysicalSizeXUnit="nm" PhysicalSizeY="0.5" PhysicalSizeZ="5" SignificantBits="12">'
        b'<Channel SamplesPerPixel="1"/>'
        b'<TiffData IFD="0" FirstZ="1" PlaneCount="2"><UUID FileName="a">urn:uuid:1</UUID></TiffData>'
        b'<Plane TheZ="1" PositionZ="35.5" PositionZUnit="mm"/></Pixels></Image></OME>'
    )
    return (*map(description, _files(("OME-TIFF",))), pixels)


def _read_imagej(data: bytes) -> None:
    text = data.decode("latin-1")
    image_count(text)
    read_imagej(text, 3, (2.0, 2.0))


def _imagej_seeds() -> tuple[bytes, ...]:
    return (
        b"ImageJ=1.54f\nimages=6\nchannels=2\nslices=3\nhyperstack=true\nunit=micron\nspacing=5.0\nmin=0\nmax=255\n",
        b"ImageJ=1.11a\nimages=3\nframes=3\nunit=\\u00B5m\nfinterval=1\n",
    )


def _read_caption(data: bytes) -> None:
    strip: npt.NDArray[np.uint8] = np.zeros(_CAPTION, np.uint8)
    flat = np.frombuffer(data[: strip.size], np.uint8)
    strip.ravel()[: len(flat)] = flat
    read_caption(strip)


def _caption_seeds() -> tuple[bytes, ...]:
    rng = np.random.default_rng(4)
    return tuple(draw(draw_said(rng).text, size).tobytes() for draw in KNOWN_FONTS.values() for size in (14, 20))
