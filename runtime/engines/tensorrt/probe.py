"""Is there a GPU? Asked of CUDA before any TensorRT object is made, some of which crash where there is no driver."""

import importlib
from typing import Any

import msgspec

from runtime.engines.tensorrt.module import INSTALL
from runtime.errors import EngineMissing

ELSE = "or choose another --engine"


class Gpu(msgspec.Struct, frozen=True):
    """The GPU that this process's CUDA calls go to.

    Attributes:
        name: as its driver calls it, for instance `NVIDIA RTX 4000 Ada Generation`.
        driver: version of the driver and the newest CUDA it knows, for instance `580.65.06 (CUDA 13.0)`.
        compute_capability: its generation, for instance `8.9`.
        memory: its whole memory in bytes.
        driver_known: whether `driver` tells one driver from the next; else it is for instance `unknown (CUDA 13.0)`.
    """

    name: str
    driver: str
    compute_capability: str
    memory: int
    driver_known: bool = True


def probe_gpu(cudart: Any = None, nvml: Any = None) -> Gpu:
    """Look at the current GPU.

    Args:
        cudart: `cuda.bindings.runtime`, which tests replace.
        nvml: `cuda.bindings.nvml`, likewise.

    Raises:
        EngineMissing: cuda-python, the driver or the GPU is missing; which of them, and what to install.
    """
    cudart = cudart or import_cudart()
    if _found(cudart, cudart.cudaGetDeviceCount) == 0:
        raise _no_gpu("0 devices")
    device = _found(cudart, cudart.cudaGetDevice)
    properties = _found(cudart, cudart.cudaGetDeviceProperties, device)
    cuda, driver = _found(cudart, cudart.cudaDriverGetVersion), _driver(nvml)
    return Gpu(
        name=properties.name.split(b"\0")[0].decode(errors="replace"),
        driver=f"{driver or 'unknown'} (CUDA {cuda // 1000}.{cuda % 1000 // 10})",
        compute_capability=f"{properties.major}.{properties.minor}",
        memory=int(properties.totalGlobalMem),
        driver_known=driver is not None,
    )


def import_cudart() -> Any:
    """`cuda.bindings.runtime` of cuda-python.

    Raises:
        EngineMissing: it is not installed.
    """
    try:
        return importlib.import_module("cuda.bindings.runtime")
    except (ImportError, OSError) as error:
        raise EngineMissing("cuda-python cannot be imported", seen=error, next_step=INSTALL) from error


def _found(cudart: Any, call: Any, *arguments: Any) -> Any:
    """What a call of CUDA answers."""
    try:
        error, *values = call(*arguments)
    except RuntimeError as problem:
        # how the bindings say that the driver is older than the function
        raise _no_driver(problem) from problem
    codes = cudart.cudaError_t
    if error in (codes.cudaErrorInsufficientDriver, codes.cudaErrorStubLibrary):
        raise _no_driver(error.name)
    if error == codes.cudaErrorNoDevice:
        raise _no_gpu(error.name)
    if error != codes.cudaSuccess:
        raise EngineMissing(
            "the NVIDIA GPU does not answer", seen=error.name, next_step=f"see what nvidia-smi says of it, {ELSE}"
        )
    return values[0]


def _no_driver(seen: object) -> EngineMissing:
    return EngineMissing(
        "there is no NVIDIA driver, or it is too old",
        seen=seen,
        wanted="a driver for CUDA 13 (580 or newer)",
        next_step=f"install NVIDIA's driver, {ELSE}",
    )


def _no_gpu(seen: object) -> EngineMissing:
    return EngineMissing(
        "no NVIDIA GPU is visible to this program",
        seen=seen,
        next_step=f"use a machine with one, look at CUDA_VISIBLE_DEVICES, {ELSE}",
    )


def _driver(nvml: Any) -> str | None:
    """The driver's version; None where NVML, which comes with the driver, does not tell it."""
    try:
        nvml = nvml or importlib.import_module("cuda.bindings.nvml")
        nvml.init_v2()
        try:
            return str(nvml.system_get_driver_version())
        finally:
            nvml.shutdown()
    except Exception:  # its errors have no public base class, and bindings before 13.2 lack the module
        return None
