"""The training loop: one pass, all of whose chance is drawn from (seed, epoch, step).

Lightning's Fabric gives devices, processes and precision; the loop is ours, for Lightning's Trainer resumes within an
epoch only approximately, and a run killed at any step is to end with the very same weights.
"""

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from runtime.errors import CheckFailed
from trainer import loss as losses
from trainer.augment import Augmentation, draw_batch
from trainer.parts import Part
from trainer.predict import predict

if TYPE_CHECKING:
    from lightning_fabric import Fabric

# a small data set is passed over several times an epoch: with one step an epoch it would hardly have begun to learn
FEWEST_STEPS = 20
Progress = Callable[[str, int, int], None]
State = dict[str, Any]


@dataclass(frozen=True)
class FitSettings:
    """Every knob of training.

    Attributes:
        epochs: passes over the training part, at most; of a small one each is several passes, see `FEWEST_STEPS`.
        patience: training stops when for so many steps in a row the loss on the validation part was worse than the
            lowest by more than chance, see `kept_epoch`.
        batch: patches a step, of all devices together.
        learning_rate: at the top of the one cycle.
        weight_decay: of AdamW.
        average: share of the running average of the weights kept at each step; the average is what is evaluated, for it
            is steadier from epoch to epoch than the weights.
        loss: `ordinal` or `cross-entropy`.
        seed: of weights, order and augmentation.
        split: as asked on the command line.
        augmentation: see `Augmentation`.
    """

    epochs: int = 48
    patience: int = 1000
    batch: int = 32
    learning_rate: float = 1e-2
    weight_decay: float = 0.1
    average: float = 0.99
    loss: str = "ordinal"
    seed: int = 0
    split: str = "random"
    augmentation: Augmentation = field(default_factory=Augmentation)


def kept_epoch(history: Sequence[Mapping[str, float]]) -> int:
    """The epoch, from 1, whose weights are kept: the last with a validation loss within a standard error of the lowest.

    Of epochs that the validation part cannot tell apart the last has had the lowest learning rate (the rule of one
    standard error: Hastie et al. 2009, The Elements of Statistical Learning, 7.10). 0 where there was none yet.
    """
    if not history:
        return 0
    lowest = min(history, key=lambda entry: entry["val_loss"])
    enough = lowest["val_loss"] + lowest["val_loss_error"]
    return max(epoch for epoch, entry in enumerate(history, 1) if entry["val_loss"] <= enough)


def optimise(
    fabric: "Fabric",
    make_network: Callable[[], nn.Module],
    patch_px: int,
    train: Part,
    val: Part,
    settings: FitSettings,
    state: State | None = None,
    *,
    keep: Callable[[State], None] = lambda _state: None,
    progress: Progress = lambda _label, _done, _total: None,
    say: Callable[[str], None] = lambda _line: None,
) -> State:
    """Train a network that maps grey levels of patches, float [N, 1, patch_px, patch_px], to logits [N, K].

    Runs in every process that `fabric` has launched, and in the only one where it has launched none.

    Args:
        fabric: devices and precision.
        make_network: a new network, whose weights are drawn from torch's generator.
        patch_px: side of its patches.
        train: what is learned from.
        val: what the epoch is chosen by: each image by its patches, see `trainer.predict`.
        settings: how.
        state: what `keep` was given at the end of an epoch of the same training, to go on from there.
        keep: given the state at the end of each epoch, in the first process.
        progress: told (label, done, total), in the first process.
        say: told one line an epoch, in the first process.

    Returns:
        the state at the end: `best`, the state dict of the epoch that `kept_epoch` names; `history`, one dict
        an epoch; and what the optimiser needs.

    Raises:
        CheckFailed: the loss is no number any more.
    """
    torch.manual_seed(settings.seed)
    # channels last: a quarter less time a step on a CPU
    network = make_network().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if fabric.world_size > 1 and fabric.device.type == "cuda":
        network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
    optimiser = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    learner, optimiser = fabric.setup(network, optimiser)
    average = AveragedModel(network, avg_fn=_running_average(settings.average), use_buffers=True)
    steps = max(FEWEST_STEPS, len(train) // settings.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser,
        settings.learning_rate,
        total_steps=settings.epochs * steps,
        pct_start=0.2,
    )
    parts = {"network": network, "average": average, "optimiser": optimiser, "schedule": schedule}
    history: list[dict[str, float]] = []
    best: dict[str, Tensor] = copy.deepcopy(average.module.state_dict())
    if state is not None:
        for name, part in parts.items():
            part.load_state_dict(state[name])
        history, best = list(state["history"]), state["best"]

    def now() -> State:
        states = {name: part.state_dict() for name, part in parts.items()}
        return cast(State, _on_cpu({**states, "history": history, "best": best}))

    criterion = losses.called(settings.loss)
    while len(history) < settings.epochs and steps * (len(history) - kept_epoch(history)) < settings.patience:
        epoch = len(history)
        order = _order(len(train), steps * settings.batch, np.random.default_rng((settings.seed, epoch)))
        network.train()
        total = 0.0
        for step in range(steps):
            rows = order[step * settings.batch : (step + 1) * settings.batch]
            rows = rows[: len(rows) // fabric.world_size * fabric.world_size][fabric.global_rank :: fabric.world_size]
            rng = np.random.default_rng((settings.seed, epoch, step, fabric.global_rank))
            grey = draw_batch(train, rows, patch_px, settings.augmentation, rng, fabric.device)
            batch_loss = criterion(learner(grey), train.shares[rows].to(fabric.device)).mean()
            optimiser.zero_grad()
            fabric.backward(batch_loss)
            optimiser.step()
            schedule.step()
            average.update_parameters(network)
            total += batch_loss.item()
            progress(f"epoch {epoch + 1}/{settings.epochs}", step + 1, steps)
        logits = predict(average.module, val, patch_px)
        val_losses = criterion(logits, val.shares)
        entry = {
            "train_loss": total / steps,
            "val_loss": float(val_losses.mean()),
            "val_loss_error": float(val_losses.std(correction=0)) / math.sqrt(len(val)),
            "val_accuracy": float((logits.argmax(1) == val.grades).float().mean()),
        }
        # running statistics differ from process to process: the first one's are kept, and decide
        entry = fabric.broadcast(entry)
        if not math.isfinite(entry["val_loss"]):
            raise CheckFailed(
                f"training diverged in epoch {epoch + 1}",
                seen=f"validation loss {entry['val_loss']}",
                wanted="a number",
            )
        history.append(entry)
        if kept_epoch(history) == len(history):
            best = copy.deepcopy(average.module.state_dict())
        say(
            f"epoch {epoch + 1:3d}/{settings.epochs}  train loss {entry['train_loss']:.3f}  "
            f"validation loss {entry['val_loss']:.3f}  validation accuracy {entry['val_accuracy']:.3f}"
        )
        keep(now())
    return now()


def _order(patches: int, wanted: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Rows in a drawn order, each as often as any other but one."""
    passes = [rng.permutation(patches) for _ in range(math.ceil(wanted / patches))]
    return np.concatenate(passes)[:wanted]


def _running_average(keep: float) -> Callable[[Tensor, Tensor, Tensor | int], Tensor]:
    """An exponential average that forgets its first steps soon, so that short trainings are averaged well too."""

    def average(so_far: Tensor, now: Tensor, steps: Tensor | int) -> Tensor:
        weight = max(1 - keep, 10 / (10 + int(steps)))
        return so_far + (now - so_far) * weight

    return average


def _on_cpu(state: Any) -> Any:
    """The training may go on where the GPU is not."""
    if isinstance(state, Tensor):
        return state.detach().cpu()
    if isinstance(state, dict):
        return {key: _on_cpu(value) for key, value in state.items()}
    return [_on_cpu(value) for value in state] if isinstance(state, list) else state
