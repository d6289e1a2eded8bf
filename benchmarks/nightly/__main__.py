"""Runs every slow suite, one after the other, at a low priority.

    python -m benchmarks.nightly [--only A,B] [--list] [--logs FOLDER] [--document FILE]

writes a log for each suite and the table of docs/nightly.md, after each suite, so that an interrupted night is not
lost. Ends with 1 where a suite did not pass.
"""

import argparse
import os
from functools import partial
from pathlib import Path

from benchmarks.child_process import exit_with
from benchmarks.commit import commit_of, today
from benchmarks.nightly.run import PASSED, Row, run_suites
from benchmarks.nightly.suites import all_suites, chosen
from benchmarks.nightly.table import rewrite
from runtime.errors import InflamapError

CHECKOUT = Path(__file__).parents[2]
NICER = 10


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="names of suites, separated by commas; all by default")
    parser.add_argument("--list", action="store_true", help="print the names of the suites and exit")
    parser.add_argument("--logs", type=Path, default=CHECKOUT / "build" / "nightly", help="folder for the logs")
    parser.add_argument("--document", type=Path, default=CHECKOUT / "docs" / "nightly.md", help="holds the table")
    asked = parser.parse_args()
    logs = asked.logs.absolute()
    logs.mkdir(parents=True, exist_ok=True)
    try:
        suites = all_suites(CHECKOUT, logs)
        wanted = chosen(suites, asked.only)
        if asked.list:
            print("\n".join(suite.name for suite in suites))
            return 0
        if hasattr(os, "nice"):
            os.nice(NICER)
        rows: list[Row] = []
        put = partial(rewrite, asked.document, known=[suite.name for suite in suites])

        def done(row: Row) -> None:
            rows.append(row)
            put([row])
            print(f"{row.suite}: {row.result}, {row.figures}, {row.took}", flush=True)

        run_suites(wanted, logs, checkout=CHECKOUT, commit=commit_of(CHECKOUT), today=today, done=done)
    except InflamapError as error:
        print(f"FAILED: {error}")
        return 2
    return int(any(row.result != PASSED for row in rows))


if __name__ == "__main__":
    exit_with(main)
