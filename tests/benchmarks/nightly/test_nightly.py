"""Suites that pass, fail, hang and are interrupted each leave their row, and keep no other suite from running."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from interrupted import WAYS, interrupt

from benchmarks.nightly import __main__ as nightly
from benchmarks.nightly.run import FAILED, PASSED, Row, in_words, last_line, run_suites
from benchmarks.nightly.suites import Suite, all_suites, chosen, slow_files
from benchmarks.nightly.table import rewrite
from runtime.errors import InflamapError

CHECKOUT = Path(__file__).parents[3]
DOCUMENT = "# Night\n\nText | with a bar.\n\n<!-- table -->\n{rows}<!-- end -->\n\nMore.\n"
JOB = """
import sys
from pathlib import Path
from benchmarks.child_process import exit_with
from benchmarks.nightly import __main__ as nightly
from benchmarks.nightly.suites import Suite

def code(text):
    return (sys.executable, "-c", text)

nightly.all_suites = lambda _checkout, _folder: [
    Suite("good", code("print('3 images')"), 60),
    Suite("bad", code("print('boom'); raise SystemExit(4)"), 60),
    Suite("hangs", code("print('waiting', flush=True); import time; time.sleep(600)"), LIMIT),
    Suite("last", code("print('done')"), 60),
]
exit_with(nightly.main)
"""


def suite(name: str, code: str, limit_s: float = 60.0) -> Suite:
    return Suite(name, (sys.executable, "-c", code), limit_s)


@pytest.fixture
def night(tmp_path: Path) -> Callable[..., list[str]]:
    """Starts the job with fake suites, in a process of its own; gives the command."""

    def command(limit_s: float, *options: str) -> list[str]:
        (tmp_path / "nightly.md").write_text(DOCUMENT.format(rows=""))
        (tmp_path / "job.py").write_text(JOB.replace("LIMIT", str(limit_s)))
        paths = ["--logs", str(tmp_path / "logs"), "--document", str(tmp_path / "nightly.md")]
        return [sys.executable, str(tmp_path / "job.py"), *paths, *options]

    return command


def table(document: Path) -> dict[str, tuple[str, str]]:
    """Result and figures by suite."""
    rows = [line.strip("|").split("|") for line in document.read_text().splitlines() if line.startswith("| ")][1:]
    return {row[0].strip(): (row[1].strip(), row[2].strip()) for row in rows}


def test_a_suite_that_fails_or_hangs_keeps_none_from_running(tmp_path: Path) -> None:
    rows: list[Row] = []
    suites = [
        suite("good", "print('3 images')"),
        suite("bad/one", "print('boom'); raise SystemExit(4)"),
        suite("hangs", "print('waiting', flush=True); import time; time.sleep(600)", 1.0),
        Suite("absent", (str(tmp_path / "no such program"),), 60.0),
        suite("last", "print('==== 7 passed, 2 skipped in 61.20s (0:01:01) ====')"),
    ]
    run_suites(suites, tmp_path, checkout=tmp_path, commit="c0ffee-dirty", today=lambda: "2026-12-01", done=rows.append)
    assert [(row.suite, row.result, row.figures) for row in rows[:3]] == [
        ("good", PASSED, "3 images"),
        ("bad/one", f"{FAILED} (4)", "boom"),
        ("hangs", "**ended after 1 s**", "waiting"),
    ]
    assert rows[3].result == FAILED
    assert (rows[4].result, rows[4].figures) == (PASSED, "7 passed, 2 skipped")
    assert {(row.commit, row.date) for row in rows} == {("c0ffee-dirty", "2026-12-01")}
    assert (tmp_path / "bad-one.log").read_text() == "boom\n"


@pytest.mark.parametrize(("options", "code"), [([], 1), (["--only", "good, last"], 0), (["--only", "other"], 2)])
def test_exit_code_tells_whether_all_passed(
    options: list[str], code: int, night: Callable[..., list[str]], tmp_path: Path
) -> None:
    found = interrupt(night(1.0, *options), tmp_path, lambda _parent: True, lambda _pid: None)
    assert found.code == code
    results = {name: result for name, (result, _figures) in table(tmp_path / "nightly.md").items()}
    everything = {"good": "passed", "bad": "**FAILED** (4)", "hangs": "**ended after 1 s**", "last": "passed"}
    wanted = {1: everything, 0: {"good": "passed", "last": "passed"}, 2: {}}
    assert results == wanted[code]


@pytest.mark.skipif(sys.platform == "win32", reason="signals to process groups are POSIX's")
@pytest.mark.parametrize("way", ["Ctrl-C", "SIGTERM to the parent"])
def test_an_interrupted_night_leaves_its_table(way: str, night: Callable[..., list[str]], tmp_path: Path) -> None:
    send, code = WAYS[way]
    log = tmp_path / "logs" / "hangs.log"
    command = night(600.0)
    found = interrupt(command, tmp_path, lambda _parent: log.exists() and b"waiting" in log.read_bytes(), send)
    assert (found.code, found.outlived, found.said) == (code, [], ["stopped"])
    assert table(tmp_path / "nightly.md") == {
        "good": ("passed", "3 images"),
        "bad": ("**FAILED** (4)", "boom"),
        "hangs": ("**interrupted**", "waiting"),
    }


def test_rows_of_other_suites_stay_and_those_of_suites_that_are_gone_go(tmp_path: Path) -> None:
    document = tmp_path / "nightly.md"
    document.write_text(DOCUMENT.format(rows="| suite |\n|---|\n| old | passed |\n| gone | passed |\n| new | x |\n"))
    rewrite(document, [Row("new", PASSED, "a|b\nc", "3 s", "c0ffee", "2026-12-01")], ["new", "old", "never run"])
    text = document.read_text()
    assert text.startswith("# Night\n\nText | with a bar.\n\n<!-- table -->\n| suite | result |")
    new = "| new | passed | a/b c | 3 s | c0ffee | 2026-12-01 |"
    assert text.endswith(f"{new}\n| old | passed |\n<!-- end -->\n\nMore.\n")
    assert "gone" not in text
    (tmp_path / "other.md").write_text("no table")
    with pytest.raises(InflamapError, match="holds no table; wanted: the lines <!-- table --> and <!-- end -->"):
        rewrite(tmp_path / "other.md", [], [])


def test_a_new_file_of_slow_tests_joins_by_itself(tmp_path: Path) -> None:
    (tmp_path / "tests" / "faults").mkdir(parents=True)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = slow: x\n")
    slow = "import pytest\n@pytest.mark.slow\ndef test_it(): pass\n"
    (tmp_path / "tests" / "test_a.py").write_text(slow)
    (tmp_path / "tests" / "faults" / "test_new.py").write_text(slow)
    (tmp_path / "tests" / "faults" / "test_quick.py").write_text("def test_it(): pass\n")
    assert slow_files(tmp_path) == ["tests/faults/test_new.py", "tests/test_a.py"]
    (tmp_path / "tests" / "test_broken.py").write_text("import nothing_of_that_name\n")
    with pytest.raises(InflamapError, match="the slow tests cannot be collected"):
        slow_files(tmp_path)


def test_every_slow_suite_of_this_checkout_is_there(tmp_path: Path) -> None:
    suites = all_suites(CHECKOUT, tmp_path)
    names = [suite.name for suite in suites]
    assert names[-2:] == ["attacks", "mutations"]
    assert {"faults/killed", "faults/long_run"} <= set(names)
    assert len(set(names)) == len(names)
    assert chosen(suites, "") == suites
    assert [suite.name for suite in chosen(suites, "attacks")] == ["attacks"]


def test_the_document_of_this_checkout_holds_a_table(tmp_path: Path) -> None:
    copy = tmp_path / "nightly.md"
    copy.write_text((CHECKOUT / "docs" / "nightly.md").read_text(encoding="utf-8"), encoding="utf-8")
    rewrite(copy, [Row("x", PASSED, "", "1 s", "c", "d")], ["x"])
    assert "| x | passed |  | 1 s | c | d |" in copy.read_text(encoding="utf-8")


def test_the_last_line_is_what_a_suite_came_to(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_text("1\n=== 1 failed, 4 passed in 3.1s ===\n\n")
    assert last_line(log) == "1 failed, 4 passed"
    log.write_text("40 of 40 mutants tried in time, 0 survivors\n")
    assert last_line(log) == "40 of 40 mutants tried in time, 0 survivors"
    assert last_line(tmp_path / "none.log") == ""


@pytest.mark.parametrize(("seconds", "words"), [(0.4, "0 s"), (119, "119 s"), (120, "2 min"), (7300, "2.0 h")])
def test_durations_are_told_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


def test_listing_runs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(nightly, "all_suites", lambda *_arguments: [suite("a", "raise SystemExit(1)"), suite("b", "")])
    monkeypatch.setattr("sys.argv", ["nightly", "--list", "--logs", str(tmp_path)])
    assert nightly.main() == 0
    assert capsys.readouterr().out == "a\nb\n"
    assert not list(tmp_path.iterdir())
