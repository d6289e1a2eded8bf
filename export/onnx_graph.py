"""A trained network as one ONNX file."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from export.map_network import MapNetwork
from runtime.errors import CheckFailed
from trainer.network import GREY_MEAN, GREY_SPREAD, TextureNetwork

OPSET = 20
# the largest difference between torch and onnxruntime that an export may show: in probability, and in unfamiliarity as
# a share of it (above 1)
PARITY = 1e-4


@dataclass(frozen=True)
class Parity:
    """The largest differences between torch and onnxruntime.

    Attributes:
        patches: in probability, on patches.
        frames: in probability, on whole frames.
        unfamiliarity: on both, as a share of the unfamiliarity where that is above 1.
    """

    patches: float
    frames: float
    unfamiliarity: float


def to_onnx(model: MapNetwork) -> bytes:
    """Return the map network as a single-file ONNX model with dynamic N, H and W."""
    patch_px, stride_px = model.network.config.patch_px, model.stride_px
    example = torch.zeros((2, 1, patch_px + stride_px, patch_px), dtype=torch.uint8)
    dynamic = {0: torch.export.Dim("N"), 2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    with _quiet_exporter():
        program = torch.onnx.export(
            MapNetwork(_fused(model.network), model.detector, stride_px),
            (example,),
            input_names=["image"],
            output_names=["probabilities", "unfamiliarity"],
            dynamic_shapes=(dynamic,),
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    assert program is not None
    graph = _anonymous(program.model_proto)
    onnx.checker.check_model(graph, full_check=True)
    return bytes(graph.SerializeToString())


def check_parity(
    model: MapNetwork, graph: bytes, patches: npt.NDArray[np.uint8], frames: npt.NDArray[np.uint8]
) -> Parity:
    """Compare torch and onnxruntime.

    Args:
        model: what was exported.
        graph: what `to_onnx` made of it.
        patches: uint8 [N, 1, patch_px, patch_px].
        frames: uint8 [M, 1, H, W], larger than a patch.

    Raises:
        CheckFailed: they differ by more than `PARITY`.
    """
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])

    def differences(images: npt.NDArray[np.uint8]) -> tuple[float, float]:
        wanted = model.answers(images)
        found = session.run(["probabilities", "unfamiliarity"], {"image": images})
        if [output.shape for output in found] != [output.shape for output in wanted]:
            return float("inf"), float("inf")
        apart = [np.abs(ours - theirs) for ours, theirs in zip(found, wanted, strict=True)]
        return float(apart[0].max()), float((apart[1] / np.maximum(wanted[1], 1)).max())

    on_patches, on_frames = differences(patches), differences(frames)
    parity = Parity(on_patches[0], on_frames[0], max(on_patches[1], on_frames[1]))
    # written so that a NaN fails too
    if not all(value <= PARITY for value in (*on_patches, *on_frames)):
        raise CheckFailed(
            "the exported model does not score as the trained network does",
            seen=f"probabilities differ by {parity.patches:.3g} on patches, {parity.frames:.3g} on frames; "
            f"unfamiliarity by {parity.unfamiliarity:.3g} of it",
            wanted=f"at most {PARITY:g}",
            next_step="report the versions of torch, onnx and onnxruntime",
        )
    return parity


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Hide what torch's exporter says of itself: deprecations within torch, and torchvision, which we do not need."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        logger.setLevel(level)


def _fused(network: TextureNetwork) -> TextureNetwork:
    """A copy with all that is linear folded into the convolutions: batch normalisation, and the grey levels' too.

    Fewer operations to run and to quantise, and the first convolution then sees the camera's own 0 to 255, which
    eight bits hold without loss. Unpadded, so folding the grey offset is exact.
    """
    copy = TextureNetwork(network.config)
    copy.load_state_dict(network.state_dict())
    copy.eval()
    layers: list[nn.Module] = []
    for layer in copy.body:
        if isinstance(layer, nn.BatchNorm2d):
            convolution = layers.pop()
            assert isinstance(convolution, nn.Conv2d)
            layers.append(fuse_conv_bn_eval(convolution, layer))
        else:
            layers.append(layer)
    first = layers[0]
    assert isinstance(first, nn.Conv2d)
    assert first.bias is not None
    with torch.no_grad():
        first.bias -= first.weight.sum((1, 2, 3)) * GREY_MEAN / GREY_SPREAD
        first.weight /= 255.0 * GREY_SPREAD
    copy.normalisation = nn.Identity()
    copy.body = nn.Sequential(*layers)
    return copy


def _anonymous(model: onnx.ModelProto) -> onnx.ModelProto:
    """Drop what the exporter noted of this machine (stack traces with paths), and name the dynamic sides."""
    for part in (model, model.graph, *model.graph.node, *model.graph.input, *model.graph.output):
        del part.metadata_props[:]
        part.doc_string = ""
    for values in (model.graph.initializer, model.graph.value_info):
        for value in values:
            del value.metadata_props[:]
    for value, sides in (
        (model.graph.input[0], "HW"),
        (model.graph.output[0], "hw"),
        (model.graph.output[1], "hw"),
    ):
        dimensions = value.type.tensor_type.shape.dim
        dimensions[0].dim_param = "N"
        dimensions[-2].dim_param, dimensions[-1].dim_param = tuple(sides)
    # shapes in between are written in the names just replaced
    del model.graph.value_info[:]
    return model
