"""How the watch stands, as the page and whoever supervises it are told."""

from pathlib import Path

import msgspec

from runtime.disk import BYTES_PER_GB, free_bytes
from runtime.ledger import State
from runtime.status import Status

# the loop says a word each second, but for a result that is being written and a disk that hangs
STUCK_S = 20.0


class Health(msgspec.Struct, frozen=True):
    """How the watch stands.

    Attributes:
        ok: nothing keeps images from being scored.
        faults: what does, a sentence each; the loop that is stuck and the disk that is full first.
        severe: whether somebody has to come: the loop is stuck, or the disk is full.
        stuck: whether the watch's loop does not get on.
        counts: images in each state.
        counts_age_s: seconds since they were counted.
        oldest_waiting_s: seconds since the image that waits longest came to rest; None when none waits.
        images_per_second: over the last minute.
        free_gb: on the results' disk, 10^9 bytes; None where that cannot be told.
        min_free_gb: below, scoring pauses.
        loop_age_s: seconds since the watch's loop was seen alive.
        engine, model, model_sha256, synthetic: what scores.
        mixed_models: the results are of several models.
        folder: what is watched.
    """

    ok: bool
    faults: tuple[str, ...]
    severe: bool
    stuck: bool
    counts: dict[str, int]
    counts_age_s: float
    oldest_waiting_s: float | None
    images_per_second: float
    free_gb: float | None
    min_free_gb: float
    loop_age_s: float
    engine: str | None
    model: str | None
    model_sha256: str | None
    synthetic: bool | None
    mixed_models: bool
    folder: str | None


def health_of(
    status: Status | None, out: Path, *, loop_age_s: float, min_free_gb: float, counts_age_s: float = 0.0
) -> Health:
    """Put together what is known.

    Args:
        status: by the ledger; None where that cannot be read.
        out: the results' folder.
        loop_age_s: seconds since the watch's loop was seen alive.
        min_free_gb: as of the watch.
        counts_age_s: seconds since `status` was read.
    """
    stuck = loop_age_s > STUCK_S
    try:
        free_gb = free_bytes(out) / BYTES_PER_GB
    except OSError:
        free_gb = None
    severe = []
    if stuck:
        severe.append(f"the watch does not answer: its loop was last seen alive {loop_age_s:.0f} s ago")
    if free_gb is None:
        severe.append("the results' disk does not tell its free space")
    elif free_gb < min_free_gb:
        severe.append(f"the results' disk is full: {free_gb:.1f} GB free, {min_free_gb:g} GB are kept free")
    if status is None:
        severe.append("the ledger cannot be read")
        nothing = dict.fromkeys(map(str, State), 0)
        return Health(
            *(False, tuple(severe), True, stuck, nothing, 0.0, None, 0.0, free_gb, min_free_gb, loop_age_s),
            *(None, None, None, None, False, None),
        )
    faults = [fault for fault in (status.paused, status.folder_fault) if fault]
    return Health(
        ok=not severe and not faults,
        faults=(*severe, *faults),
        severe=bool(severe),
        stuck=stuck,
        counts={str(state): number for state, number in status.counts.items()},
        counts_age_s=counts_age_s,
        oldest_waiting_s=status.oldest_waiting_s,
        images_per_second=status.images_per_second,
        free_gb=free_gb,
        min_free_gb=min_free_gb,
        loop_age_s=loop_age_s,
        engine=status.engine,
        model=status.model,
        model_sha256=status.model_sha256,
        synthetic=status.synthetic,
        mixed_models=status.mixed_models,
        folder=status.folder,
    )
