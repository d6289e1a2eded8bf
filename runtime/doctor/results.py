"""The results' folder and its disk."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from runtime.disk import BYTES_PER_GB, free_bytes, is_network_folder, shortage
from runtime.doctor.finding import Case, Finding, Level
from runtime.output_folder import check_output_folder
from runtime.outputs import temporary_of

TRIAL_NAME, TRIAL_BYTES = "inflamap-doctor", 256 * 1024
_GIVE_WRITE = "give this account write access to it"


def results(case: Case) -> Sequence[Finding]:
    """Whether results can be written there as a watch writes them, and lie outside of the watched folder."""
    out = case.out
    assert out is not None
    check_output_folder(out, [case.folder] if case.folder is not None else [])
    if not out.exists():
        above = next(place for place in out.absolute().parents if place.exists())
        if os.access(above, os.W_OK | os.X_OK):
            return [Finding("results", Level.OK, f"{out} is not there yet; a watch makes it")]
        seen = f"{out} is not there, and this account may not make it in {above}"
        return [Finding("results", Level.FAULT, seen, "make it, and give the watch's account write access")]
    started = time.perf_counter()
    try:
        with _trial(out) as file:
            renamed = temporary_of(out / TRIAL_NAME)
            try:
                file.replace(renamed)
            finally:
                with suppress(OSError):
                    renamed.unlink()
    except OSError as error:
        return [Finding("results", Level.FAULT, f"{out}: a file cannot be written ({error.strerror})", _GIVE_WRITE)]
    ms = 1000 * (time.perf_counter() - started)
    seen = f"{out}: {TRIAL_BYTES // 1024} kB written to the disk, renamed and removed in {ms:.0f} ms"
    if is_network_folder(out):
        step = "choose --out on a disk of this machine: a share that goes away stops the watch"
        return [Finding("results", Level.WARNING, f"{seen}; on a network share", step)]
    return [Finding("results", Level.OK, seen)]


def free_space(case: Case) -> Sequence[Finding]:
    """Whether there is more than the watch has to leave free."""
    assert case.out is not None
    if short := shortage(case.out, case.min_free_gb):
        step = "free space, or give a smaller --min-free; `--keep-overlays-days` keeps it from filling up again"
        return [Finding("free space", Level.FAULT, f"scoring pauses: {short}", step)]
    free = free_bytes(case.out) / BYTES_PER_GB
    seen = f"{free:.1f} GB; scoring pauses below {case.min_free_gb:g} GB"
    if free < 2 * case.min_free_gb:
        return [Finding("free space", Level.WARNING, seen, "free space soon")]
    return [Finding("free space", Level.OK, seen)]


def fresh_file_time(out: Path) -> float:
    """What the disk of `out` gives a file written now as its time of change, Unix seconds; the file is gone again.

    Raises:
        OSError: no file can be written.
    """
    with _trial(out) as file:
        return file.stat().st_mtime


@contextmanager
def _trial(out: Path) -> Iterator[Path]:
    """A file on the disk, removed at the end; by its name a watch sweeps it away where this program was killed."""
    path = temporary_of(out / TRIAL_NAME)
    try:
        with path.open("xb") as file:
            file.write(bytes(TRIAL_BYTES))
            file.flush()
            os.fsync(file.fileno())
        yield path
    finally:
        with suppress(OSError):
            path.unlink()
