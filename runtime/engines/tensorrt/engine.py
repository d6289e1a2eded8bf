"""A plan on the GPU, as an engine like any other."""

import threading
import traceback
import weakref
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from runtime.dense_map import Geometry
from runtime.engines.protocol import EngineOutput
from runtime.engines.tensorrt.device_memory import device_memory
from runtime.engines.tensorrt.int8_share import convolution_work, int8_share
from runtime.engines.tensorrt.loaded_plan import LoadedPlan, Seams
from runtime.engines.tensorrt.messages import messages_of
from runtime.engines.tensorrt.module import import_tensorrt
from runtime.engines.tensorrt.pieces import pieces
from runtime.engines.tensorrt.plan import IMAGE, PROBABILITIES, UNFAMILIARITY, profile_of
from runtime.engines.tensorrt.plan_cache import plan_cache
from runtime.engines.tensorrt.probe import probe_gpu
from runtime.errors import BundleError, CheckFailed, InflamapError


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
        cache = plan_cache(gpu, say)
        seams = Seams(trt, gpu, device_memory(), cache)
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
        self._trt, self._memory, self._messages = seams.trt, seams.memory, messages_of(seams.trt)
        self._profile = profile_of(geometry)
        self._turn = threading.Lock()
        self._buffers: dict[str, tuple[int, int]] = {}
        self._plan = LoadedPlan(seams, name)
        end = weakref.finalize(self, self._plan.release)
        try:
            self._plan.load(model, self._profile, say)
        except BaseException as error:
            # whoever keeps the error keeps what it was raised in, and must not keep the GPU's memory
            traceback.clear_frames(error.__traceback__)
            end()
            raise
        self._grades = int(self._plan.engine.get_tensor_shape(PROBABILITIES)[1])

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
        shapes: set[tuple[int, ...]] = set()
        with self._turn:
            for piece in pieces(count, height, width, self._geometry, self._profile):
                pixels = images[piece.images, :, piece.rows, piece.columns]
                shapes.add(pixels.shape)
                part = self._run_piece(pixels)
                probabilities[piece.images, :, piece.cell_rows, piece.cell_columns] = part.probabilities
                unfamiliarity[piece.images, piece.cell_rows, piece.cell_columns] = part.unfamiliarity
            if self._plan.kernels:
                self._plan.kernels.keep(shapes)
        return EngineOutput(probabilities, unfamiliarity)

    def int8_share(self) -> float | None:
        """See `Engine.int8_share`: by the list of layers of the engine that runs.

        Raises:
            CheckFailed: the library does not take the model.
        """
        if self.precision != "int8":
            return None
        inspector = self._plan.engine.create_engine_inspector()
        layers = inspector.get_engine_information(self._trt.LayerInformationFormat.ONELINE)
        return int8_share(layers, convolution_work(self._trt, self._model, self._profile.usual[2]))

    @property
    def runs_on(self) -> dict[str, str]:
        """See `Engine.runs_on`: `tensorrt` or `tensorrt_rtx` with its version, `gpu`, `driver`."""
        gpu = self._seams.gpu
        return {self._trt.__name__: self._trt.__version__, "gpu": gpu.name, "driver": gpu.driver}

    def _run_piece(self, images: npt.NDArray[np.uint8]) -> EngineOutput:
        """Images of a shape within the profile."""
        context, memory, checked = self._plan.context, self._memory, self._messages.checked
        pixels = np.ascontiguousarray(images)
        what = f"{self.name} does not take images of shape {pixels.shape}"
        checked(what, context.set_input_shape, IMAGE, pixels.shape)
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
        what = f"{self.name} cannot run on images of shape {pixels.shape}"
        checked(what, context.execute_async_v3, memory.stream)
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
            what = f"{self.name} takes no buffer for {name}"
            try:
                self._messages.checked(what, self._plan.context.set_tensor_address, name, address)
            except CheckFailed:
                self._memory.free(address)
                raise
            self._buffers[name] = address, size
        return address
