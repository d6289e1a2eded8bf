"""OME-XML, which OME-TIFF keeps in its first page: the 2016-06 schema, as far as a frame needs it."""

import re
from typing import Any
from xml.etree import ElementTree

from runtime.errors import NeverAnImage
from runtime.images.grid import scale_of_grid
from runtime.images.plausible import depth_um, to_number
from runtime.images.told import Depths, Told, against_channels, by_steps, in_um

# a plane takes some 200 bytes, and a file has at most 1024
_MOST_CHARACTERS = 4 << 20
# pages that all its blocks together may name: each is in one block, and a file that repeats itself costs seconds
_MOST_PLANES = 1 << 16
_ROOT = re.compile(r"<(\w+:)?OME\b")


def is_ome(description: str) -> bool:
    """Whether a TIFF's description is OME-XML."""
    head = description[:4096].lstrip()
    # one after the other, for a pattern of them all would try every way to part them
    for opens, closes in (("<?xml", ">"), ("<!--", "-->")):
        while head.startswith(opens):
            head = head.partition(closes)[2].lstrip()
    return _ROOT.match(head) is not None


def read_ome(description: str, pages: int) -> Told:
    """What OME-XML tells of a file's pages.

    Args:
        description: the XML.
        pages: how many images the file holds.

    Raises:
        NeverAnImage: it is no XML, too long, or brings definitions of its own, which could make it endless.
    """
    if len(description) > _MOST_CHARACTERS or "<!DOCTYPE" in description or "<!ENTITY" in description:
        raise NeverAnImage(
            "the TIFF's OME-XML is not read",
            seen=f"{len(description)} characters, or definitions",
            wanted=f"at most {_MOST_CHARACTERS}, without any",
        )
    try:
        # no declaration: the text is decoded already, and may name another encoding
        root = ElementTree.fromstring(re.sub(r"^\s*<\?xml[^>]*>", "", description))
    except ElementTree.ParseError as error:
        raise NeverAnImage("the TIFF's OME-XML is damaged", seen=f"line and column {error.position}") from None
    for element in root.iter():
        element.tag = str(element.tag).rpartition("}")[2]
    images = root.findall("Image")
    pixels = root.find("Image/Pixels")
    if pixels is None:
        return Told("ome")
    scale, objections = _scale(pixels)
    objections += against_channels(_channels(pixels))
    if len(images) > 1 and pages > 1:
        objections += (f"images: the file holds {len(images)} of them, and is no stack of one",)
    depths = _depths(pixels, _slices(pixels, root.get("UUID"), pages))
    told_bits = pixels.get("SignificantBits")
    bits = None if told_bits is None else to_number(told_bits)
    return Told("ome", scale, bits, depths.z_um, objections + depths.objections, depths.notes)


def _scale(pixels: Any) -> tuple[float | None, tuple[str, ...]]:
    sides = [in_um(pixels.get(f"PhysicalSize{side}"), pixels.get(f"PhysicalSize{side}Unit", "µm")) for side in "XY"]
    told = [side for side in sides if side is not None]
    # where one side is told, the other is taken for the same
    return scale_of_grid(told[0], told[-1]) if told else (None, ())


def _channels(pixels: Any) -> int:
    """Channels that are no samples of one pixel."""
    first = pixels.find("Channel")
    samples = 1 if first is None else _whole(first.get("SamplesPerPixel"), 1)
    return _whole(pixels.get("SizeC"), 1) // max(1, samples)


def _slices(pixels: Any, uuid: str | None, pages: int) -> list[int | None]:
    """Of each page the number of its slice, None where it is not told."""
    order = [axis for axis in pixels.get("DimensionOrder", "XYZCT")[2:] if axis in "ZCT"]
    sizes = {"Z": _whole(pixels.get("SizeZ"), 1), "C": _channels(pixels), "T": _whole(pixels.get("SizeT"), 1)}
    found: list[int | None] = [None] * pages
    named = 0
    for block in pixels.findall("TiffData"):
        own = block.find("UUID")
        if own is not None and uuid is not None and own.text != uuid:
            # of another file of the same set
            continue
        ifd, first = _whole(block.get("IFD"), 0), {axis: _whole(block.get(f"First{axis}"), 0) for axis in "ZCT"}
        count = _whole(block.get("PlaneCount"), pages if block.get("IFD") is None else 1)
        named += 1 + max(0, min(count, pages - ifd))
        if named > _MOST_PLANES:
            raise NeverAnImage(
                "the TIFF's OME-XML names its pages again and again",
                seen=f"{named} for {pages}",
                wanted=f"at most {_MOST_PLANES}",
            )
        place = 0
        for axis in reversed(order):
            place = place * max(1, sizes[axis]) + first[axis]
        for page in range(ifd, min(ifd + count, pages)):
            found[page] = _slice_at(place + page - ifd, order, sizes)
    return found


def _slice_at(place: int, order: list[str], sizes: dict[str, int]) -> int:
    """The slice of a plane by its place in the dimensions' order."""
    for axis in order:
        place, number = divmod(place, max(1, sizes[axis]))
        if axis == "Z":
            return number
    return 0


def _depths(pixels: Any, slices: list[int | None]) -> Depths:
    """µm below the surface: each plane's PositionZ where its unit is a length, else by the step."""
    told: dict[int, float | None] = {}
    objections: dict[str, None] = {}
    for plane in pixels.findall("Plane"):
        # without a unit it counts in the stage's own reference frame
        position = in_um(plane.get("PositionZ"), plane.get("PositionZUnit", "reference frame"))
        if position is not None:
            told[_whole(plane.get("TheZ"), 0)], objected = depth_um(position)
            objections |= dict.fromkeys(objected)
    if told:
        z_um = tuple(None if number is None else told.get(number) for number in slices)
        return Depths(z_um, tuple(objections)[:1])
    return by_steps(in_um(pixels.get("PhysicalSizeZ"), pixels.get("PhysicalSizeZUnit", "µm")), slices)


def _whole(text: str | None, default: int) -> int:
    """A whole number that is not negative; the default for anything else."""
    return int(text) if text is not None and re.fullmatch(r"\d{1,9}", text) else default
