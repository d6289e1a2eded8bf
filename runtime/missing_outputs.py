"""Missing outputs, files of results that the ledger names and that are not on the disk, and the search for them."""

import shlex
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path, PurePath
from typing import Any

from runtime.errors import InflamapError
from runtime.file_state import is_gone, is_missing
from runtime.ledger import Ledger
from runtime.ledger.account import NamedFiles
from runtime.outputs import read_record
from runtime.service_log import ServiceLog

# a share may take some milliseconds for each file, and the loop is to come back soon
PAGE = 20
# `watch --once` does not look longer: on a share a hundred thousand results take minutes
LONGEST_ONCE_S = 5.0


class Listings:
    """Tells which files are missing by listing each folder once; a share answers that sooner than a question a file."""

    def __init__(self) -> None:
        self._names: dict[Path, frozenset[str]] = {}

    def is_missing(self, path: Path) -> bool:
        """Whether there is nothing of this name; not when the file cannot be looked at."""
        folder = path.parent
        if folder not in self._names:
            try:
                self._names[folder] = frozenset(entry.name for entry in folder.iterdir())
            except OSError:
                self._names[folder] = frozenset()
        return path.name not in self._names[folder] and is_missing(path)


def missing_outputs(out: Path, files: NamedFiles, is_missing: Callable[[Path], bool] = is_missing) -> tuple[str, ...]:
    """Return the files of one result that are not on the disk.

    An overlay is not missing where its record says that the overlay was removed to make room.

    Args:
        out: the results' folder.
        files: the names, relative to `out`.
        is_missing: tells whether a file is not there; `Listings` for many results.
    """
    missing = [name for name in (files.score, files.overlay, files.map) if name is not None and is_missing(out / name)]
    if files.overlay in missing and _was_removed(out, files):
        missing.remove(files.overlay)
    return tuple(missing)


def retry_missing_hint(out: Path) -> str:
    """Return the next step for a person."""
    return f"`inflamap retry --missing --out {shlex.quote(str(out))}` has them scored anew"


class MissingOutputs:
    """Looks once for missing outputs, a little at a time, while the loop has nothing else to do.

    Args:
        folder: the watched folder.
        out: the results' folder.
        ledger: of it.
        surely: asks the ledger, waiting for it where it must (`runtime.obstacles`).
        log: told once, at the end, where any file is missing.
        longest_s: for how long results are looked at.
    """

    def __init__(
        self,
        folder: Path,
        out: Path,
        ledger: Ledger,
        surely: Callable[[Callable[[], Any]], Any],
        log: ServiceLog,
        *,
        longest_s: float = float("inf"),
    ) -> None:
        self._folder, self._out, self._ledger, self._surely, self._log = folder, out, ledger, surely, log
        self._longest_s, self._lasted_s = longest_s, 0.0
        self._after: PurePath | None = None
        self._looked_at = self._again = self._gone = 0
        self._done = False

    def step(self) -> bool:
        """Look at a few results; whether there are more."""
        if self._done:
            return False
        began = time.monotonic()
        page: list[NamedFiles] = self._surely(partial(self._ledger.named_files, self._after, PAGE))
        for files in page:
            self._after = files.path
            if missing_outputs(self._out, files):
                gone = is_gone(self._folder, self._folder / files.path)
                self._gone += gone
                self._again += not gone
        self._looked_at += len(page)
        self._lasted_s += time.monotonic() - began
        self._done = len(page) < PAGE or self._lasted_s >= self._longest_s
        if self._done:
            self._tell(whole=len(page) < PAGE)
        return not self._done

    def _tell(self, *, whole: bool) -> None:
        missing = self._again + self._gone
        if not missing:
            return
        line = f"files of {missing} result{'s' * (missing != 1)} are missing"
        line += "" if whole else f" among the {self._looked_at} looked at"
        line += f"; {retry_missing_hint(self._out)}" if self._again else ""
        line += f"; images gone too: {self._gone}, whose files only a backup brings back" if self._gone else ""
        self._log.event("outputs_missing", line, level="warning", images=missing, images_gone=self._gone)


def _was_removed(out: Path, files: NamedFiles) -> bool:
    """Return whether retention removed the overlay and was ended before it updated the ledger."""
    try:
        record = read_record(out, files.path)
    except InflamapError:
        return False
    return record is not None and record.get("overlay") == {"file": None}
