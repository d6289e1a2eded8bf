"""The RUN folder: what a training run leaves, and what lets it go on after a kill."""

import io
import json
import pickle
import re
from pathlib import Path
from typing import Any

import torch

from runtime.errors import InflamapError
from runtime.output_folder import check_output_folder
from runtime.outputs import said_plainly, write_atomically
from trainer.network import TextureNetwork, load_network

RUN_FILE = "run.json"
STATE_FILE = "state.pt"
REPORT_FILE = "report.html"
# a file of a run, half-written when the run was killed
_LEFTOVER = re.compile(r"(run\.json|state\.pt|split\.csv|report\.html|network\.(json|safetensors))\.tmp-[0-9a-f]{8}")


def check_run_folder(run: Path) -> dict[str, Any] | None:
    """Refuse a folder that no run can be written to; needs no data, so a mistyped --out is told at once.

    Returns:
        `run.json` of an unfinished run there.

    Raises:
        InflamapError: a finished or damaged run or other files are there, or no folder can be.
    """
    with said_plainly(run):
        if (run / RUN_FILE).exists():
            earlier = _read_document(run)
            if earlier.get("finished"):
                raise _taken(run, "finished")
            return earlier
        # a run writes split.csv, which may well be the name of a file of the user's
        if run.exists() and (not run.is_dir() or any(not _LEFTOVER.fullmatch(child.name) for child in run.iterdir())):
            raise InflamapError(
                f"{run}: is in the way", wanted="an empty or new folder, or a run", next_step="give another --out"
            )
    check_output_folder(run, [])
    return None


def open_run(run: Path, document: dict[str, Any]) -> dict[str, Any] | None:
    """Make a run folder, or find the state of an unfinished run of the very same settings and data."""
    earlier = check_run_folder(run)
    if earlier is None:
        with said_plainly(run):
            run.mkdir(parents=True, exist_ok=True)
            _sweep(run)
        return None
    # through JSON, so that tuples and lists compare equal
    if any(earlier.get(key) != json.loads(json.dumps(document[key])) for key in ("settings", "network", "data")):
        raise _taken(run, "different unfinished")
    with said_plainly(run):
        _sweep(run)
    path = run / STATE_FILE
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise InflamapError(
            f"{path}: cannot be read",
            seen=_first_line(error),
            wanted="the state that `inflamap train` wrote",
            next_step=f"remove {STATE_FILE} to begin this run anew, or give another --out",
        ) from error
    return state


def begin_run(run: Path, document: dict[str, Any]) -> None:
    """Write `run.json`, which makes the folder a run."""
    _write_json(run / RUN_FILE, document)


def save_state(run: Path, state: dict[str, Any]) -> None:
    """Replace the state in one step, so that a kill leaves a whole one."""
    content = io.BytesIO()
    torch.save(state, content)
    write_atomically(run / STATE_FILE, content.getvalue())


def finish_run(run: Path, document: dict[str, Any]) -> None:
    """Write the finished `run.json` and drop the state that it replaces."""
    _write_json(run / RUN_FILE, {**document, "finished": True})
    with said_plainly(run / STATE_FILE):
        (run / STATE_FILE).unlink(missing_ok=True)


def load_run(run: Path) -> tuple[TextureNetwork, dict[str, Any]]:
    """The network and `run.json` of a finished run.

    Raises:
        InflamapError: the folder holds no finished run, or one of another version.
    """
    try:
        document = _parsed(run)
        if not document.get("finished"):
            raise InflamapError(f"{run}: the run is not finished", next_step="run `inflamap train` again to go on")
        return load_network(run), document
    except (OSError, ValueError, KeyError) as error:
        raise InflamapError(
            f"{run}: no finished run",
            seen=error,
            wanted="a folder that `inflamap train` wrote",
            next_step="give such a folder, or train again",
        ) from error


def _read_document(run: Path) -> dict[str, Any]:
    try:
        return _parsed(run)
    except (OSError, ValueError) as error:
        raise InflamapError(
            f"{run / RUN_FILE}: cannot be read",
            seen=error,
            wanted="the file that `inflamap train` wrote",
            next_step="give another --out",
        ) from error


def _parsed(run: Path) -> dict[str, Any]:
    document = json.loads((run / RUN_FILE).read_text(encoding="utf-8"))
    if not isinstance(document, dict):
        raise ValueError(f"{RUN_FILE} holds no JSON object")  # noqa: TRY004 - a damaged file
    return document


def _taken(run: Path, kind: str) -> InflamapError:
    return InflamapError(
        f"{run}: holds a {kind} run",
        wanted="an empty or new folder, or an unfinished run of the same data and settings",
        next_step="give another --out",
    )


def _sweep(run: Path) -> None:
    """Remove what a kill left half-written."""
    for child in run.iterdir():
        if _LEFTOVER.fullmatch(child.name):
            child.unlink()


def _first_line(error: Exception) -> str:
    """What torch says is followed by advice for programmers."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def _write_json(path: Path, document: dict[str, Any]) -> None:
    write_atomically(path, (json.dumps(document, indent=2) + "\n").encode())
