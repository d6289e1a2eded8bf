"""What one check found."""

from enum import StrEnum
from pathlib import Path

import msgspec

from runtime.bundle import DEFAULT_BUNDLE
from runtime.engines.choice import AUTO
from runtime.errors import InflamapError


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    """A watch runs, but not as well as it could, or something here cannot be told."""
    FAULT = "fault"
    """A watch does not run, or does not do what it should."""


class Finding(msgspec.Struct, frozen=True):
    """One line.

    Attributes:
        check: what was looked at.
        level: how bad it is.
        seen: what was seen.
        next_step: what to do; empty where there is nothing to do.
    """

    check: str
    level: Level
    seen: str
    next_step: str = ""

    def to_json(self) -> dict[str, str]:
        return {"check": self.check, "level": str(self.level), "seen": self.seen, "next": self.next_step}

    @staticmethod
    def of_error(check: str, error: InflamapError) -> "Finding":
        """An error as a fault, its next step apart."""
        seen = "" if error.seen is None else f"; seen: {error.seen}"
        wanted = f"; wanted: {error.wanted}" if error.wanted else ""
        return Finding(check, Level.FAULT, f"{error.what}{seen}{wanted}", error.next_step)


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be examined.

    Attributes:
        folder: the watched folder, None where none was named.
        out: the results' folder, None where none was named.
        bundle: the model.
        engine: as given to `watch`.
        min_free_gb: what has to stay free on the results' disk, in 10^9 bytes.
        config: the configuration of the watch, None without one.
    """

    folder: Path | None = None
    out: Path | None = None
    bundle: Path = DEFAULT_BUNDLE
    engine: str = AUTO
    min_free_gb: float = 10.0
    config: Path | None = None
