"""The gate's figures as a table for a terminal or a log."""

from collections.abc import Mapping

from runtime.gate import GateFigures, Verdict

HEADING = ("", "of", "unchanged", "margin", "shift", "kappa", "accuracy", "withheld", "no skin", "INT8", "")


def gate_table(verdicts: Mapping[str, Verdict]) -> list[str]:
    """A line for the patches and one for the frames' cells of each; then what the columns mean.

    Args:
        verdicts: by the name of the file or engine.
    """
    rows: list[tuple[str, ...]] = [HEADING]
    for name, verdict in verdicts.items():
        share = "-" if verdict.int8_share is None else f"{verdict.int8_share:.0%}"
        shown = f"{verdict.strangers.shown}/{verdict.strangers.patches}"
        ending = (shown, share, "passed" if verdict.passed else "MISSED")
        rows.append((name, *_figures("patches", verdict.patches), *ending))
        if verdict.frames:
            rows.append(("", *_figures("cells", verdict.frames), "", "", ""))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows]
    return [
        *lines,
        "unchanged: share of the grades that are FP32's; margin: the largest between FP32's two best where one",
        "changed; shift: of the expected grade, mean; accuracy: points lost; withheld: share newly withheld or shown;",
        "no skin: patches of shuffled pixels that are shown, and how many there are",
    ]


def _figures(what: str, figures: GateFigures) -> tuple[str, ...]:
    return (
        f"{figures.cells} {what}",
        f"{figures.unchanged:.4f}",
        f"{figures.changed_margin:.3f}",
        f"{figures.shift:.4f}",
        "-" if figures.kappa is None else f"{figures.kappa:.4f}",
        "" if figures.accuracy_loss is None else f"{100 * figures.accuracy_loss:+.2f}",
        f"{figures.withholding_changed:.4f}",
    )
