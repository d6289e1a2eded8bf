"""The RUN folder: what a training run leaves, and what lets it go on after a kill."""

import json
from pathlib import Path
from typing import Any

import torch

from runtime.errors import InflamapError
from trainer.network import TextureNetwork, load_network

RUN_FILE = "run.json"
STATE_FILE = "state.pt"


def open_run(run: Path, document: dict[str, Any]) -> dict[str, Any] | None:
    """Start a run folder, or find the state of an unfinished run of the very same settings and data."""
    path = run / RUN_FILE
    if path.exists():
        earlier = json.loads(path.read_text(encoding="utf-8"))
        # through JSON, so that tuples and lists compare equal
        same = all(earlier.get(key) == json.loads(json.dumps(document[key])) for key in ("settings", "network", "data"))
        if earlier.get("finished") or not same:
            raise InflamapError(
                f"{run}: holds a {'finished' if earlier.get('finished') else 'different unfinished'} run",
                wanted="an empty or new folder, or an unfinished run of the same data and settings",
                next_step="give another --out",
            )
        if (run / STATE_FILE).exists():
            # to the CPU: the run may go on where the GPU is not
            state: dict[str, Any] = torch.load(run / STATE_FILE, map_location="cpu", weights_only=True)
            return state
        return None
    if run.exists() and (not run.is_dir() or any(not child.name.endswith(".tmp") for child in run.iterdir())):
        # a run writes split.csv, which may well be the name of a file of the user's
        raise InflamapError(
            f"{run}: is in the way", wanted="an empty or new folder, or a run", next_step="give another --out"
        )
    run.mkdir(parents=True, exist_ok=True)
    _write_json(path, document)
    return None


def save_state(run: Path, state: dict[str, Any]) -> None:
    """Replace the state in one step, so that a kill leaves a whole one."""
    temporary = run / f"{STATE_FILE}.tmp"
    torch.save(state, temporary)
    temporary.replace(run / STATE_FILE)


def finish_run(run: Path, document: dict[str, Any]) -> None:
    """Write the finished `run.json` and drop the state that it replaces."""
    _write_json(run / RUN_FILE, {**document, "finished": True})
    (run / STATE_FILE).unlink(missing_ok=True)


def load_run(run: Path) -> tuple[TextureNetwork, dict[str, Any]]:
    """The network and `run.json` of a finished run.

    Raises:
        InflamapError: the folder holds no finished run, or one of another version.
    """
    try:
        document: dict[str, Any] = json.loads((run / RUN_FILE).read_text(encoding="utf-8"))
        if not document.get("finished"):
            raise InflamapError(f"{run}: the run is not finished", next_step="run `inflamap train` again to go on")
        return load_network(run), document
    except (OSError, ValueError, KeyError) as error:
        raise InflamapError(
            f"{run}: no finished run", seen=error, wanted="a folder that `inflamap train` wrote"
        ) from error


def _write_json(path: Path, document: dict[str, Any]) -> None:
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    temporary.replace(path)
