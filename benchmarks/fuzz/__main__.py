"""Fuzzes every reader.

    python -m benchmarks.fuzz [--minutes M] [--seed S] [--readers A,B] [--out FILE]
    python -m benchmarks.fuzz --replay FILE [--readers A]

needs atheris, which comes with the extra `dev` for Linux and Python 3.11. Exit code 1 when an input failed.
"""

import argparse
import os
import tempfile
from pathlib import Path

from benchmarks.child_process import exit_with
from benchmarks.fuzz.campaign import run
from benchmarks.fuzz.report import to_markdown
from benchmarks.fuzz.targets import targets
from benchmarks.fuzz.verdict import judge


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz")
    known = targets()
    parser.add_argument("--minutes", type=float, default=15.0, help="of all readers together; 15 by default")
    parser.add_argument("--seed", type=int, default=1, help="what inputs are drawn by; libFuzzer wants one above 0")
    parser.add_argument("--readers", default=",".join(known), help=f"of {', '.join(known)}; all by default")
    parser.add_argument("--work", type=Path, help="where failing inputs are kept; a temporary folder by default")
    parser.add_argument("--out", type=Path, help="the document to write; - or nothing for stdout")
    parser.add_argument("--replay", type=Path, help="hand one file to a reader, and say what it did")
    arguments = parser.parse_args()
    readers = arguments.readers.split(",")
    if unknown := [reader for reader in readers if reader not in known]:
        parser.error(f"no such reader: {', '.join(unknown)}; wanted: {', '.join(known)}")
    if arguments.replay is not None:
        data = arguments.replay.read_bytes()
        for reader in readers:
            print(f"{reader}: {judge(known[reader], data)}")
        return 0
    folder = arguments.work or Path(tempfile.mkdtemp(prefix="inflamap-fuzz-"))
    processes = max(1, os.cpu_count() or 1)
    found = run(readers, arguments.minutes, arguments.seed, folder, processes=min(2, processes), say=print)
    document = to_markdown(found, arguments.minutes, arguments.seed, min(2, processes))
    if arguments.out is None or str(arguments.out) == "-":
        print(document)
    else:
        arguments.out.write_text(document, encoding="utf-8")
    failed = sum(len(figures.failures) for figures in found)
    print(f"{failed} failures" + (f"; the inputs are in {folder}" if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    exit_with(main)
