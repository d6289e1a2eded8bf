"""onnxruntime on the CPU."""

import numpy as np
import numpy.typing as npt
import onnxruntime

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
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # threads that spin while they wait cost the microscope's PC 60 % of a core at 10 frames/s, 20 % without
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=[PROVIDER])
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
        return EngineOutput(probabilities, unfamiliarity)
