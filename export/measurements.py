"""Measure a trained network before its bundle is written: detector, graph, scale range, limits."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec.structs import replace

from export.distance import Distance
from export.familiarity import fit_familiarity
from export.golden import golden_images
from export.map_network import MapNetwork
from export.onnx_graph import Parity, check_parity, to_onnx
from export.quality_limits import measure_quality_limits, unfamiliar_share_limit
from export.refused import RefusedImage
from export.run_images import PartImages
from export.scale_range import ScaleRange, measure_scale_range
from runtime.dense_map import Geometry
from runtime.engines.onnxruntime_cpu import OnnxRuntimeEngine
from runtime.engines.registry import REFERENCE_ENGINE
from runtime.quality import QualityLimits
from trainer.network import TextureNetwork


@dataclass(frozen=True)
class Measurements:
    """The measurements of a model that its bundle holds.

    Attributes:
        model: the network with its out-of-distribution detector.
        graph: of it, as ONNX.
        reference: the engine that runs the graph here.
        golden: uint8 [2, 1, 2 P, 2 P], the frames on which the two were compared.
        parity: how far the two differ.
        scales: within which scores hold.
        limits: by which cells and frames are withheld.
        figures: for the manifest, by name of what was measured.
    """

    model: MapNetwork
    graph: bytes
    reference: OnnxRuntimeEngine
    golden: npt.NDArray[np.uint8]
    parity: Parity
    scales: ScaleRange
    limits: QualityLimits
    figures: dict[str, Any]


def measure(
    network: TextureNetwork,
    geometry: Geometry,
    trained: PartImages,
    validation: PartImages,
    refused: Sequence[RefusedImage],
    *,
    outliers: int,
    threads: int,
    report: Callable[[str], None],
) -> Measurements:
    """Fit the detector, export the graph, and measure where its scores hold.

    Args:
        network: trained.
        geometry: of the map.
        trained: images the detector is fitted on.
        validation: images every limit is set by.
        refused: images that must be withheld.
        outliers: how many procedural textures the detector is fitted on.
        threads: cores to use at most.
        report: called with a line about each measurement.

    Raises:
        CheckFailed: the graph does not score as the network does.
    """
    familiarity = fit_familiarity(network, geometry, trained.patches, validation.patches, refused, outliers=outliers)
    report(
        f"out of distribution: {familiarity.figures['outliers_scored']:.1%} of other textures would be scored, "
        f"{familiarity.figures['validation_withheld']:.1%} of the validation patches are withheld"
    )
    model = familiarity.model
    graph = to_onnx(model)
    frames = golden_images(validation.patches)
    parity = check_parity(model, graph, validation.patches[:, None], frames)
    report(
        f"torch against onnxruntime: probabilities differ by {parity.patches:.1e} on {len(validation.patches)} "
        f"patches, {parity.frames:.1e} on {len(frames)} frames"
    )
    reference = OnnxRuntimeEngine(graph, name=REFERENCE_ENGINE, precision="fp32", threads=threads)
    distance = Distance.between(ordered=network.config.ordered)
    scales = measure_scale_range(validation.patches[:, None], reference, geometry, QualityLimits().unfamiliar, distance)
    report(f"scores hold from {scales.low:.2f} to {scales.high:.2f} µm/px")
    limits, quality_figures = measure_quality_limits(validation.patches, reference, geometry, distance)
    share = unfamiliar_share_limit(validation.patches, validation.frames, reference, geometry, limits)
    limits = replace(limits, unfamiliar_share=share)
    report(
        f"limits of quality: blurred below {limits.detail:g}, dark below {limits.dark_mean:g}, saturated above "
        f"{limits.saturated_share:g}, no tissue below {limits.structure:g}, frames with more than {share:.0%} of "
        f"unfamiliar cells; they withhold {quality_figures['withheld_as_they_are']:.1%} of the validation patches"
    )
    if warning := familiarity.warning():
        report(f"warning: {warning}")
    scale_figures = {
        f"mean_abs_shift_{distance.unit}": scales.shifts,
        "withheld": scales.withheld,
        "patches": len(validation.patches),
    }
    figures = {"scale": scale_figures, "out_of_distribution": familiarity.figures, "quality": quality_figures}
    return Measurements(model, graph, reference, frames, parity, scales, limits, figures)
