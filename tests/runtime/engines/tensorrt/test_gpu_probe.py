"""What CUDA answers becomes a GPU, or the one line that says what to install."""

import enum
import importlib
from types import SimpleNamespace
from typing import Any

import pytest

from runtime.engines.tensorrt.probe import Gpu, import_cudart, probe_gpu
from runtime.errors import EngineMissing

CODES = {
    "cudaSuccess": 0,
    "cudaErrorInitializationError": 3,
    "cudaErrorStubLibrary": 34,
    "cudaErrorInsufficientDriver": 35,
    "cudaErrorNoDevice": 100,
}
Error = enum.IntEnum("Error", CODES)


class FakeCuda:
    """`cuda.bindings.runtime` with one GPU; `error` is what every call answers."""

    def __init__(self, error: Error = Error.cudaSuccess, devices: int = 1) -> None:
        self.error, self.devices, self.cudaError_t = error, devices, Error

    def cudaGetDeviceCount(self) -> tuple[Error, int | None]:  # noqa: N802
        return (self.error, None if self.error else self.devices)

    def cudaGetDevice(self) -> tuple[Error, int]:  # noqa: N802
        return self.error, 1

    def cudaDriverGetVersion(self) -> tuple[Error, int]:  # noqa: N802
        return self.error, 13020

    def cudaGetDeviceProperties(self, device: int) -> tuple[Error, Any]:  # noqa: N802
        assert device == 1
        name = b"NVIDIA RTX 4000\0\0\0"
        return self.error, SimpleNamespace(name=name, major=8, minor=9, totalGlobalMem=20 * 2**30)


def nvml(version: str = "580.65.06") -> Any:
    return SimpleNamespace(init_v2=lambda: None, system_get_driver_version=lambda: version, shutdown=lambda: None)


def test_gpu_is_described_with_its_driver() -> None:
    assert probe_gpu(FakeCuda(), nvml()) == Gpu("NVIDIA RTX 4000", "580.65.06 (CUDA 13.2)", "8.9", 20 * 2**30)


def test_without_nvml_the_driver_is_said_to_be_unknown() -> None:
    def missing() -> None:
        raise RuntimeError("no such library")

    gpu = probe_gpu(FakeCuda(), SimpleNamespace(init_v2=missing))
    assert gpu == Gpu("NVIDIA RTX 4000", "unknown (CUDA 13.2)", "8.9", 20 * 2**30, driver_known=False)


@pytest.mark.parametrize(
    ("cuda", "line"),
    [
        (
            FakeCuda(Error.cudaErrorInsufficientDriver),
            "there is no NVIDIA driver, or it is too old; seen: cudaErrorInsufficientDriver; wanted: .*; next: inst",
        ),
        (FakeCuda(Error.cudaErrorStubLibrary), "there is no NVIDIA driver, or it is too old; seen: cudaErrorStub"),
        (
            FakeCuda(Error.cudaErrorNoDevice),
            "no NVIDIA GPU is visible to this program; seen: cudaErrorNoDevice; next: ",
        ),
        (FakeCuda(devices=0), "no NVIDIA GPU is visible to this program; seen: 0 devices; next: "),
        (
            FakeCuda(Error.cudaErrorInitializationError),
            "the NVIDIA GPU does not answer; seen: cudaErrorInitializationError; next: see what nvidia-smi",
        ),
    ],
    ids=["no driver", "a stub of a driver", "no GPU", "none visible", "a GPU that fails"],
)
def test_what_is_missing_is_one_line(cuda: FakeCuda, line: str) -> None:
    with pytest.raises(EngineMissing, match=line):
        probe_gpu(cuda, nvml())


def test_driver_that_lacks_a_function_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown() -> None:
        raise RuntimeError('Function "cuDeviceGetCount" not found')

    cuda = FakeCuda()
    monkeypatch.setattr(cuda, "cudaGetDeviceCount", unknown)
    with pytest.raises(EngineMissing, match="there is no NVIDIA driver, or it is too old; seen: Function"):
        probe_gpu(cuda, nvml())


def test_missing_cuda_python_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(
        EngineMissing, match=r"cuda-python cannot be imported; .*next: pip install 'inflamap\[tensorrt\]'"
    ):
        import_cudart()


def test_installed_cuda_python_answers_as_the_probe_expects() -> None:
    """The names that the probe and the memory use, in the package itself; with a GPU or without."""
    cudart = import_cudart()
    for name in (
        *("cudaGetDeviceCount", "cudaGetDevice", "cudaGetDeviceProperties", "cudaDriverGetVersion", "cudaMalloc"),
        *("cudaFree", "cudaMemcpyAsync", "cudaStreamSynchronize", "cudaStreamDestroy", "cudaStreamCreateWithFlags"),
        "cudaSetDeviceFlags",
    ):
        assert callable(getattr(cudart, name))
    assert {"cudaErrorInsufficientDriver", "cudaErrorStubLibrary", "cudaErrorNoDevice", "cudaSuccess"} <= set(
        cudart.cudaError_t.__members__
    )
    assert {"cudaMemcpyHostToDevice", "cudaMemcpyDeviceToHost"} <= set(cudart.cudaMemcpyKind.__members__)
    assert isinstance(cudart.cudaStreamNonBlocking, int)
    assert cudart.cudaDeviceScheduleBlockingSync == 4
    properties = cudart.cudaDeviceProp()
    assert (properties.major, properties.minor, properties.totalGlobalMem) == (0, 0, 0)
    assert isinstance(properties.name, bytes)
    bindings = importlib.import_module("cuda.bindings.nvml")
    assert all(callable(getattr(bindings, name)) for name in ("init_v2", "system_get_driver_version", "shutdown"))
