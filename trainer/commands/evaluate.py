"""`inflamap evaluate`."""

import json
from pathlib import Path

import click

from runtime.bundle import open_bundle
from runtime.bundle_files import MANIFEST_FILE
from runtime.commands.finite_range import FiniteRange
from runtime.console import reporter
from runtime.dense_map import Geometry
from runtime.engines import Engine
from runtime.engines.registry import default_threads, open_engine
from runtime.errors import DataError
from trainer.dataset import ScoredPatches, read_scored_patches
from trainer.evaluate import Evaluation, TorchEngine, read_severity, unseen
from trainer.evaluate import evaluate as evaluate_model
from trainer.run import load_run
from trainer.split import seen_in_training


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--um-per-px", type=FiniteRange(min=0, min_open=True), help="Sampling of DATA where it tells none.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def evaluate(model: Path, data: Path, um_per_px: float | None, as_json: bool) -> None:
    """Compare MODEL, a run or a bundle, with the experts' scores in DATA, on patches it was not trained on."""
    with reporter() as report:
        engine, geometry, grades, seen = _open_model(model)
        patches = read_scored_patches(
            data,
            patch_px=geometry.patch_px,
            model_um_per_px=geometry.um_per_px,
            um_per_px=um_per_px,
            progress=report.progress,
        )
        _require_grades(patches, grades, data)
        for note in patches.notes:
            report.say(f"warning: {note}")
        held_out = unseen(patches, seen, data)
        report.say(f"{len(patches) - len(held_out)} of {len(patches)} patches left out: the model was trained on them")
        found = evaluate_model(
            held_out,
            engine,
            geometry,
            grades,
            severity=read_severity(data, held_out),
            progress=report.progress,
        )
    click.echo(json.dumps(found.to_json(), indent=2) if as_json else _table(found))


def _open_model(model: Path) -> tuple[Engine, Geometry, tuple[str, ...], frozenset[str]]:
    """Engine, geometry, grades and what it saw in training, of a run or a bundle."""
    if (model / MANIFEST_FILE).exists():
        bundle = open_bundle(model)
        return (
            open_engine(bundle, threads=default_threads()),
            bundle.geometry,
            bundle.manifest.grades,
            bundle.training_patches(),
        )
    network, _document = load_run(model)
    config = network.config
    geometry = Geometry(config.patch_px, config.total_stride, config.um_per_px)
    return TorchEngine(network, geometry.stride_px), geometry, config.grades, seen_in_training(model)


def _require_grades(patches: ScoredPatches, grades: tuple[str, ...], data: Path) -> None:
    """A data set that lacks the highest grades still fits; one with others does not."""
    if patches.grades != grades[: len(patches.grades)]:
        raise DataError(
            f"{data}: grades differ from the model's",
            seen=", ".join(patches.grades),
            wanted=", ".join(grades),
        )


def _table(found: Evaluation) -> str:
    """The figures and the confusion matrix, for a person."""
    source = "synthetic (phantom)" if found.synthetic else "as scored by the raters"
    lines = [f"{found.patches} held-out patches of {found.subjects} subjects, {source}"]
    lines += [
        f"  {name:15s} {figure.value:.3f}   95 % interval {figure.low:.3f} to {figure.high:.3f} (by subject)"
        for name, figure in found.figures.items()
    ]
    if found.oracle is not None:
        lines.append(f"  {'oracle accuracy':15s} {found.oracle:.3f}   knows the true severity and the raters' noise")
    lines += [
        f"  {'rater ' + name:15s} {agreed['accuracy']:.3f}   accuracy against the median of the other raters"
        for name, agreed in found.raters.items()
    ]
    width = max(6, *(len(name) + 1 for name in found.grades))
    lines.append("confusion matrix: rows the raters' median, columns the model")
    lines.append(" " * width + "".join(f"{name:>{width}}" for name in found.grades))
    lines += [
        f"{name:>{width}}" + "".join(f"{count:>{width}}" for count in row)
        for name, row in zip(found.grades, found.confusion, strict=True)
    ]
    return "\n".join(lines)
