"""A map file must put every cell where it belongs in any OME reader, and tell nothing it should not."""

import getpass
import socket
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile

from runtime.dense_map import Geometry, InflammationMap
from runtime.grading import Grading
from runtime.map_file import encode_map

OME = {"ome": "http://www.openmicroscopy.org/Schemas/OME/2016-06"}
GEOMETRY = Geometry(patch_px=128, stride_px=16, um_per_px=0.7)
GRADING = Grading(("0", "1", "2", "3", "4"))


def some_map(rows: int = 5, columns: int = 7, geometry: Geometry = GEOMETRY) -> InflammationMap:
    random = np.random.default_rng(3)
    probabilities = random.dirichlet(np.ones(5), (rows, columns)).transpose(2, 0, 1).astype(np.float32)
    return InflammationMap(probabilities, np.zeros((rows, columns), np.float32), geometry)


def read(data: bytes) -> tuple[np.ndarray, ElementTree.Element]:
    with tifffile.TiffFile(BytesIO(data)) as file:
        assert file.series[0].axes == "CYX"
        assert file.ome_metadata is not None
        return file.asarray(), ElementTree.fromstring(file.ome_metadata.encode())


@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (4, 1), (2, 3), (55, 55)])
def test_planes_are_grade_and_confidence_with_withheld_cells_as_nan(shape: tuple[int, int]) -> None:
    map = some_map(*shape)
    valid = np.ones(shape, bool)
    valid[-1, 0] = False
    planes, ome = read(encode_map([(map, valid)], "v0000000.bmp", GRADING))
    assert planes.dtype == np.float32
    assert planes.shape == (2, *shape)
    np.testing.assert_array_equal(planes[0], np.where(valid, map.expected_grade(), np.nan))
    np.testing.assert_array_equal(planes[1], np.where(valid, map.confidence(), np.nan))
    assert [channel.get("Name") for channel in ome.iterfind(".//ome:Channel", OME)] == ["grade", "confidence"]


def test_without_order_a_cell_holds_its_class_and_the_description_says_so() -> None:
    map, valid = some_map(), np.ones((5, 7), bool)
    valid[0, 0] = False
    grading = Grading(("healthy", "psoriatic", "a & <b>", "d", "b\udcffd\x00"), ordered=False)
    planes, ome = read(encode_map([(map, valid)], "v.bmp", grading))
    np.testing.assert_array_equal(planes[0], np.where(valid, map.probabilities.argmax(0), np.nan))
    np.testing.assert_array_equal(planes[1], np.where(valid, map.confidence(), np.nan))
    description = ome.findtext(".//ome:Description", "", OME)
    assert "index of the most probable class (0 = healthy, 1 = psoriatic, 2 = a & <b>," in description
    assert "no order" in description
    assert "expected grade" not in description
    ordered = read(encode_map([(map, valid)], "v.bmp", GRADING))[1].findtext(".//ome:Description", "", OME)
    assert "expected grade (Inflammation; 0 = 0, 1 = 1," in ordered


def test_cells_are_placed_on_the_frame_in_micrometres() -> None:
    _, ome = read(encode_map([(some_map(), np.ones((5, 7), bool))], "v0000000.bmp", GRADING))
    pixels = ome.find(".//ome:Pixels", OME)
    assert pixels is not None
    for side in "XY":
        assert float(pixels.get(f"PhysicalSize{side}", "nan")) == pytest.approx(16 * 0.7)
        assert pixels.get(f"PhysicalSize{side}Unit") == "µm"
    planes = ome.findall(".//ome:Plane", OME)
    assert [plane.get("TheC") for plane in planes] == ["0", "1"]
    for plane in planes:
        for side in "XY":
            assert float(plane.get(f"Position{side}", "nan")) == pytest.approx(64 * 0.7)
            assert plane.get(f"Position{side}Unit") == "µm"


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("v0000000.bmp", "v0000000.bmp"),
        ("Müller #1 & <b> \"q\" {x} 'y' 中文.bmp", "Müller #1 & <b> \"q\" {x} 'y' 中文.bmp"),
        ("Patient Doe/VivaStack #1/v1.bmp", "v1.bmp"),
        ("C:\\Patient Doe\\v1.bmp", "v1.bmp"),
        ("b\udcffd\x00\n\x1b.bmp", "b\ufffdd\ufffd\ufffd\ufffd.bmp"),
    ],
)
def test_any_file_name_is_stored_without_its_folders(name: str, stored: str) -> None:
    data = encode_map([(some_map(), np.ones((5, 7), bool))], name, GRADING)
    _, ome = read(data)
    image = ome.find("ome:Image", OME)
    assert image is not None
    assert image.get("Name") == stored
    assert b"Doe" not in data


def test_the_file_tells_its_use_and_neither_machine_nor_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def leak() -> None:
        raise AssertionError("an id made of the network address and the time")

    monkeypatch.setattr("uuid.uuid1", leak)
    data = encode_map([(some_map(), np.ones((5, 7), bool))], "v0000000.bmp", GRADING)
    assert b"Research use only" in data
    for private in (socket.gethostname(), str(Path.home()), str(Path.cwd()), f"{getpass.getuser()}@"):
        assert len(private) < 3 or private.encode() not in data
    with tifffile.TiffFile(BytesIO(data)) as file:
        assert not {"DateTime", "HostComputer", "Artist"} & {tag.name for tag in file.pages[0].tags}


def test_equal_maps_give_equal_bytes_and_others_another_id() -> None:
    valid = np.ones((5, 7), bool)
    first = encode_map([(some_map(), valid)], "a.bmp", GRADING)
    assert first == encode_map([(some_map(), valid.copy())], "elsewhere/a.bmp", GRADING)
    others = [
        encode_map([(some_map(), valid)], "b.bmp", GRADING),
        encode_map([(some_map(geometry=Geometry(128, 8, 0.7)), valid)], "a.bmp", GRADING),
        encode_map([(some_map(), ~valid)], "a.bmp", GRADING),
    ]
    ids = {read(data)[1].get("UUID") for data in (first, *others)}
    assert len(ids) == 4
    assert all(id_ and id_.startswith("urn:uuid:") for id_ in ids)


def test_the_map_handed_in_is_left_alone() -> None:
    map = some_map()
    before = map.probabilities.copy()
    encode_map([(map, np.zeros((5, 7), bool))], "a.bmp", GRADING)
    np.testing.assert_array_equal(map.probabilities, before)


def test_on_a_scale_from_1_cells_are_counted_from_1_and_the_description_says_so() -> None:
    map, valid = some_map(), np.ones((5, 7), bool)
    planes, ome = read(encode_map([(map, valid)], "v.bmp", Grading(("1", "2", "3", "4", "5"))))
    np.testing.assert_allclose(planes[0], map.expected_grade() + 1, atol=1e-6)
    np.testing.assert_array_equal(planes[1], map.confidence())
    assert "expected grade (Inflammation; 1 = 1, 2 = 2," in ome.findtext(".//ome:Description", "", OME)
