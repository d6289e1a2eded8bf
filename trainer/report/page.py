"""The report's page: what was found, in the order a clinician reads it, and what traces it."""

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from runtime.errors import one_line
from runtime.version import NOTICE
from trainer.evaluate import Evaluation
from trainer.experts import PAIR_PATCHES, RATERS_COMPARED
from trainer.figures import ReliabilityBin, reliability
from trainer.grade_scale import GradeScale
from trainer.report.charts import accuracy_chart, loss_chart, reliability_chart, subjects_chart
from trainer.report.confusion import confusion_table
from trainer.report.facts import RunFacts
from trainer.report.headline import figure_in_words, headline, percent
from trainer.report.methods import how_intervals_came, why_kept
from trainer.report.pictures import worst_patches
from trainer.report.provenance import PART_NAMES, data_lines, hashes, origin, patches_by_grade, tracing
from trainer.subject_agreement import SubjectAgreement, by_subject

TEMPLATE = "page.html.jinja"
MOST_SUBJECTS = 40


def report_page(
    facts: RunFacts,
    evaluation: Evaluation,
    part: Literal["held-out", "validation"],
    *,
    data: Path,
    evaluated_with: Mapping[str, Any] | None = None,
) -> bytes:
    """One HTML file in UTF-8 with its charts and pictures inside; the same input makes the same bytes.

    Args:
        facts: of the finished run.
        evaluation: of its model, on `part`.
        part: `held-out`, patches the run never saw, or `validation`, the part by which it chose; the page says which.
        data: the data set evaluated on.
        evaluated_with: options of `inflamap evaluate`, by flag.
    """
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_plain
    )
    environment.filters |= {"percent": percent, "figure": figure_in_words}
    template = environment.from_string(files("trainer.report").joinpath(TEMPLATE).read_text(encoding="utf-8"))
    return template.render(_context(facts, evaluation, part, data.resolve(), evaluated_with or {})).encode()


def _plain(value: object) -> object:
    """What stands in the page: names of files hold anything, bytes that are no UTF-8 and marks that turn text round."""
    return one_line(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _context(
    facts: RunFacts, evaluation: Evaluation, part: str, data: Path, evaluated_with: Mapping[str, Any]
) -> dict[str, Any]:
    run, truth = facts.document, evaluation.data.consensus_grades()
    bins = reliability(evaluation.probabilities, truth)
    raters = list(evaluation.experts.raters.items()) if evaluation.experts else []
    subjects = _subjects(evaluation)
    return {
        "notice": NOTICE,
        "facts": facts,
        "run": run,
        "evaluation": evaluation,
        "part": part,
        "optimism": evaluation.optimism(),
        "verdict": evaluation.verdict(),
        "intervals": how_intervals_came(len(subjects)),
        "kept": why_kept(facts),
        "lowest_grade": GradeScale(evaluation.grades).lowest or 0,
        "origin": origin(facts, evaluation, part, data),
        "tiles": headline(evaluation),
        "raters": raters[:RATERS_COMPARED],
        "raters_left_out": len(raters[RATERS_COMPARED:]),
        "pair_patches": PAIR_PATCHES,
        "confusion": confusion_table(evaluation),
        "bins": bins,
        "subjects": subjects,
        "worst_subjects": subjects[:MOST_SUBJECTS],
        "worst": worst_patches(evaluation),
        "wrong": int((evaluation.probabilities.argmax(1) != truth).sum()),
        "charts": _charts(facts, bins, subjects, ordered=evaluation.ordered),
        "part_names": PART_NAMES,
        "patches_by_grade": patches_by_grade(facts),
        "data_lines": data_lines(facts, evaluation, data),
        "notes": list(dict.fromkeys((*run["data"]["notes"], *evaluation.data.notes))),
        "commands": facts.commands(data, evaluated_with),
        "hashes": hashes(facts),
        "tracing": tracing(facts),
    }


def _subjects(evaluation: Evaluation) -> list[SubjectAgreement]:
    """The subjects, the largest error first; none where the data names none, so that each image is its own."""
    if not any(patch.has_subject for patch in evaluation.data.patches):
        return []
    return sorted(by_subject(evaluation), key=lambda found: found.accuracy if found.mad is None else -found.mad)


def _charts(
    facts: RunFacts, bins: Sequence[ReliabilityBin], subjects: Sequence[SubjectAgreement], *, ordered: bool
) -> dict[str, Markup]:
    history, kept = facts.document["history"], facts.kept_epoch
    train_loss, val_loss, val_accuracy = (
        [entry[name] for entry in history] for name in ("train_loss", "val_loss", "val_accuracy")
    )
    charts = {
        "reliability": reliability_chart(bins),
        "loss": loss_chart(train_loss, val_loss, kept),
        "accuracy": accuracy_chart(val_accuracy, kept),
    }
    if subjects:
        charts["subjects"] = subjects_chart(
            [100 * (1 - found.accuracy) if found.signed_error is None else found.signed_error for found in subjects],
            [found.patches for found in subjects],
            "mean error in grades" if ordered else "graded otherwise, in %",
        )
    return charts
