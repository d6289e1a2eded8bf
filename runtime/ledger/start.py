"""The ledger at a start of the watch: a damaged or lost one is made anew of the results."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from runtime.ledger.binding import recall_folder
from runtime.ledger.damage import set_aside_damaged
from runtime.ledger.ledger import Ledger, open_ledger
from runtime.ledger.rebuild import rebuild
from runtime.ledger.row import State


class Start(msgspec.Struct, frozen=True):
    """A ledger that is whole, and what was done to have one.

    Attributes:
        ledger: opened.
        taken_over: results taken over from their records, because there was no ledger or a damaged one.
        failures: the same of failures.
        damage: what was wrong with the earlier one; None where it was whole or missing.
        aside: new name of the damaged one.
    """

    ledger: Ledger
    taken_over: int
    failures: int
    damage: str | None
    aside: Path | None


@contextmanager
def started_ledger(out: Path, watched: Path) -> Iterator[Start]:
    """Open the ledger of an output folder; for the holder of its lock.

    Args:
        out: the output folder.
        watched: the folder of images, which is no place of results.

    Raises:
        InflamapError: it is of a newer inflamap or another program's, cannot be opened or set aside.
    """
    aside, damage = set_aside_damaged(out) or (None, None)
    with open_ledger(out, create=True) as ledger:
        # A lost ledger is made anew too where a watch wrote the results; those of `inflamap score` are another matter.
        # The folder is recalled in any case: results of one folder must not be taken for those of another.
        is_watched = recall_folder(ledger, out)
        ours = is_watched or damage is not None
        taken_over = failures = 0
        if ours and ledger.is_empty():
            taken_over = rebuild(ledger, out, watched)
            failures = ledger.counts()[State.FAILED]
        yield Start(ledger, taken_over, failures, damage, aside)
