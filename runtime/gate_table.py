"""The gate's figures as a table for a terminal or a log."""

from collections.abc import Mapping

from runtime.gate import GateFigures, Verdict

HEADING = ("", "of", "unchanged", "margin", "shift", "kappa", "accuracy", "withheld", "no skin", "INT8", "")
HEADING_WITHOUT_ORDER = tuple("distance" if word == "shift" else word for word in HEADING)
ABOUT_SHIFT = "shift: of the expected grade, mean"
ABOUT_DISTANCE = "distance: of the class probabilities, mean"


def gate_table(verdicts: Mapping[str, Verdict]) -> list[str]:
    """A line for the patches and one for the frames' cells of each; then what the columns mean.

    Args:
        verdicts: by the name of the file or engine.
    """
    # the verdicts of one table are of one model
    ordered = all(verdict.patches.shift is not None for verdict in verdicts.values())
    about = ABOUT_SHIFT if ordered else ABOUT_DISTANCE
    rows: list[tuple[str, ...]] = [HEADING if ordered else HEADING_WITHOUT_ORDER]
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
        f"changed; {about}; accuracy: points lost; withheld: share newly withheld or shown;",
        "no skin: patches of shuffled pixels that are shown, and how many there are",
    ]


def _figures(what: str, figures: GateFigures) -> tuple[str, ...]:
    return (
        f"{figures.cells} {what}",
        f"{figures.unchanged:.4f}",
        f"{figures.changed_margin:.3f}",
        f"{figures.movement:.4f}",
        "-" if figures.kappa is None else f"{figures.kappa:.4f}",
        "" if figures.accuracy_loss is None else f"{100 * figures.accuracy_loss:+.2f}",
        f"{figures.withholding_changed:.4f}",
    )
