"""The GPU's memory, behind one small seam: pycuda where it is installed, cuda-python otherwise."""

import importlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol, TypeVar

import numpy.typing as npt

from runtime.engines.tensorrt.probe import import_cudart
from runtime.errors import CheckFailed

T = TypeVar("T")


class DeviceMemory(Protocol):
    """Buffers on the current GPU, and the stream that copies and inference go through in order."""

    @property
    def stream(self) -> int:
        """Handle of a CUDA stream other than the default one."""
        ...

    def allocate(self, size: int) -> int:
        """Address of `size` bytes of the GPU's memory."""
        ...

    def free(self, address: int) -> None: ...

    def to_device(self, address: int, array: npt.NDArray[Any]) -> None:
        """Copy a contiguous array to the GPU, before whatever is put on the stream next."""
        ...

    def to_host(self, array: npt.NDArray[Any], address: int) -> None:
        """Fill a contiguous array from the GPU, after all that was put on the stream; it is filled on return."""
        ...

    def close(self) -> None:
        """Free what is left, and the stream: all of it, even where some of that fails.

        Raises:
            CheckFailed: some of it failed.
        """
        ...


def device_memory() -> DeviceMemory:
    """The one of pycuda where it is installed, else of cuda-python. Only where `probe_gpu` found a GPU.

    Raises:
        EngineMissing: cuda-python is missing, which is needed even with pycuda.
        CheckFailed: CUDA refuses.
    """
    cudart = import_cudart()
    # whoever waits for the GPU sleeps, where CUDA by default may keep a core spinning that the microscope needs. These
    # are flags of the GPU's primary context, which pycuda and TensorRT use too; pycuda itself cannot set them
    _cuda_python(cudart, "let this program sleep", cudart.cudaSetDeviceFlags, cudart.cudaDeviceScheduleBlockingSync)
    try:
        driver = importlib.import_module("pycuda.driver")
    except ImportError:
        return CudaPythonMemory(cudart)
    return PycudaMemory(driver)


class CudaPythonMemory:
    """Through `cuda.bindings.runtime`, whose every call answers (error, values...)."""

    def __init__(self, cudart: Any) -> None:
        self._cudart = cudart
        self._taken: set[int] = set()
        # one that does not wait for the default stream, which others in this process may use
        self._stream = self._checked("make a stream", cudart.cudaStreamCreateWithFlags, cudart.cudaStreamNonBlocking)

    @property
    def stream(self) -> int:
        return int(self._stream)

    def allocate(self, size: int) -> int:
        address = int(self._checked(f"allocate {size} bytes", self._cudart.cudaMalloc, size))
        self._taken.add(address)
        return address

    def free(self, address: int) -> None:
        self._taken.discard(address)
        self._checked("free memory", self._cudart.cudaFree, address)

    def to_device(self, address: int, array: npt.NDArray[Any]) -> None:
        self._copy("copy to the GPU", address, _pointer(array), array.nbytes, "cudaMemcpyHostToDevice")

    def to_host(self, array: npt.NDArray[Any], address: int) -> None:
        # a copy to memory that is not page-locked may wait for the stream in its own way, spinning; and faults of the
        # inference itself come out here
        self._checked("run the model", self._cudart.cudaStreamSynchronize, self._stream)
        self._copy("copy from the GPU", _pointer(array), address, array.nbytes, "cudaMemcpyDeviceToHost")
        self._checked("copy from the GPU", self._cudart.cudaStreamSynchronize, self._stream)

    def close(self) -> None:
        # the last first; goes on where one fails, and raises after all
        with ExitStack() as ends:
            ends.callback(self._checked, "end a stream", self._cudart.cudaStreamDestroy, self._stream)
            for address in self._taken:
                ends.callback(self.free, address)

    def _copy(self, what: str, target: int, source: int, size: int, direction: str) -> None:
        kind = getattr(self._cudart.cudaMemcpyKind, direction)
        self._checked(what, self._cudart.cudaMemcpyAsync, target, source, size, kind, self._stream)

    def _checked(self, what: str, call: Callable[..., Any], *arguments: Any) -> Any:
        return _cuda_python(self._cudart, what, call, *arguments)


class PycudaMemory:
    """Through `pycuda.driver`, on the context that TensorRT uses too: the GPU's primary one."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver
        self._taken: dict[int, Any] = {}
        self._checked("open the GPU", driver.init)
        self._context = self._checked("open the GPU", lambda: driver.Device(0).retain_primary_context())
        with self._current():
            self._stream = self._checked("make a stream", driver.Stream)

    @property
    def stream(self) -> int:
        return int(self._stream.handle)

    def allocate(self, size: int) -> int:
        with self._current():
            taken = self._checked(f"allocate {size} bytes", lambda: self._driver.mem_alloc(size))
        self._taken[int(taken)] = taken
        return int(taken)

    def free(self, address: int) -> None:
        taken = self._taken.pop(address)
        with self._current():
            self._checked("free memory", taken.free)

    def to_device(self, address: int, array: npt.NDArray[Any]) -> None:
        # the asynchronous copies of pycuda want page-locked memory; these are in order with the stream, a blocking one
        with self._current():
            self._checked("copy to the GPU", lambda: self._driver.memcpy_htod(address, _contiguous(array)))

    def to_host(self, array: npt.NDArray[Any], address: int) -> None:
        with self._current():
            self._checked("run the model", self._stream.synchronize)
            self._checked("copy from the GPU", lambda: self._driver.memcpy_dtoh(_contiguous(array), address))

    def close(self) -> None:
        # the last first; goes on where one fails, and raises after all
        with ExitStack() as ends:
            ends.callback(self._checked, "let go of the GPU", self._context.detach)
            ends.callback(self._end_stream)
            for address in self._taken:
                ends.callback(self.free, address)

    def _end_stream(self) -> None:
        with self._current():
            del self._stream

    @contextmanager
    def _current(self) -> Iterator[None]:
        """A context of the driver's API is current on one thread only, and the engine may be used on another."""
        self._checked("open the GPU", self._context.push)
        try:
            yield
        finally:
            self._context.pop()

    def _checked(self, what: str, call: Callable[[], T]) -> T:
        try:
            return call()
        except self._driver.Error as error:
            raise _refused(what, error) from error


def _cuda_python(cudart: Any, what: str, call: Callable[..., Any], *arguments: Any) -> Any:
    """What a call of `cuda.bindings.runtime` gives."""
    error, *values = call(*arguments)
    if error != cudart.cudaError_t.cudaSuccess:
        raise _refused(what, error.name)
    return values[0] if values else None


def _contiguous(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    # a copy would be made of another, and the original never be filled
    assert array.flags.c_contiguous
    return array


def _pointer(array: npt.NDArray[Any]) -> int:
    return int(_contiguous(array).ctypes.data)


def _refused(what: str, seen: object) -> CheckFailed:
    return CheckFailed(
        f"the GPU cannot {what}",
        seen=seen,
        next_step="see with nvidia-smi what else uses it, or choose another --engine",
    )
