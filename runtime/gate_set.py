"""What engines are held against the reference on: held-out patches, whole frames, and what is no skin at all."""

import math
from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec.structs import replace

from runtime.dense_map import Geometry, dense_map
from runtime.engines import DeployedEngine, Engine
from runtime.evenly import evenly
from runtime.gate import Cells, GateFigures, Strangers, Verdict, compare, withholding_changed
from runtime.quality import STRANGE, QualityLimits, check_quality

# an image of so many patches a side is taken for a frame: it holds cells that no patch of its own stands for
FRAME_PATCHES = 2
# a frame of the microscope's size holds thousands of cells
MOST_FRAMES = 4
# of a mosaic that stands for a frame: the microscope's frames have 1000 px
MOSAIC_PX = 1000
# fewer cells of frames than this are too few to judge by: one of them would be more than the gate allows of all
LEAST_CELLS = 300
# strangers are made of so many patches
MOST_STRANGERS = 50

Images = Sequence[npt.NDArray[np.uint8]] | npt.NDArray[np.uint8]


class GateSet(msgspec.Struct, frozen=True):
    """Images with the reference's answers.

    Attributes:
        patches: uint8 [n, P, P], held out of the training, at the model's scale.
        medians: int64 [n], the raters' median grade of each.
        on_patches: the reference's answers for them, a cell a patch.
        frames: uint8 [H, W] each, at the model's scale.
        on_frames: the reference's answers for all their cells, one frame after another.
        fit: bool, one a cell of the frames: those that are neither dark nor blank nor saturated.
        mosaics: how many of the frames, the last ones, are laid of the patches, for the others show too little.
        strangers: uint8 [m, P, P], what the reference takes for no skin at all; there may be none.
        geometry: the model's.
        unfamiliar: the unfamiliarity above which a cell is withheld.
        ordered: whether the grades have an order.
    """

    patches: npt.NDArray[np.uint8]
    medians: npt.NDArray[np.int64]
    on_patches: Cells
    frames: tuple[npt.NDArray[np.uint8], ...]
    on_frames: Cells
    fit: npt.NDArray[np.bool_]
    mosaics: int
    strangers: npt.NDArray[np.uint8]
    geometry: Geometry
    unfamiliar: float
    ordered: bool

    @staticmethod
    def of(
        patches: npt.NDArray[np.uint8],
        medians: npt.NDArray[np.int64],
        on_patches: Cells,
        frames: Sequence[npt.NDArray[np.uint8]],
        reference: Engine,
        geometry: Geometry,
        limits: QualityLimits,
        *,
        ordered: bool,
    ) -> "GateSet":
        """Take the reference's answers on the frames; those on the patches are known from the export.

        Args:
            patches, medians, on_patches, geometry, ordered: as above; at least one patch.
            frames: those there are. Where the reference shows less than `LEAST_CELLS` of their cells, mosaics of the
                patches are added.
            reference: proven on the golden frames.
            limits: of the bundle.
        """
        suspects = strange(patches)
        unfamiliarity = _answers(suspects, reference, geometry).unfamiliarity

        def made(chosen: Sequence[npt.NDArray[np.uint8]], laid: int) -> "GateSet":
            maps = [dense_map(frame, reference, geometry) for frame in chosen]
            # of a cell that the camera spoilt nobody asks for a grade
            camera = replace(limits, unfamiliar=math.inf)
            fit = [check_quality(frame, found, camera).valid for frame, found in zip(chosen, maps, strict=True)]
            return GateSet(
                patches,
                medians,
                on_patches,
                tuple(chosen),
                Cells.of(maps),
                np.concatenate([cells.ravel() for cells in fit]),
                laid,
                suspects[unfamiliarity >= STRANGE * limits.unfamiliar],
                geometry,
                limits.unfamiliar,
                ordered,
            )

        if frames and (found := made(frames, 0)).shown.sum() >= LEAST_CELLS:
            return found
        more = mosaics(patches)
        return made([*frames, *more], len(more))

    @property
    def shown(self) -> npt.NDArray[np.bool_]:
        """Bool, one a cell of the frames: those that the reference's result would show."""
        shown: npt.NDArray[np.bool_] = self.fit & (self.on_frames.unfamiliarity <= self.unfamiliar)
        return shown

    def judge(self, engine: DeployedEngine) -> Verdict:
        """Hold one engine against the reference."""
        shown = _answers(self.strangers, engine, self.geometry).unfamiliarity <= self.unfamiliar
        return Verdict(
            compare(
                self.on_patches,
                _answers(self.patches, engine, self.geometry),
                self.medians,
                unfamiliar=self.unfamiliar,
                ordered=self.ordered,
            ),
            self._judge_frames(engine) if self.shown.any() else None,
            Strangers(len(self.strangers), int(shown.sum())),
            engine.int8_share(),
        )

    def _judge_frames(self, engine: DeployedEngine) -> GateFigures:
        found = _answers(self.frames, engine, self.geometry)
        grades = compare(
            self.on_frames.select(self.shown),
            found.select(self.shown),
            unfamiliar=self.unfamiliar,
            ordered=self.ordered,
        )
        # what is newly shown is none of the cells that the reference shows
        changed = withholding_changed(
            self.on_frames.select(self.fit), found.select(self.fit), unfamiliar=self.unfamiliar
        )
        return replace(grades, withholding_changed=changed)


def mosaics(patches: npt.NDArray[np.uint8], most: int = MOST_FRAMES) -> tuple[npt.NDArray[np.uint8], ...]:
    """Frames of the microscope's size laid of patches side by side, for data that holds no frames.

    Args:
        patches: uint8 [N, P, P]; some from all over, or where they are too few for one frame all, again and again.
        most: number of frames at most.

    Returns:
        uint8 [n P, n P] each, with n P as near to `MOSAIC_PX` as whole patches allow, and n at least 2.
    """
    side = max(FRAME_PATCHES, MOSAIC_PX // patches.shape[1])
    count = min(most, max(1, len(patches) // side**2))
    wanted = count * side**2
    # the list may be sorted by subject or grade
    rows = np.linspace(0, len(patches) - 1, wanted).astype(int) if wanted <= len(patches) else np.arange(wanted)
    return tuple(_laid(patches[frame % len(patches)], side) for frame in np.split(rows, count))


def strange(patches: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """What no microscope sees in skin: the grey levels of some patches, from all over, in no order.

    Args:
        patches: uint8 [N, P, P].

    Returns:
        uint8 [M, P, P] with M at most `MOST_STRANGERS`.
    """
    return shuffled(patches[evenly(len(patches), MOST_STRANGERS)])


def shuffled(patches: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Patches uint8 [N, P, P] of the same grey levels in no order; the same ones every time."""
    found = np.random.default_rng(0).permuted(patches.reshape(len(patches), -1), axis=1)
    return found.reshape(patches.shape)


def _answers(images: Images, engine: Engine, geometry: Geometry) -> Cells:
    """One image after the other, by the way that every image goes."""
    if not len(images):
        return Cells(np.zeros((0, 0), np.float32), np.zeros(0, np.float32))
    return Cells.of(dense_map(image, engine, geometry) for image in images)


def _laid(patches: npt.NDArray[np.uint8], side: int) -> npt.NDArray[np.uint8]:
    pixels = patches.shape[1]
    grid = patches.reshape(side, side, pixels, pixels)
    laid: npt.NDArray[np.uint8] = grid.transpose(0, 2, 1, 3).reshape(side * pixels, side * pixels)
    return laid
