"""onnxruntime on the CPU."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from runtime.engines.int8_share import Kernel, Operand, int8_share, is_counted
from runtime.engines.protocol import EngineOutput
from runtime.errors import BundleError, CheckFailed

PROVIDER = "CPUExecutionProvider"
# what `runtime` sets for other systems has no part in Windows' tracing
onnxruntime.disable_telemetry_events()


class OnnxRuntimeEngine:
    """One onnxruntime session over the bytes of a verified model file."""

    def __init__(self, model: bytes, *, name: str, precision: str, threads: int) -> None:
        """Load the model.

        Args:
            model: the ONNX file's bytes.
            name: the engine's id in the contract.
            precision: `fp32` or `int8`.
            threads: cores to use at most.

        Raises:
            BundleError: onnxruntime cannot load the model.
            CheckFailed: the session does not run where it was asked to.
        """
        self.name, self.precision = name, precision
        self._model, self._threads = model, threads
        self._largest: tuple[int, ...] | None = None
        try:
            self._session = self._open(self._options())
        except Exception as error:  # onnxruntime's own exceptions share no public base class
            raise BundleError("onnxruntime cannot load the model", seen=error, next_step="export it again") from error
        # a missing provider is only a warning to onnxruntime (its issue 23372)
        if self._session.get_providers() != [PROVIDER]:
            raise CheckFailed(
                "onnxruntime runs elsewhere than asked", seen=self._session.get_providers(), wanted=PROVIDER
            )

    def run(self, images: npt.NDArray[np.uint8]) -> EngineOutput:
        """See `Engine.run`."""
        probabilities, unfamiliarity = self._session.run(["probabilities", "unfamiliarity"], {"image": images})
        self._largest = max(self._largest or images.shape[1:], images.shape[1:], key=math.prod)
        return EngineOutput(probabilities, unfamiliarity)

    def int8_share(self) -> float | None:
        """See `DeployedEngine.int8_share`: from a profile of one black image of the largest
        size that `run` saw.

        Raises:
            CheckFailed: nothing was run yet, or the profile does not tell.
        """
        if self.precision != "int8":
            return None
        if self._largest is None:
            raise CheckFailed("the share of INT8 cannot be told", seen="no image that ran", next_step="run one")
        return int8_share(self._profile(np.zeros((1, *self._largest), np.uint8)))

    @property
    def runs_on(self) -> dict[str, str]:
        """See `DeployedEngine.runs_on`."""
        return {"onnxruntime": onnxruntime.__version__}

    def _options(self) -> Any:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        # threads that spin while they wait cost the microscope's PC 60 % of a core at 10 frames/s, 20 % without
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        return options

    def _open(self, options: Any) -> Any:
        return onnxruntime.InferenceSession(self._model, options, providers=[PROVIDER])

    def _profile(self, images: npt.NDArray[np.uint8]) -> list[Kernel]:
        """Run images uint8 [N, 1, H, W] in a session of their own; the kernels that count among those executed."""
        with TemporaryDirectory(prefix="inflamap-") as folder:
            options = self._options()
            options.enable_profiling = True
            options.profile_file_prefix = str(Path(folder) / "profile")
            # weights packed for the processor are left out of a kernel's inputs; which kernel runs is settled before
            options.add_session_config_entry("session.disable_prepacking", "1")
            session = self._open(options)
            session.run(None, {"image": images})
            events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
        return list(_kernels(events))


def _kernels(events: list[dict[str, Any]]) -> Iterator[Kernel]:
    """The convolutions and matrix products among a profile's events."""
    for event in events:
        kernel = event.get("args", {})
        if event["name"].endswith("_kernel_time") and is_counted(kernel.get("op_name", "")):
            inputs = tuple(
                Operand(dtype, tuple(shape))
                for operand in kernel["input_type_shape"]
                for dtype, shape in operand.items()
            )
            # one dictionary an output, its type the only key
            (output,) = kernel["output_type_shape"][0].values()
            yield Kernel(kernel["op_name"], inputs, tuple(output))
