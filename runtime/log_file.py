"""The watch's log as a file of JSON lines that is rotated; a module of its own, for few watches keep one."""

import json
import logging
import logging.handlers
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from runtime.outputs import said_plainly

MEGABYTE = 1_000_000
# a viewer that has the log open is given this long before it is tried again
ROTATED_AGAIN_S = 300.0


@contextmanager
def log_file(path: Path, *, max_mb: float, files: int) -> Iterator[Callable[[dict[str, Any]], None]]:
    """A file of JSON lines while it is entered.

    Args:
        path: of the current file; earlier ones get `.1`, `.2` ... behind their name, the oldest go.
        max_mb: size in 10^6 bytes at which a new one is begun.
        files: how many are kept, the current one included; two at least.

    Raises:
        InflamapError: it cannot be written to.
    """
    with said_plainly(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = _Quiet(
            path, maxBytes=max(1, round(max_mb * MEGABYTE)), backupCount=files - 1, encoding="utf-8", delay=False
        )

    def write(entry: dict[str, Any]) -> None:
        # names that are not UTF-8 keep their lone surrogates, escaped
        message = json.dumps(entry, ensure_ascii=True, separators=(",", ":"))
        handler.handle(logging.LogRecord("inflamap", logging.INFO, "", 0, message, None, None))

    try:
        yield write
    finally:
        # a line that could not be written is tried once more, and fails again on a disk that stays full
        with suppress(OSError):
            handler.close()


class _Quiet(logging.handlers.RotatingFileHandler):
    """A log that cannot be written to, or not be rotated because a viewer has it open, must not end the work."""

    _not_before = 0.0

    def shouldRollover(self, record: logging.LogRecord) -> bool:  # noqa: N802 - logging's name
        return time.monotonic() >= self._not_before and bool(super().shouldRollover(record))

    def doRollover(self) -> None:  # noqa: N802
        """The current file first: where that cannot be renamed, the earlier ones stay where they are."""
        current = Path(self.baseFilename)
        aside = current.with_name(f"{current.name}.tmp")
        # forgotten first: where none can be opened after it, a closed stream would refuse every later line
        stream, self.stream = self.stream, None
        if stream is not None:
            stream.close()
        try:
            current.replace(aside)
        except OSError:
            self._not_before = time.monotonic() + ROTATED_AGAIN_S
            self.stream = self._open()
            return
        super().doRollover()
        aside.replace(current.with_name(f"{current.name}.1"))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        pass
