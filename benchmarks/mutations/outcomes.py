"""Outcomes of mutants, kept from run to run, and notes on survivors."""

import json
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from runtime.errors import InflamapError

NOTES = Path(__file__).with_name("notes.toml")


class Outcomes:
    """Outcomes of mutants by key, each written to a file at once, so that an interrupted run goes on where it was.

    Args:
        file: one JSON object a line; made where there is none.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._found: dict[str, str] = {}
        if file.exists():
            for line in file.read_text(encoding="utf-8").splitlines():
                # the last line is cut where the run was killed amid it
                if line.endswith("}"):
                    entry = json.loads(line)
                    self._found[entry["mutant"]] = entry["outcome"]

    def get(self, key: str) -> str | None:
        """The outcome of a mutant that was tried before."""
        return self._found.get(key)

    def add(self, key: str, outcome: str) -> None:
        """Keep an outcome."""
        self._found[key] = outcome
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"mutant": key, "outcome": outcome}) + "\n")


@dataclass(frozen=True)
class Note:
    """A note on a change that no test noticed.

    Attributes:
        path: of the module, relative to the checkout.
        change: lines of the diff that begin with - or +, as of `Mutant.change`.
        tested_by: the test that was written for it; "" where there is none.
        equivalent: why no test can notice it; "" where one can.
    """

    path: str
    change: str
    tested_by: str = ""
    equivalent: str = ""


def read_notes(file: Path = NOTES) -> list[Note]:
    """Return the notes of a file.

    Raises:
        InflamapError: one of them says neither what tests it nor why it is equivalent, or both.
    """
    entries = tomllib.loads(file.read_text(encoding="utf-8")).get("survivor", [])
    notes = [Note(**{key: value.strip() for key, value in entry.items()}) for entry in entries]
    for note in notes:
        if bool(note.tested_by) == bool(note.equivalent):
            raise InflamapError(
                f"{file.name}: {note.path}: {note.change}",
                seen="both `tested_by` and `equivalent`" if note.tested_by else "neither `tested_by` nor `equivalent`",
                wanted="one of them",
            )
    return notes


def note_on(notes: Iterable[Note], path: str, change: str) -> Note | None:
    """Return the note on a change."""
    return next((note for note in notes if (note.path, note.change) == (path, change)), None)
