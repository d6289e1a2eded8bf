"""The confusion matrix as a table: a browser sets any name of a grade, in any script, where a chart could not."""

from dataclasses import dataclass

from trainer.evaluate import Evaluation

# cells with numbers fit a page up to so many grades
MOST_NUMBERED = 15
# longer names of grades stand upright above their columns
LONGEST_LEVEL = 7
# at full share: the blue of the charts
COLOUR = (33, 97, 140)
# from here on white letters stand out more than black ones
DARK = 0.83


@dataclass(frozen=True)
class ConfusionCell:
    """Patches of one grade that the model gave one grade.

    Attributes:
        grade: the model's.
        patches: how many.
        share: of the patches of the raters' grade, 0 to 1.
        colour: of the cell, for CSS.
        dark: whether the colour wants white letters.
        agreed: whether both grades are the same.
    """

    grade: str
    patches: int
    share: float
    colour: str
    dark: bool
    agreed: bool


@dataclass(frozen=True)
class ConfusionTable:
    """Rows the raters' grades, cells the model's.

    Attributes:
        rows: (grade, its cells), K by K.
        many: whether there are too many grades for numbers.
        upright: whether the names above the columns are turned.
    """

    rows: tuple[tuple[str, tuple[ConfusionCell, ...]], ...]
    many: bool
    upright: bool


def confusion_table(evaluation: Evaluation) -> ConfusionTable:
    """The table of an evaluation's confusion matrix, coloured by the share of each row."""
    grades, counts = evaluation.grades, evaluation.confusion
    many = len(grades) > MOST_NUMBERED
    rows = tuple(
        (
            grades[row],
            tuple(
                _cell(grades[column], int(patches), int(patches) / max(1, int(counts[row].sum())), row == column)
                for column, patches in enumerate(counts[row])
            ),
        )
        for row in range(len(grades))
    )
    return ConfusionTable(rows, many, upright=many or max(map(len, grades)) > LONGEST_LEVEL)


def _cell(grade: str, patches: int, share: float, agreed: bool) -> ConfusionCell:
    # a single patch among thousands is still to be seen
    depth = 0.0 if patches == 0 else 0.08 + 0.92 * share
    red, green, blue = (round(255 + (full - 255) * depth) for full in COLOUR)
    return ConfusionCell(grade, patches, share, f"#{red:02x}{green:02x}{blue:02x}", depth >= DARK, agreed)
