"""The training report: one HTML page that opens offline, which a lab scientist shows to a clinician."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from runtime.outputs import write_atomically
from trainer.evaluate import Evaluation
from trainer.report.facts import read_facts


def write_report(
    run: Path,
    evaluation: Evaluation,
    part: Literal["held-out", "validation"],
    *,
    data: Path,
    page: Path,
    evaluated_with: Mapping[str, Any] | None = None,
) -> None:
    """Write the page of a finished run.

    Args:
        run: its folder.
        evaluation: of its model, on `part` of `data`.
        part: see `trainer.report.page.report_page`.
        data: the data set evaluated on.
        page: the file to write.
        evaluated_with: options of `inflamap evaluate`, by flag.

    Raises:
        InflamapError: the folder holds no finished run, or the page cannot be written.
    """
    # matplotlib and jinja2 are loaded when a page is drawn, and by no command's start
    from trainer.report.page import report_page

    write_atomically(page, report_page(read_facts(run), evaluation, part, data=data, evaluated_with=evaluated_with))


__all__ = ["write_report"]
