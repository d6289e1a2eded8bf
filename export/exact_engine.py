"""A model file run to the letter: every operator as ONNX defines it, nothing fused, no eight-bit kernel.

What a file says does not depend on the machine then, so that a file is judged here and an engine on its own machine.
"""

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

from export.graph import int8_share
from export.quantize import FRAME_PX
from runtime.engines import EngineOutput


class ExactEngine:
    """onnxruntime with its optimisations off, behind the engines' protocol."""

    def __init__(self, model: bytes, *, name: str, precision: str, threads: int) -> None:
        self.name, self.precision = name, precision
        self._model = model
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def run(self, images: npt.NDArray[np.uint8]) -> EngineOutput:
        """See `Engine.run`."""
        probabilities, unfamiliarity = self._session.run(["probabilities", "unfamiliarity"], {"image": images})
        return EngineOutput(probabilities, unfamiliarity)

    def int8_share(self) -> float | None:
        """What the graph asks for, of the multiply-accumulates of a frame."""
        return int8_share(onnx.load_from_string(self._model), FRAME_PX) if self.precision == "int8" else None

    @property
    def runs_on(self) -> dict[str, str]:
        """See `DeployedEngine.runs_on`."""
        return {"onnxruntime": onnxruntime.__version__}
