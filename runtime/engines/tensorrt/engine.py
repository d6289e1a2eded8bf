"""A plan on the GPU, as an engine like any other."""

import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.dense_map import Geometry
from runtime.engines.protocol import EngineOutput
from runtime.engines.tensorrt.device_memory import DeviceMemory, device_memory
from runtime.engines.tensorrt.int8_share import convolution_work, int8_share
from runtime.engines.tensorrt.messages import messages_of
from runtime.engines.tensorrt.module import import_tensorrt
from runtime.engines.tensorrt.pieces import pieces
from runtime.engines.tensorrt.plan import (
    IMAGE,
    PLAN_VERSION,
    PROBABILITIES,
    UNFAMILIARITY,
    build_plan,
    profile_of,
)
from runtime.engines.tensorrt.plan_cache import PlanCache, PlanKey, cache_folder
from runtime.engines.tensorrt.probe import Gpu, probe_gpu
from runtime.errors import BundleError, CheckFailed, InflamapError

OTHER_ENGINE = "choose another --engine"


@dataclass(frozen=True)
class Seams:
    """What an engine stands on, each found on this machine unless given.

    Attributes:
        trt: `tensorrt` or `tensorrt_rtx`.
        gpu: the current GPU.
        memory: its memory.
        cache: where plans are kept.
    """

    trt: Any
    gpu: Gpu
    memory: DeviceMemory
    cache: PlanCache


def open_tensorrt(
    model: bytes,
    *,
    name: str,
    precision: str,
    geometry: Geometry,
    say: Callable[[str], None] | None = None,
    seams: Seams | None = None,
) -> "TensorRTEngine":
    """Load the model's plan from this user's cache, or build it, and make it ready to run.

    Args:
        model: the bytes of a `model.*.trt.onnx` file.
        name: the engine's id in the contract.
        precision: `fp16` or `int8`, as the file's types say.
        geometry: of the model.
        say: takes lines for the person at the keyboard, such as that a plan is being built.
        seams: what tests replace.

    Raises:
        EngineMissing: a package, the driver or a GPU that the library knows is missing.
        CheckFailed: the library cannot read, build, load or run the model here.
        BundleError: the model's inputs and outputs are not those of a bundle.
    """
    say = say or _say_nothing
    if seams is None:
        trt = import_tensorrt()
        gpu = probe_gpu()
        seams = Seams(trt, gpu, device_memory(), PlanCache(cache_folder(), say))
    return TensorRTEngine(model, name=name, precision=precision, geometry=geometry, say=say, seams=seams)


def _say_nothing(_line: str) -> None:
    """For those who do not listen."""


class TensorRTEngine:
    """One execution context over one plan. Calls of `run` take turns."""

    def __init__(
        self,
        model: bytes,
        *,
        name: str,
        precision: str,
        geometry: Geometry,
        say: Callable[[str], None],
        seams: Seams,
    ) -> None:
        """See `open_tensorrt`."""
        self.name, self.precision = name, precision
        self._model, self._geometry, self._seams = model, geometry, seams
        self._trt, self._memory = seams.trt, seams.memory
        self._profile = profile_of(geometry)
        self._turn = threading.Lock()
        self._buffers: dict[str, tuple[int, int]] = {}
        weakref.finalize(self, seams.memory.close)
        # TensorRT wants the runtime to outlive the engine, and the engine the context
        self._runtime = seams.trt.Runtime(messages_of(seams.trt).logger)
        self._engine = self._load(say)
        self._check_tensors()
        self._grades = int(self._engine.get_tensor_shape(PROBABILITIES)[1])
        self._context = self._new_context()

    def run(self, images: npt.NDArray[np.uint8]) -> EngineOutput:
        """See `Engine.run`. What the plan's profile does not take at once is run in pieces, to the same result.

        Raises:
            InflamapError: the images are smaller than a patch; `dense_map` hands over none such.
            CheckFailed: the GPU cannot run them.
            TypeError: they are not uint8, and their bytes would be read as if they were.
        """
        if images.dtype != np.uint8:
            raise TypeError(f"images are {images.dtype}; wanted: uint8")
        count, _, height, width = images.shape
        rows, columns = self._geometry.cells(height), self._geometry.cells(width)
        if rows == 0 or columns == 0:
            raise InflamapError(
                "image smaller than a patch",
                seen=f"{width}x{height} px",
                wanted=f"at least {self._geometry.patch_px}x{self._geometry.patch_px} px",
            )
        probabilities = np.empty((count, self._grades, rows, columns), np.float32)
        unfamiliarity = np.empty((count, rows, columns), np.float32)
        with self._turn:
            for piece in pieces(count, height, width, self._geometry, self._profile):
                part = self._run_piece(images[piece.images, :, piece.rows, piece.columns])
                probabilities[piece.images, :, piece.cell_rows, piece.cell_columns] = part.probabilities
                unfamiliarity[piece.images, piece.cell_rows, piece.cell_columns] = part.unfamiliarity
        return EngineOutput(probabilities, unfamiliarity)

    def int8_share(self) -> float | None:
        """See `Engine.int8_share`: by the list of layers of the engine that runs.

        Raises:
            CheckFailed: the library does not take the model.
        """
        if self.precision != "int8":
            return None
        layers = self._engine.create_engine_inspector().get_engine_information(self._trt.LayerInformationFormat.ONELINE)
        return int8_share(layers, convolution_work(self._trt, self._model, self._profile.usual[2]))

    @property
    def runs_on(self) -> dict[str, str]:
        """See `Engine.runs_on`: `tensorrt` or `tensorrt_rtx` with its version, `gpu`, `driver`."""
        gpu = self._seams.gpu
        return {self._trt.__name__: self._trt.__version__, "gpu": gpu.name, "driver": gpu.driver}

    def _load(self, say: Callable[[str], None]) -> Any:
        """The engine of the kept plan, or of a new one."""
        key = self._key()
        kept = self._seams.cache.read(key)
        if kept is not None:
            engine = self._runtime.deserialize_cuda_engine(kept)
            if engine is not None:
                return engine
            messages_of(self._trt).take()
            say(f"{self.name}: the kept plan does not load and is built anew")
        say(f"{self.name}: building a plan with {key.module} {key.version} for {key.gpu}")
        plan = build_plan(self._trt, self._model, profile=self._profile, compute_capability=key.compute_capability)
        engine = self._runtime.deserialize_cuda_engine(plan)
        if engine is None:
            raise self._failed(f"{key.module} {key.version} cannot load the plan it built for {key.gpu}")
        # only what is known to load
        self._seams.cache.write(key, plan)
        return engine

    def _key(self) -> PlanKey:
        trt, gpu = self._trt, self._seams.gpu
        return PlanKey(
            onnx_sha256=sha256(self._model).hexdigest(),
            module=trt.__name__,
            version=trt.__version__,
            gpu=gpu.name,
            compute_capability=gpu.compute_capability,
            driver=gpu.driver,
            profile=self._profile,
            plan_version=PLAN_VERSION,
        )

    def _check_tensors(self) -> None:
        """The library reads and writes as many bytes as its own types ask for."""
        engine = self._engine
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        found = {name: engine.get_tensor_dtype(name) for name in names}
        wanted = {IMAGE: self._trt.uint8, PROBABILITIES: self._trt.float32, UNFAMILIARITY: self._trt.float32}
        if found != wanted:
            raise BundleError(
                "the model's inputs and outputs are not a bundle's",
                seen=", ".join(f"{name} {dtype}" for name, dtype in found.items()),
                wanted=", ".join(f"{name} {dtype}" for name, dtype in wanted.items()),
                next_step="export the run again",
            )

    def _new_context(self) -> Any:
        # `tensorrt_rtx` compiles for a shape when it first meets it: by default in the background, with other kernels
        # until then, so that two runs over one frame could differ. At once: the first of a size is slow, all are alike
        strategies = getattr(self._trt, "DynamicShapesKernelSpecializationStrategy", None)
        if strategies is None:
            context = self._engine.create_execution_context()
        else:
            config = self._engine.create_runtime_config()
            config.dynamic_shapes_kernel_specialization_strategy = strategies.EAGER
            context = self._engine.create_execution_context(config)
        if context is None:
            raise self._failed("the GPU cannot hold the model's intermediate results")
        return context

    def _run_piece(self, images: npt.NDArray[np.uint8]) -> EngineOutput:
        """Images of a shape within the profile."""
        context, memory = self._context, self._memory
        pixels = np.ascontiguousarray(images)
        if not context.set_input_shape(IMAGE, pixels.shape):
            raise self._failed(f"{self.name} does not take images of shape {pixels.shape}")
        count, cells = len(pixels), tuple(map(self._geometry.cells, pixels.shape[2:]))
        wanted = {PROBABILITIES: (count, self._grades, *cells), UNFAMILIARITY: (count, *cells)}
        found = {name: tuple(context.get_tensor_shape(name)) for name in wanted}
        if found != wanted:
            raise BundleError(
                "the model's map has another shape than its patch and stride give",
                seen=found,
                wanted=str(wanted),
                next_step="export the run again",
            )
        outputs = {name: np.empty(shape, np.float32) for name, shape in wanted.items()}
        for name, output in outputs.items():
            self._buffer(name, output.nbytes)
        memory.to_device(self._buffer(IMAGE, pixels.nbytes), pixels)
        if not context.execute_async_v3(memory.stream):
            raise self._failed(f"{self.name} cannot run on images of shape {pixels.shape}")
        for name, output in outputs.items():
            memory.to_host(output, self._buffers[name][0])
        return EngineOutput(outputs[PROBABILITIES], outputs[UNFAMILIARITY])

    def _buffer(self, name: str, size: int) -> int:
        """Address of the tensor's buffer, which grows as needed and is used again."""
        address, room = self._buffers.get(name, (0, 0))
        if room < size:
            if room:
                del self._buffers[name]
                self._memory.free(address)
            address = self._memory.allocate(size)
            if not self._context.set_tensor_address(name, address):
                self._memory.free(address)
                raise self._failed(f"{self.name} takes no buffer for {name}")
            self._buffers[name] = address, size
        return address

    def _failed(self, what: str) -> CheckFailed:
        errors = messages_of(self._trt).take()
        return CheckFailed(
            what, seen=errors[0] if errors else "no reason given", next_step=OTHER_ENGINE, details=errors[1:]
        )
