"""The stages of a frame as a picture: a bar for each thread, all to one scale."""

from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure

# of viridis, as the maps are
_COLOURS = ("#440154", "#3b528b", "#21918c", "#5ec962", "#b5b21f", "#7a7a7a")
# narrower ones are named in the legend alone
_ROOM_MS = 1.6


def draw_stages(stages: Mapping[str, Mapping[str, float]], file: Path) -> None:
    """Draw them.

    Args:
        stages: milliseconds of each stage, by thread.
        file: an SVG file.
    """
    figure = Figure(figsize=(9.5, 3.6), layout="constrained")
    axes = figure.add_subplot()
    for row, each in enumerate(stages.values()):
        left = 0.0
        for number, taken in enumerate(each.values()):
            colour = _COLOURS[number % len(_COLOURS)]
            axes.barh(row, taken, left=left, height=0.5, color=colour, edgecolor="white", linewidth=0.8)
            if taken >= _ROOM_MS:
                axes.text(left + taken / 2, row, f"{taken:.1f}", ha="center", va="center", color="white", fontsize=9)
            left += taken
        words = ", ".join(f"{name} {taken:.1f}" for name, taken in each.items())
        axes.text(0, row - 0.36, words, ha="left", va="bottom", fontsize=8.5, color="#333333")
        axes.text(left + 0.2, row, f"{left:.1f} ms", ha="left", va="center", fontsize=10, fontweight="bold")
    axes.set_yticks(range(len(stages)), list(stages))
    axes.invert_yaxis()
    axes.set_ylim(len(stages) - 0.6, -0.7)
    axes.set_xlim(0, 1.12 * max(sum(each.values()) for each in stages.values()))
    axes.set_xlabel("milliseconds of one 1000x1000 frame; the three threads work at once, each on another frame")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    # the same bytes for the same figures
    figure.savefig(file, metadata={"Date": None})
