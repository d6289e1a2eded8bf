"""Training: one pass from scored patches to a run folder, the same weights for the same seed and machine.

A plain loop rather than a framework's: an epoch draws all its chance from (seed, epoch), so a run killed anywhere
goes on from the last epoch's end to the very same weights, and the base of the trainer stays torch alone.
"""

import copy
import math
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from runtime.errors import CheckFailed
from runtime.version import __version__
from trainer import loss as losses
from trainer.augment import Augmentation, augment, random_crop
from trainer.calibrate import predict_logits, set_familiarity, set_temperature
from trainer.dataset import Progress, ScoredPatches
from trainer.network import NETWORK_VERSION, NetworkConfig, TextureNetwork, save_network
from trainer.parts import Part
from trainer.run import begin_run, finish_run, open_run, save_state
from trainer.split import PARTS, split_sha256, write_split


@dataclass(frozen=True)
class FitSettings:
    """Every knob of training.

    Attributes:
        epochs: passes over the training part.
        batch: patches a step.
        learning_rate: at the top of the one cycle.
        weight_decay: of AdamW.
        average: share of the running average of the weights kept at each step; the average is what is evaluated, for it
            is steadier from epoch to epoch than the weights.
        loss: `ordinal` or `cross-entropy`.
        seed: of weights, order and augmentation.
        split: as asked on the command line.
        augmentation: see `Augmentation`.
    """

    epochs: int = 24
    batch: int = 64
    learning_rate: float = 4e-3
    weight_decay: float = 1e-2
    average: float = 0.99
    loss: str = "ordinal"
    seed: int = 0
    split: str = "random"
    augmentation: Augmentation = field(default_factory=Augmentation)


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

    Raises:
        InflamapError: the folder holds a finished run, or one of other settings.
    """
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
    }
    state = open_run(run, document)
    # before run.json: what calls itself a run can tell what was held out
    write_split(run, data, parts)
    if state is None:
        begin_run(run, document)

    def rows(part: str) -> list[int]:
        return [row for row, name in enumerate(parts) if name == part]

    train = Part.of(data.select(rows("train")), config.patch_px)
    val = Part.of(data.select(rows("val")), config.patch_px)
    network, history = _optimise(train, val, config, settings, run, state, progress=progress, say=say)
    set_temperature(network, val)
    set_familiarity(network, train, val, settings.augmentation, settings.seed)
    save_network(network, run)
    finish_run(run, {**document, "history": history, "temperature": float(network.temperature)})
    return network


def _optimise(
    train: Part,
    val: Part,
    config: NetworkConfig,
    settings: FitSettings,
    run: Path,
    state: dict[str, Any] | None,
    *,
    progress: Progress,
    say: Callable[[str], None],
) -> tuple[TextureNetwork, list[dict[str, float]]]:
    """The network of the epoch with the lowest loss on the validation part, and the losses of every epoch."""
    torch.manual_seed(settings.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    # channels last: a quarter less time a step on a CPU
    network = TextureNetwork(config).to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = AveragedModel(network, avg_fn=_running_average(settings.average), use_buffers=True)
    criterion = losses.ordinal if settings.loss == "ordinal" else losses.cross_entropy
    optimiser = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    steps = max(1, len(train.grey) // settings.batch)
    # fewer than ten steps leave OneCycleLR no room to rise (it divides by zero at five)
    total_steps = max(10, settings.epochs * steps)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, settings.learning_rate, total_steps=total_steps, pct_start=0.2
    )
    history: list[dict[str, float]] = []
    best = copy.deepcopy(average.module.state_dict())
    if state is not None:
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        schedule.load_state_dict(state["schedule"])
        history, best = state["history"], state["best"]
        say(f"going on after epoch {len(history)} of {settings.epochs}")

    for epoch in range(len(history), settings.epochs):
        generator = torch.Generator().manual_seed(settings.seed * 100_003 + epoch)
        order = torch.randperm(len(train.grey), generator=generator)
        network.train()
        total = 0.0
        for step in range(steps):
            rows = order[step * settings.batch : (step + 1) * settings.batch]
            grey = random_crop(train.grey[rows], config.patch_px, generator).to(device).float()
            grey = augment(grey, settings.augmentation, generator)
            batch_loss = criterion(network(grey), train.shares[rows].to(device))
            optimiser.zero_grad()
            batch_loss.backward()
            optimiser.step()
            schedule.step()
            average.update_parameters(network)
            total += batch_loss.item()
            progress(f"epoch {epoch + 1}/{settings.epochs}", step + 1, steps)
        logits = predict_logits(average.module, val.grey)
        val_loss = float(criterion(logits, val.shares))
        if not math.isfinite(val_loss):
            raise CheckFailed(
                f"training diverged in epoch {epoch + 1}", seen=f"validation loss {val_loss}", wanted="a number"
            )
        agree = float((logits.argmax(1) == val.grades).float().mean())
        history.append({"train_loss": total / steps, "val_loss": val_loss, "val_accuracy": agree})
        if val_loss <= min(entry["val_loss"] for entry in history):
            best = copy.deepcopy(average.module.state_dict())
        say(
            f"epoch {epoch + 1:3d}/{settings.epochs}  train loss {total / steps:.3f}  "
            f"validation loss {val_loss:.3f}  validation accuracy {agree:.3f}"
        )
        save_state(
            run,
            {
                "network": network.state_dict(),
                "average": average.state_dict(),
                "optimiser": optimiser.state_dict(),
                "schedule": schedule.state_dict(),
                "history": history,
                "best": best,
            },
        )

    finished = TextureNetwork(config)
    finished.load_state_dict(best)
    return finished.eval(), history


def _running_average(keep: float) -> Callable[[Tensor, Tensor, Tensor | int], Tensor]:
    """An exponential average that forgets its first steps soon, so that short trainings are averaged well too."""

    def average(so_far: Tensor, now: Tensor, steps: Tensor | int) -> Tensor:
        weight = max(1 - keep, 10 / (10 + int(steps)))
        return so_far + (now - so_far) * weight

    return average
