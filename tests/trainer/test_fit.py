"""Training: the same weights for the same seed, whatever happens in between, and never a look at the held-out part."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from runtime.errors import CheckFailed, InflamapError
from trainer import fit as fit_module
from trainer.dataset import ScoredPatches, read_scored_patches
from trainer.fit import fit
from trainer.loss import ordinal
from trainer.network import WEIGHTS_FILE, load_network
from trainer.optimise import FitSettings, kept_epoch
from trainer.parts import Part
from trainer.predict import predict
from trainer.split import split_patches

SETTINGS = FitSettings(epochs=3, batch=16, seed=5)
Step = tuple[str, int, int]


class Killed(BaseException):
    """What a test raises out of a callback, as Ctrl-C would."""


@pytest.fixture(scope="module")
def data(tmp_path_factory, draw_data) -> ScoredPatches:
    folder = draw_data(tmp_path_factory.mktemp("few"), patches=60)
    return read_scored_patches(folder, patch_px=32, model_um_per_px=0.5)


@pytest.fixture(scope="module")
def train(data, tiny) -> Callable[..., bytes]:
    """Trains the tiny network and gives the weights' file."""

    def run_fit(
        run: Path,
        settings: FitSettings = SETTINGS,
        *,
        data: ScoredPatches = data,
        parts: tuple[str, ...] = split_patches(data, "random", 0),
        say: Callable[[str], None] = lambda _line: None,
        progress: Callable[[str, int, int], None] = lambda *_step: None,
    ) -> bytes:
        fit(data, parts, tiny, settings, run, source=Path("somewhere"), progress=progress, say=say)
        return (run / WEIGHTS_FILE).read_bytes()

    return run_fit


@pytest.fixture(scope="module")
def finished(train, tmp_path_factory) -> Path:
    """A run that nothing interrupted."""
    run = tmp_path_factory.mktemp("finished") / "run"
    train(run)
    return run


def rescored(data: ScoredPatches, parts: tuple[str, ...], part: str, scores: tuple[int, ...]) -> ScoredPatches:
    """The data set with every patch of one part scored alike."""
    raters = tuple("abc"[: len(scores)])
    patches = tuple(
        dataclasses.replace(patch, scores=scores, raters=raters) if here == part else patch
        for patch, here in zip(data.patches, parts, strict=True)
    )
    return dataclasses.replace(data, patches=patches)


def predicted(run: Path, data: ScoredPatches, parts: tuple[str, ...]) -> tuple[Tensor, Part]:
    """The finished network's logits on the validation part, and the part."""
    val = Part.of(data, parts, "val")
    return predict(load_network(run), val, 32), val


def test_the_same_seed_gives_the_same_weights_to_the_last_bit(train, finished, tmp_path):
    torch.manual_seed(1234)
    assert train(tmp_path / "again") == (finished / WEIGHTS_FILE).read_bytes()


def test_another_seed_or_loss_gives_other_weights(train, finished, tmp_path):
    weights = (finished / WEIGHTS_FILE).read_bytes()
    assert train(tmp_path / "seed", dataclasses.replace(SETTINGS, seed=6)) != weights
    assert train(tmp_path / "loss", dataclasses.replace(SETTINGS, loss="cross-entropy")) != weights


@pytest.mark.parametrize(
    ("moment", "done"),
    [
        ("in the middle of the first epoch", 0),
        ("in the middle of the second epoch", 1),
        ("at the end of the second epoch", 1),
        ("before the network is written", 3),
    ],
)
def test_a_run_killed_at_any_moment_goes_on_to_the_very_same_weights(
    train, finished, tmp_path, monkeypatch, moment, done
):
    def progress(label: str, step: int, _steps: int) -> None:
        if moment.startswith("in the middle") and step == 1 and label == f"epoch {done + 1}/3":
            raise Killed

    def say(line: str) -> None:
        if moment.startswith("at the end") and line.startswith("epoch   2/3"):
            raise Killed

    def save(*_anything: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        if moment.startswith("before"):
            patch.setattr(fit_module, "save_network", save)
        with pytest.raises(Killed):
            train(tmp_path, progress=progress, say=say)
    assert not json.loads((tmp_path / "run.json").read_text()).get("finished")

    said: list[str] = []
    assert train(tmp_path, say=said.append) == (finished / WEIGHTS_FILE).read_bytes()
    assert [line for line in said if "going on" in line] == ([f"going on after epoch {done} of 3"] if done else [])
    assert len([line for line in said if line.startswith("epoch")]) == 3 - done
    assert json.loads((tmp_path / "run.json").read_text()) == json.loads((finished / "run.json").read_text())


def test_what_was_said_of_the_held_out_part_changes_nothing(train, data, finished, tmp_path):
    parts = split_patches(data, "random", 0)
    rng = np.random.default_rng(1)
    changed = dataclasses.replace(
        rescored(data, parts, "test", (2, 2)),
        pixels=tuple(
            rng.integers(0, 256, (40, 40), np.uint8) if part == "test" else pixels
            for pixels, part in zip(data.pixels, parts, strict=True)
        ),
    )
    assert train(tmp_path, data=changed, parts=parts) == (finished / WEIGHTS_FILE).read_bytes()


def test_what_was_said_of_the_training_part_does(train, data, finished, tmp_path):
    parts = split_patches(data, "random", 0)
    changed = rescored(data, parts, "train", (2, 2))
    assert train(tmp_path, data=changed, parts=parts) != (finished / WEIGHTS_FILE).read_bytes()


def test_textures_are_learned(trained):
    test = Part.of(trained.data, trained.parts, "test")
    agree = predict(trained.network, test, 32).argmax(1) == test.grades
    assert len(agree) == 50
    assert agree.float().mean() > 0.9


def test_an_epoch_before_the_validation_loss_rose_is_kept(train, data, tmp_path):
    # raters of the validation part who see nothing but grade 1: the more is learned, the worse the loss
    parts = split_patches(data, "random", 0)
    changed = rescored(data, parts, "val", (1, 1))
    train(tmp_path, FitSettings(epochs=8, batch=8, learning_rate=2e-2), data=changed, parts=parts)
    history = json.loads((tmp_path / "run.json").read_text())["history"]
    losses = [entry["val_loss"] for entry in history]
    assert losses[-1] > min(losses) + 0.1
    logits, val = predicted(tmp_path, changed, parts)
    kept = kept_epoch(history)
    assert kept < len(history)
    assert float(ordinal(logits, val.shares).mean()) == pytest.approx(losses[kept - 1], rel=1e-5)


def test_validation_accuracy_is_against_the_raters_median(train, data, tmp_path):
    # of shares as even as these the first is grade 0, the median grade 1
    parts = split_patches(data, "random", 0)
    changed = rescored(data, parts, "val", (0, 1, 2))
    train(tmp_path, FitSettings(epochs=1, batch=16, seed=1), data=changed, parts=parts)
    logits, _val = predicted(tmp_path, changed, parts)
    grades = logits.argmax(1)
    assert (grades == 0).sum() != (grades == 1).sum()
    [entry] = json.loads((tmp_path / "run.json").read_text())["history"]
    assert entry["val_accuracy"] == pytest.approx(float((grades == 1).float().mean()))


def test_the_run_tells_how_it_came_about(finished, data):
    document = json.loads((finished / "run.json").read_text())
    parts = split_patches(data, "random", 0)
    assert document["finished"] is True
    assert document["settings"]["seed"] == 5
    assert document["settings"]["augmentation"]["coarsest"] > 1
    assert document["network"]["patch_px"] == 32
    assert document["data"]["sha256"] == data.content_sha256()
    assert document["data"]["patches"] == 60
    assert document["data"]["parts"] == {part: parts.count(part) for part in ("train", "val", "test")}
    assert document["data"]["folder"] == str(Path("somewhere").resolve())
    assert document["data"]["synthetic"] is False
    assert set(document["versions"]) == {"inflamap", "network", "torch", "python"}
    assert [set(entry) for entry in document["history"]] == [
        {"train_loss", "val_loss", "val_loss_error", "val_accuracy"}
    ] * 3
    assert document["temperature"] > 0
    assert document["calibration"].pop("warning") is None
    assert document["calibration"].keys() == {"images", "patches", "accuracy", "confidence", "confidence_before"}


def test_a_temperature_that_could_not_be_fitted_is_reported_in_log_and_run(train, data, tmp_path):
    parts = split_patches(data, "random", 0)
    log: list[str] = []
    # raters of the validation part who name another grade than those of the training part
    patches = tuple(
        dataclasses.replace(patch, scores=((patch.grade + 1) % 3,) * 2) if here == "val" else patch
        for patch, here in zip(data.patches, parts, strict=True)
    )
    # of several epochs the one that learned least would be kept
    settings = FitSettings(epochs=1, batch=32, seed=5)
    train(tmp_path, settings, data=dataclasses.replace(data, patches=patches), parts=parts, say=log.append)
    document = json.loads((tmp_path / "run.json").read_text())
    warning = document["calibration"]["warning"]
    assert warning.startswith("the temperature reached its bound of 10")
    assert log[-1] == f"warning: {warning}"
    assert log[-2].startswith("temperature 10.00: mean confidence of a patch ")
    assert document["temperature"] == 10


def test_a_finished_run_leaves_no_state_and_no_temporaries(finished):
    assert sorted(path.name for path in finished.iterdir()) == [
        "network.json",
        "network.safetensors",
        "run.json",
        "split.csv",
    ]


def test_without_its_split_no_folder_calls_itself_a_run(train, tmp_path, monkeypatch):
    def full(*_arguments: object) -> None:
        raise InflamapError("split.csv cannot be written")

    with monkeypatch.context() as patch:
        patch.setattr(fit_module, "write_split", full)
        with pytest.raises(InflamapError, match="cannot be written"):
            train(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_finished_run_is_not_trained_again(train, finished):
    before = {path.name: path.read_bytes() for path in finished.iterdir()}
    with pytest.raises(InflamapError, match=r"holds a finished run.*next: give another --out"):
        train(finished)
    assert {path.name: path.read_bytes() for path in finished.iterdir()} == before


@pytest.mark.parametrize("other", ["settings", "scores", "split"])
def test_an_unfinished_run_goes_on_only_with_the_same_settings_data_and_split(train, data, tmp_path, other):
    def kill(*_step: object) -> None:
        raise Killed

    parts = split_patches(data, "random", 0)
    with pytest.raises(Killed):
        train(tmp_path, progress=kill, parts=parts)
    before = (tmp_path / "split.csv").read_bytes()
    settings = SETTINGS
    if other == "settings":
        settings = dataclasses.replace(SETTINGS, epochs=4)
    if other == "scores":
        data = dataclasses.replace(data, patches=(dataclasses.replace(data.patches[0], scores=(1,)), *data.patches[1:]))
    if other == "split":
        one, two = parts.index("train"), parts.index("test")
        swapped = list(parts)
        swapped[one], swapped[two] = "test", "train"
        parts = tuple(swapped)
    with pytest.raises(InflamapError, match="holds a different unfinished run"):
        train(tmp_path, settings, data=data, parts=parts)
    assert (tmp_path / "split.csv").read_bytes() == before


def test_a_training_that_diverges_says_so(train, tmp_path):
    with pytest.raises(CheckFailed, match="training diverged in epoch 1; seen: validation loss nan"):
        train(tmp_path, FitSettings(epochs=2, batch=4, learning_rate=1e30))


def test_progress_counts_the_steps_of_every_epoch(train, tmp_path):
    told: list[Step] = []
    train(tmp_path, dataclasses.replace(SETTINGS, epochs=2), progress=lambda *step: told.append(step))
    assert told == [(f"epoch {epoch}/2", step, 20) for epoch in (1, 2) for step in range(1, 21)]
