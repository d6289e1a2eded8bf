"""A part of a run's data as what models are held against, with the trained network's answers."""

import numpy as np

from export.map_network import MapNetwork
from export.run_images import PartImages, in_orientations
from runtime.bundle_arrays import GatePatches
from runtime.dense_map import Geometry
from runtime.engines import Engine
from runtime.gate import Cells
from runtime.gate_set import GateSet
from runtime.quality import QualityLimits

# those of the held-out part travel in the bundle: some megabytes; fewer are shown in several orientations, lest one
# patch be more than the gate allows of all
GATE_PATCHES = 400


def gate_of(
    part: PartImages, model: MapNetwork, reference: Engine, geometry: Geometry, limits: QualityLimits
) -> GateSet:
    """The gate of a part.

    Args:
        part: its images.
        model: trained; answers for the patches.
        reference: its exported graph; answers for the frames.
        geometry: of the map.
        limits: what cells are withheld by.
    """
    patches = in_orientations(part.patches, GATE_PATCHES)
    probabilities, unfamiliarity = model.answers(patches[:, None])
    return GateSet.of(
        patches,
        np.resize(part.medians, len(patches)),
        Cells(probabilities[:, :, 0, 0], unfamiliarity[:, 0, 0]),
        part.frames,
        reference,
        geometry,
        limits,
        ordered=model.network.config.ordered,
    )


def gate_patches(gate: GateSet) -> GatePatches:
    """What of a gate travels in the bundle; its frames are those of the machine."""
    return GatePatches(gate.patches, gate.medians, gate.on_patches.probabilities, gate.on_patches.unfamiliarity)
