"""The report's charts, drawn as SVG that stands in the page itself."""

import io
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from trainer.figures import ReliabilityBin

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, QUIET, BLUE, AMBER, GREY = "#1c1c1c", "#5a5a5a", "#21618c", "#c77700", "#e4e4e4"
WIDTH_INCHES, HEIGHT_INCHES = 6.0, 3.6
# dots beyond this many run into one another
MOST_DOTS = 200


def loss_chart(train_loss: Sequence[float], val_loss: Sequence[float], kept_epoch: int) -> Markup:
    """Loss of each epoch on the training and the validation part; `kept_epoch` counts from 1."""
    lowest = val_loss[kept_epoch - 1]
    words = f"Loss by epoch. The kept epoch is {kept_epoch} of {len(val_loss)}: validation loss {lowest:.3f}."
    epochs = range(1, len(val_loss) + 1)

    def draw(axes: "Axes") -> None:
        axes.plot(epochs, train_loss, "--", color=AMBER, marker=_marker(epochs, "s"), label="training loss")
        axes.plot(epochs, val_loss, "-", color=BLUE, marker=_marker(epochs, "o"), label="validation loss")
        _mark_kept(axes, kept_epoch, lowest)
        axes.set(xlabel="epoch", ylabel="loss", xlim=(0, len(epochs) + 1), ylim=(0, None))
        axes.locator_params("x", integer=True)
        axes.legend()

    return _svg("loss", words, draw)


def accuracy_chart(val_accuracy: Sequence[float], kept_epoch: int) -> Markup:
    """Accuracy, 0 to 1, of each epoch on the validation part; `kept_epoch` counts from 1."""
    kept = val_accuracy[kept_epoch - 1]
    words = f"Validation accuracy by epoch. At the kept epoch, {kept_epoch}, it is {100 * kept:.1f} %."
    epochs = range(1, len(val_accuracy) + 1)

    def draw(axes: "Axes") -> None:
        axes.plot(
            epochs,
            [100 * value for value in val_accuracy],
            color=BLUE,
            marker=_marker(epochs, "o"),
            label="validation accuracy",
        )
        _mark_kept(axes, kept_epoch, 100 * kept)
        axes.set(xlabel="epoch", ylabel="accuracy in %", xlim=(0, len(epochs) + 1), ylim=(0, 102))
        axes.locator_params("x", integer=True)
        axes.legend(loc="lower right")

    return _svg("accuracy", words, draw)


def reliability_chart(bins: Sequence[ReliabilityBin]) -> Markup:
    """Share of patches graded rightly against the model's own confidence, with each bin's number of patches."""
    filled = [
        (100 * each.confidence, 100 * each.accuracy, each.patches)
        for each in bins
        if each.confidence is not None and each.accuracy is not None
    ]
    words = "Share graded as by the raters against the model's confidence: " + "; ".join(
        f"{patches} patches at {at:.0f} % confidence, {reached:.0f} % agree" for at, reached, patches in filled
    )

    def draw(axes: "Axes") -> None:
        most = max(patches for _at, _reached, patches in filled)
        axes.plot([0, 100], [0, 100], "--", color=QUIET, linewidth=1, label="confidence = accuracy")
        for at, reached, patches in filled:
            axes.plot([at, at], [at, reached], color=AMBER, linewidth=2)
            axes.plot([at], [reached], "o", color=BLUE, markersize=4 + 8 * (patches / most) ** 0.5)
            # on the side away from the diagonal, where the gap's line does not run through it
            axes.annotate(
                str(patches),
                (at, reached),
                xytext=(0, 9 if reached >= at else -17),
                textcoords="offset points",
                ha="center",
                color=INK,
                fontsize=9,
            )
        axes.set(xlabel="confidence in %", ylabel="accuracy in %", xlim=(0, 104), ylim=(-4, 112))
        axes.set_yticks(range(0, 101, 20))
        axes.legend(loc="upper left")

    return _svg("reliability", words, draw)


def subjects_chart(errors: Sequence[float], patches: Sequence[int], label: str) -> Markup:
    """One dot a subject, in the order of the errors, the larger the more patches.

    Args:
        errors: of each subject.
        patches: of each subject.
        label: what the errors are, for the axis.
    """
    order = sorted(range(len(errors)), key=errors.__getitem__)
    words = f"{label} of {len(errors)} subjects, from {min(errors):.2f} to {max(errors):.2f}"

    def draw(axes: "Axes") -> None:
        ranks, found = range(1, len(order) + 1), [errors[index] for index in order]
        axes.axhline(0, color=QUIET, linewidth=1)
        if len(order) <= MOST_DOTS:
            most = max(patches)
            axes.vlines(ranks, 0, found, color=GREY, linewidth=1)
            axes.scatter(ranks, found, [8 + 60 * patches[index] / most for index in order], color=BLUE, zorder=3)
        else:
            axes.plot(ranks, found, color=BLUE)
        axes.set(xlabel="subjects, by that error", ylabel=label, xlim=(0, len(order) + 1))
        axes.margins(y=0.12)
        axes.locator_params("x", integer=True)

    return _svg("subjects", words, draw)


def _marker(epochs: Sequence[int], shape: str) -> str:
    return shape if len(epochs) <= 40 else ""


def _mark_kept(axes: "Axes", epoch: int, value: float) -> None:
    axes.axvline(epoch, color=INK, linewidth=1, linestyle=":")
    axes.plot([epoch], [value], "o", color="none", markeredgecolor=INK, markersize=11, label=f"kept: epoch {epoch}")


def _svg(name: str, words: str, draw: Callable[["Axes"], None]) -> Markup:
    """A chart as an element of an HTML page: its text is text in the page's font, its ids are its own."""
    with _own_style(name):
        from matplotlib.figure import Figure

        figure = Figure(figsize=(WIDTH_INCHES, HEIGHT_INCHES), layout="constrained")
        draw(figure.subplots())
        drawn = io.StringIO()
        # without them nothing but the data makes the file, and no address stands in it
        figure.savefig(drawn, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    svg = drawn.getvalue().partition("<svg ")[2]
    box = re.search(r'viewBox="[^"]*"', svg)
    body = re.sub(r'<g id="[^"]*">', "<g>", svg.partition(">")[2])
    body = re.sub(r"\s*font-family: [^;]*;", "", body)
    label = escape(words)
    return Markup(f'<svg {box and box[0]} role="img" aria-label="{label}"><title>{label}</title>{body}')


@contextmanager
def _own_style(name: str) -> Iterator[None]:
    """Matplotlib as it came, whatever the user's settings, with the page's looks."""
    # it tells of caches it makes, which nobody asked it about
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(
            {
                "svg.fonttype": "none",
                "svg.hashsalt": name,
                "font.size": 10,
                "axes.spines.top": False,
                "axes.spines.right": False,
                "axes.edgecolor": QUIET,
                "axes.labelcolor": INK,
                "axes.grid": True,
                "axes.axisbelow": True,
                "grid.color": GREY,
                "xtick.color": QUIET,
                "ytick.color": QUIET,
                "lines.markersize": 4,
                "legend.frameon": False,
            }
        )
        yield
