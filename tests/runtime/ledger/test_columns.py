"""A row of the ledger as an object: a sound one whole, a damaged one with what can still be told of the image."""

import sys
from pathlib import Path

import pytest

from runtime.file_state import FileState
from runtime.ledger.checksum import checksum
from runtime.ledger.columns import COLUMNS, DAMAGED_ROW, checked_row, to_row
from runtime.ledger.row import ImageRow, Outcome, State

SAVED_S = 1_700_000_000
SOUND = {
    **dict.fromkeys(COLUMNS),
    "path": b"Site #1/a.bmp",
    "state": "scored",
    "reason": "",
    "size": 10,
    "mtime_ns": SAVED_S * 10**9,
    "ctime_ns": 30,
    "inode": 40,
    "arrived": 1_700_000_001.5,
    "attempts": 2,
    "interruptions": 0,
    "redo": 0,
    "finished": 1_700_000_002.5,
    "score": 2.25,
    "synthetic": 1,
    "score_file": b"Site #1/a.bmp.score.json",
}


def damaged_row(**found: object) -> ImageRow:
    """The object of a row that holds other values than its checksum is of."""
    return checked_row([*(SOUND | found).values(), checksum(*SOUND.values()) + 1])


def test_sound_row_is_told_whole() -> None:
    assert checked_row([*SOUND.values(), checksum(*SOUND.values())]) == ImageRow(
        Path("Site #1/a.bmp"),
        State.SCORED,
        "",
        2,
        False,
        FileState(10, SAVED_S * 10**9, 30, 40),
        1_700_000_001.5,
        None,
        1_700_000_002.5,
        Outcome(score=2.25, synthetic=True, score_file="Site #1/a.bmp.score.json"),
        damaged=False,
    )


@pytest.mark.parametrize("values", [[*SOUND.values()][:-1], [*SOUND.values(), None]], ids=["fewer", "more"])
def test_row_with_another_number_of_columns_is_refused(values: list[object]) -> None:
    """Each value would stand in the place of another."""
    with pytest.raises(ValueError, match="zip"):
        to_row(values)


def test_damaged_row_tells_its_image_and_its_times_and_no_result() -> None:
    assert damaged_row(reason="too dark") == ImageRow(
        Path("Site #1/a.bmp"),
        State.FAILED,
        f"{DAMAGED_ROW} (was: too dark)",
        0,
        False,
        FileState(0, SAVED_S * 10**9),
        1_700_000_001.5,
        None,
        1_700_000_002.5,
        Outcome(),
        damaged=True,
    )


def test_time_of_an_image_whose_row_is_damaged_is_that_of_its_file() -> None:
    """To the microsecond: images are ordered by it."""
    saved_ns = SAVED_S * 10**9 + 123_456_789
    assert abs(damaged_row(mtime_ns=saved_ns).file.mtime_ns - saved_ns) < 1000


@pytest.mark.parametrize("mtime_ns", [None, "text", b"bytes", 1.5, -1])
def test_damaged_time_of_a_file_is_none(mtime_ns: object) -> None:
    assert damaged_row(mtime_ns=mtime_ns).file == FileState(0, 0)


@pytest.mark.parametrize("time", [None, "text", b"bytes", -1.0, float("inf"), float("nan"), 1e300])
def test_damaged_times_of_an_image_are_not_told(time: object) -> None:
    row = damaged_row(arrived=time, finished=time)
    assert (row.arrived, row.finished) == (0.0, None)


@pytest.mark.parametrize(
    ("key", "path"),
    [(None, ""), ("b.bmp", "b.bmp"), (5, "5"), (b"sub/c.bmp", "sub/c.bmp")],
    ids=["none", "text", "number", "bytes"],
)
def test_key_that_is_no_path_is_told_as_text(key: object, path: str) -> None:
    assert damaged_row(path=key).path == Path(path)


@pytest.mark.skipif(sys.platform == "win32", reason="names are UTF-16 there")
def test_key_that_is_no_utf8_is_told_as_the_system_names_it() -> None:
    assert damaged_row(path=b"\xff.bmp").path == Path("\udcff.bmp")
