"""From an ONNX file to a plan: what TensorRT makes of it for one GPU. Needs no GPU."""

from typing import Any

import msgspec

from runtime.dense_map import DEFAULT_TILE_PX, Geometry
from runtime.engines.tensorrt.messages import messages_of
from runtime.errors import EngineMissing

IMAGE, PROBABILITIES, UNFAMILIARITY = "image", "probabilities", "unfamiliarity"
# raise it whenever other plans come of the same file, library and GPU
PLAN_VERSION = 2

USUAL_PX = 1000
# the library sets memory aside for the largest batch: at four of 1536x1536 px some 200 MB for INT8
LARGEST_BATCH = 4

Shape = tuple[int, int, int, int]


class Profile(msgspec.Struct, frozen=True):
    """The shapes [N, 1, H, W] that a plan takes: from the smallest to the largest, and best at the usual one."""

    smallest: Shape
    usual: Shape
    largest: Shape


class ParsedModel(msgspec.Struct, frozen=True):
    """A model as TensorRT reads it. The network borrows from parser and builder, which therefore live as long."""

    network: Any
    parser: Any
    builder: Any


def profile_of(geometry: Geometry) -> Profile:
    """From one patch, below which no image has a cell, to the largest tile of `dense_map`; best at a 1000 px frame.

    Pixels beyond the last whole stride are seen by no cell, and are never sent: 992 px for 1000.
    """
    patch, largest = geometry.patch_px, max(DEFAULT_TILE_PX, geometry.patch_px)
    usual = min(largest, patch + max(0, geometry.cells(USUAL_PX) - 1) * geometry.stride_px)
    return Profile((1, 1, patch, patch), (1, 1, usual, usual), (LARGEST_BATCH, 1, largest, largest))


def build_plan(trt: Any, model: bytes, *, profile: Profile, compute_capability: str | None = None) -> bytes:
    """Build a plan.

    Args:
        trt: `tensorrt` or `tensorrt_rtx`.
        model: the ONNX file's bytes; its precision is in its types, for the network is strongly typed.
        profile: the shapes that it has to take.
        compute_capability: of the GPU to build for, for instance `8.9`; without it whatever the library builds for.

    Returns:
        The serialized engine: code, which is only ever run on the machine that built it.

    Raises:
        CheckFailed: the library cannot read the model, or cannot build it.
        EngineMissing: the library has no code for such a GPU.
    """
    what = f"{trt.__name__} {trt.__version__} cannot build the model"
    messages = messages_of(trt)
    parsed = parse_model(trt, model)
    config = parsed.builder.create_builder_config()
    # without it the engine cannot tell which of its layers run in INT8
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    # what the model leaves in FP32 is the unfamiliarity, which decides what is withheld: ten bits are too few for it
    config.clear_flag(trt.BuilderFlag.TF32)
    if compute_capability is not None:
        _aim(trt, config, compute_capability)
    shapes = parsed.builder.create_optimization_profile()
    shapes.set_shape(IMAGE, profile.smallest, profile.usual, profile.largest)
    messages.clear()
    if config.add_optimization_profile(shapes) < 0:
        raise messages.failure(what)
    return bytes(messages.checked(what, parsed.builder.build_serialized_network, parsed.network, config))


def parse_model(trt: Any, model: bytes) -> ParsedModel:
    """Read an ONNX file.

    Raises:
        CheckFailed: the library does not take it, or cannot initialise CUDA.
    """
    library = f"{trt.__name__} {trt.__version__}"
    messages = messages_of(trt)
    builder = messages.checked(f"{library} cannot start", trt.Builder, messages.logger)
    network = builder.create_network(_strongly_typed(trt))
    parser = trt.OnnxParser(network, messages.logger)
    messages.clear()
    if not parser.parse(model):
        raise messages.failure(
            f"{library} cannot read the model",
            reasons=[parser.get_error(index).desc() for index in range(parser.num_errors)],
            wanted="a model.*.trt.onnx file of a bundle",
            next_step="export the run again",
        )
    return ParsedModel(network, parser, builder)


def _strongly_typed(trt: Any) -> int:
    """The flags of the network: TensorRT 10 has to be told that types are meant, 11 knows nothing else."""
    flag = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)


def _aim(trt: Any, config: Any, compute_capability: str) -> None:
    """Have the plan built for one generation of GPUs, where the library can do so.

    `tensorrt_rtx` builds without a GPU, so that it has to be told for which. By default that is no plan for 7.5, and
    whether it is one for 8.0 NVIDIA's own pages tell differently (docs.nvidia.com, TensorRT-RTX: Support Matrix against
    CPU-Only AOT). `tensorrt` always builds for the GPU it finds.
    """
    members = getattr(getattr(trt, "ComputeCapability", None), "__members__", {})
    known = {name: member for name, member in members.items() if name.startswith("SM")}
    if not known:
        return
    wanted = "SM" + compute_capability.replace(".", "")
    if wanted not in known:
        raise EngineMissing(
            f"{trt.__name__} {trt.__version__} has no code for this GPU",
            seen=f"compute capability {compute_capability}",
            wanted="one of " + ", ".join(f"{name[2:-1]}.{name[-1]}" for name in known),
            next_step="install NVIDIA's full tensorrt package (docs/gpu.md), or choose another --engine",
        )
    config.num_compute_capabilities = 1
    what = f"{trt.__name__} {trt.__version__} cannot build for compute capability {compute_capability}"
    messages_of(trt).checked(what, config.set_compute_capability, known[wanted], 0)
