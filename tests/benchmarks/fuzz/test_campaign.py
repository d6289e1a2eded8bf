"""A process that dies is told, its input is kept, and another goes on."""

import sys
from pathlib import Path

from benchmarks.fuzz.campaign import fuzz_reader
from benchmarks.fuzz.report import to_markdown

WORKER = """
import json, os, signal, sys, time
from pathlib import Path
seconds, seed, folder = float(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
folder.joinpath("X.json").write_text(json.dumps(dict(seconds=0.1, inputs=10, longest_s=0.5, peak_bytes=1 << 21,
    outcomes={"read": 4, "truncated": 6}, caught={}, failures={})))
if seed == 7:
    folder.joinpath("X.last").write_bytes(b"killer")
    os.kill(os.getpid(), signal.SIGSEGV)
"""


def test_a_crash_is_told_and_another_process_goes_on(tmp_path: Path) -> None:
    found = fuzz_reader("X", [sys.executable, "-c", WORKER], 30, 7, tmp_path)
    assert found.failures == {"X-died-7": "hung or crashed: SIGSEGV"}
    assert (tmp_path / "X-died-7").read_bytes() == b"killer"
    assert (found.inputs, found.outcomes) == (20, {"read": 8, "truncated": 12})


def test_a_process_that_never_begins_is_told(tmp_path: Path) -> None:
    found = fuzz_reader("X", [sys.executable, "-c", "import sys; sys.exit(3)"], 30, 1, tmp_path)
    assert found.failures == {"X.log": "the process ended with 3 before its first input"}


def test_the_document_tells_all(tmp_path: Path) -> None:
    found = fuzz_reader("X", [sys.executable, "-c", WORKER], 30, 7, tmp_path)
    text = to_markdown([found], 15, 7, 2)
    assert "| X | 20 | 0 | 8 | 12 | 1 | 500 | 2 | 1 |" in text
    assert "- X-died-7: hung or crashed: SIGSEGV" in text
    assert "--minutes 15 --seed 7" in text
