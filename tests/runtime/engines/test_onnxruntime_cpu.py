"""onnxruntime: what it says of itself, and that asking leaves nothing behind."""

import tempfile
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest

from runtime.bundle import DEFAULT_BUNDLE
from runtime.bundle_files import FP32_MODEL, INT8_MODEL
from runtime.engines import DeployedEngine
from runtime.engines.onnxruntime_cpu import OnnxRuntimeEngine


def opened(file: str = FP32_MODEL, precision: str = "fp32") -> OnnxRuntimeEngine:
    name = f"onnxruntime-{precision}"
    return OnnxRuntimeEngine((DEFAULT_BUNDLE / file).read_bytes(), name=name, precision=precision, threads=1)


def test_engine_tells_what_it_is() -> None:
    engine: DeployedEngine = opened()
    assert (engine.name, engine.precision) == ("onnxruntime-fp32", "fp32")
    assert engine.runs_on == {"onnxruntime": onnxruntime.__version__}


def test_profile_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.chdir(tmp_path)
    engine = opened(INT8_MODEL, "int8")
    engine.run(np.zeros((1, 1, 128, 128), np.uint8))
    assert engine.int8_share() is not None
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_outputs_outlive_the_next_run(skin: npt.NDArray[np.uint8]) -> None:
    engine = opened()
    output = engine.run(skin[None, None])
    before = output.probabilities.copy(), output.unfamiliarity.copy()
    engine.run(255 - skin[None, None])
    np.testing.assert_array_equal(output.probabilities, before[0])
    np.testing.assert_array_equal(output.unfamiliarity, before[1])


def test_one_thread_takes_one_core(skin: npt.NDArray[np.uint8]) -> None:
    engine = opened()
    engine.run(skin[None, None])
    wall, processor = time.perf_counter(), time.process_time()
    for _ in range(100):
        engine.run(skin[None, None])
    assert time.process_time() - processor < 1.2 * (time.perf_counter() - wall)
