"""Does an engine keep the grades? Its answers against the reference's, patch by patch, on held-out patches and frames.

The reference is the trained network in FP32. A grade may change only where the reference itself could hardly decide.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.dense_map import Geometry, InflammationMap, dense_map
from runtime.engines import DeployedEngine, Engine
from runtime.quality import QualityLimits, check_quality

UNCHANGED = 0.98
CHANGED_MARGIN = 0.1
SHIFT_GRADES = 0.02
KAPPA = 0.99
ACCURACY_LOSS = 0.005
INT8_SHARE = 0.8


@dataclass(frozen=True)
class Cells:
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


@dataclass(frozen=True)
class GateFigures:
    """How far a model's answers are from the reference's, over n patches or cells.

    Attributes:
        cells: n.
        unchanged: share whose most probable grade is the reference's.
        changed_margin: largest distance between the reference's two highest probabilities where the grade changed;
            0 where none did.
        shift: mean absolute difference of the expected grade, in grades.
        kappa: quadratic-weighted kappa between the two's grades; None where the reference gives but one grade.
        accuracy_loss: the reference's accuracy less the model's, against the raters' median; None without raters.
        withholding_changed: share that one of the two takes for familiar and the other does not.
    """

    cells: int
    unchanged: float
    changed_margin: float
    shift: float
    kappa: float | None
    accuracy_loss: float | None
    withholding_changed: float

    def misses(self) -> tuple[str, ...]:
        """What is not kept, each with the figure and its limit; empty where all is."""
        checks = [
            (f"{self.unchanged:.4f} of the grades unchanged, wanted {UNCHANGED}", self.unchanged >= UNCHANGED),
            (
                f"a grade changed where FP32's margin is {self.changed_margin:.3f}, wanted below {CHANGED_MARGIN}",
                self.changed_margin < CHANGED_MARGIN,
            ),
            (
                f"the expected grade shifts by {self.shift:.4f} on average, wanted at most {SHIFT_GRADES}",
                self.shift <= SHIFT_GRADES,
            ),
            (
                f"{self.withholding_changed:.4f} of the patches newly withheld or shown, wanted at most "
                f"{1 - UNCHANGED:.2f}",
                self.withholding_changed <= 1 - UNCHANGED,
            ),
        ]
        if self.kappa is not None:
            checks.append((f"kappa {self.kappa:.4f}, wanted {KAPPA}", self.kappa >= KAPPA))
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


@dataclass(frozen=True)
class Verdict:
    """Whether a model keeps the grades.

    Attributes:
        patches: on held-out patches.
        frames: on the cells of whole frames that the reference would show; None where it shows none.
        int8_share: share of the multiply-accumulates that run in INT8; None where none are asked to.
    """

    patches: GateFigures
    frames: GateFigures | None
    int8_share: float | None

    def misses(self) -> tuple[str, ...]:
        """Everything that is not kept."""
        return (
            *(f"patches: {miss}" for miss in self.patches.misses()),
            *(f"frames: {miss}" for miss in (self.frames.misses() if self.frames else ())),
            *(
                (f"{self.int8_share:.3f} of the multiply-accumulates run in INT8, wanted {INT8_SHARE}",)
                if self.int8_share is not None and not self.int8_share >= INT8_SHARE
                else ()
            ),
        )

    @property
    def passed(self) -> bool:
        return not self.misses()

    def to_json(self) -> dict[str, Any]:
        return {
            "passed": self.passed,
            "misses": list(self.misses()),
            "patches": self.patches.to_json(),
            "frames": self.frames.to_json() if self.frames else None,
            "int8_share": None if self.int8_share is None else round(self.int8_share, 4),
        }


@dataclass(frozen=True)
class GateSet:
    """What engines are held against the reference on.

    Attributes:
        patches: uint8 [n, P, P], held out of the training, at the model's scale.
        medians: int64 [n], the raters' median grade of each; None where nobody scored them.
        on_patches: the reference's answers for them, a cell a patch.
        frames: uint8 [H, W] each, at the model's scale.
        on_frames: the reference's answers for all their cells, one frame after another.
        shown: bool, one a cell of the frames: those that the reference's result would show.
        geometry: the model's.
        unfamiliar: the unfamiliarity above which a cell is withheld.
    """

    patches: npt.NDArray[np.uint8]
    medians: npt.NDArray[np.int64] | None
    on_patches: Cells
    frames: tuple[npt.NDArray[np.uint8], ...]
    on_frames: Cells | None
    shown: npt.NDArray[np.bool_]
    geometry: Geometry
    unfamiliar: float

    @staticmethod
    def of(
        patches: npt.NDArray[np.uint8],
        medians: npt.NDArray[np.int64] | None,
        on_patches: Cells,
        frames: Sequence[npt.NDArray[np.uint8]],
        reference: Engine,
        geometry: Geometry,
        limits: QualityLimits,
    ) -> "GateSet":
        """Take the reference's answers on the frames; those on the patches are known from the export."""
        maps = [dense_map(frame, reference, geometry) for frame in frames]
        valid = [check_quality(frame, found, limits).valid for frame, found in zip(frames, maps, strict=True)]
        return GateSet(
            patches,
            medians,
            on_patches,
            tuple(frames),
            Cells.of(maps) if maps else None,
            np.concatenate([shown.ravel() for shown in valid]) if valid else np.zeros(0, bool),
            geometry,
            limits.unfamiliar,
        )

    def judge(self, engine: DeployedEngine) -> Verdict:
        """Hold one engine against the reference."""
        on_patches = Cells.of(dense_map(patch, engine, self.geometry) for patch in self.patches)
        frames = None
        if self.on_frames is not None and self.shown.any():
            on_frames = Cells.of(dense_map(frame, engine, self.geometry) for frame in self.frames)
            frames = compare(
                self.on_frames.select(self.shown), on_frames.select(self.shown), unfamiliar=self.unfamiliar
            )
        return Verdict(
            compare(self.on_patches, on_patches, self.medians, unfamiliar=self.unfamiliar),
            frames,
            engine.int8_share(),
        )


def compare(
    reference: Cells, found: Cells, medians: npt.NDArray[np.int64] | None = None, *, unfamiliar: float
) -> GateFigures:
    """The gate's figures over at least one patch.

    Args:
        reference: the FP32 answers.
        found: the answers to judge, of the same n patches.
        medians: int64 [n], the raters' median grades.
        unfamiliar: the unfamiliarity above which a patch is withheld.
    """
    wanted, given = reference.probabilities.argmax(1), found.probabilities.argmax(1)
    changed = wanted != given
    highest = np.sort(reference.probabilities, axis=1)
    margin = highest[:, -1] - highest[:, -2]
    grades = np.arange(reference.probabilities.shape[1])
    apart = (found.probabilities.astype(np.float64) - reference.probabilities) @ grades
    withheld = reference.unfamiliarity > unfamiliar, ~(found.unfamiliarity <= unfamiliar)
    return GateFigures(
        cells=len(reference),
        unchanged=float(1 - changed.mean()),
        changed_margin=float(margin[changed].max(initial=0.0)),
        shift=float(np.abs(apart).mean()),
        kappa=_kappa(wanted, given, len(grades)),
        accuracy_loss=None if medians is None else float((wanted == medians).mean() - (given == medians).mean()),
        withholding_changed=float((withheld[0] != withheld[1]).mean()),
    )


def _kappa(wanted: npt.NDArray[np.int64], given: npt.NDArray[np.int64], grades: int) -> float | None:
    """Quadratic-weighted kappa (Cohen 1968); None where the reference knows but one grade: it is undefined then."""
    if wanted.min() == wanted.max():
        return None
    expected = np.bincount(wanted, minlength=grades)[:, None] * np.bincount(given, minlength=grades)[None] / len(wanted)
    distance = (np.arange(grades)[:, None] - np.arange(grades)[None]) ** 2
    return float(1 - ((wanted - given) ** 2).sum() / (distance * expected).sum())
