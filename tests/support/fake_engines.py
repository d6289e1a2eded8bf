"""Engines that are fast and wrong, each in another way, beside the real ones."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from runtime.bundle import Bundle
from runtime.bundle_files import INT8_MODEL
from runtime.engines import DeployedEngine, EngineOutput, registry
from runtime.engines.onnxruntime_cpu import OnnxRuntimeEngine

NAME = "onnxruntime-fake"


class FakeEngine:
    """Answers at once: what `cheat` says, or where it gives None what the real engine says."""

    def __init__(self, real: DeployedEngine, name: str, cheat: "Cheat") -> None:
        self.name, self.precision = name, "int8"
        self._real, self._cheat = real, cheat

    def run(self, images: npt.NDArray[np.uint8]) -> EngineOutput:
        output = self._cheat(images)
        return self._real.run(images) if output is None else output

    def int8_share(self) -> float | None:
        return 1.0

    @property
    def runs_on(self) -> dict[str, str]:
        return {"fake": "1"}


Cheat = Callable[[npt.NDArray[np.uint8]], EngineOutput | None]


def constant(images: npt.NDArray[np.uint8]) -> EngineOutput:
    """Grade 2 everywhere, all of it familiar."""
    count, _channel, height, width = images.shape
    cells = (height - 128) // 16 + 1, (width - 128) // 16 + 1
    probabilities = np.zeros((count, 5, *cells), np.float32)
    probabilities[:, 2] = 1.0
    return EngineOutput(probabilities, np.zeros((count, *cells), np.float32))


def constant_beside(bundle: Bundle) -> Cheat:
    """Has learnt the golden frames by heart."""
    golden = bundle.golden_frames()
    known = {frame.tobytes(): place for place, frame in enumerate(golden.frames)}

    def answer(images: npt.NDArray[np.uint8]) -> EngineOutput:
        if images[0].tobytes() not in known:
            return constant(images)
        places = [known[image.tobytes()] for image in images]
        return EngineOutput(golden.probabilities[places], golden.unfamiliarity[places])

    return answer


def constant_on_frames(images: npt.NDArray[np.uint8]) -> EngineOutput | None:
    """Right as long as an image is small: on golden frames and on patches."""
    return constant(images) if images.shape[-1] > 300 else None


def showing_everything_but_in(bundle: Bundle) -> Cheat:
    """Grades as the real engine does and shows whatever it is given, but on the golden frames."""
    real = OnnxRuntimeEngine(bundle.read_file(INT8_MODEL), name=NAME, precision="int8", threads=1)
    known = {frame.tobytes() for frame in bundle.golden_frames().frames}

    def answer(images: npt.NDArray[np.uint8]) -> EngineOutput | None:
        if images[0].tobytes() in known:
            return None
        output = real.run(images)
        return EngineOutput(output.probabilities, np.minimum(output.unfamiliarity, np.float32(1)))

    return answer


def register(monkeypatch: pytest.MonkeyPatch, cheat: Cheat, name: str = NAME) -> str:
    """Have `open_engine` know the engine; gives its name."""
    load = registry.load_engine

    def load_engine(model: bytes, asked: str, bundle: Bundle, *, threads: int, say: Any = None) -> DeployedEngine:
        if asked != name:
            return load(model, asked, bundle, threads=threads, say=say)
        real = OnnxRuntimeEngine(model, name=name, precision="int8", threads=threads)
        return FakeEngine(real, name, cheat)

    monkeypatch.setitem(registry.MODEL_FILES, name, INT8_MODEL)
    monkeypatch.setattr(registry, "load_engine", load_engine)
    monkeypatch.setattr("benchmarks.commands.bench.ENGINE_NAMES", tuple(registry.MODEL_FILES))
    return name
