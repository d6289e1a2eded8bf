"""OpenVINO on the CPU."""

import math
import sys
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.engines.int8_share import Kernel, Operand, int8_share, is_counted
from runtime.engines.protocol import EngineOutput
from runtime.errors import BundleError, CheckFailed, EngineMissing, InflamapError

DEVICE = "CPU"
# OpenVINO keeps what it prepared for an image size, some 0.7 MB, for hundreds of sizes: frames of 1000 sizes grew the
# process by 560 MB. An entry is one layer at one size, so that this keeps about ten sizes (OpenVINO's issue 23316); a
# new size costs 5 ms once, kept or not.
KEPT_LAYERS = 100
_FLOAT, _INTEGER = frozenset({"f32"}), frozenset({"u8", "i8"})


class OpenVinoEngine:
    """One compiled OpenVINO model over the bytes of a verified model file; runs one batch at a time."""

    def __init__(self, model: bytes, *, name: str, precision: str, threads: int) -> None:
        """Load the model.

        Args:
            model: the ONNX file's bytes.
            name: the engine's id in the contract.
            precision: `fp32` or `int8`.
            threads: cores to use at most.

        Raises:
            EngineMissing: OpenVINO is not installed here.
            BundleError: OpenVINO cannot load the model.
            CheckFailed: it does not run where, or at the precision, that it was asked to.
        """
        self.name, self.precision = name, precision
        self._largest: tuple[int, ...] | None = None
        openvino = import_openvino()
        self._version = openvino.get_version().partition("-")[0]
        options = {
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "LATENCY",
            # a processor that can (AMX, AVX512-BF16) would compute in bfloat16 otherwise, and not say so; integer
            # kernels are not touched by it
            "INFERENCE_PRECISION_HINT": "f32",
            # threads bound to cores would wait there for the microscope's own programs while other cores idle
            "ENABLE_CPU_PINNING": False,
            "CPU_RUNTIME_CACHE_CAPACITY": KEPT_LAYERS,
        }
        try:
            core = openvino.Core()
            self._compiled = core.compile_model(core.read_model(model=model), DEVICE, options)
            self._request = self._compiled.create_infer_request()
        except Exception as error:  # RuntimeError mostly, which is no promise of OpenVINO's
            raise BundleError("OpenVINO cannot load the model", seen=error, next_step="export it again") from error
        _check_device_and_precision(self._compiled, precision)

    def run(self, images: npt.NDArray[np.uint8]) -> EngineOutput:
        """See `Engine.run`.

        Raises:
            InflamapError: the images are of another type or shape than the model takes, or smaller than a patch (which
                OpenVINO may notice itself, in an error of its own).
        """
        # OpenVINO casts other types, takes three channels for one, and gives a map of no cells without a word
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1] != 1:
            raise InflamapError(
                f"{self.name} cannot run these images",
                seen=f"{images.dtype} {list(images.shape)}",
                wanted="uint8 [N, 1, H, W]",
            )
        # copies, both ways: outputs that share OpenVINO's memory would change with the next run
        outputs = self._request.infer({"image": images}, share_inputs=False, share_outputs=False)
        probabilities, unfamiliarity = outputs["probabilities"], outputs["unfamiliarity"]
        if not unfamiliarity.size:
            raise InflamapError(
                f"{self.name} cannot run these images", seen=f"{list(images.shape)}", wanted="one patch at least"
            )
        self._largest = max(self._largest or images.shape[1:], images.shape[1:], key=math.prod)
        return EngineOutput(probabilities, unfamiliarity)

    def int8_share(self) -> float | None:
        """See `DeployedEngine.int8_share`: from OpenVINO's account of one black image of the
        largest size that `run` saw.

        Raises:
            CheckFailed: nothing was run yet, or the account does not tell.
        """
        if self.precision != "int8":
            return None
        if self._largest is None:
            raise CheckFailed("the share of INT8 cannot be told", seen="no image that ran", next_step="run one")
        # the account of what is executed has the shapes of the latest run
        self.run(np.zeros((1, *self._largest), np.uint8))
        return int8_share(map(_kernel, _counted_nodes(self._compiled)))

    @property
    def runs_on(self) -> dict[str, str]:
        """See `DeployedEngine.runs_on`."""
        return {"openvino": self._version}


def import_openvino() -> ModuleType:
    """Import OpenVINO without what it tells its maker.

    Raises:
        EngineMissing: it is not installed, or not whole.
    """
    # Importing OpenVINO reports the import to Google Analytics, under an identifier kept in the user's home, unless
    # that user has opted out in a file there (its pull request 23832). Without the package that does it, OpenVINO takes
    # a stub of its own; the name stays taken, for OpenVINO asks for it again later. Images of patients are near:
    # nothing leaves this machine.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        import openvino
    # OSError: a library of its own that does not load
    except (ImportError, OSError) as error:
        raise EngineMissing(
            "OpenVINO is not installed here", seen=error, next_step="pip install 'inflamap[openvino]'"
        ) from error
    module: ModuleType = openvino
    return module


def _check_device_and_precision(compiled: Any, precision: str) -> None:
    """Raises CheckFailed where OpenVINO settled for something else than it was asked for."""
    devices = compiled.get_property("EXECUTION_DEVICES")
    if devices != [DEVICE]:
        raise CheckFailed("OpenVINO runs elsewhere than asked", seen=devices, wanted=DEVICE)
    allowed = _FLOAT | _INTEGER if precision == "int8" else _FLOAT
    settled = {_note(node, "runtimePrecision") for node in _counted_nodes(compiled)}
    if not settled <= allowed:
        raise CheckFailed(
            "OpenVINO computes at another precision than asked",
            seen=", ".join(sorted(settled)),
            wanted=", ".join(sorted(allowed)),
        )


def _counted_nodes(compiled: Any) -> list[Any]:
    """Convolutions and matrix products of the graph that OpenVINO made of the model."""
    return [node for node in compiled.get_runtime_model().get_ordered_ops() if is_counted(_note(node, "layerType"))]


def _note(node: Any, key: str) -> str:
    """What OpenVINO notes of a node that it executes."""
    notes = node.get_rt_info()
    return str(notes[key].value) if key in notes else ""


def _kernel(node: Any) -> Kernel:
    inputs = tuple(Operand(port.get_element_type().get_type_name(), tuple(port.get_shape())) for port in node.inputs())
    return Kernel(_note(node, "layerType"), inputs, tuple(node.output(0).get_shape()))
