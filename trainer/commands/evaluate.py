"""`inflamap evaluate`."""

import json
import math
import textwrap
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import click
import numpy as np

from runtime.bundle import abbreviate, open_bundle
from runtime.bundle_files import MANIFEST_FILE
from runtime.commands.finite_range import FiniteRange
from runtime.console import reporter
from runtime.dense_map import Geometry
from runtime.engines import Engine
from runtime.engines.registry import default_threads, open_engine
from runtime.errors import InflamapError, one_line
from runtime.images.patch import ASSUMED_UM_PER_PX
from trainer.commands.given_options import given_options
from trainer.dataset import ScoredPatches, read_scored_patches
from trainer.evaluate import Evaluation, read_severity, unseen
from trainer.evaluate import evaluate as evaluate_model
from trainer.experts import RATERS_COMPARED
from trainer.grade_scale import GradeScale
from trainer.intervals import Figure
from trainer.leakage import subjects_of
from trainer.report import write_report
from trainer.run import REPORT_FILE, load_run
from trainer.split_record import TrainedOn, seen_in_training
from trainer.torch_engine import TorchEngine

TERMINAL_COLUMNS = 110
# more would not fit side by side
GRADES_SHOWN, LABEL_LENGTH = 12, 16
CONFUSIONS_SHOWN = 10


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--um-per-px", type=FiniteRange(min=0, min_open=True), help="Sampling of DATA where it tells none.")
@click.option(
    "--report",
    "page",
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"The page with all of it. Default: {REPORT_FILE} in MODEL, where that is a run; a bundle has none.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def evaluate(model: Path, data: Path, um_per_px: float | None, page: Path | None, as_json: bool) -> None:
    """Compare MODEL, a run or a bundle, with the experts' scores in DATA, on patches it was not trained on."""
    with reporter() as report:
        if page is not None and _is_bundle(model):
            raise InflamapError(
                f"{page}: no report of a bundle",
                seen=model,
                wanted="a run, which tells how it was trained",
                next_step="give the RUN that the bundle was exported from, or leave out --report",
            )
        engine, geometry, grades, ordered, trained_on = _open_model(model)
        patches = read_scored_patches(
            data,
            patch_px=geometry.patch_px,
            model_um_per_px=geometry.um_per_px,
            um_per_px=um_per_px or trained_on.scale_of(data),
            assumed_um_per_px=trained_on.option_um_per_px or ASSUMED_UM_PER_PX,
            scale=GradeScale(grades),
            ordered=ordered,
            progress=report.progress,
        )
        for note in (*patches.notes, *_other_scales(patches, trained_on)):
            report.say(f"warning: {note}")
        held_out = unseen(patches, trained_on.sha256, data)
        report.say(f"{len(patches) - len(held_out)} of {len(patches)} patches left out: the model was trained on them")
        found = evaluate_model(
            held_out,
            engine,
            geometry,
            grades,
            trained_subjects=trained_on.subjects | subjects_of(_seen(patches, trained_on)),
            severity=read_severity(data, held_out),
            progress=report.progress,
        )
        if not _is_bundle(model):
            try:
                options = given_options(click.get_current_context(), {"page": None, "as_json": None})
                write_report(
                    model, found, "held-out", data=data, page=page or model / REPORT_FILE, evaluated_with=options
                )
                report.say(f"report in {page or model / REPORT_FILE}")
            except InflamapError as error:
                # the figures are worth having without a page that nobody asked for
                if page is not None:
                    raise
                report.say(f"warning: no report: {error}")
    click.echo(json.dumps(found.to_json(), indent=2) if as_json else _table(found))


def _is_bundle(model: Path) -> bool:
    return (model / MANIFEST_FILE).exists()


def _open_model(model: Path) -> tuple[Engine, Geometry, tuple[str, ...], bool, TrainedOn]:
    """Engine, geometry, grades, whether they are ordered, and what it saw in training, of a run or a bundle."""
    if _is_bundle(model):
        bundle = open_bundle(model)
        return (
            open_engine(bundle, threads=default_threads()),
            bundle.geometry,
            bundle.manifest.grades,
            bundle.manifest.ordered,
            TrainedOn(bundle.training_patches(), option_um_per_px=_scale_in(bundle.manifest.training)),
        )
    network, document = load_run(model)
    config = network.config
    trained_on = replace(
        seen_in_training(model),
        option_um_per_px=document.get("options", {}).get("--um-per-px"),
        folder=Path(document["data"]["folder"]) if "data" in document else None,
    )
    engine = TorchEngine(network, config.total_stride)
    return engine, config.geometry, config.grades, config.ordered, trained_on


def _scale_in(training: Mapping[str, object]) -> float | None:
    """Return the `--um-per-px` of the training that a bundle tells of."""
    scale = training.get("um_per_px")
    return float(scale) if isinstance(scale, int | float) else None


def _seen(patches: ScoredPatches, trained_on: TrainedOn) -> ScoredPatches:
    """Return the patches that the model was trained or chosen by."""
    return patches.select([row for row, sha in enumerate(patches.sha256) if abbreviate(sha) in trained_on.sha256])


def _other_scales(patches: ScoredPatches, trained_on: TrainedOn) -> list[str]:
    """Return a warning where patches of the run's data are now taken for another scale."""
    scales = [
        (patch.um_per_px, trained_on.um_per_px[abbreviate(sha)])
        for patch, sha in zip(patches.patches, patches.sha256, strict=True)
        if abbreviate(sha) in trained_on.um_per_px
    ]
    other = [(now, then) for now, then in scales if now is not None and not math.isclose(now, then, rel_tol=1e-6)]
    if not other:
        return []
    now, then = other[0]
    return [
        f"{len(other)} patches of the run's data are taken at another scale than by the run: {now:g} and {then:g} "
        "µm/px (give --um-per-px)"
    ]


def _table(found: Evaluation) -> str:
    """What a person wants to know first; the rest is in the JSON document."""
    return "\n".join([*_figures(found), *_experts(found), *_confusion(found)])


def _figures(found: Evaluation) -> list[str]:
    source = "synthetic (phantom)" if found.synthetic else "as scored by the raters"
    meaning = {
        "accuracy": f"share graded as by the raters' {found.consensus}",
        "mad": "mean distance from it, in grades",
        "mad_normalised": "the same as a share of the whole scale",
        "qwk": "quadratic-weighted kappa",
        "ece": "calibration error of the probabilities",
    }
    # distances between grades without an order mean nothing
    names = meaning if found.ordered else ("accuracy", "ece")
    if found.subjects == 1:
        unit = "by patch: for this one subject alone"
    else:
        unit = "by image" if found.shared_subjects is None else "by subject"
    subjects = "unnamed subjects" if found.shared_subjects is None else _counted(found.subjects, "subject")
    lines = [
        f"{_counted(found.patches, 'held-out patch', 'es')} of {subjects}, {source}",
        f"{'':27s}95 % interval ({unit})",
    ]
    optimism = found.optimism()
    if optimism is not None:
        lines[1:1] = _wrapped(optimism)
    lines += [_line(name, found.figures[name], meaning[name]) for name in names]
    if found.oracle is not None:
        knows = "accuracy of one who knows the true severity and the raters' noise"
        lines.append(f"  {'oracle':15s} {found.oracle['accuracy']:6.3f}{'':20s}{knows}")
        lines.append(_line("accuracy/oracle", found.accuracy_of_oracle, "the model's share of the oracle's accuracy"))
    return lines


def _experts(found: Evaluation) -> list[str]:
    """Each rater against the others and the model, and who agrees better."""
    experts = found.experts
    if experts is None:
        return []
    shown = list(experts.raters.items())[:RATERS_COMPARED]
    width = max(8, *(len(_label(name)) for name, _rater in shown))
    columns = ("accuracy", "mad", "qwk") if found.ordered else ("accuracy",)
    # the one column of nominal grades leaves room for its heading
    step = 10 if found.ordered else 18
    heads = "".join(f"{column:>{step}s}" for column in columns)
    lines = [
        "",
        f"{'':{width + 12}s}{f'{found.consensus} of others':>{len(heads)}s}   {'model':>{len(heads)}s}",
        f"  {'rater':{width}s}   patches{heads}   {heads}",
    ]
    for name, rater in shown:
        others, model = (
            "".join(f"{_number(getattr(agreed, column)):>{step}s}" for column in columns)
            for agreed in (rater.others, rater.model)
        )
        lines.append(f"  {_label(name):{width}s}{rater.model.patches:10d}{others}   {model}")
    if len(experts.raters) > len(shown):
        lines.append(f"  and {_counted(len(experts.raters) - len(shown), 'more rater')}: see --json")
    if not found.ordered:
        return lines
    reliability, verdict = experts.reliability, found.verdict()
    if verdict is not None:
        among, with_model = experts.kappa_among_raters, experts.kappa_model_with_raters
        lines.append(f"  mean kappa of two raters {_interval(among)}, of model and rater {_interval(with_model)}")
    if reliability.single is not None:
        lines.append(
            f"  ICC(2,1) of the raters {_interval(reliability.single)}, with the model as one more "
            f"{_interval(reliability.with_model)}, over {_counted(reliability.patches, 'patch', 'es')}"
        )
    if verdict is not None:
        lines += _wrapped(verdict)
    return lines


def _confusion(found: Evaluation) -> list[str]:
    if len(found.grades) > GRADES_SHOWN:
        return ["", *_frequent_confusions(found)]
    names = [_label(name) for name in found.grades]
    width = max(6, *(len(name) + 2 for name in names))
    recalls = [_line("", recall, "").strip() if recall else "no patches" for recall in found.recall.values()]
    return [
        "",
        f"confusion matrix: rows the raters' {found.consensus}, columns the model; recall with its 95 % interval",
        " " * width + "".join(f"{name:>{width}s}" for name in names) + "   recall",
        *(
            f"{name:>{width}s}" + "".join(f"{count:{width}d}" for count in row) + f"   {recall}"
            for name, row, recall in zip(names, found.confusion, recalls, strict=True)
        ),
    ]


def _frequent_confusions(found: Evaluation) -> list[str]:
    """For more grades than a terminal has columns."""
    wrong = found.confusion * (1 - np.eye(len(found.grades), dtype=np.int64))
    worst = np.argsort(-wrong, axis=None, kind="stable")[:CONFUSIONS_SHOWN]
    pairs = [
        (_label(found.grades[row]), _label(found.grades[column]), wrong[row, column])
        for row, column in zip(*np.unravel_index(worst, wrong.shape), strict=True)
    ]
    return [
        f"most frequent confusions among {len(found.grades)} grades; the whole matrix is in --json",
        *(f"  {count:5d}   {row} taken for {column}" for row, column, count in pairs if count),
    ]


def _wrapped(sentence: str) -> list[str]:
    return textwrap.wrap(sentence, TERMINAL_COLUMNS, initial_indent="  ", subsequent_indent="    ")


def _line(name: str, figure: Figure | None, meaning: str) -> str:
    if figure is None:
        return f"  {name:15s} {'-':>6s}{'':20s}{meaning}".rstrip()
    return f"  {name:15s} {figure.value:6.3f}   {figure.low:.3f} to {figure.high:.3f}   {meaning}".rstrip()


def _number(figure: Figure | None) -> str:
    return "-" if figure is None else f"{figure.value:.3f}"


def _interval(figure: Figure | None) -> str:
    return "-" if figure is None else f"{figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f})"


def _label(name: str) -> str:
    """A grade's or rater's name, safe and short enough for a column."""
    said = one_line(name) or "(no name)"
    return said if len(said) <= LABEL_LENGTH else said[: LABEL_LENGTH - 1] + "…"


def _counted(number: int, noun: str, plural: str = "s") -> str:
    return f"{number} {noun}{plural if number != 1 else ''}"
