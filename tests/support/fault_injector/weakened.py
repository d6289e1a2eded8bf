"""Ways to take a guarantee away from the runtime, so that a test can show that the harness notices.

Each function is called in the process of the command, with a function that sets a module's attribute.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath
from typing import Any

import runtime.commands.results
import runtime.commands.watch
from runtime import in_hand, outputs, scoring
from runtime.errors import InflamapError
from runtime.ledger import Ledger
from runtime.outputs import result_files

Replace = Callable[[Any, str, object], None]
Record = dict[str, Any]


def record_first(replace: Replace) -> None:
    """Rename score.json into place before the overlay and the map that it speaks of."""

    def write(
        out: Path, relative: PurePath, *, overlay: bytes, map_file: bytes | None, record: Record, **_: Any
    ) -> None:
        score, picture, map_ = _paths(out, relative)
        _rename_into_place(score, json.dumps(record).encode())
        _rename_into_place(picture, overlay)
        _rename_into_place(map_, map_file)

    replace(scoring, "write_result", write)


def earlier_record_stays(replace: Replace) -> None:
    """Rename score.json into place last, and leave the earlier one there until then."""

    def write(
        out: Path, relative: PurePath, *, overlay: bytes, map_file: bytes | None, record: Record, **_: Any
    ) -> None:
        score, picture, map_ = _paths(out, relative)
        _rename_into_place(picture, overlay)
        _rename_into_place(map_, map_file)
        _rename_into_place(score, json.dumps(record).encode())

    replace(scoring, "write_result", write)


def written_in_place(replace: Replace) -> None:
    """Write files under their own names, the record last."""

    def write(
        out: Path, relative: PurePath, *, overlay: bytes, map_file: bytes | None, record: Record, **_: Any
    ) -> None:
        score, picture, map_ = _paths(out, relative)
        score.unlink(missing_ok=True)
        for path, data in ((picture, overlay), (map_, map_file), (score, json.dumps(record).encode())):
            path.parent.mkdir(parents=True, exist_ok=True)
            if data is not None:
                path.write_bytes(data)

    replace(scoring, "write_result", write)


def errors_kept_quiet(replace: Replace) -> None:
    """Go on as if a result that could not be written had been."""
    write_result = scoring.write_result

    def write(*arguments: Any, **options: Any) -> None:
        with suppress(InflamapError):
            write_result(*arguments, **options)

    replace(scoring, "write_result", write)


def errors_not_said(replace: Replace) -> None:
    """Let the system's errors through as they are."""

    @contextmanager
    def through(_path: Path) -> Iterator[None]:
        yield

    replace(outputs, "said_plainly", through)


def temporaries_stay(replace: Replace) -> None:
    """Sweep nothing at a start."""
    replace(runtime.commands.watch, "sweep_temporaries", lambda *_arguments, **_options: 0)


def results_not_taken_over(replace: Replace) -> None:
    """Score every image that is taken, whatever result is there."""
    replace(in_hand, "earlier_result", lambda *_arguments, **_options: None)


def blamed_for_good(replace: Replace) -> None:
    """Take every failure for the image's own."""
    failed = Ledger.failed

    def fail(*arguments: Any, **options: Any) -> float | None:
        return failed(*arguments, **(options | {"heals": False}))

    replace(Ledger, "failed", fail)


def table_in_place(replace: Replace) -> None:
    """Write the table under its own name."""
    replace(runtime.commands.results, "write_atomically", lambda path, data, **_options: path.write_bytes(data))


def _paths(out: Path, relative: PurePath) -> tuple[Path, Path, Path]:
    files = result_files(relative)
    return out / files.score, out / files.overlay, out / files.map


def _rename_into_place(path: Path, data: bytes | None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if data is None:
        path.unlink(missing_ok=True)
        return
    temporary = path.with_name(f"{path.name}.tmp-01234567")
    temporary.write_bytes(data)
    temporary.replace(path)
