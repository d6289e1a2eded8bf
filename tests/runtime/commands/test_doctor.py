"""`inflamap doctor` as an engineer meets it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.cli import main
from runtime.doctor import folder
from runtime.doctor.finding import Case, Finding, Level


def doctor(*words: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["doctor", *words])
    return int(stop.value.code or 0)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[Case]:
    """Cases examined; the findings are one of each level, with an odd name in one."""
    cases: list[Case] = []

    def examine(case: Case) -> Iterator[Finding]:
        cases.append(case)
        yield Finding("software", Level.OK, "all there")
        yield Finding("clock", Level.WARNING, "a\x1b[2Jb is late " + "very " * 40, "set it")
        if case.engine == "broken":
            yield Finding("engine", Level.FAULT, "does not run", "mend it")

    monkeypatch.setattr("runtime.doctor.examination.examine", examine)
    return cases


def test_lines_hold_level_check_what_was_seen_and_the_next_step(
    quick: list[Case], capsys: pytest.CaptureFixture[str]
) -> None:
    assert doctor() == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    lines = captured.out.splitlines()
    assert lines[0] == "ok       software    all there"
    assert lines[1].startswith("warning  clock       a\\x1b[2Jb is late very")
    assert lines[1].endswith("; next: set it")
    assert "1 warning" in lines
    assert lines[-1].startswith("not examined: give FOLDER and --out")
    assert quick == [Case()]


def test_fault_exits_with_1(quick: list[Case], capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor("--engine", "broken") == 1
    assert "fault    engine      does not run; next: mend it" in capsys.readouterr().out.splitlines()
    assert len(quick) == 1


def test_json_is_one_document(quick: list[Case], capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor("--engine", "broken", "--json") == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["faults"], document["warnings"]) == (1, 1)
    assert document["checks"][2] == {
        "check": "engine",
        "level": "fault",
        "seen": "does not run",
        "next": "mend it",
    }
    assert quick[0].engine == "broken"


def test_terminal_shows_colour_and_wraps_below_the_name(
    quick: list[Case], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    assert doctor() == 0
    lines = capsys.readouterr().out.splitlines()
    assert "\x1b[32m" in lines[0]
    assert all(line.startswith(" " * 21) for line in lines[2:4])
    assert all(len(line) < 80 for line in lines if "\x1b" not in line)
    assert any("next:\x1b[0m set it" in line for line in lines)
    assert len(quick) == 1


def test_configuration_names_what_is_examined(
    quick: list[Case], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "inflamap.toml"
    config.write_text('[watch]\nfolder = "in"\nout = "out"\nmin_free_gb = 3\nengine = "onnxruntime-int8"\n')
    assert doctor("--config", str(config), "--out", str(tmp_path / "other")) == 0
    assert "ok       settings    those of" in capsys.readouterr().out
    (case,) = quick
    assert (case.folder, case.out) == (tmp_path / "in", tmp_path / "other")
    assert (case.min_free_gb, case.engine) == (3, "onnxruntime-int8")


def test_every_fault_of_a_configuration_is_a_line_and_the_rest_is_examined(
    quick: list[Case], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "inflamap.toml"
    config.write_text('[watch]\nfolder = "in"\nout = "out"\nthreads = 0\nengine = "magic"\n')
    assert doctor("--config", str(config)) == 1
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("fault    settings ")]
    assert len(lines) == 2
    assert "threads" in "".join(lines)
    assert "magic" in "".join(lines)
    assert len(quick) == 1


def test_real_examination_of_a_sound_folder_ends_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder.survey.cache_clear()
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    words = [str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--min-free", "0", "--engine", "onnxruntime-fp32"]
    assert doctor(*words, "--json") == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["faults"] == 0
    assert captured.err == ""
    assert list((tmp_path / "out").iterdir()) == []
