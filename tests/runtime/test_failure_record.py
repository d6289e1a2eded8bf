"""A failure record comes back as it was written, and whatever else lies under its name is no failure."""

import json
import os
import shutil
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.failure_record import FailureRecord, read_failure, remove_failure, write_failure
from runtime.file_state import FileState
from runtime.outputs import result_files

FAILED = FailureRecord(
    path=Path("site 1/b.bmp"),
    file=FileState(1234, 1_700_000_000_123_456_789),
    reason="the file is truncated",
    attempts=3,
    heals=True,
    gone=False,
    at=1_700_000_100.25,
)
whole = st.integers(-(2**63) + 1, 2**63 - 1)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda each: st.lists(each, max_size=2)
)


def test_record_says_what_failed_why_and_when(tmp_path: Path) -> None:
    write_failure(tmp_path, FAILED)
    document = json.loads((tmp_path / "site 1" / "b.bmp.failed.json").read_text())
    image = document.pop("image")
    assert (image["path"], image["size"], image["mtime_ns"]) == ("site 1/b.bmp", 1234, 1_700_000_000_123_456_789)
    assert document == {
        "schema": "inflamap.failure/1",
        "reason": "the file is truncated",
        "attempts": 3,
        "heals": True,
        "gone": False,
        "failed": "2023-11-14T22:15:00.250000+00:00",
        "version": FAILED.version,
    }


@settings(deadline=None, max_examples=50)
@given(
    file=st.builds(FileState, whole, whole, st.none() | whole, st.none() | whole),
    reason=st.text(st.characters(exclude_categories=["Cs"])).map(lambda text: "".join(filter(str.isprintable, text))),
    attempts=st.integers(0, 2**31),
    heals=st.booleans(),
    gone=st.booleans(),
    at=st.integers(0, 4_000_000_000),
    name=st.sampled_from(["a.bmp", "x" * 250 + ".bmp", "line\nbreak.bmp", os.fsdecode(b"a\xff.bmp")]),
)
def test_record_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory,
    file: FileState,
    reason: str,
    attempts: int,
    heals: bool,
    gone: bool,
    at: int,
    name: str,
) -> None:
    out = tmp_path_factory.mktemp("out")
    written = FailureRecord(
        path=Path("site 1") / name, file=file, reason=reason, attempts=attempts, heals=heals, gone=gone, at=at
    )
    write_failure(out, written)
    assert read_failure(out, out / result_files(written.path).failure) == written
    remove_failure(out, written.path)
    remove_failure(out, written.path)
    assert [path for path in out.rglob("*") if path.is_file()] == []


@settings(deadline=None, max_examples=300)
@given(
    place=st.sampled_from([*sorted(FAILED.to_json()), "path", *FileState._fields]),
    value=json_values,
)
def test_record_with_any_value_is_read_or_left_and_fits_the_ledger(
    tmp_path_factory: pytest.TempPathFactory, place: str, value: object
) -> None:
    """What is read is kept by SQLite as it is: whole numbers of 64 bits, and text that is UTF-8."""
    out = tmp_path_factory.mktemp("out")
    document = FAILED.to_json()
    (document if place in document else document["image"])[place] = value
    file = out / result_files(FAILED.path).failure
    file.parent.mkdir()
    file.write_text(json.dumps(document))
    found = read_failure(out, file)
    if found is not None:
        assert found.path == FAILED.path
        numbers = [number for number in (*found.file, found.attempts) if number is not None]
        assert all(-(2**63) < number < 2**63 for number in numbers)
        found.reason.encode()


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"schema": "inflamap.failure/2"}', "[" * 100_000])
def test_damaged_record_is_no_failure(tmp_path: Path, text: str) -> None:
    file = tmp_path / result_files(FAILED.path).failure
    file.parent.mkdir()
    file.write_text(text)
    assert read_failure(tmp_path, file) is None


def test_lone_surrogate_in_a_reason_is_escaped(tmp_path: Path) -> None:
    write_failure(tmp_path, FAILED)
    file = tmp_path / result_files(FAILED.path).failure
    file.write_text(file.read_text().replace("truncated", "\\ud800"))
    found = read_failure(tmp_path, file)
    assert found is not None
    assert found.reason == "the file is \\ud800"


def test_record_that_was_copied_is_of_no_image(tmp_path: Path) -> None:
    write_failure(tmp_path, FAILED)
    copy = tmp_path / "site 1" / "c.bmp.failed.json"
    shutil.copy(tmp_path / result_files(FAILED.path).failure, copy)
    assert read_failure(tmp_path, copy) is None


def test_names_of_results_are_what_they_were() -> None:
    """The failure's suffix of 12 bytes leaves 243 bytes to a name, as the suffixes of results do."""
    longest = result_files(PurePosixPath("x" * 243))
    assert longest.map.name == "x" * 243 + ".map.ome.tif"
    assert longest.failure.name == "x" * 243 + ".failed.json"
    assert result_files(PurePosixPath("x" * 244)).map.name.startswith("x" * 234 + "~")
