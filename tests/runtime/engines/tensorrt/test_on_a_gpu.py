"""What only TensorRT does, on a real GPU: tiling, kept plans and kernels, its own account of INT8, times. Skips, with
the reason, where there is none. What every engine has to do is in tests/runtime/engines/test_protocol.py.

    pytest tests/runtime/engines/test_protocol.py tests/runtime/engines/tensorrt/test_on_a_gpu.py -rA

prints what docs/gpu.md wants to know of the machine.
"""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from runtime.bundle import DEFAULT_BUNDLE, Bundle, open_bundle
from runtime.dense_map import DEFAULT_TILE_PX, dense_map
from runtime.engines import DeployedEngine
from runtime.engines.registry import REFERENCE_ENGINE, open_engine
from runtime.engines.tensorrt import TensorRTEngine
from runtime.engines.tensorrt.device_memory import CudaPythonMemory, device_memory
from runtime.engines.tensorrt.probe import Gpu, import_cudart, probe_gpu
from runtime.errors import CheckFailed, EngineMissing

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
def reference(bundle: Bundle) -> DeployedEngine:
    return open_engine(bundle, REFERENCE_ENGINE, threads=2)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache") / "plans"


@pytest.fixture(scope="module")
def opened(gpu: Gpu, bundle: Bundle, cache: Path, precision: str) -> DeployedEngine:
    print(f"on {gpu}")
    try:
        return _open(bundle, cache, precision, print)
    except EngineMissing as error:
        pytest.skip(f"needs a GPU that the library knows: {error}")


def _open(bundle: Bundle, cache: Path, precision: str, say: Callable[[str], None]) -> DeployedEngine:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("INFLAMAP_CACHE", str(cache))
        return open_engine(bundle, f"tensorrt-{precision}", threads=2, say=say)


def frames(*shape: int) -> npt.NDArray[np.uint8]:
    """Noise that is smoothed a little, uint8 [N, 1, H, W]."""
    noise = np.random.default_rng(7).integers(0, 256, shape).astype(np.float32)
    return ((noise + np.roll(noise, 1, 2) + np.roll(noise, 1, 3)) / 3).astype(np.uint8)


def test_probe_tells_card_and_driver(gpu: Gpu) -> None:
    print(f"on {gpu}")
    assert gpu.name
    assert gpu.driver_known, gpu.driver
    assert gpu.memory > 2**30


@pytest.mark.usefixtures("gpu")
def test_memory_keeps_bytes_and_order_and_is_given_back() -> None:
    cudart = import_cudart()
    first, second = frames(2, 1, 1000, 1000), frames(3, 1, 800, 800)
    memory = device_memory()
    free = cudart.cudaMemGetInfo()[1]
    addresses = [memory.allocate(array.nbytes) for array in (first, second)]
    memory.to_device(addresses[0], second)
    memory.to_device(addresses[0], first)  # what is copied last is what is there
    memory.to_device(addresses[1], second)
    for address, wanted in zip(addresses, (first, second), strict=True):
        found = np.zeros_like(wanted)
        memory.to_host(found, address)
        np.testing.assert_array_equal(found, wanted)
    memory.close()
    assert cudart.cudaMemGetInfo()[1] >= free
    # waiting for the GPU must leave the core to the microscope
    assert cudart.cudaGetDeviceFlags()[1] & cudart.cudaDeviceScheduleBlockingSync
    print(f"memory through {type(memory).__name__}")
    if isinstance(memory, CudaPythonMemory):
        with pytest.raises(CheckFailed, match="the GPU cannot allocate"):
            CudaPythonMemory(cudart).allocate(2**50)


# one that the profile takes as it is, and those that run in pieces
@pytest.mark.parametrize("shape", [(1, 1, 1000, 1000), (6, 1, 128, 128), (1, 1, 2300, 2100)], ids=str)
def test_engine_gives_the_fp32_models_map(
    opened: DeployedEngine, reference: DeployedEngine, precision: str, shape: tuple[int, ...]
) -> None:
    images = frames(*shape)
    found, wanted = opened.run(images), reference.run(images)
    assert found.probabilities.dtype == found.unfamiliarity.dtype == np.float32
    assert found.probabilities.shape == wanted.probabilities.shape
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, atol=1e-3)
    np.testing.assert_allclose(found.probabilities, wanted.probabilities, atol=TOLERANCE[precision])
    np.testing.assert_allclose(found.unfamiliarity, wanted.unfamiliarity, rtol=0.05)
    print(f"{precision} {shape}: largest difference {np.abs(found.probabilities - wanted.probabilities).max():.2g}")


def test_map_does_not_depend_on_tiles(opened: DeployedEngine, bundle: Bundle, precision: str) -> None:
    pixels = frames(1, 1, 900, 700)[0, 0]
    whole = dense_map(pixels, opened, bundle.geometry, tile_px=DEFAULT_TILE_PX)
    tiled = dense_map(pixels, opened, bundle.geometry, tile_px=400)
    np.testing.assert_allclose(whole.probabilities, tiled.probabilities, atol=TOLERANCE[precision] / 10)


def test_second_start_loads_the_kept_plan_and_kernels(
    opened: DeployedEngine, bundle: Bundle, cache: Path, precision: str
) -> None:
    images, said, times = frames(1, 1, 300, 300), [], []
    opened.run(images)
    again = _open(bundle, cache, precision, said.append)
    assert said == []
    for engine in (again, opened):
        start = time.perf_counter()
        found = engine.run(images)
        times.append(time.perf_counter() - start)
        np.testing.assert_array_equal(found.probabilities, opened.run(images).probabilities)
    print(f"{precision}: a size met before the start {times[0] * 1000:.1f} ms, since {times[1] * 1000:.1f} ms")
    if "tensorrt_rtx" in opened.runs_on:
        assert list(cache.glob("*.kernels"))


def test_int8_runs_in_int8_by_the_engines_own_account(opened: DeployedEngine, precision: str) -> None:
    share = opened.int8_share()
    if precision == "fp16":
        assert share is None
    else:
        assert share is not None
        assert share > 0.9


def test_what_the_documentation_wants_to_know(opened: DeployedEngine, gpu: Gpu, precision: str) -> None:
    images = frames(1, 1, 1000, 1000)
    opened.run(images)
    times = []
    for _ in range(50):
        start = time.perf_counter()
        opened.run(images)
        times.append(time.perf_counter() - start)
    milliseconds = np.percentile(np.array(times) * 1000, [50, 95])
    assert isinstance(opened, TensorRTEngine)
    print(
        f"{precision}: {opened.runs_on}, compute capability {gpu.compute_capability}, memory through "
        f"{type(opened._memory).__name__}, INT8 share {opened.int8_share()}, frame of 1000x1000 px: "
        f"p50 {milliseconds[0]:.2f} ms, p95 {milliseconds[1]:.2f} ms"
    )
