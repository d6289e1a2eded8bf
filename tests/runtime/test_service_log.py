"""One line an image, for a person and as JSON; the file is rotated, and its troubles are nobody else's."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any

import pytest
from made_up import result_of

from runtime.errors import InflamapError
from runtime.log_file import log_file
from runtime.pseudonyms import Pseudonyms
from runtime.service_log import ServiceLog

PATIENT = Path("Eva Müller/v0000001.bmp")


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="ascii").splitlines()]


def test_result_is_one_line_for_a_person_and_one_for_a_program() -> None:
    said, written = list[str](), list[dict[str, Any]]()
    ServiceLog(said.append, written.append).result(PATIENT, result_of(PATIENT))
    assert said == ["Eva Müller/v0000001.bmp: 2.25 (grade 2); 12 % of the cells withheld"]
    (entry,) = written
    assert entry.pop("time").endswith("Z")
    assert entry == {
        "level": "info",
        "event": "scored",
        "image": "Eva Müller/v0000001.bmp",
        "score": 2.25,
        "grade": 2,
        "reasons": [],
        "sha256": "5" * 64,
        "model": "t" * 64,
        "engine": "onnxruntime-fp32",
        "ms": 6.0,
        "line": said[0],
    }


def test_result_without_order_is_logged_by_its_class() -> None:
    said, written = list[str](), list[dict[str, Any]]()
    ServiceLog(said.append, written.append).result(PATIENT, result_of(PATIENT, ordered=False))
    assert said == ["Eva Müller/v0000001.bmp: mild · 50 % of the area; 12 % of the cells withheld"]
    assert (written[0]["event"], written[0]["score"], written[0]["grade"]) == ("scored", None, 1)


def test_withheld_and_failed_images_tell_why() -> None:
    said, written = list[str](), list[dict[str, Any]]()
    log = ServiceLog(said.append, written.append)
    log.result(PATIENT, result_of(PATIENT, status="withheld"))
    log.failed(PATIENT, "the file is truncated", attempts=2, again_in_s=20.0)
    assert [entry["event"] for entry in written] == ["withheld", "failed"]
    assert (written[0]["score"], written[0]["reasons"]) == (None, ["too dark, too small"])
    assert (written[1]["reason"], written[1]["attempts"], written[1]["again_in_s"]) == ("the file is truncated", 2, 20)
    assert said[1] == "inflamap: Eva Müller/v0000001.bmp: the file is truncated"


def test_with_pseudonyms_no_name_is_said_or_written() -> None:
    said, written = list[str](), list[dict[str, Any]]()
    log = ServiceLog(said.append, written.append, Pseudonyms(bytes(32)))
    log.result(PATIENT, result_of(PATIENT))
    log.failed(PATIENT, "/out/Eva Müller/v0000001.bmp.score.json cannot be written", attempts=1, again_in_s=10.0)
    log.event("folder_fault", "/in/Eva Müller: this folder cannot be listed", level="warning", about=PATIENT.parent)
    everything = json.dumps([said, written], ensure_ascii=False)
    assert "Müller" not in everything
    assert "v0000001" not in everything
    assert written[0]["image"] == written[1]["image"]


def test_scores_stay_with_pseudonyms_of_images_named_by_numbers() -> None:
    said, written = list[str](), list[dict[str, Any]]()
    log = ServiceLog(said.append, written.append, Pseudonyms(bytes(32)))
    log.result(Path("2/25.bmp"), result_of(Path("2/25.bmp")))
    log.event("gone", "2/25.bmp: gone after 2 tries", about=Path("2/25.bmp"))
    name = written[0]["image"]
    assert said == [f"{name}: 2.25 (grade 2); 12 % of the cells withheld", f"{name}: gone after 2 tries"]


def test_what_is_about_no_image_names_none() -> None:
    written = list[dict[str, Any]]()
    ServiceLog(lambda _line: None, written.append).event("started", "watching", about=PurePath(), engine="e")
    assert {key: written[0][key] for key in ("event", "engine", "line")} == {
        "event": "started",
        "engine": "e",
        "line": "watching",
    }
    assert "image" not in written[0]


def test_log_is_rotated_and_the_oldest_goes(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "inflamap.log"
    with log_file(path, max_mb=0.001, files=3) as write:
        for number in range(100):
            write({"number": number, "name": "m\udcff"})
    names = sorted(file.name for file in path.parent.iterdir())
    assert names == ["inflamap.log", "inflamap.log.1", "inflamap.log.2"]
    assert all(file.stat().st_size <= 1000 for file in path.parent.iterdir())
    assert lines_of(path)[-1] == {"number": 99, "name": "m\udcff"}
    # the next start goes on in the same file
    with log_file(path, max_mb=1, files=3) as write:
        write({"number": 100})
    assert [entry["number"] for entry in lines_of(path)][-2:] == [99, 100]


def test_log_that_cannot_be_written_to_is_said_at_the_start_and_later_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InflamapError, match="cannot be written"), log_file(tmp_path / "file" / "l", max_mb=1, files=2):
        pass

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with log_file(tmp_path / "l", max_mb=1, files=2) as write:
        monkeypatch.setattr("logging.StreamHandler.flush", full)
        write({"number": 1})
        monkeypatch.undo()
        write({"number": 2})
    assert [entry["number"] for entry in lines_of(tmp_path / "l")][-1] == 2
    assert capfd.readouterr().err == ""


@pytest.mark.skipif(sys.platform == "win32", reason="no limit of a file's size there")
def test_log_on_a_disk_that_failed_while_a_new_one_was_begun_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise OSError(5, "Input/output error")

    with log_file(tmp_path / "l", max_mb=0.00005, files=2) as write:
        write({"number": 1, "long": "x" * 50})
        with monkeypatch.context() as patched:
            patched.setattr(Path, "replace", broken)
            patched.setattr("logging.FileHandler._open", broken)
            write({"number": 2})
        write({"number": 3})
    assert lines_of(tmp_path / "l")[-1]["number"] == 3


@pytest.mark.skipif(sys.platform == "win32", reason="no limit of a file's size there")
def test_disk_that_is_still_full_when_the_log_ends_is_no_error(tmp_path: Path) -> None:
    with full_disk(), log_file(tmp_path / "l", max_mb=1, files=2) as write:
        write({"number": 1})
    assert (tmp_path / "l").read_text() == ""


@contextmanager
def full_disk() -> Iterator[None]:
    """No file grows while it is entered."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_log_that_a_viewer_holds_open_goes_on_and_loses_no_earlier_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "inflamap.log"
    for number in (1, 2, 3):
        (tmp_path / f"inflamap.log.{number}").write_text(f"earlier {number}")
    replace = Path.replace

    def refuse(self: Path, target: Path) -> Path:
        if self == path:
            raise PermissionError(13, "The process cannot access the file because it is being used by another process")
        return replace(self, target)

    with log_file(path, max_mb=0.0005, files=4) as write:
        with monkeypatch.context() as patched:
            patched.setattr(Path, "replace", refuse)
            for number in range(50):
                write({"number": number})
        assert [entry["number"] for entry in lines_of(path)] == list(range(50))
        assert [(tmp_path / f"inflamap.log.{number}").read_text() for number in (1, 2, 3)] == [
            f"earlier {number}" for number in (1, 2, 3)
        ]
        monkeypatch.setattr("runtime.log_file.time.monotonic", lambda: 1e12)
        write({"number": 50})
    assert [entry["number"] for entry in lines_of(path)] == [50]
    assert (tmp_path / "inflamap.log.2").read_text() == "earlier 1"
