"""The watch loop: each image that comes to rest is scored once, and what happened is said in one line."""

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePath

from runtime.errors import InflamapError
from runtime.folder_watch import WatchSettings, watch_folder
from runtime.outputs import read_record
from runtime.result import summary_line
from runtime.scoring import Model, score_file


@dataclass
class Tally:
    """What the watch has done so far; `failed` counts every line about an image or folder that could not be done."""

    done: int = 0
    skipped: int = 0
    failed: int = 0


def watch(
    folder: Path,
    out: Path,
    model: Model,
    settings: WatchSettings,
    stop: threading.Event,
    *,
    um_per_px: float | None = None,
    once: bool = False,
    say: Callable[[str], None],
) -> Tally:
    """Score images as they come, until `stop` is set; the image in hand is finished.

    An image whose record names the same content and model is not scored again, unless the user now gives another scale.

    Args:
        folder: where the microscope saves; only read.
        out: the results' folder, outside of `folder`.
        model: what scores.
        settings: how patient to be.
        stop: ends the loop.
        um_per_px: sampling of the images, where the user says so.
        once: do what is there and end.
        say: told one line an image.
    """
    tally = Tally()

    def fail(line: str) -> None:
        tally.failed += 1
        say(f"inflamap: {line}")

    for path in watch_folder(folder, settings, stop, once=once, warn=fail):
        relative = path.relative_to(folder)
        try:
            if _scored_before(path, relative, out, model, um_per_px):
                tally.skipped += 1
                continue
            say(summary_line(score_file(path, relative, out, model, um_per_px=um_per_px)))
            tally.done += 1
        except InflamapError as error:
            # a result that cannot be written must not keep the images after it from being scored
            fail(str(error))
    return tally


def _scored_before(path: Path, relative: PurePath, out: Path, model: Model, um_per_px: float | None) -> bool:
    """Whether the image's record names this very content, model and scale."""
    record = read_record(out, relative)
    if record is None:
        return False
    try:
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        image = record["image"]
        # an image withheld for want of a scale is scored once somebody gives it
        same_scale = um_per_px in (None, image["um_per_px"])
        return bool(same_scale and image["sha256"] == content and record["model"]["sha256"] == model.sha256)
    except (OSError, KeyError, TypeError):
        # unreadable now: scoring it says why; a record of another make: it is made anew
        return False
