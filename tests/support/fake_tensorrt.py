"""TensorRT and a GPU's memory made of numpy, for what no GPU is needed to know.

They fail as the real ones do: by None or False and a line to the logger, a constructor by the binding's TypeError. A
"model" is JSON, `model_file` makes it; its map is a weighted sum of each patch's pixels: exact in float32, different at
every place.
"""

import enum
import json
import weakref
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt

GRADES = 3
IMAGE, OUTPUTS = "image", ("probabilities", "unfamiliarity")


def model_file(patch_px: int, stride_px: int, **more: Any) -> bytes:
    """The bytes of a model that the fake parser takes."""
    return json.dumps({"patch": patch_px, "stride": stride_px, **more}).encode()


def true_map(images: npt.NDArray[np.uint8], patch_px: int, stride_px: int) -> dict[str, npt.NDArray[np.float32]]:
    """What the model gives for uint8 [N, 1, H, W], by its definition: `OUTPUTS` by name."""
    size = patch_px, patch_px
    windows = np.lib.stride_tricks.sliding_window_view(images[:, 0].astype(np.int64), size, axis=(1, 2))
    weights = np.arange(patch_px * patch_px).reshape(size) % 7 + 1
    sums = np.einsum("nhwij,ij->nhw", windows[:, ::stride_px, ::stride_px], weights).astype(np.float32)
    return {"probabilities": np.stack([sums + grade for grade in range(GRADES)], axis=1), "unfamiliarity": sums * 2}


class FakeMemory:
    """Device memory that knows what was allocated, and refuses what was not. `ended`: what was let go of, in order."""

    def __init__(self) -> None:
        self.ended: list[str] = []
        self.stream = 77
        self.blocks: dict[int, npt.NDArray[np.uint8]] = {}
        self.allocations = 0

    def allocate(self, size: int) -> int:
        self.allocations += 1
        address = 4096 * self.allocations
        self.blocks[address] = np.full(size, 0xAB, np.uint8)
        return address

    def free(self, address: int) -> None:
        del self.blocks[address]

    def to_device(self, address: int, array: npt.NDArray[Any]) -> None:
        assert array.flags.c_contiguous
        self.blocks[address][: array.nbytes] = array.view(np.uint8).ravel()

    def to_host(self, array: npt.NDArray[Any], address: int) -> None:
        assert array.flags.c_contiguous
        array[...] = self.blocks[address][: array.nbytes].view(array.dtype).reshape(array.shape)

    def close(self) -> None:
        self.blocks.clear()
        self.ended.append("memory")


class Severity(enum.Enum):
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)


class Ending:
    """One of the library's objects, whose end is seen."""

    def __init__(self, trt: "FakeTensorRT", logger: Any) -> None:
        self._trt, self._logger = trt, logger
        weakref.finalize(self, trt.memory.ended.append, type(self).__name__.strip("_").lower()).atexit = False


class FakeTensorRT:
    """The module.

    Attributes:
        fails: the calls that are to fail from now on.
        grumbles: those that log an error and succeed.
        builds: the plans that were built.
        shapes: of the images that were run, in order.
        compiled: the shapes that kernels had to be compiled for.
        serialized: how often kernels were asked for, to be kept.
    """

    __name__ = "tensorrt_rtx"
    __version__ = "1.7.0"
    ILogger = type("ILogger", (), {"Severity": Severity})
    uint8, float32 = "UINT8", "FLOAT"
    ProfilingVerbosity = SimpleNamespace(DETAILED="detailed")
    BuilderFlag = SimpleNamespace(TF32="tf32")
    NetworkDefinitionCreationFlag = SimpleNamespace(STRONGLY_TYPED=0)
    LayerInformationFormat = SimpleNamespace(ONELINE="oneline")
    DynamicShapesKernelSpecializationStrategy = SimpleNamespace(EAGER="eager")
    ComputeCapability = SimpleNamespace(__members__={"NONE": 0, "CURRENT": 1, "SM75": 75, "SM89": 89, "SM120": 120})

    def __init__(self, memory: FakeMemory) -> None:
        self.memory = memory
        self.fails, self.grumbles = set[str](), set[str]()
        self.builds: list[dict[str, Any]] = []
        self.shapes, self.compiled = list[tuple[int, ...]](), list[tuple[int, ...]]()
        self.serialized = 0

    def failing(self, call: str, logger: Any) -> bool:
        if call in self.grumbles:
            logger.log(Severity.ERROR, f"{call} grumbles")
        if call in self.fails:
            logger.log(Severity.ERROR, f"{call} failed\nas it was told to")
            return True
        return False

    def constructed(self, kind: Callable[..., Any], call: str, logger: Any) -> Any:
        """As NVIDIA/TensorRT #2913 tells of it; other versions give None."""
        if call in self.fails:
            logger.log(Severity.WARNING, "Unable to determine GPU memory usage")
            logger.log(Severity.WARNING, "CUDA initialization failure with error: 35")
            raise TypeError("pybind11::init(): factory function returned nullptr")
        return None if self.failing(f"{call} is None", logger) else kind(self, logger)

    def Builder(self, logger: Any) -> Any:  # noqa: N802
        return self.constructed(_Builder, "Builder", logger)

    def OnnxParser(self, network: Any, logger: Any) -> Any:  # noqa: N802
        return _Parser(network, logger)

    def Runtime(self, logger: Any) -> Any:  # noqa: N802
        return self.constructed(_Runtime, "Runtime", logger)


class _Builder:
    def __init__(self, trt: FakeTensorRT, logger: Any) -> None:
        self._trt, self._logger = trt, logger

    def create_network(self, flags: int) -> Any:
        assert flags == 1
        return SimpleNamespace(model=None)

    def create_builder_config(self) -> Any:
        config = SimpleNamespace(num_compute_capabilities=0, profiles=[], capability=None)
        config.clear_flag = lambda _flag: None
        config.set_compute_capability = lambda member, index: vars(config).update(capability=member) or index == 0
        config.add_optimization_profile = lambda profile: config.profiles.append(profile) or 0
        return config

    def create_optimization_profile(self) -> Any:
        profile = SimpleNamespace()
        profile.set_shape = lambda name, *shapes: vars(profile).update({name: shapes})
        return profile

    def build_serialized_network(self, network: Any, config: Any) -> bytes | None:
        if self._trt.failing("build", self._logger):
            return None
        smallest, _, largest = config.profiles[0].image
        plan = {**network.model, "smallest": smallest, "largest": largest, "capability": config.capability}
        self._trt.builds.append(plan)
        return b"plan" + json.dumps(plan).encode()


class _Parser:
    def __init__(self, network: Any, logger: Any) -> None:
        self._network, self._logger = network, logger
        self.num_errors = 0

    def parse(self, model: bytes) -> bool:
        try:
            self._network.model = json.loads(model)
        except ValueError:
            self.num_errors = 2
            self._logger.log(Severity.ERROR, "not a model")
            return False
        return True

    def get_error(self, index: int) -> Any:
        return SimpleNamespace(desc=lambda: f"fault {index}\nof the model")


class _Runtime(Ending):
    def deserialize_cuda_engine(self, plan: bytes) -> Any:
        if not plan.startswith(b"plan") or self._trt.failing("load", self._logger):
            return None
        return _Engine(self._trt, self._logger, json.loads(plan[4:]))


class _Engine(Ending):
    def __init__(self, trt: FakeTensorRT, logger: Any, plan: dict[str, Any]) -> None:
        super().__init__(trt, logger)
        self._plan = plan
        self.num_io_tensors = 3

    def get_tensor_name(self, index: int) -> str:
        return (IMAGE, *OUTPUTS)[index]

    def get_tensor_dtype(self, name: str) -> str:
        return "UINT8" if name == IMAGE else str(self._plan.get("output", "FLOAT"))

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return (-1, GRADES, -1, -1) if name == "probabilities" else (-1, -1, -1)

    def create_engine_inspector(self) -> Any:
        layer = (
            "Name: conv_1, LayerType: correlation, Inputs: [ { Datatype: Int8 }], Constants: [ { Datatype: Int8 }], "
            "Outputs: [ { Datatype: Half }], Metadata: [ONNX Layer: conv]"
        )
        return SimpleNamespace(get_engine_information={"oneline": layer}.__getitem__)

    def create_runtime_config(self) -> Any:
        return _Config(self._trt, self._logger)

    def create_execution_context(self, config: Any = None) -> Any:
        compiles = self._trt.DynamicShapesKernelSpecializationStrategy is not None
        assert getattr(config, "dynamic_shapes_kernel_specialization_strategy", None) == ("eager" if compiles else None)
        if self._trt.failing("context", self._logger):
            return None
        return _Context(self._trt, self._logger, self._plan, config)


class _Config(Ending):
    dynamic_shapes_kernel_specialization_strategy = "lazy"
    kernels: Any = None

    def create_runtime_cache(self) -> Any:
        return None if self._trt.failing("kernels", self._logger) else _Cache(self._trt, self._logger)

    def set_runtime_cache(self, cache: Any) -> bool:
        self.kernels = weakref.ref(cache)
        return True


class _Cache(Ending):
    """Kernels by the shapes that they were compiled for."""

    def __init__(self, trt: FakeTensorRT, logger: Any) -> None:
        super().__init__(trt, logger)
        self.shapes: list[list[int]] = []

    def deserialize(self, blob: bytes) -> bool:
        if self._trt.failing("deserialize", self._logger):
            return False
        self.shapes = json.loads(blob)
        return True

    def serialize(self) -> Any:
        self._trt.serialized += 1
        return None if self._trt.failing("serialize", self._logger) else memoryview(json.dumps(self.shapes).encode())


class _Context(Ending):
    def __init__(self, trt: FakeTensorRT, logger: Any, plan: dict[str, Any], config: _Config | None) -> None:
        super().__init__(trt, logger)
        self._plan = plan
        # borrowed, as in the real one
        self._config = config and weakref.ref(config)
        self._shape, self._addresses = (), dict[str, int]()

    def _compile(self, config: _Config | None, shape: list[int]) -> None:
        assert config is not None, "the config ended before its context"
        kept = config.kernels().shapes if config.kernels else []
        if shape not in kept:
            kept.append(shape)
            self._trt.compiled.append(tuple(shape))

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        limits = zip(self._plan["smallest"], shape, self._plan["largest"], strict=True)
        if name != IMAGE or not all(low <= side <= high for low, side, high in limits):
            self._logger.log(Severity.ERROR, f"shape {shape} is outside of the profile")
            return False
        self._shape = shape
        self._trt.shapes.append(shape)
        if self._config:
            self._compile(self._config(), list(shape))
        return True

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        count, _, *sides = self._shape
        cells = [(side - self._plan["patch"]) // self._plan["stride"] + 1 for side in sides]
        return (count, GRADES, *cells) if name == "probabilities" else (count, *cells)

    def set_tensor_address(self, name: str, address: int) -> bool:
        self._addresses[name] = address
        return not self._trt.failing("address", self._logger)

    def execute_async_v3(self, stream: int) -> bool:
        memory = self._trt.memory
        ready = stream == memory.stream and set(self._addresses) == {IMAGE, *OUTPUTS}
        if not ready or self._trt.failing("run", self._logger):
            return False
        images = np.empty(self._shape, np.uint8)
        memory.to_host(images, self._addresses[IMAGE])
        for name, values in true_map(images, self._plan["patch"], self._plan["stride"]).items():
            assert values.shape == self.get_tensor_shape(name)
            memory.to_device(self._addresses[name], np.ascontiguousarray(values))
        return True
