"""Does an engine keep the grades? Its answers against the reference's, patch by patch, on held-out patches and frames.

The reference is FP32: on patches the trained network, on frames its exported graph on this machine, which reproduces
the golden frames. A grade may change only where the reference itself could hardly decide, and what it takes for no skin
at all has to stay withheld. `runtime.gate_set` is what is compared on.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec.structs import asdict

from runtime.dense_map import InflammationMap

UNCHANGED = 0.98
CHANGED_MARGIN = 0.1
SHIFT_GRADES = 0.02
KAPPA = 0.99
# without weights, by which a neighbouring grade hardly counts: what `UNCHANGED` comes to with three balanced classes
PLAIN_KAPPA = 0.97
ACCURACY_LOSS = 0.005
INT8_SHARE = 0.8

Probabilities = npt.NDArray[np.float32]


class Cells(msgspec.Struct, frozen=True):
    """What a model says of n patches, or of the cells of maps.

    Attributes:
        probabilities: float32 [n, K].
        unfamiliarity: float32 [n].
    """

    probabilities: npt.NDArray[np.float32]
    unfamiliarity: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.unfamiliarity)

    @staticmethod
    def of(maps: Iterable[InflammationMap]) -> "Cells":
        """All cells of all maps, one after another."""
        rows = [(found.probabilities.reshape(len(found.probabilities), -1).T, found.unfamiliarity) for found in maps]
        return Cells(
            np.concatenate([probabilities for probabilities, _ in rows]),
            np.concatenate([unfamiliarity.ravel() for _, unfamiliarity in rows]),
        )

    def select(self, rows: npt.NDArray[np.bool_]) -> "Cells":
        return Cells(self.probabilities[rows], self.unfamiliarity[rows])


class GateFigures(msgspec.Struct, frozen=True):
    """How far a model's answers are from the reference's, over n patches or cells.

    Attributes:
        cells: n.
        unchanged: share whose most probable grade is the reference's.
        changed_margin: largest distance between the reference's two highest probabilities where the grade changed;
            0 where none did.
        shift: mean absolute difference of the expected grade, in grades; None where the grades have no order.
        kappa: Cohen's kappa between the two's grades, with quadratic weights where they have an order, else plain; None
            where the reference gives but one grade.
        accuracy_loss: the reference's accuracy less the model's, against the raters' median; None without raters.
        withholding_changed: see the function.
        distance: mean total-variation distance of the probabilities, 0 to 1, where the grades have no order; else None.
    """

    cells: int
    unchanged: float
    changed_margin: float
    shift: float | None
    kappa: float | None
    accuracy_loss: float | None
    withholding_changed: float
    distance: float | None = None

    @property
    def movement(self) -> float:
        """The mean distance between the answers: `shift`, or `distance` where the grades have no order."""
        found = self.distance if self.shift is None else self.shift
        assert found is not None
        return found

    def misses(self) -> tuple[str, ...]:
        """What is not kept, each with the figure and its limit; empty where all is."""
        checks = [
            (f"{self.unchanged:.4f} of the grades unchanged, wanted {UNCHANGED}", self.unchanged >= UNCHANGED),
            (
                f"a grade changed where FP32's margin is {self.changed_margin:.3f}, wanted below {CHANGED_MARGIN}",
                self.changed_margin < CHANGED_MARGIN,
            ),
            (
                f"{self.withholding_changed:.4f} of the patches newly withheld or shown, wanted at most "
                f"{1 - UNCHANGED:.2f}",
                self.withholding_changed <= 1 - UNCHANGED,
            ),
        ]
        if self.shift is not None:
            checks.append(
                (
                    f"the expected grade shifts by {self.shift:.4f} on average, wanted at most {SHIFT_GRADES}",
                    self.shift <= SHIFT_GRADES,
                )
            )
        if self.distance is not None:
            checks.append(
                (f"the probabilities move by {self.distance:.4f}, wanted a number", bool(np.isfinite(self.distance)))
            )
        if self.kappa is not None:
            least = PLAIN_KAPPA if self.shift is None else KAPPA
            checks.append((f"kappa {self.kappa:.4f}, wanted {least}", self.kappa >= least))
        if self.accuracy_loss is not None:
            lost = 100 * self.accuracy_loss
            checks.append(
                (
                    f"accuracy lower by {lost:.2f} points, wanted at most {100 * ACCURACY_LOSS}",
                    self.accuracy_loss <= ACCURACY_LOSS,
                )
            )
        # each check is written so that a NaN fails
        return tuple(said for said, kept in checks if not kept)

    def to_json(self) -> dict[str, Any]:
        """Rounded to six decimals; a NaN, which JSON has no word for, becomes null (and has failed)."""
        return {
            name: (round(value, 6) if np.isfinite(value) else None) if isinstance(value, float) else value
            for name, value in asdict(self).items()
        }


class Strangers(msgspec.Struct, frozen=True):
    """Patches that are no skin at all, by the reference's clear word.

    Attributes:
        patches: how many there are.
        shown: how many of them a model takes for familiar.
    """

    patches: int
    shown: int


class Verdict(msgspec.Struct, frozen=True):
    """Whether a model keeps the grades, and what has none.

    Attributes:
        patches: on held-out patches.
        frames: on the cells of whole frames that the reference would show; `withholding_changed` is over all cells
            that are fit to be seen. None where the reference shows none: nothing is proved then.
        strangers: on patches that must be withheld.
        int8_share: share of the multiply-accumulates that run in INT8; None where none are asked to.
    """

    patches: GateFigures
    frames: GateFigures | None
    strangers: Strangers
    int8_share: float | None

    def misses(self) -> tuple[str, ...]:
        """Everything that is not kept."""
        return tuple(self._misses())

    def _misses(self) -> Iterator[str]:
        for miss in self.patches.misses():
            yield f"patches: {miss}"
        if self.frames is None:
            yield "frames: no cell to judge by"
        else:
            for miss in self.frames.misses():
                yield f"frames: {miss}"
        if self.strangers.shown:
            yield f"{self.strangers.shown} of {self.strangers.patches} patches that are no skin are shown, wanted none"
        if self.int8_share is not None and not self.int8_share >= INT8_SHARE:
            yield f"{self.int8_share:.3f} of the multiply-accumulates run in INT8, wanted {INT8_SHARE}"

    @property
    def passed(self) -> bool:
        return not self.misses()

    def to_json(self) -> dict[str, Any]:
        return {
            "passed": self.passed,
            "misses": list(self.misses()),
            "patches": self.patches.to_json(),
            "frames": self.frames.to_json() if self.frames else None,
            "strangers": asdict(self.strangers),
            "int8_share": None if self.int8_share is None else round(self.int8_share, 4),
        }


def compare(
    reference: Cells,
    found: Cells,
    medians: npt.NDArray[np.int64] | None = None,
    *,
    unfamiliar: float,
    ordered: bool,
) -> GateFigures:
    """The gate's figures over at least one patch.

    Args:
        reference: the FP32 answers.
        found: the answers to judge, of the same n patches.
        medians: int64 [n], the raters' median grades.
        unfamiliar: the unfamiliarity above which a patch is withheld.
        ordered: whether the grades have an order.
    """
    wanted, given = reference.probabilities.argmax(1), found.probabilities.argmax(1)
    changed = wanted != given
    highest = np.sort(reference.probabilities, axis=1)
    margin = highest[:, -1] - highest[:, -2]
    grades = reference.probabilities.shape[1]
    answers = reference.probabilities, found.probabilities
    return GateFigures(
        cells=len(reference),
        unchanged=float(1 - changed.mean()),
        changed_margin=float(margin[changed].max(initial=0.0)),
        shift=float(expected_shift(*answers).mean()) if ordered else None,
        kappa=_kappa(wanted, given, grades, ordered=ordered),
        accuracy_loss=None if medians is None else _accuracy_loss(wanted == medians, given == medians),
        withholding_changed=withholding_changed(reference, found, unfamiliar=unfamiliar),
        distance=None if ordered else float(total_variation(*answers).mean()),
    )


def expected_shift(first: Probabilities, second: Probabilities) -> npt.NDArray[np.float64]:
    """Return the absolute difference of the expected grades, 0 to K - 1.

    Args:
        first, second: float32 [n, K], two answers to the same patches.

    Returns:
        float64 [n].
    """
    shift: npt.NDArray[np.float64] = np.abs((second.astype(np.float64) - first) @ np.arange(first.shape[1]))
    return shift


def total_variation(first: Probabilities, second: Probabilities) -> npt.NDArray[np.float64]:
    """Return the probability that moved to other classes, 0 to 1.

    Probability that moves to a neighbouring grade shifts the expected grade by as much, so limits in grades hold for it
    too.

    Args:
        first, second: float32 [n, K], two answers to the same patches.

    Returns:
        float64 [n].
    """
    moved: npt.NDArray[np.float64] = np.abs(second.astype(np.float64) - first).sum(axis=1) / 2
    return moved


def withholding_changed(reference: Cells, found: Cells, *, unfamiliar: float) -> float:
    """Share that one of the two takes for familiar and the other does not; a NaN is not familiar."""
    return float(((reference.unfamiliarity <= unfamiliar) != (found.unfamiliarity <= unfamiliar)).mean())


def _accuracy_loss(reference: npt.NDArray[np.bool_], found: npt.NDArray[np.bool_]) -> float:
    """From whole numbers: the difference of two means may lie on the other side of the limit by its rounding."""
    return (int(reference.sum()) - int(found.sum())) / len(reference)


def _kappa(wanted: npt.NDArray[np.int64], given: npt.NDArray[np.int64], grades: int, *, ordered: bool) -> float | None:
    """Cohen's kappa, with quadratic weights (Cohen 1968) or plain (Cohen 1960); None where the reference knows but one
    grade: it is undefined then."""
    if wanted.min() == wanted.max():
        return None
    expected = np.bincount(wanted, minlength=grades)[:, None] * np.bincount(given, minlength=grades)[None] / len(wanted)
    apart = np.arange(grades)[:, None] - np.arange(grades)[None]
    weights = apart**2 if ordered else (apart != 0).astype(np.int64)
    return float(1 - weights[wanted, given].sum() / (weights * expected).sum())
