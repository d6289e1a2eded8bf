"""Equal content gives equal grey, however a file stores it, or no grey at all."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.microscope_files.dicom_files import NATIVE, dicom, item
from runtime.acquisition import Acquisition
from runtime.errors import UnreadableImage
from runtime.images import Frame, picture, read_frame, read_frames
from runtime.images.depth import DEPTH_UNKNOWN

Levels = npt.NDArray[np.integer[Any]]

fuzz = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def content(bits: int, seed: int) -> Levels:
    """Levels from the darkest to the brightest, small for black."""
    found = np.random.default_rng(seed).integers(0, 2**bits, (12, 14), np.uint32)
    found[0, 0], found[0, 1] = 0, 2**bits - 1
    return found.astype(np.uint8 if bits <= 8 else np.uint16 if bits <= 16 else np.uint32)


def grey_of(frame: Frame) -> npt.NDArray[np.uint8]:
    """The 8-bit grey that is scored."""
    assert frame.depth is not None, frame.objections
    assert frame.objections == ()
    return picture(frame)


def wanted(levels: Levels, bits: int) -> npt.NDArray[np.uint8]:
    return np.rint(levels * (255 / (2**bits - 1))).astype(np.uint8)


def same(found: npt.NDArray[np.uint8], levels: Levels, bits: int) -> bool:
    """The same grey but for the half levels that rounding may turn either way."""
    return int(np.abs(found.astype(int) - wanted(levels, bits)).max()) <= (0 if bits == 8 else 1)


def tiff(levels: npt.NDArray[Any], photometric: Any, **options: Any) -> bytes:
    out = io.BytesIO()
    tifffile.imwrite(out, levels, photometric=photometric, metadata=None, **options)
    return out.getvalue()


def read(path: Path, data: bytes, **said: Any) -> Frame:
    path.write_bytes(data)
    (frame,) = Acquisition(um_per_px=0.5, **said).tell((read_frame(path),), path, None)
    return frame


@fuzz
@given(
    bits=st.sampled_from([8, 9, 10, 12, 14, 16, 20, 32]),
    seed=st.integers(0, 100),
    is_told=st.booleans(),
    options=st.sampled_from([{}, {"bigtiff": True}, {"byteorder": ">"}, {"compression": "zlib"}, {"tile": (16, 16)}]),
)
def test_a_tiff_of_which_white_is_zero(
    bits: int, seed: int, is_told: bool, options: dict[str, Any], tmp_path: Path
) -> None:
    levels = content(bits, seed)
    tags = [(281, 4, 1, 2**bits - 1, True)] if is_told else []
    stored = (2**bits - 1 - levels.astype(np.int64)).astype(levels.dtype)
    frame = read(tmp_path / "f.tif", tiff(stored, "miniswhite", extratags=tags, **options))
    if is_told or bits in (8, 16):
        assert same(grey_of(frame), levels, bits)
    else:
        assert frame.depth is None
        assert [each[: len(DEPTH_UNKNOWN)] for each in frame.objections] == [DEPTH_UNKNOWN]
        assert f"no level above {2**bits - 1}" in frame.objections[0]
        said = read(tmp_path / "f.tif", tiff(stored, "miniswhite", **options), grey_range=(0.0, 2.0**bits - 1))
        assert same(grey_of(said), levels, bits)


@pytest.mark.parametrize("bits", [4, 7, 8, 12, 15, 16])
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
def test_bits_that_ome_tells(bits: int, photometric: str, tmp_path: Path) -> None:
    levels = content(bits, 1)
    stored = levels if photometric == "minisblack" else (2**bits - 1 - levels).astype(levels.dtype)
    xml = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0"><Pixels ID="Pixels:0" '
        f'SignificantBits="{bits}"/></Image></OME>'
    )
    assert same(grey_of(read(tmp_path / "f.tif", tiff(stored, photometric, description=xml))), levels, bits)


@pytest.mark.parametrize("highest", [4095, 16_383, 32_767])
def test_white_is_zero_in_fewer_bits_than_anything_tells_is_no_grey(highest: int, tmp_path: Path) -> None:
    stored = np.linspace(0, highest, 168).astype(np.uint16).reshape(12, 14)
    assert read(tmp_path / "f.tif", tiff(stored, "miniswhite")).depth is None
    # from the highest bit on, all are used
    is_known = read(tmp_path / "f.tif", tiff(stored + np.uint16(1), "miniswhite")).depth is not None
    assert is_known is (highest == 32_767)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
def test_floating_point_by_a_range(kind: Any, photometric: str, tmp_path: Path) -> None:
    levels = content(8, 2)
    stored = levels / 255 if photometric == "minisblack" else 1 - levels / 255
    frame = read(tmp_path / "f.tif", tiff(stored.astype(kind), photometric), grey_range=(0.0, 1.0))
    assert int(np.abs(grey_of(frame).astype(int) - levels).max()) <= 1
    assert read(tmp_path / "f.tif", tiff(stored.astype(kind), photometric)).depth is None


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("slope", [None, -1.0])
def test_floating_point_of_a_dicom_file(photometric: str, slope: float | None, tmp_path: Path) -> None:
    levels = content(8, 2)
    is_turned = (photometric == "MONOCHROME1") is not (slope is not None)
    stored = (1 - levels / 255 if is_turned else levels / 255).astype(np.float32)
    told = {} if slope is None else {"RescaleSlope": slope, "RescaleIntercept": 0}
    data = dicom(stored, PhotometricInterpretation=photometric, **told)
    frame = read(tmp_path / "f.dcm", data, grey_range=(0.0, 1.0))
    assert int(np.abs(grey_of(frame).astype(int) - levels).max()) <= 1


@fuzz
@given(
    bits=st.sampled_from([8, 10, 12, 16]),
    seed=st.integers(0, 100),
    encoding=st.sampled_from([*NATIVE, "RLE"]),
    photometric=st.sampled_from(["MONOCHROME1", "MONOCHROME2"]),
    shape=st.sampled_from([None, "IDENTITY", "INVERSE"]),
    slope=st.sampled_from([None, 1.0, 2.5, -1.0, -0.001]),
    in_groups=st.booleans(),
    is_signed=st.booleans(),
)
def test_a_dicom_file_that_turns_its_grey_round(
    bits: int,
    seed: int,
    encoding: str,
    photometric: str,
    shape: str | None,
    slope: float | None,
    in_groups: bool,
    is_signed: bool,
    tmp_path: Path,
) -> None:
    levels = content(bits, seed)
    is_inverse = photometric == "MONOCHROME1" or shape == "INVERSE"
    is_turned = is_inverse is not (slope is not None and slope < 0)
    stored = (2**bits - 1 - levels.astype(np.int64)) if is_turned else levels.astype(np.int64)
    if is_signed:
        stored = stored - 2 ** (bits - 1)
    told: dict[str, Any] = {"PhotometricInterpretation": photometric, "PixelRepresentation": int(is_signed)}
    if shape is not None:
        told["PresentationLUTShape"] = shape
    if slope is not None:
        rescale = {"RescaleSlope": slope, "RescaleIntercept": -7, "RescaleType": "US"}
        if in_groups:
            told["SharedFunctionalGroupsSequence"] = [item(PixelValueTransformationSequence=[item(**rescale)])]
        else:
            told |= rescale
    mask = 2 ** (8 * levels.dtype.itemsize) - 1
    frame = read(tmp_path / "f.dcm", dicom((stored & mask).astype(levels.dtype), bits, encoding=encoding, **told))
    if photometric == "MONOCHROME1" and shape == "IDENTITY":
        assert any(each.startswith("grey: by MONOCHROME1") for each in frame.objections)
        return
    if slope not in (None, 1.0):
        assert any(note.startswith("grey: Rescale (slope") for note in frame.notes)
    if is_signed:
        assert frame.depth is None
        ends = -(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1
        frame = Acquisition(grey_range=ends).tell((frame,), tmp_path, None)[0]
    assert same(grey_of(frame), levels, bits)


def table(entries: npt.NDArray[np.uint16], first: int, bits: int, encoding: str) -> Any:
    order = ">" if "big" in encoding else "<"
    found = item(LUTDescriptor=[len(entries) % (1 << 16), first, bits], LUTData=entries.astype(f"{order}u2").tobytes())
    found["LUTDescriptor"].VR = "US"
    found["LUTData"].VR = "OW"
    return found


@fuzz
@given(
    bits=st.sampled_from([8, 12, 16]),
    seed=st.integers(0, 100),
    encoding=st.sampled_from(list(NATIVE)),
    is_turned=st.booleans(),
    is_signed=st.booleans(),
)
def test_a_dicom_file_whose_levels_are_looked_up(
    bits: int, seed: int, encoding: str, is_turned: bool, is_signed: bool, tmp_path: Path
) -> None:
    levels = content(bits, seed)
    # a table that shuffles: only who looks up sees the content
    shuffle = np.random.default_rng(seed).permutation(2**bits)
    half = 2 ** (bits - 1) if is_signed else 0
    stored = (np.argsort(shuffle)[levels] - half) & (2 ** (8 * levels.dtype.itemsize) - 1)
    entries = (2**bits - 1 - shuffle if is_turned else shuffle).astype(np.uint16)
    told: dict[str, Any] = {"ModalityLUTSequence": [table(entries, -half & 0xFFFF, bits, encoding)]}
    told |= {"PixelRepresentation": int(is_signed)}
    told |= {"PhotometricInterpretation": "MONOCHROME1" if is_turned else "MONOCHROME2"}
    frame = read(tmp_path / "f.dcm", dicom(stored.astype(levels.dtype), bits, encoding=encoding, **told))
    assert same(grey_of(frame), levels, bits)


@pytest.mark.parametrize("encoding", NATIVE)
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize(("value", "limit"), [(200, None), (200, 210), (210, 200), (0, None)])
def test_padding_counts_as_black(
    encoding: str, photometric: str, value: int, limit: int | None, tmp_path: Path
) -> None:
    levels = content(8, 4)
    told: dict[str, Any] = {"PixelPaddingValue": value, "PhotometricInterpretation": photometric}
    if limit is not None:
        told["PixelPaddingRangeLimit"] = limit
    frame = read(tmp_path / "f.dcm", dicom(levels, encoding=encoding, **told))
    low, high = sorted((value, value if limit is None else limit))
    grey = 255 - levels if photometric == "MONOCHROME1" else levels
    assert np.array_equal(grey_of(frame), np.where((levels >= low) & (levels <= high), 0, grey))
    assert "grey: pixels of Pixel Padding Value count as black" in frame.notes


RISING, FALLING = np.arange(256, dtype=np.uint16), np.arange(255, -1, -1, dtype=np.uint16)


@pytest.mark.parametrize(
    ("told", "objection"),
    [
        ({"WindowCenter": 100, "WindowWidth": 50}, ""),
        ({"WindowCenter": [100, 50], "WindowWidth": [50, 20]}, ""),
        ({"WindowCenter": 100, "WindowWidth": -50}, "window for a screen turns the grey round"),
        ({"VOILUTSequence": [table(RISING, 0, 8, "<")]}, ""),
        ({"VOILUTSequence": [table(FALLING, 0, 8, "<")]}, "window for a screen turns the grey round"),
        ({"PresentationLUTShape": "LIN OD"}, "Presentation LUT, which is not applied"),
        ({"PresentationLUTSequence": [table(RISING, 0, 8, "<")]}, "Presentation LUT, which is not applied"),
        ({"RescaleSlope": 0, "RescaleIntercept": 1}, "Rescale Slope or Intercept is not a finite number"),
        ({"RescaleSlope": "nan", "RescaleIntercept": 1}, "Rescale Slope or Intercept is not a finite number"),
        ({"RescaleSlope": 1, "RescaleIntercept": "1e999"}, "Rescale Slope or Intercept is not a finite number"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_what_is_for_a_screen_is_noted_and_what_would_turn_or_bend_the_grey_is_objected_to(
    told: dict[str, Any], objection: str, tmp_path: Path
) -> None:
    levels = content(8, 5)
    frame = read(tmp_path / "f.dcm", dicom(levels, **told))
    if objection:
        assert any(each.startswith("grey: ") and objection in each for each in frame.objections), frame.objections
    else:
        assert any("for a screen is not applied" in note for note in frame.notes)
        assert np.array_equal(grey_of(frame), levels)


def test_frames_that_are_counted_differently_are_no_stack(tmp_path: Path) -> None:
    groups = [
        item(PixelValueTransformationSequence=[item(RescaleSlope=slope, RescaleIntercept=0, RescaleType="US")])
        for slope in (1, -1)
    ]
    path = tmp_path / "f.dcm"
    path.write_bytes(dicom(np.stack([content(8, 5)] * 2), PerFrameFunctionalGroupsSequence=groups))
    assert all("grey: the frames tell different" in each.objections[0] for each in read_frames(path))


@pytest.mark.parametrize("descriptor", [[600, 0, 8], [256, 0, 4], [256, 0, 40], [256, 0]])
@pytest.mark.filterwarnings("ignore")
def test_a_damaged_table_is_damage(descriptor: list[int], tmp_path: Path) -> None:
    broken = table(RISING, 0, 8, "<")
    broken.LUTDescriptor = descriptor
    path = tmp_path / "f.dcm"
    path.write_bytes(dicom(content(8, 5), ModalityLUTSequence=[broken]))
    with pytest.raises(UnreadableImage, match="look-up table of the DICOM file is damaged"):
        read_frame(path)


def test_a_palette_is_not_turned_round(tmp_path: Path) -> None:
    levels = content(8, 6)
    greys = np.repeat(np.arange(256, dtype=np.uint16)[None] * 257, 3, axis=0)
    assert np.array_equal(grey_of(read(tmp_path / "f.tif", tiff(levels, "palette", colormap=greys))), levels)


@pytest.mark.parametrize("bits", ["0", "-1", "33", "1e300", "nan", "inf", "12.5", "many"])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_bits_that_no_level_has_leave_the_grey_unknown(bits: str, kind: Any, tmp_path: Path) -> None:
    xml = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0"><Pixels ID="Pixels:0" '
        f'SignificantBits="{bits}"/></Image></OME>'
    )
    levels = content(8 * np.dtype(kind).itemsize, 7)
    frame = read(tmp_path / "f.tif", tiff(levels, "minisblack", description=xml))
    assert frame.depth is None
    assert frame.objections[0].startswith(f"{DEPTH_UNKNOWN}: the file tells ")
    highest = float(np.iinfo(kind).max)
    said = read(tmp_path / "f.tif", tiff(levels, "minisblack", description=xml), grey_range=(0.0, highest))
    assert same(grey_of(said), levels, 8 * np.dtype(kind).itemsize)
