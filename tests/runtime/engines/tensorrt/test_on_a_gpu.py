"""The engines on a real GPU, against onnxruntime on the FP32 model. Skips, with the reason, where there is none.

    pytest tests/runtime/engines/tensorrt/test_on_a_gpu.py -rA

prints what docs/gpu.md wants to know of the machine.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from runtime.bundle import DEFAULT_BUNDLE, Bundle, open_bundle
from runtime.dense_map import DEFAULT_TILE_PX, dense_map
from runtime.engines import Engine
from runtime.engines.onnxruntime_cpu import OnnxRuntimeEngine
from runtime.engines.tensorrt import TensorRTEngine, open_tensorrt
from runtime.engines.tensorrt.probe import Gpu, probe_gpu
from runtime.errors import EngineMissing

# in probability, from FP32; onnxruntime on the same files differs by 0.0007 and 0.03 on these frames
TOLERANCE = {"fp16": 0.005, "int8": 0.1}


@pytest.fixture(scope="module")
def gpu() -> Gpu:
    try:
        return probe_gpu()
    except EngineMissing as error:
        pytest.skip(f"needs a GPU: {error}")


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return open_bundle(DEFAULT_BUNDLE)


@pytest.fixture(scope="module")
def reference(bundle: Bundle) -> Engine:
    return OnnxRuntimeEngine(bundle.read_file("model.fp32.onnx"), name="onnxruntime-fp32", precision="fp32", threads=2)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache") / "plans"


@pytest.fixture(scope="module")
def opened(
    gpu: Gpu, bundle: Bundle, cache: Path, model_bytes: Callable[[str], bytes], precision: str
) -> TensorRTEngine:
    print(f"on {gpu}")
    return _open(bundle, cache, model_bytes, precision, print)


def _open(
    bundle: Bundle, cache: Path, model_bytes: Callable[[str], bytes], precision: str, say: Callable[[str], None]
) -> TensorRTEngine:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("INFLAMAP_CACHE", str(cache))
        return open_tensorrt(
            model_bytes(precision), name=f"tensorrt-{precision}", precision=precision, geometry=bundle.geometry, say=say
        )


def frames(*shape: int) -> npt.NDArray[np.uint8]:
    """Noise that is smoothed a little, uint8 [N, 1, H, W]."""
    noise = np.random.default_rng(7).integers(0, 256, shape).astype(np.float32)
    return ((noise + np.roll(noise, 1, 2) + np.roll(noise, 1, 3)) / 3).astype(np.uint8)


@pytest.mark.parametrize(
    "shape", [(1, 1, 128, 128), (3, 1, 140, 200), (6, 1, 128, 128), (1, 1, 1000, 1000), (1, 1, 2300, 2100)], ids=str
)
def test_engine_gives_the_fp32_models_map(
    opened: TensorRTEngine, reference: Any, precision: str, shape: tuple[int, ...]
) -> None:
    images = frames(*shape)
    found, wanted = opened.run(images), reference.run(images)
    assert found.probabilities.dtype == found.unfamiliarity.dtype == np.float32
    assert found.probabilities.shape == wanted.probabilities.shape
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, atol=1e-3)
    np.testing.assert_allclose(found.probabilities, wanted.probabilities, atol=TOLERANCE[precision])
    np.testing.assert_allclose(found.unfamiliarity, wanted.unfamiliarity, rtol=0.05)
    print(f"{precision} {shape}: largest difference {np.abs(found.probabilities - wanted.probabilities).max():.2g}")


def test_map_does_not_depend_on_tiles(opened: TensorRTEngine, bundle: Bundle, precision: str) -> None:
    pixels = frames(1, 1, 900, 700)[0, 0]
    whole = dense_map(pixels, opened, bundle.geometry, tile_px=DEFAULT_TILE_PX)
    tiled = dense_map(pixels, opened, bundle.geometry, tile_px=400)
    np.testing.assert_allclose(whole.probabilities, tiled.probabilities, atol=TOLERANCE[precision] / 10)


def test_second_start_loads_the_kept_plan(
    opened: TensorRTEngine, bundle: Bundle, cache: Path, model_bytes: Callable[[str], bytes], precision: str
) -> None:
    said: list[str] = []
    again = _open(bundle, cache, model_bytes, precision, said.append)
    assert said == []
    images = frames(1, 1, 300, 300)
    np.testing.assert_array_equal(again.run(images).probabilities, opened.run(images).probabilities)


def test_int8_runs_in_int8_by_the_engines_own_account(opened: TensorRTEngine, precision: str) -> None:
    share = opened.int8_share()
    if precision == "fp16":
        assert share is None
    else:
        assert share is not None
        assert share > 0.9


def test_what_the_documentation_wants_to_know(opened: TensorRTEngine, gpu: Gpu, precision: str) -> None:
    images = frames(1, 1, 1000, 1000)
    opened.run(images)
    times = []
    for _ in range(50):
        start = time.perf_counter()
        opened.run(images)
        times.append(time.perf_counter() - start)
    milliseconds = np.percentile(np.array(times) * 1000, [50, 95])
    print(
        f"{precision}: {opened.runs_on}, compute capability {gpu.compute_capability}, memory through "
        f"{type(opened._memory).__name__}, INT8 share {opened.int8_share()}, frame of 1000x1000 px: "
        f"p50 {milliseconds[0]:.2f} ms, p95 {milliseconds[1]:.2f} ms"
    )
