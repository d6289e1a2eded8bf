"""What every engine offers: grey images in, grade probabilities and unfamiliarity out."""

from typing import Protocol

import msgspec
import numpy as np
import numpy.typing as npt


class EngineOutput(msgspec.Struct, frozen=True):
    """The two outputs of the graph for one batch.

    Attributes:
        probabilities: float32 [N, K, h, w], a softmax over the K grades.
        unfamiliarity: float32 [N, h, w], 1 at the edge of what the training images looked like.
    """

    probabilities: npt.NDArray[np.float32]
    unfamiliarity: npt.NDArray[np.float32]


class Engine(Protocol):
    """A model ready to run on this machine.

    `run` takes uint8 [N, 1, H, W] at the model's µm/px with H and W at least the patch size, and gives
    h = (H - patch_px) // stride_px + 1 rows of cells (w likewise).
    """

    @property
    def name(self) -> str:
        """The engine's id in the contract, for instance `onnxruntime-fp32`."""
        ...

    @property
    def precision(self) -> str:
        """`fp32`, `fp16` or `int8`."""
        ...

    def run(self, images: npt.NDArray[np.uint8]) -> EngineOutput: ...


class DeployedEngine(Engine, Protocol):
    """An engine over a model file of a bundle."""

    def int8_share(self) -> float | None:
        """Share (0 to 1) of the multiply-accumulates that really run in INT8, by the engine's own account of what it
        executes, not by what the model file asks for; None where the engine is not of INT8 precision.
        """
        ...

    @property
    def runs_on(self) -> dict[str, str]:
        """What the engine's speed and rounding depend on beside the machine: library and version, and on a GPU its
        name and driver. Keys such as `onnxruntime`, `openvino`, `tensorrt_rtx`, `gpu`, `driver`.
        """
        ...
