"""How a watch stands, as its ledger tells."""

from typing import Any

import msgspec
from msgspec.structs import asdict

from runtime.ledger import ImageRow, Ledger, State
from runtime.ledger.account import ModelShare
from runtime.ledger.binding import FOLDER_NOTE
from runtime.version import NOTICE, __version__

# the rate is told over the last minute
RATE_WINDOW_S = 60.0


class Status(msgspec.Struct, frozen=True):
    """How a watch stands.

    Attributes:
        running: whether a watch writes to this output folder now; None when this user may not know.
        process: of the latest watch.
        paused: why scoring pauses now, None when it does not.
        folder: what is watched.
        folder_fault: why it could not be listed the last time, None when it could.
        discovery: how the latest watch finds new files: by `events` or by `polling`.
        engine, model, model_sha256, synthetic: of the latest watch; None before the first.
        counts: images in each state.
        oldest_waiting_s: seconds since the image that waits longest came to rest; None when none waits.
        images_per_second: results of the last minute, from the first of them until now; 0 when there was none.
        models: which models the results stem from.
        failed: images that failed, with the reason.
        now: when this was asked, Unix seconds.
        options: what the latest watch was started with, as far as it decides about scores.
    """

    running: bool | None
    process: int | None
    paused: str | None
    folder: str | None
    folder_fault: str | None
    discovery: str | None
    engine: str | None
    model: str | None
    model_sha256: str | None
    synthetic: bool | None
    counts: dict[State, int]
    oldest_waiting_s: float | None
    images_per_second: float
    models: tuple[ModelShare, ...]
    failed: tuple[ImageRow, ...]
    now: float
    options: tuple[str, ...] = ()

    @property
    def of_another_model(self) -> int:
        """Number of results of another model than the latest watch's; they stay until somebody wants them anew."""
        return sum(share.images for share in self.models if share.sha256 != self.model_sha256)

    def again_in_s(self, row: ImageRow) -> float | None:
        """Seconds until a failed image is tried again; None when only a change of the file or a retry has it tried."""
        return None if row.due is None else max(0.0, row.due - self.now)

    @property
    def mixed_models(self) -> bool:
        """Whether the results stem from several models, and so must not be compared with each other."""
        return len(self.models) > 1

    def to_json(self) -> dict[str, Any]:
        """The document of `inflamap status --json`."""
        return {
            "counts": {str(state): count for state, count in self.counts.items()},
            "oldest_waiting_s": self.oldest_waiting_s,
            "engine": self.engine,
            "images_per_second": self.images_per_second,
            "running": self.running,
            "process": self.process,
            "paused": self.paused,
            "folder": self.folder,
            "folder_fault": self.folder_fault,
            "discovery": self.discovery,
            "model": None
            if self.model is None
            else {"name": self.model, "sha256": self.model_sha256, "synthetic": self.synthetic},
            "models": [asdict(share) for share in self.models],
            "mixed_models": self.mixed_models,
            "of_another_model": self.of_another_model,
            "failed": [
                {
                    "path": row.path.as_posix(),
                    "reason": row.reason,
                    "attempts": row.attempts,
                    "again_in_s": self.again_in_s(row),
                }
                for row in self.failed
            ],
            "version": __version__,
            "notice": NOTICE,
        }


def status_of(ledger: Ledger, *, running: bool | None, now: float) -> Status:
    """Read it from the ledger.

    Args:
        ledger: of the output folder.
        running: whether a watch holds that folder; None when that is not known.
        now: Unix seconds.
    """
    oldest = ledger.oldest_waiting()
    model = ledger.noted("model") or {}
    return Status(
        running=running,
        process=ledger.noted("process"),
        # what a killed watch noted holds no more
        paused=None if running is False else ledger.noted("paused"),
        folder=ledger.noted(FOLDER_NOTE),
        folder_fault=None if running is False else ledger.noted("folder_fault"),
        discovery=ledger.noted("discovery"),
        engine=ledger.noted("engine"),
        model=model.get("name"),
        model_sha256=model.get("sha256"),
        synthetic=model.get("synthetic"),
        counts=ledger.counts(),
        oldest_waiting_s=None if oldest is None else max(0.0, now - oldest),
        images_per_second=_rate(ledger, now),
        models=tuple(ledger.models()),
        failed=tuple(ledger.rows(State.FAILED)),
        now=now,
        options=tuple(ledger.noted("options") or ()),
    )


def _rate(ledger: Ledger, now: float) -> float:
    count, first = ledger.finished_between(now - RATE_WINDOW_S, now)
    if first is None:
        return 0.0
    # a single result a moment ago is no rate of a thousand a second
    return count / max(1.0, now - first)
