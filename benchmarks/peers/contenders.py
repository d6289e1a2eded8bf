"""How others would make the map of a frame with this model, each in the way its own documentation shows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import torch

from benchmarks.speed.patches import in_batches
from runtime.bundle import Bundle
from runtime.bundle_files import FP32_MODEL
from runtime.engines import EngineOutput

BATCH = 64
Frame = npt.NDArray[np.uint8]
Grades = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Contender:
    """One way to the map.

    Attributes:
        name: what it is called in the table.
        whole: whether it runs the model over the whole frame, as an engine, and not patch by patch.
        map: gives the expected grade of every cell, float32 [h, w].
    """

    name: str
    whole: bool
    map: Callable[[], Grades]


class TorchEngine:
    """torch itself, without compilation, as an engine."""

    name, precision = "torch", "fp32"

    def __init__(self, network: torch.nn.Module) -> None:
        self._network = network

    def run(self, images: Frame) -> EngineOutput:
        with torch.inference_mode():
            probabilities, unfamiliarity = self._network(torch.from_numpy(images))
        return EngineOutput(probabilities.numpy(), unfamiliarity.numpy())


def contenders(bundle: Bundle, network: torch.nn.Module, frame: Frame, *, threads: int) -> list[Contender]:
    """All of them on one frame.

    Args:
        bundle: of the model.
        network: the same model in torch.
        frame: uint8 [H, W], whose sides are whole numbers of strides beyond a patch.
        threads: cores each may use.
    """
    torch.set_num_threads(threads)
    geometry = bundle.geometry
    model = bundle.read_file(FP32_MODEL)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    in_torch, in_ort = TorchEngine(network), _SessionEngine(session)
    batch = frame[None, None]
    return [
        Contender("onnxruntime, whole frame", True, lambda: expected(in_ort.run(batch).probabilities[0])),
        Contender("torch, whole frame", True, lambda: expected(in_torch.run(batch).probabilities[0])),
        Contender("OpenVINO, whole frame", True, _openvino(model, batch, threads)),
        Contender("onnxruntime, patch by patch", False, lambda: in_batches(frame, in_ort, geometry, 1)),
        Contender(f"onnxruntime, batches of {BATCH}", False, lambda: in_batches(frame, in_ort, geometry, BATCH)),
        Contender("torch, patch by patch", False, lambda: in_batches(frame, in_torch, geometry, 1)),
        Contender(f"torch, batches of {BATCH}", False, lambda: in_batches(frame, in_torch, geometry, BATCH)),
        Contender("MONAI SlidingWindowInferer, torch", False, _monai(network, frame, bundle)),
        Contender("MONAI SlidingWindowInferer, onnxruntime", False, _monai(_InTorch(session), frame, bundle)),
    ]


def expected(probabilities: npt.NDArray[np.float32]) -> Grades:
    """Expected grades, float32 [h, w], of probabilities [K, h, w]."""
    grades: Grades = np.tensordot(np.arange(len(probabilities), dtype=np.float32), probabilities, axes=1)
    return grades


class _SessionEngine:
    """onnxruntime by itself."""

    name, precision = "onnxruntime", "fp32"

    def __init__(self, session: Any) -> None:
        self._session = session

    def run(self, images: Frame) -> EngineOutput:
        return EngineOutput(*self._session.run(None, {"image": images}))


class _InTorch(torch.nn.Module):
    """onnxruntime where a torch module is wanted."""

    def __init__(self, session: Any) -> None:
        super().__init__()
        self._session = session

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(map(torch.from_numpy, self._session.run(None, {"image": images.numpy()})))


def _openvino(model: bytes, batch: Frame, threads: int) -> Callable[[], Grades]:
    # importing it without its telemetry is the engine's business
    from runtime.engines.openvino_cpu import import_openvino

    openvino = import_openvino()
    core = openvino.Core()
    options = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    compiled = core.compile_model(core.read_model(model=model), "CPU", options)
    return lambda: expected(compiled({"image": batch})["probabilities"][0])


def _monai(network: torch.nn.Module, frame: Frame, bundle: Bundle) -> Callable[[], Grades]:
    """MONAI's windows in their order, which is that of the rows; what it makes of the outputs is no map of patches, so
    they are taken as its predictor gives them."""
    from monai.inferers import SlidingWindowInferer

    geometry = bundle.geometry
    rows, columns = (geometry.cells(side) for side in frame.shape)
    inferer = SlidingWindowInferer(
        roi_size=(geometry.patch_px, geometry.patch_px),
        sw_batch_size=BATCH,
        overlap=1 - geometry.stride_px / geometry.patch_px,
    )
    # it adds outputs up in the image's own type, which no bytes can hold
    image = torch.from_numpy(frame)[None, None].float()

    def run() -> Grades:
        seen: list[torch.Tensor] = []

        def predictor(windows: torch.Tensor) -> torch.Tensor:
            probabilities: torch.Tensor = network(windows.to(torch.uint8))[0]
            seen.append(probabilities)
            return probabilities

        with torch.inference_mode():
            inferer(image, predictor)
        return expected(torch.cat(seen)[:, :, 0, 0].T.reshape(-1, rows, columns).numpy())

    return run
