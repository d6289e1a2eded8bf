"""OME-XML as writers leave it, and as nobody should."""

import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import NeverAnImage
from runtime.images.ome import is_ome, read_ome
from runtime.images.told import STEP_ALONE

NAMESPACE = 'xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"'


def ome(inner: str = "", *, images: int = 1, root: str = "", **attributes: Any) -> str:
    """OME-XML of one image's Pixels, with `inner` in them."""
    told = " ".join(f'{key}="{value}"' for key, value in ({"DimensionOrder": "XYZCT"} | attributes).items())
    image = f'<Image ID="Image:0" Name="Doe^Jane"><Pixels {told}>{inner}</Pixels></Image>'
    return f'<?xml version="1.0" encoding="UTF-8"?><!-- a word --><OME {NAMESPACE} {root}>{image * images}</OME>'


def test_ome_is_known_by_its_root() -> None:
    assert is_ome(ome())
    assert is_ome("<OME>")
    assert is_ome('<ome:OME xmlns:ome="x"/>')
    assert not is_ome("<svg/>")
    assert not is_ome("OME")
    assert not is_ome("ImageJ=1.54f")


@pytest.mark.parametrize(
    ("size", "unit", "um"),
    [
        ("0.5", "µm", 0.5),
        ("0.5", "μm", 0.5),
        ("0.5", None, 0.5),
        ("500", "nm", 0.5),
        ("0.0005", "mm", 0.5),
        ("5e-7", "m", 0.5),
        ("5000", "Å", 0.5),
        ("0.5", "pixel", None),
        ("0.5", "reference frame", None),
        ("0", "µm", None),
        ("-1", "µm", None),
        ("nan", "µm", None),
        ("inf", "µm", None),
        ("half", "µm", None),
    ],
)
def test_scale_in_any_unit_of_length(size: str, unit: str | None, um: float | None) -> None:
    units = {} if unit is None else {"PhysicalSizeXUnit": unit, "PhysicalSizeYUnit": unit}
    told = read_ome(ome(PhysicalSizeX=size, PhysicalSizeY=size, **units), 1)
    assert told.um_per_px == (None if um is None else pytest.approx(um))
    # a unit that is no length tells nothing
    assert [each[:7] for each in told.objections] == (["scale: "] if um is None and unit == "µm" else [])


def test_pixels_that_are_not_square_have_no_scale() -> None:
    told = read_ome(ome(PhysicalSizeX="0.5", PhysicalSizeY="0.6"), 1)
    assert told.um_per_px is None
    assert told.objections[0].startswith("scale: the pixels are not square")
    assert read_ome(ome(PhysicalSizeX="0.5", PhysicalSizeY="0.501"), 1).um_per_px == pytest.approx(0.5005, rel=1e-3)


@pytest.mark.parametrize(
    ("bits", "told"), [("12", 12), ("16", 16), ("0", 0), ("-3", -3), ("99", 99), ("a", np.nan), (None, None)]
)
def test_significant_bits_are_told_as_they_are(bits: str | None, told: float | None) -> None:
    found = read_ome(ome(**({} if bits is None else {"SignificantBits": bits})), 1).bits
    assert found == told or (found is not None and np.isnan([found, told]).all())


def test_depth_by_steps_is_counted_from_the_first_slice_and_noted() -> None:
    stack = {"SizeZ": 3, "PhysicalSizeZ": "5", "PhysicalSizeZUnit": "µm"}
    told = read_ome(ome("<TiffData/>", **stack), 3)
    assert (told.z_um, told.notes) == ((0.0, 5.0, 10.0), (STEP_ALONE,))
    assert read_ome(ome("<TiffData/>", **stack), 1).z_um == (None,)


def test_depth_by_position_beats_steps() -> None:
    planes = "".join(f'<Plane TheZ="{z}" TheC="0" TheT="0" PositionZ="{30 + z}" PositionZUnit="µm"/>' for z in range(2))
    told = read_ome(ome(f"<TiffData/>{planes}", SizeZ=2, PhysicalSizeZ="5"), 2)
    assert (told.z_um, told.notes) == ((30.0, 31.0), ())
    # without a unit it counts in a frame of reference that nothing tells
    told = read_ome(ome(f"<TiffData/>{planes}".replace('PositionZUnit="µm"', ""), SizeZ=2), 2)
    assert told.z_um == (None, None)


@pytest.mark.parametrize(
    ("order", "slices"),
    [("XYZTC", (0, 1, 2, 0, 1, 2)), ("XYTZC", (0, 0, 1, 1, 2, 2)), ("XYCZT", (0, 1, 2, 0, 1, 2))],
)
def test_which_page_is_which_slice(order: str, slices: tuple[int, ...]) -> None:
    told = read_ome(ome("<TiffData/>", DimensionOrder=order, SizeZ=3, SizeT=2, PhysicalSizeZ="1"), 6)
    assert told.z_um == slices


def test_pages_that_are_told_one_by_one() -> None:
    blocks = "".join(f'<TiffData IFD="{ifd}" FirstZ="{2 - ifd}"/>' for ifd in range(3))
    assert read_ome(ome(blocks, SizeZ=3, PhysicalSizeZ="2"), 3).z_um == (4.0, 2.0, 0.0)
    block = '<TiffData IFD="1" FirstZ="1" PlaneCount="2"/>'
    assert read_ome(ome(block, SizeZ=3, PhysicalSizeZ="2"), 3).z_um == (None, 2.0, 4.0)


def test_planes_in_other_files_of_the_set_are_left_to_them() -> None:
    blocks = "".join(
        f'<TiffData IFD="0" FirstZ="{z}"><UUID FileName="{z}.ome.tif">urn:uuid:{z}</UUID></TiffData>' for z in range(3)
    )
    planes = "".join(f'<Plane TheZ="{z}" PositionZ="{z * 10}" PositionZUnit="µm"/>' for z in range(3))
    assert read_ome(ome(blocks + planes, SizeZ=3, root='UUID="urn:uuid:2"'), 1).z_um == (20.0,)


def test_channels_and_images_are_objected_to() -> None:
    assert read_ome(ome(SizeC=2), 2).objections[0].startswith("channels: 2")
    assert read_ome(ome('<Channel SamplesPerPixel="3"/>', SizeC=3), 1).objections == ()
    assert read_ome(ome(images=2), 2).objections[0].startswith("images: the file holds 2")
    assert read_ome(ome(images=2), 1).objections == ()


def test_an_image_without_pixels_tells_nothing() -> None:
    told = read_ome(f"<OME {NAMESPACE}/>", 3)
    assert (told.um_per_px, told.bits, told.objections) == (None, None, ())


@pytest.mark.parametrize(
    "text",
    [
        '<!DOCTYPE x [<!ENTITY a "aaaa">]><OME>&a;</OME>',
        "<OME><Image></OME>",
        "<OME" + " " * (5 << 20) + "/>",
        "<OME>&unknown;</OME>",
    ],
)
def test_hostile_and_damaged_xml_is_refused(text: str) -> None:
    with pytest.raises(NeverAnImage, match="OME-XML"):
        read_ome(text, 1)


def test_words_that_could_be_parted_in_many_ways_cost_little() -> None:
    started = time.monotonic()
    assert not is_ome("<!---->" * 500)
    assert not is_ome("<!---->" * 500 + "<svg/>")
    assert not is_ome("<?xml " + "<!-- -->" * 500)
    assert is_ome("<?xml?> <!-- a --> <!-- b --><OME>")
    assert time.monotonic() - started < 1


def test_pages_that_are_named_again_and_again_are_refused() -> None:
    started = time.monotonic()
    with pytest.raises(NeverAnImage, match="names its pages again and again"):
        read_ome(ome("<TiffData/>" * 200_000, SizeZ=1000), 1000)
    assert time.monotonic() - started < 5


def test_deep_xml_is_no_crash() -> None:
    deep = "<a>" * 300_000 + "</a>" * 300_000
    told = read_ome(f"<OME>{deep}</OME>", 1)
    assert told.um_per_px is None


@given(st.dictionaries(st.sampled_from(["SizeZ", "SizeC", "SizeT", "PhysicalSizeX", "PhysicalSizeY", "PhysicalSizeZ",
                                        "SignificantBits", "DimensionOrder", "PhysicalSizeZUnit"]),
                       st.text(st.characters(categories=("L", "N", "P"), exclude_characters='<>&"'), max_size=12)),
       st.lists(st.tuples(st.integers(-5, 2**40), st.integers(-5, 2**40), st.integers(-5, 2**40)), max_size=4),
       st.integers(1, 40))  # fmt: skip
def test_any_attribute_is_no_crash(attributes: dict[str, str], blocks: list[tuple[int, int, int]], pages: int) -> None:
    inner = "".join(f'<TiffData IFD="{a}" FirstZ="{b}" PlaneCount="{c}"/>' for a, b, c in blocks)
    told = read_ome(ome(inner, **attributes), pages)
    assert len(told.z_um) == pages
