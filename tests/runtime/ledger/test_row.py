"""What the ledger keeps of a score.json, and under which key."""

import json
import os
import sys
from pathlib import Path, PurePath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import result_of

from runtime.file_state import FileState
from runtime.ledger.row import ImageRow, Outcome, State, from_key, to_key
from runtime.result import ImageRecord, MapRecord, ModelRecord, Result, Score, Timing

PATH = PurePath("Site #1/a.bmp")
SCORED = Result(
    ImageRecord("Site #1/a.bmp", "5" * 64, 100, 90, 0.5, "file"),
    ModelRecord("tiny", "6" * 64, "onnxruntime-fp32", "fp32", True),
    "scored",
    ("left half too dark",),
    Score(2.25, 2, {"none": 0.25, "mild": 0.75}, 0.125),
    MapRecord("a.bmp.map.ome.tif", 64, 16, (3, 4), (16.0, 16.0)),
    "a.bmp.overlay.jpg",
    Timing(1.0, 2.0, 3.0, 6.0),
)
WITHHELD = Result(
    ImageRecord("Site #1/a.bmp", "5" * 64, 100, 90, None, "unknown"),
    SCORED.model,
    "withheld",
    ("no scale",),
    None,
    None,
    "a.bmp.overlay.jpg",
    SCORED.timing_ms,
)


def test_scored_result_is_kept() -> None:
    outcome = Outcome.of(PATH, SCORED)
    assert json.loads(outcome.area_fraction or "") == {"none": 0.25, "mild": 0.75}
    assert outcome == Outcome(
        sha256="5" * 64,
        um_per_px=0.5,
        score=2.25,
        grade=2,
        withheld_fraction=0.125,
        area_fraction=outcome.area_fraction,
        model="tiny",
        model_sha256="6" * 64,
        engine="onnxruntime-fp32",
        precision="fp32",
        synthetic=True,
        read_ms=1.0,
        infer_ms=2.0,
        write_ms=3.0,
        total_ms=6.0,
        score_file="Site #1/a.bmp.score.json",
        overlay_file="Site #1/a.bmp.overlay.jpg",
        map_file="Site #1/a.bmp.map.ome.tif",
    )


def test_result_without_order_is_scored_and_has_a_class() -> None:
    outcome = Outcome.of(Path("a.bmp"), result_of(Path("a.bmp"), ordered=False))
    assert (outcome.score, outcome.grade) == (None, 1)
    assert outcome.area_fraction is not None
    assert json.loads(outcome.area_fraction)["mild"] == 0.5


def test_withheld_result_has_neither_score_nor_map() -> None:
    outcome = Outcome.of(PATH, WITHHELD)
    assert outcome.um_per_px is None
    assert [outcome.score, outcome.grade, outcome.withheld_fraction, outcome.area_fraction, outcome.map_file] == [
        None
    ] * 5
    assert outcome.overlay_file == "Site #1/a.bmp.overlay.jpg"


def test_outcome_cannot_be_changed() -> None:
    outcome = Outcome.of(PATH, SCORED)
    with pytest.raises(AttributeError):
        outcome.score = 3.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("mtime_ns", "finished", "acquired"),
    [
        (1_500_000_000, 7.0, 1.5),
        (1_500_000_000, None, 1.5),
        # no file was ever seen
        (0, 7.0, 7.0),
        (0, None, 5.0),
        # a clock of before 1970 says nothing of an image
        (-1, 7.0, 7.0),
    ],
)
def test_image_was_acquired_when_its_file_was_saved_or_else_when_its_result_was_there(
    mtime_ns: int, finished: float | None, acquired: float
) -> None:
    file = FileState(10, mtime_ns)
    assert ImageRow(Path("a"), State.SCORED, "", 1, False, file, 5.0, None, finished, Outcome()).acquired == acquired


@pytest.mark.skipif(sys.platform == "win32", reason="names are UTF-16 there")
@given(st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=4))
def test_any_path_has_a_key_of_its_own_and_comes_back(names: list[bytes]) -> None:
    path = Path(*[os.fsdecode(name.replace(b"/", b"-").replace(b"\0", b"-")) for name in names])
    assert from_key(to_key(path)) == path
    assert to_key(path) == os.fsencode(path)


def test_key_has_forward_slashes_and_utf8_on_every_system() -> None:
    assert to_key(PureWindowsPath("Site #1\\ä.bmp")) == "Site #1/ä.bmp".encode()
    assert to_key(PurePath("Site #1", "ä.bmp")) == "Site #1/ä.bmp".encode()
    assert from_key(b"Site #1/a.bmp") == Path("Site #1", "a.bmp")
