"""What the benchmarks share: the shipped model, synthetic frames, and how many rounds a run makes."""

import time
from functools import wraps
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest

from benchmarks.engine_bench.frames import paint_frames
from benchmarks.speed.frame import synthetic_frame
from benchmarks.speed.ratio import Against
from runtime.bundle import DEFAULT_BUNDLE, open_bundle
from runtime.bundle_files import FP32_MODEL
from runtime.engines.onnxruntime_cpu import OnnxRuntimeEngine
from runtime.model import Model

# of the engine, as `default_threads` on two cores, of OpenCV and of the matrix products
THREADS = 1
SHORT_SHARE = 0.25


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--short", action="store_true", help="a quarter of the rounds")
    parser.addoption("--slow-map", type=float, default=0.0, help="slow the map down by this share, to try the guard")
    parser.addoption("--exactly", action="append", default=[], help="run the benchmarks of these names alone")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    wanted = config.getoption("--exactly")
    if wanted:
        items[:] = [item for item in items if item.name in wanted]


@pytest.fixture
def against(benchmark: Any, request: pytest.FixtureRequest) -> Against:
    return Against(benchmark, share_of_rounds=SHORT_SHARE if request.config.getoption("--short") else 1.0)


@pytest.fixture(autouse=True)
def slowed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    share = request.config.getoption("--slow-map")
    if not share:
        return
    run = OnnxRuntimeEngine.run

    @wraps(run)
    def slow(self: OnnxRuntimeEngine, images: npt.NDArray[np.uint8]) -> Any:
        started = time.perf_counter()
        output = run(self, images)
        until = time.perf_counter() + share * (time.perf_counter() - started)
        while time.perf_counter() < until:
            pass
        return output

    monkeypatch.setattr(OnnxRuntimeEngine, "run", slow)


@pytest.fixture(scope="session")
def model() -> Model:
    return Model.load(open_bundle(DEFAULT_BUNDLE), threads=THREADS)


@pytest.fixture(scope="session")
def bare_session() -> onnxruntime.InferenceSession:
    """The model's file in onnxruntime alone, nothing of inflamap around it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    return onnxruntime.InferenceSession(str(DEFAULT_BUNDLE / FP32_MODEL), options, providers=["CPUExecutionProvider"])


@pytest.fixture(scope="session")
def frame_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """Synthetic 1000x1000 frames as the microscope's files."""
    return paint_frames(tmp_path_factory.mktemp("frames"), lambda _what, _done, _of: None).paths


@pytest.fixture(scope="session")
def frame() -> npt.NDArray[np.uint8]:
    """uint8 [1000, 1000]."""
    return synthetic_frame()


@pytest.fixture(autouse=True, scope="session")
def _opencv_threads() -> None:
    cv2.setNumThreads(THREADS)
