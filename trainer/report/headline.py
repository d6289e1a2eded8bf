"""The figures as a clinician reads them: a number, its interval, and what it means in one sentence."""

from dataclasses import dataclass

from markupsafe import Markup

from trainer.evaluate import Evaluation
from trainer.intervals import Figure


@dataclass(frozen=True)
class Tile:
    """One figure of the headline.

    Attributes:
        name: of the figure, with the key of `evaluate --json` where that differs.
        value: with its unit.
        interval: its 95 % interval, with the unit; empty where the figure is undefined.
        meaning: one sentence.
    """

    name: str
    value: Markup
    interval: Markup
    meaning: str


def headline(evaluation: Evaluation) -> tuple[Tile, ...]:
    """The tiles of the headline; distances between grades only where grades are ordered."""
    figures, last = evaluation.figures, evaluation.grades[-1]
    tiles = [
        _tile(
            "Accuracy",
            figures["accuracy"],
            "%",
            f"of the patches get from the model the very grade that is the raters' {evaluation.consensus}.",
        )
    ]
    if evaluation.ordered:
        tiles += [
            _tile(
                "Mean distance (MAD)",
                figures["mad"],
                "grades",
                "lie on average between the model's grade and the raters' median.",
            ),
            _tile(
                "Normalised distance",
                figures["mad_normalised"],
                "%",
                f"of the whole scale from {evaluation.grades[0]} to {last}: the same distance, to be compared between "
                "scales.",
            ),
            _tile(
                "Weighted kappa",
                figures["qwk"],
                "",
                "is the agreement beyond chance: 1 is full agreement, 0 what guessing gives; an error of two grades "
                "weighs four times an error of one.",
            ),
        ]
    return (
        *tiles,
        _tile(
            "Calibration (ECE)",
            figures["ece"],
            "%",
            "lie on average between the confidence the model states and how often it is right: the calibration error; "
            "0 is honest.",
        ),
    )


def percent(share: float, digits: int = 1) -> Markup:
    """A share from 0 to 1, on one line."""
    return _unbroken(f"{100 * share:.{digits}f} %")


def figure_in_words(figure: Figure | None, unit: str = "") -> Markup:
    """A figure with its interval in brackets, each on one line; a dash where it is undefined."""
    return Markup("–") if figure is None else Markup("{} ({})").format(*_value_and_interval(figure, unit))


def _tile(name: str, figure: Figure | None, unit: str, meaning: str) -> Tile:
    if figure is None:
        return Tile(
            name,
            Markup("–"),
            Markup(""),
            "The model and the raters use one grade throughout, so that there is no chance agreement to compare with.",
        )
    return Tile(name, *_value_and_interval(figure, unit), meaning)


def _value_and_interval(figure: Figure, unit: str) -> tuple[Markup, Markup]:
    """The unit `%` is of a share from 0 to 1."""
    if unit == "%":
        return percent(figure.value), _unbroken(f"{100 * figure.low:.1f} to {100 * figure.high:.1f} %")
    return _unbroken(f"{figure.value:.3f} {unit}".rstrip()), _unbroken(f"{figure.low:.3f} to {figure.high:.3f}")


def _unbroken(number: str) -> Markup:
    return Markup(number.replace(" ", "&nbsp;"))
