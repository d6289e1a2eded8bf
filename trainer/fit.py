"""Training: from scored patches to a run folder, the same weights for the same seed and machine."""

import platform
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch

from runtime.version import __version__
from trainer.calibrate import set_temperature
from trainer.dataset import Progress, ScoredPatches
from trainer.devices import Devices, run_on
from trainer.network import NETWORK_VERSION, NetworkConfig, TextureNetwork, save_network
from trainer.optimise import FitSettings, optimise
from trainer.parts import Part
from trainer.run import begin_run, finish_run, open_run, save_state
from trainer.split import PARTS, split_sha256, write_split


def fit(
    data: ScoredPatches,
    parts: tuple[str, ...],
    config: NetworkConfig,
    settings: FitSettings,
    run: Path,
    *,
    source: Path,
    progress: Progress,
    say: Callable[[str], None],
    devices: Devices | None = None,
) -> TextureNetwork:
    """Train, calibrate and write the run folder.

    Args:
        data: all patches; those in part `test` are not looked at.
        parts: of each patch, from `split_patches`.
        config: the network to train.
        settings: how.
        run: the folder to write; an unfinished run of the same settings and data there is gone on with.
        source: where the data came from; export looks there for calibration patches.
        progress: told (label, done, total).
        say: told one line an epoch.
        devices: where to train; all that the machine has when None.

    Raises:
        InflamapError: the folder holds a finished run, or one of other settings.
    """
    devices = devices or Devices.found()
    document: dict[str, Any] = {
        "settings": asdict(settings),
        "network": asdict(config),
        "data": {
            "folder": str(source.resolve()),
            "sha256": data.content_sha256(),
            "patches": len(data),
            "parts": {part: parts.count(part) for part in PARTS},
            "split_sha256": split_sha256(data, parts),
            "synthetic": data.synthetic,
            "notes": list(data.notes),
        },
        "versions": {
            "inflamap": __version__,
            "network": NETWORK_VERSION,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        "devices": asdict(devices),
    }
    state = open_run(run, document)
    # before run.json: what calls itself a run can tell what was held out
    write_split(run, data, parts)
    if state is None:
        begin_run(run, document)
    else:
        say(f"going on after epoch {len(state['history'])} of {settings.epochs}")

    train, val = Part.of(data, parts, "train"), Part.of(data, parts, "val")
    state = run_on(
        devices,
        optimise,
        partial(TextureNetwork, config),
        config.patch_px,
        train,
        val,
        settings,
        state,
        keep=partial(save_state, run),
        progress=progress,
        say=say,
    )
    network = TextureNetwork(config)
    network.load_state_dict(state["best"])
    network.eval()
    calibration = set_temperature(network, val)
    say(calibration.summary)
    if calibration.warning:
        say(f"warning: {calibration.warning}")
    save_network(network, run)
    found = {
        "history": state["history"],
        "temperature": calibration.temperature,
        "calibration": calibration.to_json(),
    }
    finish_run(run, {**document, **found})
    return network
