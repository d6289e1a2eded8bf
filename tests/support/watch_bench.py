"""A folder, its results and the watch between them, without a process of its own."""

import hashlib
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runtime.acquisition import Acquisition
from runtime.file_state import FileState
from runtime.heartbeat import Heartbeat
from runtime.ledger import ImageRow, open_ledger
from runtime.ledger.ledger import Arrival
from runtime.model import Model
from runtime.patience import WatchSettings
from runtime.retention import Keep
from runtime.service import ServiceSettings, Tally, watch
from runtime.service_log import ServiceLog

AT_ONCE = WatchSettings(settle_s=0.0, rescan_s=0.05, poll_s=0.01)


class Stop(threading.Event):
    """Tells whether the watch has come as far as to ask for it: from then on it is in its loop."""

    asked = False

    def is_set(self) -> bool:
        self.asked = True
        return super().is_set()


@dataclass
class Bench:
    """A watched folder, its results, and ways to watch it."""

    folder: Path
    out: Path
    model: Model
    said: list[str] = field(default_factory=list)

    def once(
        self,
        model: Model | None = None,
        um_per_px: float | None = 0.5,
        min_free_gb: float = 0.0,
        keep: Keep = Keep(),  # noqa: B008 - frozen
    ) -> Tally:
        """One pass over the folder; what it said is in `said`."""
        self.said.clear()
        settings = ServiceSettings(AT_ONCE, Acquisition(um_per_px), min_free_gb, once=True, keep=keep)
        with open_ledger(self.out, create=True) as ledger:
            return watch(self.folder, self.out, ledger, model or self.model, settings, threading.Event(), log=self.log)

    @property
    def log(self) -> ServiceLog:
        """What is said goes to `said`."""
        return ServiceLog(self.said.append)

    def arrive(self, name: str, at: float | None = None) -> None:
        """As if a watch had seen the file at rest and nothing more."""
        file = FileState.of(self.folder / name)
        assert file is not None
        with open_ledger(self.out, create=True) as ledger:
            ledger.arrived([Arrival(name, file, time.time() if at is None else at)])

    @contextmanager
    def running(
        self, min_free_gb: float = 0.0, heartbeat: Heartbeat | None = None, fails: type[BaseException] | None = None
    ) -> Iterator[threading.Event]:
        """A watch in a thread while it is entered; setting what is given stops it. `fails`: what it has to end with."""
        stop = Stop()
        failures: list[BaseException] = []

        def run() -> None:
            settings = ServiceSettings(AT_ONCE, Acquisition(0.5), min_free_gb)
            try:
                with open_ledger(self.out, create=True) as ledger:
                    watch(self.folder, self.out, ledger, self.model, settings, stop, log=self.log, heartbeat=heartbeat)
            except BaseException as failure:
                failures.append(failure)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            wait_for(lambda: stop.asked or bool(failures))
            yield stop
        finally:
            stop.set()
            thread.join(20)
        assert not thread.is_alive()
        if fails is None:
            assert not failures, failures
        else:
            assert [type(failure) for failure in failures] == [fails], failures
            self.said.append(str(failures[0]))

    def rows(self) -> dict[str, ImageRow]:
        with open_ledger(self.out) as ledger:
            return {row.path.as_posix(): row for row in ledger.rows()}

    def states(self) -> dict[str, str]:
        return {name: str(row.state) for name, row in self.rows().items()}

    def record(self, name: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.out / f"{name}.score.json").read_text())
        return document

    def noted(self, name: str) -> Any:
        with open_ledger(self.out) as ledger:
            return ledger.noted(name)

    def retry_all(self) -> None:
        with open_ledger(self.out) as ledger:
            ledger.retry([row.path for row in ledger.rows()], time.time())

    def in_hand(self) -> int:
        with sqlite3.connect(self.out / "inflamap.db") as database:
            (count,) = database.execute("SELECT COUNT(*) FROM images WHERE begun IS NOT NULL").fetchone()
        database.close()
        return int(count)

    def lose_ledger(self) -> None:
        for path in self.out.glob("inflamap.db*"):
            path.unlink()


def wait_for(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not seen in time"
        time.sleep(0.01)


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def temporaries(out: Path) -> list[Path]:
    return list(out.rglob("*.tmp*"))
