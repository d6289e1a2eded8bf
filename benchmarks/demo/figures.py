"""What the demo found, as lines that its terminal summary and its page both show."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.demo.truth import AgainstTruth
from benchmarks.rehearsal import Rehearsal


@dataclass(frozen=True)
class DemoFigures:
    """What the demo found.

    Attributes:
        evaluation: the document of `inflamap evaluate --json`.
        bench: the document of `inflamap bench --json`.
        rehearsal: of the watch.
        truths: the frames' maps against their true severity.
        seconds: that all of it took.
    """

    evaluation: dict[str, Any]
    bench: dict[str, Any]
    rehearsal: Rehearsal
    truths: Sequence[AgainstTruth]
    seconds: float

    def lines(self) -> list[tuple[str, str]]:
        """(name, sentence) of each figure."""
        return [
            ("agreement", agreement(self.evaluation)),
            ("maps", self._maps()),
            ("engine", engine(self.bench)),
            ("a frame", frame_time(self.bench)),
            ("watch", latency(self.rehearsal)),
        ]

    def to_json(self) -> dict[str, Any]:
        """The figures for a program."""
        return {
            "synthetic": True,
            "seconds": round(self.seconds, 1),
            "evaluation": self.evaluation,
            "maps": {
                "mean_difference_grades": self._mean_difference(),
                "frames": {truth.name: truth.difference for truth in self.truths},
            },
            "bench": self.bench,
            "watch": self.rehearsal.to_json(),
        }

    def _mean_difference(self) -> float | None:
        known = [truth.difference for truth in self.truths if truth.difference is not None]
        return sum(known) / len(known) if known else None

    def _maps(self) -> str:
        difference = self._mean_difference()
        if difference is None:
            return "no frame was scored"
        scored = sum(truth.difference is not None for truth in self.truths)
        return f"{difference:.2f} grades from the true severity, mean over the cells of {scored} frames"


def agreement(evaluation: dict[str, Any]) -> str:
    """From the document of `inflamap evaluate --json`."""
    accuracy, mad = evaluation["accuracy"], evaluation["mad"]
    low, high = accuracy["ci95"]
    # null where the grades have no order
    deviation = "" if mad is None else f", mean absolute deviation {mad['value']:.2f} grades"
    return f"accuracy {accuracy['value']:.2f} ({low:.2f} to {high:.2f}){deviation}, on held-out patches"


def engine(bench: dict[str, Any]) -> str:
    """From the document of `inflamap bench --json`."""
    chosen = _chosen(bench)
    golden, patches = chosen["golden"], chosen["gate"]["patches"]
    return (
        f"{chosen['engine']}: {bench['why']}; golden frames reproduced (difference {golden['difference']:.0e}, "
        f"tolerance {golden['tolerance']:.0e}), {patches['unchanged']:.1%} of {patches['cells']} held-out patches "
        "graded as by the trained network"
    )


def frame_time(bench: dict[str, Any]) -> str:
    """From the document of `inflamap bench --json`."""
    chosen = _chosen(bench)
    frame = chosen["frame_ms"]
    return (
        f"file to results on disk: p50 {frame['p50']:.0f} ms, p95 {frame['p95']:.0f} ms, "
        f"{chosen['frames_per_second']:.1f} frames/s one after another"
    )


def _chosen(bench: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = next(found for found in bench["engines"] if found["engine"] == bench["chosen"])
    return found


def latency(found: Rehearsal) -> str:
    """Of the watch."""
    return (
        f"{found.saved} frames saved at {found.per_second:g}/s, {found.recorded} recorded; close to record "
        f"p50 {found.latency(50):.2f} s, p95 {found.latency(95):.2f} s, {found.settle_s:g} s of it at rest"
    )
