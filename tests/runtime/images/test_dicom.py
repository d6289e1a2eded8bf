"""DICOM files of every encoding become what was put in, and tell nothing of the patient."""

import contextlib
import struct
import time
import warnings
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from benchmarks.microscope_files.dicom_files import COMPRESSED, LOSSY, NATIVE, PATIENT, dicom, item
from runtime.errors import NeverAnImage, UnreadableImage
from runtime.images.depth import EIGHT_BIT, GreyDepth
from runtime.images.dicom import decode_dicom

Grey = npt.NDArray[np.uint8]


def grey_stack(count: int, height: int, width: int) -> npt.NDArray[np.uint8]:
    """Frames that differ."""
    return np.random.default_rng(3).integers(0, 256, (count, height, width), np.uint8)


def plane(data: bytes) -> npt.NDArray[Any]:
    """The only plane of a file."""
    (found,) = decode_dicom(data).planes
    return found


@pytest.fixture(scope="module")
def twelve(grey: Grey) -> npt.NDArray[np.uint16]:
    """[61, 83], levels from 0 to 4095."""
    jitter = np.random.default_rng(1).integers(0, 16, grey.shape, np.uint16)
    return grey.astype(np.uint16) * 16 + jitter


@pytest.mark.parametrize("encoding", [*NATIVE, *COMPRESSED])
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_levels_come_out_as_they_went_in(grey: Grey, twelve: npt.NDArray[np.uint16], encoding: str, bits: int) -> None:
    stored = {8: grey, 12: twelve, 16: twelve * 16}[bits]
    decoded = decode_dicom(dicom(stored, bits, encoding=encoding))
    assert np.array_equal(decoded.planes[0], stored)
    assert decoded.planes[0].dtype == stored.dtype
    assert decoded.planes[0].dtype.isnative
    assert decoded.depth == GreyDepth.of_bits(bits, "dicom")
    assert decoded.objections == ()


@pytest.mark.parametrize("encoding", LOSSY)
def test_lossy_frames_come_close(grey: Grey, twelve: npt.NDArray[np.uint16], encoding: str) -> None:
    bits = 12 if "12" in encoding else 8
    stored = twelve if bits == 12 else grey
    found = plane(dicom(stored, bits, encoding=encoding))
    assert np.abs(found.astype(int) - stored).mean() < 2 ** (bits - 6)


@pytest.mark.parametrize("encoding", ["explicit little-endian", "RLE", "JPEG-LS", "JPEG"])
def test_frames_become_planes(encoding: str) -> None:
    frames = grey_stack(3, 16, 24)
    planes = decode_dicom(dicom(frames, encoding=encoding)).planes
    assert len(planes) == 3
    if encoding != "JPEG":
        assert np.array_equal(np.stack(planes), frames)


def test_monochrome1_is_turned_round_within_its_bits(twelve: npt.NDArray[np.uint16]) -> None:
    data = dicom(4095 - twelve, 12, PhotometricInterpretation="MONOCHROME1")
    assert np.array_equal(plane(data), twelve)


def test_bits_beside_those_that_count_are_cut_off(twelve: npt.NDArray[np.uint16]) -> None:
    overlay = np.uint16(0x8000)
    assert np.array_equal(plane(dicom(twelve | overlay, 12)), twelve)
    assert np.array_equal(plane(dicom(twelve * 16 + 5, 12, HighBit=15)), twelve)


def test_signed_levels_keep_their_order_and_are_objected_to(grey: Grey) -> None:
    decoded = decode_dicom(dicom((grey ^ 0x80).astype(np.uint8), PixelRepresentation=1))
    assert np.array_equal(decoded.planes[0], grey)
    assert decoded.depth is None
    assert decoded.depth_unknown.startswith("depth of grey unknown")


def test_floating_point_comes_without_a_depth(grey: Grey) -> None:
    values = grey.astype(np.float32) / 7
    decoded = decode_dicom(dicom(values, BitsStored=None, HighBit=None, PixelRepresentation=None))
    assert np.array_equal(decoded.planes[0], values)
    assert decoded.depth is None


@pytest.mark.parametrize("encoding", ["explicit little-endian", "RLE", "JPEG 2000 without loss"])
def test_colour_comes_out_blue_first(grey: Grey, encoding: str) -> None:
    rgb = np.stack([grey, grey // 2, grey // 4], axis=-1)
    assert np.array_equal(plane(dicom(rgb, encoding=encoding)), rgb[:, :, ::-1])


def test_planar_and_luminance_colour(grey: Grey) -> None:
    rgb = np.stack([grey, grey // 2, grey // 4], axis=-1)
    planar = np.moveaxis(rgb, -1, 0).reshape(rgb.shape)
    assert np.array_equal(plane(dicom(planar, PlanarConfiguration=1)), rgb[:, :, ::-1])
    ybr = np.stack([grey, np.full_like(grey, 128), np.full_like(grey, 128)], axis=-1)
    found = plane(dicom(ybr, PhotometricInterpretation="YBR_FULL"))
    assert np.array_equal(found, np.repeat(grey[:, :, None], 3, axis=2))


@pytest.mark.parametrize("encoding", NATIVE)
@pytest.mark.parametrize("bits", [8, 16])
def test_palettes_are_looked_up(grey: Grey, bits: int, encoding: str) -> None:
    kind = np.dtype(np.uint8) if bits == 8 else np.dtype(">u2" if "big" in encoding else "<u2")
    # of 16 bits the upper 8 count
    table = ((255 - np.arange(256)) * (1 if bits == 8 else 256)).astype(kind)
    colours: dict[str, Any] = {}
    for colour in ("Red", "Green", "Blue"):
        colours[f"{colour}PaletteColorLookupTableDescriptor"] = [256, 0, bits]
        colours[f"{colour}PaletteColorLookupTableData"] = table.tobytes()
    decoded = decode_dicom(dicom(grey, encoding=encoding, PhotometricInterpretation="PALETTE COLOR", **colours))
    assert np.array_equal(decoded.planes[0], np.repeat(255 - grey[:, :, None], 3, axis=2))
    assert decoded.depth == EIGHT_BIT


def shared(**elements: Any) -> list[Any]:
    return [item(PixelMeasuresSequence=[item(**elements)])]


@pytest.mark.parametrize(
    ("elements", "um"),
    [
        ({}, None),
        ({"PixelSpacing": [0.0005, 0.0005]}, 0.5),
        ({"NominalScannedPixelSpacing": [0.0007, 0.0007]}, 0.7),
        ({"ImagedVolumeWidth": 0.083, "ImagedVolumeHeight": 0.061}, 1.0),
        (
            {
                "SharedFunctionalGroupsSequence": shared(PixelSpacing=[0.0004, 0.0004]),
                "PixelSpacing": [0.0005, 0.0005],
            },
            0.4,
        ),
        ({"PerFrameFunctionalGroupsSequence": shared(PixelSpacing=[0.0006, 0.000601])}, 0.6),
    ],
)  # fmt: skip
def test_scale(grey: Grey, elements: dict[str, Any], um: float | None) -> None:
    grey = np.ascontiguousarray(np.resize(grey, (61, 83)))
    decoded = decode_dicom(dicom(grey, um_per_px=None, **elements))
    assert decoded.um_per_px == (None if um is None else pytest.approx(um, rel=1e-3))
    assert decoded.um_per_px_from == ("unknown" if um is None else "dicom")
    assert decoded.objections == ()


@pytest.mark.parametrize("spacing", [[0, 0], [-1, 1], [1e308, 1e308], ["nan", "nan"], [0.0005], [0.0005, 1e-30]])
@pytest.mark.parametrize("keyword", ["PixelSpacing", "NominalScannedPixelSpacing"])
def test_a_spacing_that_no_microscope_has_is_objected_to(grey: Grey, keyword: str, spacing: list[Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = dicom(grey, um_per_px=None, **{keyword: spacing})
    decoded = decode_dicom(data)
    assert decoded.um_per_px is None
    assert [each[:22] for each in decoded.objections] == ["scale: the file tells "]


def test_pixels_that_are_not_square_and_frames_that_differ_have_no_scale(grey: Grey) -> None:
    decoded = decode_dicom(dicom(grey, um_per_px=None, PixelSpacing=[0.0005, 0.0006]))
    assert (decoded.um_per_px, decoded.objections[0][:6]) == (None, "scale:")
    groups = [*shared(PixelSpacing=[0.0005, 0.0005]), *shared(PixelSpacing=[0.0006, 0.0006])]
    decoded = decode_dicom(dicom(grey_stack(2, 8, 8), um_per_px=None, PerFrameFunctionalGroupsSequence=groups))
    assert (decoded.um_per_px, decoded.objections) == (None, ("scale: the frames tell different ones",))


def test_depth_below_the_surface(grey: Grey) -> None:
    decoded = decode_dicom(dicom(grey, depth_um=35.0))
    assert (decoded.z_um, decoded.z_from) == ((pytest.approx(35.0),), "dicom")
    decoded = decode_dicom(dicom(grey))
    assert (decoded.z_um, decoded.z_from) == ((None,), "unknown")


@pytest.mark.parametrize(
    ("offsets", "depths"),
    [
        ((-5.0, -10.0), (5.0, 10.0)),
        ((0.0, 0.0), (None, None)),
        ((None, None), (None, None)),
        ((5.0, None), (5.0, None)),
    ],
)
def test_depth_of_frames(offsets: tuple[float | None, ...], depths: tuple[float | None, ...]) -> None:
    groups = [
        item() if z is None else item(PlanePositionSlideSequence=[item(ZOffsetInSlideCoordinateSystem=z)])
        for z in offsets
    ]
    decoded = decode_dicom(dicom(grey_stack(2, 8, 8), depth_um=99.0, PerFrameFunctionalGroupsSequence=groups))
    assert decoded.z_um == depths


@pytest.mark.parametrize(
    ("sop_class", "objected"),
    [
        ("1.2.840.10008.5.1.4.1.1.77.1.8", False),
        ("1.2.840.10008.5.1.4.1.1.77.1.9", False),
        ("1.2.840.10008.5.1.4.1.1.7", False),
        ("1.2.840.10008.5.1.4.1.1.7.2", False),
        ("1.2.840.10008.5.1.4.1.1.2", True),
        ("1.2.840.10008.5.1.4.1.1.77.1.7", True),
        ("1.2.3.4", True),
    ],
)
def test_images_of_another_kind_are_objected_to(grey: Grey, sop_class: str, objected: bool) -> None:
    objections = decode_dicom(dicom(grey, sop_class=sop_class)).objections
    assert any(each.startswith("modality: ") for each in objections) is objected


@pytest.mark.parametrize("name", ["CT Image Storage", "Dermoscopic Photography Image Storage"])
def test_objection_names_the_kind(grey: Grey, name: str) -> None:
    uid = {"CT Image Storage": "1.2.840.10008.5.1.4.1.1.2"}.get(name, "1.2.840.10008.5.1.4.1.1.77.1.7")
    assert name in decode_dicom(dicom(grey, sop_class=uid)).objections[0]


@pytest.mark.parametrize(
    ("elements", "reason"),
    [
        ({"NumberOfFrames": 2000}, "number of frames"),
        ({"TotalPixelMatrixRows": 5000, "TotalPixelMatrixColumns": 5000}, "pyramid of tiles"),
        ({"PhotometricInterpretation": "CMYK"}, "colour"),
        ({"BitsStored": 12}, "number format"),
        ({"Rows": 65000, "Columns": 65000}, "too large"),
        ({"Rows": 0}, "without pixels"),
        ({"Rows": 16000, "Columns": 16000, "BitsAllocated": 16, "BitsStored": 16, "HighBit": 15}, "claims more"),
        ({"Rows": None}, "describe its pixels"),
        ({"BitsStored": None}, "describe its pixels"),
    ],
)
def test_what_is_not_read_is_said(grey: Grey, elements: dict[str, Any], reason: str) -> None:
    with pytest.raises(NeverAnImage, match=reason):
        decode_dicom(dicom(grey, **elements))


def test_objects_without_pixels(grey: Grey) -> None:
    with pytest.raises(NeverAnImage, match=r"holds no image; seen: Basic Text SR Storage"):
        decode_dicom(dicom(grey, sop_class="1.2.840.10008.5.1.4.1.1.88.11", PixelData=None))
    with pytest.raises(UnreadableImage, match="truncated"):
        decode_dicom(dicom(grey, PixelData=None))


@pytest.mark.parametrize("encoding", [*NATIVE, *COMPRESSED, "JPEG"])
def test_a_part_of_a_file_is_never_an_image(grey: Grey, encoding: str) -> None:
    data = dicom(grey[:24, :32].copy(), encoding=encoding)
    for length in [*range(132, len(data) - 16, 7), *range(len(data) - 16, len(data) - 8)]:
        with pytest.raises(UnreadableImage) as caught:
            decode_dicom(data[:length])
        assert not isinstance(caught.value, NeverAnImage), (length, caught.value)


@pytest.mark.parametrize("encoding", ["explicit little-endian", "deflated", "RLE", "JPEG-LS", "JPEG"])
def test_damage_is_one_of_our_errors_and_names_no_patient(grey: Grey, encoding: str) -> None:
    data = dicom(grey[:24, :32].copy(), encoding=encoding)
    rng = np.random.default_rng(5)
    for _ in range(300):
        damaged = bytearray(data)
        for at in rng.integers(132, len(data), 3):
            damaged[at] = rng.integers(0, 256)
        try:
            said = repr(decode_dicom(bytes(damaged)))
        except UnreadableImage as error:
            said = str(error)
        assert PATIENT not in said
        assert "4711" not in said


def test_nothing_of_the_patient_is_read(grey: Grey) -> None:
    from runtime.images.dicom_dataset import read_dataset

    elements = str(read_dataset(dicom(grey)).elements)
    assert PATIENT not in elements
    assert "4711" not in elements
    assert "Study" not in elements


def test_a_missing_codec_is_said_with_what_to_install(grey: Grey, monkeypatch: pytest.MonkeyPatch) -> None:
    data = dicom(grey, encoding="JPEG-LS")
    monkeypatch.setitem(__import__("sys").modules, "imagecodecs", None)
    with pytest.raises(UnreadableImage, match=r'pip install "inflamap\[formats\]"') as caught:
        decode_dicom(data)
    assert not isinstance(caught.value, NeverAnImage)


def test_a_compressed_frame_of_another_size_is_refused_before_it_is_decoded(grey: Grey) -> None:
    with pytest.raises(NeverAnImage, match="contradicts"):
        decode_dicom(dicom(grey, encoding="JPEG-LS", Rows=30))


def with_element(data: bytes, group: int, element: int, kind: bytes, value: bytes, length: int | None = None) -> bytes:
    """A copy with an element before all others of its data set."""
    at = 132 + 12 + int.from_bytes(data[140:144], "little")
    size = len(value) if length is None else length
    return data[:at] + struct.pack("<HH2sHI", group, element, kind, 0, size) + value + data[at:]


def test_hostile_functional_groups_cost_little(grey: Grey) -> None:
    value = b"\xfe\xff\x00\xe0\xff\xff\xff\xff" * 50_000
    data = with_element(dicom(grey), 0x5200, 0x9230, b"SQ", value)
    started = time.monotonic()
    with contextlib.suppress(UnreadableImage):
        decode_dicom(data)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    "make",
    [
        lambda data: with_element(data, 8, 1, b"UN", b"", 0xFFFFFFF0),
        lambda data: with_element(data, 8, 1, b"OB", b"", 0xFFFFFFFF),
        lambda data: with_element(data, 8, 1, b"SQ", b"\xfe\xff\x00\xe0\xff\xff\xff\xff" * 50_000, 0xFFFFFFFF),
        lambda data: with_element(
            data,
            8,
            0x1140,
            b"SQ",
            (b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + b"\x08\0\x40\x11SQ\0\0\xff\xff\xff\xff") * 50_000,
            0xFFFFFFFF,
        ),
        lambda data: data[:132] + data[132:].replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.5\0"),
        lambda data: data + b"\xe0\x7f\x10\0OB\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\0\0\0\0" * 100_000,
    ],
    ids=["endless value", "no delimiter", "items in items", "sequences in sequences", "native as RLE", "fragments"],
)
def test_hostile_elements_cost_little(grey: Grey, make: Callable[[bytes], bytes]) -> None:
    data = make(dicom(grey))
    started = time.monotonic()
    with contextlib.suppress(UnreadableImage):
        decode_dicom(data)
    assert time.monotonic() - started < 5


def test_an_empty_jpeg_2000_of_many_pixels_is_refused_before_it_is_decoded() -> None:
    # 9000 x 9000 black pixels are a few hundred bytes
    with pytest.raises(NeverAnImage, match="claims more pixels"):
        decode_dicom(dicom(np.zeros((9000, 9000), np.uint8), encoding="JPEG 2000 without loss"))


def test_much_colour_in_a_small_file_is_refused() -> None:
    with pytest.raises(NeverAnImage, match="claims more pixels"):
        decode_dicom(dicom(np.zeros((6000, 6000, 3), np.uint8), encoding="deflated"))


def test_a_bomb_is_not_inflated(grey: Grey) -> None:
    plain = dicom(grey, encoding="deflated")
    at = 132 + 12 + int.from_bytes(plain[140:144], "little")
    packer = zlib.compressobj(9, wbits=-15)
    bomb = packer.compress(bytes(400 << 20)) + packer.flush()
    started = time.monotonic()
    with pytest.raises(NeverAnImage, match="inflates to too much"):
        decode_dicom(plain[:at] + bomb)
    assert time.monotonic() - started < 5
