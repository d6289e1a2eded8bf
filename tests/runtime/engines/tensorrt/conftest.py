"""A fake GPU, and the two files of the shipped bundle that are for a real one."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fake_tensorrt import FakeMemory, FakeTensorRT, model_file

from runtime.bundle import DEFAULT_BUNDLE
from runtime.dense_map import Geometry
from runtime.engines.tensorrt import TensorRTEngine, open_tensorrt
from runtime.engines.tensorrt.loaded_plan import Seams
from runtime.engines.tensorrt.plan_cache import PlanCache
from runtime.engines.tensorrt.probe import Gpu

FOLDER = DEFAULT_BUNDLE
GPU = Gpu("Fake RTX", "600.01 (CUDA 13.0)", "8.9", 8 * 2**30)
SMALL = Geometry(patch_px=8, stride_px=3, um_per_px=0.5)


@dataclass
class FakeMachine:
    """A machine on which engines are opened, and what it was told."""

    cache: Path
    gpu: Gpu = GPU
    memory: FakeMemory = field(default_factory=FakeMemory)
    said: list[str] = field(default_factory=list)
    trt: FakeTensorRT = field(init=False)

    def __post_init__(self) -> None:
        self.trt = FakeTensorRT(self.memory)

    def open(self, model: bytes | None = None, **more: Any) -> TensorRTEngine:
        seams = Seams(self.trt, self.gpu, self.memory, PlanCache(self.cache, self.said.append))
        settings: dict[str, Any] = {"name": "tensorrt-fp16", "precision": "fp16", "geometry": SMALL} | more
        model = model_file(SMALL.patch_px, SMALL.stride_px) if model is None else model
        return open_tensorrt(model, say=self.said.append, seams=seams, **settings)


@pytest.fixture
def machine(tmp_path: Path) -> FakeMachine:
    return FakeMachine(tmp_path / "plans")


@pytest.fixture(scope="session", params=["fp16", "int8"])
def precision(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def model_bytes() -> Callable[[str], bytes]:
    """The shipped model for TensorRT in `fp16` or `int8`."""
    return lambda precision: (FOLDER / f"model.{precision}.trt.onnx").read_bytes()
