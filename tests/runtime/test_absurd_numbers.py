"""Whatever numbers a file tells, it is scored by a plausible one or withheld for a reason, and its record is JSON."""

import io
import json
import math
import os
import struct
import warnings
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from watch_bench import Bench

from benchmarks.microscope_files.dicom_files import dicom, item
from runtime.acquisition import Acquisition
from runtime.errors import InflamapError
from runtime.images.plausible import DEPTH_UM, UM_PER_PX
from runtime.inputs import Input
from runtime.model import Model
from runtime.score_files import ResultWriter, score_files
from runtime.scoring import score_file

fuzz = settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])

ABSURD = ["1e308", "-1e308", "1e300", "1e-300", "5e-324", "1e999", "nan", "inf", "-inf", "0", "-0.5", "1e400", "", "a"]
numbers = st.one_of(
    st.sampled_from(ABSURD),
    st.floats().map(repr),
    st.floats(1e-6, 1e6).map(repr),
    st.text("0123456789.eE+-_ x", max_size=12),
)
units = st.sampled_from(["µm", "nm", "m", "pm", "mm", "inch", "pixel", "reference frame", ""])


@pytest.fixture
def frame(skin: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """As large as one that a VivaScope saves, of which the scale is known where the file tells none."""
    return np.tile(skin, (3, 3))[:1000, :1000].copy()


def refused(token: str) -> float:
    raise ValueError(token)


def outcome(path: Path, model: Model, **said: Any) -> dict[str, Any]:
    """The record of a file that was scored or withheld."""
    result = score_file(path, PurePath(path.name), path.parent / "out", model, acquisition=Acquisition(**said))
    text = (path.parent / "out" / f"{path.name}.score.json").read_text()
    record: dict[str, Any] = json.loads(text, parse_constant=refused)
    assert record == json.loads(json.dumps(result.to_json(), allow_nan=False))
    image = record["image"]
    assert image["um_per_px"] is None or UM_PER_PX.holds(image["um_per_px"])
    depths = [image["z_um"], *(each["z_um"] for each in record["slices"] or [])]
    assert all(z_um is None or DEPTH_UM.holds(z_um) for z_um in depths)
    return record


def number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def ome(pixels: dict[str, str], plane: dict[str, str]) -> str:
    def attributes(values: dict[str, str]) -> str:
        return " ".join(f'{name}="{value}"' for name, value in values.items())

    return (
        '<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
        f'<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" {attributes(pixels)}>'
        f'<TiffData/><Plane TheC="0" TheT="0" {attributes(plane)}/></Pixels></Image></OME>'
    )


def tiff(pixels: npt.NDArray[Any], **options: Any) -> bytes:
    out = io.BytesIO()
    tifffile.imwrite(out, pixels, photometric="minisblack", metadata=None, **options)
    return out.getvalue()


OME_NUMBERS = ("PhysicalSizeX", "PhysicalSizeY", "PhysicalSizeZ", "SignificantBits", "SizeZ", "SizeC", "SizeT")


@fuzz
@given(
    pixels=st.dictionaries(st.sampled_from(OME_NUMBERS), numbers),
    unit=st.dictionaries(st.sampled_from([f"PhysicalSize{axis}Unit" for axis in "XYZ"]), units),
    plane=st.dictionaries(st.sampled_from(["PositionZ", "TheZ"]), numbers),
    plane_unit=units,
    slices=st.sampled_from([1, 3]),
)
def test_ome(
    pixels: dict[str, str],
    unit: dict[str, str],
    plane: dict[str, str],
    plane_unit: str,
    slices: int,
    patch_of_skin: npt.NDArray[np.uint8],
    model: Model,
    tmp_path: Path,
) -> None:
    stack = np.stack([patch_of_skin] * slices) if slices > 1 else patch_of_skin
    words = ome(pixels | unit, plane | {"PositionZUnit": plane_unit}).encode("ascii", "xmlcharrefreplace").decode()
    (tmp_path / "f.tif").write_bytes(tiff(stack, description=words))
    outcome(tmp_path / "f.tif", model)


@pytest.mark.parametrize("text", ABSURD)
@pytest.mark.parametrize("field", ["PhysicalSizeX", "PositionZ"])
def test_an_absurd_scale_or_depth_of_ome_is_withheld(
    text: str, field: str, frame: npt.NDArray[np.uint8], model: Model, tmp_path: Path
) -> None:
    where = {"PositionZ": text, "PositionZUnit": "m", "TheZ": "0"} if field == "PositionZ" else {}
    words = ome({} if where else {field: text}, where).encode("ascii", "xmlcharrefreplace").decode()
    (tmp_path / "f.tif").write_bytes(tiff(frame, description=words))
    record = outcome(tmp_path / "f.tif", model)
    if DEPTH_UM.holds(1e6 * number(text)) and where:
        assert record["status"] == "scored"
        return
    about = "depth" if where else "scale"
    assert record["status"] == "withheld"
    assert any(reason.startswith(f"{about}: the file tells ") for reason in record["reasons"]), record["reasons"]
    if about == "scale":
        assert outcome(tmp_path / "f.tif", model, um_per_px=0.5)["status"] == "scored", "the user knows better"


@fuzz
@given(
    fields=st.dictionaries(st.sampled_from(["spacing", "slices", "channels", "images", "min", "max"]), numbers),
    unit=units,
    across=st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)),
    slices=st.sampled_from([1, 3]),
)
def test_imagej(
    fields: dict[str, str],
    unit: str,
    across: tuple[int, int],
    slices: int,
    patch_of_skin: npt.NDArray[np.uint8],
    model: Model,
    tmp_path: Path,
) -> None:
    stack = np.stack([patch_of_skin] * slices) if slices > 1 else patch_of_skin
    lines = [f"{key}={value}" for key, value in (fields | {"unit": unit.replace("µ", "u")}).items() if key != "images"]
    description = "\n".join(["ImageJ=1.54f", *lines, ""])
    data = tiff(stack, description=description, resolution=(1, 1))
    (tmp_path / "f.tif").write_bytes(with_resolution(data, across, RATIONAL))
    outcome(tmp_path / "f.tif", model)


LARGEST = 2**32 - 1
ABSURD_RATIONALS = [(0, 0), (0, 1), (1, 0), (LARGEST, 0), (LARGEST, 1), (1, LARGEST)]


def with_resolution(data: bytes, across: tuple[int, int], kind: int) -> bytes:
    """A little-endian TIFF whose X and Y resolution are other numbers, of another type of 8 bytes."""
    changed = bytearray(data)
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        tags = [file.pages[0].tags[code] for code in (282, 283)]
        for tag in tags:
            struct.pack_into("<H", changed, tag.offset + 2, kind)
            struct.pack_into("<II", changed, tag.valueoffset, *across)
    return bytes(changed)


RATIONAL, SIGNED_RATIONAL, DOUBLE = 5, 10, 12
MINUS_ONE = LARGEST


@fuzz
@given(
    across=st.one_of(st.tuples(st.integers(0, LARGEST), st.integers(0, LARGEST)), st.sampled_from(ABSURD_RATIONALS)),
    kind=st.sampled_from([RATIONAL, SIGNED_RATIONAL, DOUBLE]),
    unit=st.sampled_from([1, 2, 3, 0, 77]),
)
def test_tiff(
    across: tuple[int, int],
    kind: int,
    unit: int,
    patch_of_skin: npt.NDArray[np.uint8],
    model: Model,
    tmp_path: Path,
) -> None:
    data = tiff(patch_of_skin, resolution=(100, 100), resolutionunit=3)
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        at = file.pages[0].tags[296].valueoffset
    changed = bytearray(with_resolution(data, across, kind))
    struct.pack_into("<H", changed, at, unit)
    (tmp_path / "f.tif").write_bytes(changed)
    outcome(tmp_path / "f.tif", model)


@pytest.mark.parametrize(
    ("across", "kind"),
    [
        *((each, RATIONAL) for each in ABSURD_RATIONALS),
        ((MINUS_ONE, 1), SIGNED_RATIONAL),
        (struct.unpack("<II", struct.pack("<d", math.nan)), DOUBLE),
        (struct.unpack("<II", struct.pack("<d", math.inf)), DOUBLE),
        (struct.unpack("<II", struct.pack("<d", -1.0)), DOUBLE),
        (struct.unpack("<II", struct.pack("<d", 5e-324)), DOUBLE),
        (struct.unpack("<II", struct.pack("<d", 1e300)), DOUBLE),
    ],
)
def test_an_absurd_resolution_is_withheld(
    across: tuple[int, int], kind: int, frame: npt.NDArray[np.uint8], model: Model, tmp_path: Path
) -> None:
    data = tiff(frame, resolution=(100, 100), resolutionunit=3)
    (tmp_path / "f.tif").write_bytes(with_resolution(data, across, kind))
    record = outcome(tmp_path / "f.tif", model)
    assert record["status"] == "withheld"
    assert any(reason.startswith("scale: the file tells ") for reason in record["reasons"]), record["reasons"]


# a number of as many characters as the standard allows, for texts that are none
STAND_IN = "1234567890.12345"
DICOM_NUMBERS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "PixelSpacing": lambda text: {"PixelSpacing": [text, text]},
    "NominalScannedPixelSpacing": lambda text: {"NominalScannedPixelSpacing": [text, text]},
    "RescaleSlope": lambda text: {"RescaleSlope": text},
    "RescaleIntercept": lambda text: {"RescaleIntercept": text},
    "WindowWidth": lambda text: {"WindowWidth": text},
    "spacing of a group": lambda text: {
        "SharedFunctionalGroupsSequence": [item(PixelMeasuresSequence=[item(PixelSpacing=[text, text])])]
    },
}
DICOM_FLOATS: dict[str, Callable[[float], dict[str, Any]]] = {
    "ImagedVolume": lambda value: {"ImagedVolumeWidth": value, "ImagedVolumeHeight": value},
    "ImageAcquisitionDepth": lambda value: {"ImageAcquisitionDepth": value},
}


@fuzz
@given(texts=st.dictionaries(st.sampled_from(list(DICOM_NUMBERS)), numbers), data=st.data())
def test_dicom(
    texts: dict[str, str], data: st.DataObject, patch_of_skin: npt.NDArray[np.uint8], model: Model, tmp_path: Path
) -> None:
    told: dict[str, Any] = {}
    for name in texts:
        told |= DICOM_NUMBERS[name](STAND_IN)
    for name, value in data.draw(st.dictionaries(st.sampled_from(list(DICOM_FLOATS)), st.floats(width=32))).items():
        told |= DICOM_FLOATS[name](value)
    written = quietly(patch_of_skin, um_per_px=None, **told)
    for text in texts.values():
        # in the order of their tags, which is as good as any
        written = written.replace(STAND_IN.encode(), text[:16].ljust(16).encode(), 2)
    (tmp_path / "f.dcm").write_bytes(written)
    outcome(tmp_path / "f.dcm", model)


def quietly(pixels: npt.NDArray[np.uint8], **told: Any) -> bytes:
    """A DICOM file, with numbers that pydicom warns of and does not let pass unless it is told to."""
    from pydicom import config

    before = config.settings.writing_validation_mode, config.settings.reading_validation_mode
    config.settings.writing_validation_mode = config.settings.reading_validation_mode = config.IGNORE
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return dicom(pixels, **told)
    finally:
        config.settings.writing_validation_mode, config.settings.reading_validation_mode = before


@pytest.mark.parametrize("text", ["1e308", "-1", "0", "1e-300", "nan", "inf", "-inf"])
def test_an_absurd_spacing_of_dicom_is_withheld(
    text: str, frame: npt.NDArray[np.uint8], model: Model, tmp_path: Path
) -> None:
    (tmp_path / "f.dcm").write_bytes(quietly(frame, um_per_px=None, PixelSpacing=[text, text]))
    record = outcome(tmp_path / "f.dcm", model)
    assert record["status"] == "withheld"
    assert any(reason.startswith("scale: the file tells ") for reason in record["reasons"]), record["reasons"]


@pytest.mark.parametrize("depth_mm", [1e30, -1e30, math.nan, math.inf])
def test_an_absurd_depth_of_dicom_is_withheld(
    depth_mm: float, frame: npt.NDArray[np.uint8], model: Model, tmp_path: Path
) -> None:
    (tmp_path / "f.dcm").write_bytes(quietly(frame, ImageAcquisitionDepth=depth_mm))
    record = outcome(tmp_path / "f.dcm", model)
    assert record["status"] == "withheld"
    assert any(reason.startswith("depth: the file tells ") for reason in record["reasons"]), record["reasons"]


def test_a_name_of_many_digits_and_a_time_beyond_all_calendars(
    frame: npt.NDArray[np.uint8], model: Model, tmp_path: Path, save_image: Callable[..., str]
) -> None:
    folder = tmp_path / "VivaStack #1"
    for digits in (9, 200):
        path = folder / f"v{'9' * digits}.bmp"
        save_image(path, frame)
        os.utime(path, (10**11, 10**11))
        record = outcome(path, model, stack_step_um=5.0)
        assert record["image"]["z_um"] is None
        assert record["status"] == ("withheld" if digits == 9 else "scored")


def test_score_does_the_others(
    frame: npt.NDArray[np.uint8], model: Model, tmp_path: Path, save_image: Callable[..., str]
) -> None:
    (tmp_path / "b.dcm").write_bytes(quietly(frame, um_per_px=None, PixelSpacing=["1e308", "1e308"]))
    (tmp_path / "c.tif").write_bytes(tiff(frame, description=ome({"PhysicalSizeX": "1e-300"}, {})))
    for name in ("a.bmp", "d.bmp"):
        save_image(tmp_path / name, frame)
    images = [Input(path, PurePath(path.name)) for path in sorted(tmp_path.glob("*.*"))]
    with ResultWriter() as writer:
        found = list(score_files(images, tmp_path / "out", model, writer))
    assert [each.status for each in found if not isinstance(each, InflamapError)] == [
        "scored",
        "withheld",
        "withheld",
        "scored",
    ]


def test_the_watch_withholds_it_and_does_the_others(
    bench: Bench, frame: npt.NDArray[np.uint8], save_image: Callable[..., str]
) -> None:
    (bench.folder / "b.dcm").write_bytes(quietly(frame, um_per_px=None, PixelSpacing=["1e308", "1e308"]))
    (bench.folder / "c.tif").write_bytes(tiff(frame, description=ome({}, {"PositionZ": "1e305", "PositionZUnit": "m"})))
    for name in ("a.bmp", "d.bmp"):
        save_image(bench.folder / name, frame)
    tally = bench.once(um_per_px=None)
    assert bench.states() == {"a.bmp": "scored", "b.dcm": "withheld", "c.tif": "withheld", "d.bmp": "scored"}
    assert (tally.done, tally.failed) == (4, 0)


@pytest.mark.parametrize(
    ("said", "option"),
    [
        ({"um_per_px": 1e300}, "--um-per-px"),
        ({"um_per_px": 1e-300}, "--um-per-px"),
        ({"um_per_px_in": {"Site 2": 1e9}}, "--um-per-px-in Site 2"),
        ({"um_per_px_in": {"Site 2": math.nan}}, "--um-per-px-in Site 2"),
        ({"stack_step_um": 1e9}, "--stack-step"),
        ({"stack_step_um": 5e-324}, "--stack-step"),
        ({"grey_range": (0.0, 1e300)}, "--grey-range"),
        ({"grey_range": (0.0, 5e-324)}, "--grey-range"),
        ({"grey_range": (1e9, 1e9 + 1)}, "--grey-range"),
        ({"depth_um": (0.0, 1e300)}, "--depth"),
        ({"depth_um": (-math.inf, 0.0)}, "--depth"),
    ],
)
def test_an_absurd_option_is_named(said: dict[str, Any], option: str) -> None:
    with pytest.raises(InflamapError) as caught:
        Acquisition(**said)
    assert str(caught.value).startswith(f"{option} is ")


@pytest.mark.parametrize("range_", [UM_PER_PX, DEPTH_UM])
def test_the_ends_of_a_range_are_in_it(range_: Any) -> None:
    assert range_.holds(range_.low)
    assert range_.holds(range_.high)
    assert not range_.holds(math.nextafter(range_.low, -math.inf))
    assert not range_.holds(math.nextafter(range_.high, math.inf))
    assert not range_.holds(math.nan)
