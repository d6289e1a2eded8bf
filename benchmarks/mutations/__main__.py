"""Changes the code at random and tells which changes no test notices.

    python -m benchmarks.mutations [--sample N] [--seed S] [--only A,B] [--workers N] [--state FILE] [--out FILE]

draws N mutants, tries each in a copy of the checkout, at a low priority, and writes docs/mutations.md. An interrupted
run goes on where it was. Ends with 1 where a survivor is neither tested nor explained in `notes.toml`, or where not all
were tried within `--minutes`.
"""

import argparse
import math
import os
import queue
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.child_process import exit_with
from benchmarks.commit import commit_of, today
from benchmarks.mutations.mutants import Mutant, draw, read_sources
from benchmarks.mutations.outcomes import Outcomes, read_notes
from benchmarks.mutations.report import to_markdown, untold
from benchmarks.mutations.targets import TARGETS, Target, chosen
from benchmarks.mutations.trial import Copy, Stopped
from runtime.errors import InflamapError

CHECKOUT = Path(__file__).parents[2]
MOST_WORKERS = 2
NICER = 10


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=200, help="how many mutants; 200 by default")
    parser.add_argument("--seed", type=int, default=1, help="what they are drawn by; 1 by default")
    parser.add_argument("--only", default="", help=f"of {', '.join(each.name for each in TARGETS)}; all by default")
    parser.add_argument("--workers", type=int, choices=range(1, MOST_WORKERS + 1), default=1)
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin with no other mutant after this")
    parser.add_argument("--state", type=Path, default=CHECKOUT / "build" / "mutations.jsonl", help="kept outcomes")
    parser.add_argument("--out", type=Path, default=CHECKOUT / "docs" / "mutations.md", help="the document")
    asked = parser.parse_args()
    if hasattr(os, "nice"):
        os.nice(NICER)
    try:
        targets = chosen(asked.only)
    except ValueError as error:
        parser.error(str(error))
    return _run(asked, targets)


def _run(asked: argparse.Namespace, targets: Sequence[Target]) -> int:
    # drawn from all, so that some of the targets give a part of the same sample
    sources = read_sources(CHECKOUT, [file for target in TARGETS for file in target.files(CHECKOUT)])
    by_path = {file.as_posix(): target for target in targets for file in target.files(CHECKOUT)}
    mutants = [mutant for mutant in draw(sources, asked.sample, asked.seed) if mutant.path in by_path]
    outcomes = Outcomes(asked.state)
    left = [mutant for mutant in mutants if outcomes.get(mutant.key) is None]
    try:
        try_all(left, sources, by_path, outcomes, workers=asked.workers, until=time.monotonic() + 60 * asked.minutes)
    except InflamapError as error:
        print(f"FAILED: {error}")
        return 1
    found = {mutant: outcome for mutant in mutants if (outcome := outcomes.get(mutant.key)) is not None}
    notes = read_notes()
    document = to_markdown(
        found, sources, notes, sample=asked.sample, seed=asked.seed, commit=commit_of(CHECKOUT), date=today()
    )
    asked.out.write_text(document, encoding="utf-8")
    unexplained = untold(found, sources, notes)
    print(f"{len(found)} of {len(mutants)} mutants tried, {len(unexplained)} survivors to test or explain: {asked.out}")
    return int(bool(unexplained) or len(found) < len(mutants))


def try_all(
    mutants: Sequence[Mutant],
    sources: dict[str, str],
    by_path: dict[str, Target],
    outcomes: Outcomes,
    *,
    workers: int,
    until: float,
    checkout: Path = CHECKOUT,
) -> None:
    """Try mutants, each worker in a copy of its own, and keep each outcome as it comes.

    Args:
        mutants: in any order.
        sources: code by path.
        by_path: the target of each module.
        outcomes: where they are kept.
        workers: how many at once.
        until: begin with no other after this time of the steady clock.
        checkout: what is copied.

    Raises:
        CheckFailed: tests fail on the code as it is.
    """
    if not mutants:
        return
    end, copies = threading.Event(), queue.SimpleQueue[Copy]()
    with ExitStack() as stack:
        # a file that a killed test held open may not be gone yet
        for _ in range(min(workers, len(mutants))):
            name = stack.enter_context(TemporaryDirectory(prefix="inflamap-mutations-", ignore_cleanup_errors=True))
            copies.put(Copy(checkout, Path(name), end))

        def try_one(mutant: Mutant) -> None:
            if end.is_set() or time.monotonic() > until:
                return
            copy = copies.get()
            try:
                outcome = copy.try_mutant(mutant, sources[mutant.path], by_path[mutant.path])
            except Stopped:
                return
            finally:
                copies.put(copy)
            outcomes.add(mutant.key, outcome)
            print(f"{outcome}: {mutant.path}:{mutant.line} {mutant.operator}", flush=True)

        with ThreadPoolExecutor(workers) as pool:
            try:
                # one target after the other, so that each is prepared once
                for _ in pool.map(try_one, sorted(mutants, key=lambda mutant: (mutant.path, mutant.line))):
                    pass
            finally:
                end.set()


if __name__ == "__main__":
    exit_with(main)
