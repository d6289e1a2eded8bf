"""Both ways to the GPU's memory keep bytes, order and errors the same."""

import ctypes
import enum
import importlib
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from runtime.engines.tensorrt.device_memory import CudaPythonMemory, DeviceMemory, PycudaMemory, device_memory
from runtime.errors import CheckFailed, EngineMissing


class Heap:
    """A GPU's memory in the host's, and what was asked for."""

    def __init__(self) -> None:
        self.blocks: dict[int, Any] = {}
        self.calls: list[str] = []
        self.fails: set[str] = set()
        self.flags = 0

    def take(self, size: int) -> int:
        block = ctypes.create_string_buffer(size)
        self.blocks[ctypes.addressof(block)] = block
        return ctypes.addressof(block)


Error = enum.IntEnum("Error", {"cudaSuccess": 0, "cudaErrorIllegalAddress": 700})


def cuda_python(heap: Heap) -> Any:
    """`cuda.bindings.runtime`."""

    def call(name: str, does: Any) -> Any:
        def answer(*arguments: Any) -> tuple[Any, ...]:
            heap.calls.append(name)
            if name in heap.fails:
                return Error.cudaErrorIllegalAddress, None
            value = does(*arguments)
            return (Error.cudaSuccess,) if value is None else (Error.cudaSuccess, value)

        return answer

    def copy(target: int, source: int, size: int, kind: str, stream: int) -> None:
        assert stream == 5
        assert (target in heap.blocks) == (kind == "in")
        assert (source in heap.blocks) == (kind == "out")
        ctypes.memmove(target, source, size)

    return SimpleNamespace(
        cudaSetDeviceFlags=call("flags", lambda flags: setattr(heap, "flags", flags)),
        cudaDeviceScheduleBlockingSync=4,
        cudaError_t=Error,
        cudaMemcpyKind=SimpleNamespace(cudaMemcpyHostToDevice="in", cudaMemcpyDeviceToHost="out"),
        cudaStreamNonBlocking=1,
        cudaStreamCreateWithFlags=call("stream", lambda _flags: 5),
        cudaStreamDestroy=call("destroy", lambda _stream: None),
        cudaStreamSynchronize=call("wait", lambda _stream: None),
        cudaMalloc=call("allocate", heap.take),
        cudaFree=call("free", lambda address: heap.blocks.pop(address) and None),
        cudaMemcpyAsync=call("copy", copy),
    )


def pycuda(heap: Heap) -> Any:
    """`pycuda.driver`."""

    class DriverError(Exception):
        pass

    class Allocation:
        def __init__(self, address: int) -> None:
            self._address = address

        def __int__(self) -> int:
            return self._address

        def free(self) -> None:
            note("free")
            del heap.blocks[self._address]

    current: list[int] = []
    context = SimpleNamespace(
        push=lambda: current.append(1), pop=current.pop, detach=lambda: heap.calls.append("detach")
    )

    class Stream:
        handle = 5

        def synchronize(self) -> None:
            note("wait")

        def __del__(self) -> None:
            # an end must not raise
            heap.calls.append("destroy" if current else "destroy, no context is current")

    def note(name: str) -> None:
        assert current, "no context is current"
        heap.calls.append(name)
        if name in heap.fails:
            raise DriverError("cuMemAlloc failed: out of memory")

    def allocate(size: int) -> Allocation:
        note("allocate")
        return Allocation(heap.take(size))

    def copy_in(target: int, array: Any) -> None:
        note("copy")
        ctypes.memmove(target, array.ctypes.data, array.nbytes)

    def copy_out(array: Any, source: int) -> None:
        note("copy")
        ctypes.memmove(array.ctypes.data, source, array.nbytes)

    return SimpleNamespace(
        Error=DriverError,
        init=lambda: None,
        Device=lambda _index: SimpleNamespace(retain_primary_context=lambda: context),
        Stream=Stream,
        mem_alloc=allocate,
        memcpy_htod=copy_in,
        memcpy_dtoh=copy_out,
    )


@pytest.fixture
def heap() -> Heap:
    return Heap()


@pytest.fixture(params=["cuda-python", "pycuda"])
def memory(request: pytest.FixtureRequest, heap: Heap) -> DeviceMemory:
    if request.param == "pycuda":
        return PycudaMemory(pycuda(heap))
    return CudaPythonMemory(cuda_python(heap))


def test_what_is_copied_in_comes_out(memory: DeviceMemory, heap: Heap) -> None:
    values = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    address = memory.allocate(values.nbytes)
    memory.to_device(address, values)
    found = np.zeros_like(values)
    heap.calls.clear()
    memory.to_host(found, address)
    np.testing.assert_array_equal(found, values)
    # the wait comes first: a copy would wait for the inference by spinning. One that may return early is waited for too
    assert heap.calls == (["wait", "copy", "wait"] if isinstance(memory, CudaPythonMemory) else ["wait", "copy"])
    assert memory.stream == 5


def test_closing_frees_what_is_left(memory: DeviceMemory, heap: Heap) -> None:
    first, _ = memory.allocate(10), memory.allocate(20)
    memory.free(first)
    memory.close()
    assert heap.blocks == {}
    assert heap.calls.count("free") == 2


def test_closing_frees_all_that_can_be_freed_before_it_says_what_could_not(memory: DeviceMemory, heap: Heap) -> None:
    for size in (10, 20, 30):
        memory.allocate(size)
    heap.fails.add("free")
    heap.calls.clear()
    with pytest.raises(CheckFailed, match="the GPU cannot free memory"):
        memory.close()
    last = ["destroy"] if isinstance(memory, CudaPythonMemory) else ["destroy", "detach"]
    assert heap.calls == ["free"] * 3 + last


@pytest.mark.parametrize("call", ["allocate", "copy", "wait", "free"])
def test_every_call_that_fails_is_told(memory: DeviceMemory, heap: Heap, call: str) -> None:
    heap.fails.add(call)
    with pytest.raises(CheckFailed, match=r"the GPU cannot .*; seen: cud?a?.*; next: see with nvidia-smi"):
        _use(memory)


def _use(memory: DeviceMemory) -> None:
    address = memory.allocate(8)
    memory.to_device(address, np.zeros(8, np.uint8))
    memory.to_host(np.zeros(8, np.uint8), address)
    memory.free(address)


@pytest.fixture
def installed(heap: Heap, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Modules by name as they would be found; others are not there."""
    modules = {"pycuda.driver": pycuda(heap), "cuda.bindings.runtime": cuda_python(heap)}

    def find(name: str) -> Any:
        if name in modules:
            return modules[name]
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(importlib, "import_module", find)
    return modules


def test_pycuda_is_taken_where_it_is_installed(installed: dict[str, Any]) -> None:
    assert isinstance(device_memory(), PycudaMemory)
    del installed["pycuda.driver"]
    assert isinstance(device_memory(), CudaPythonMemory)


def test_cuda_python_is_needed_with_pycuda_too(installed: dict[str, Any]) -> None:
    del installed["cuda.bindings.runtime"]
    with pytest.raises(EngineMissing, match="cuda-python cannot be imported"):
        device_memory()


@pytest.mark.parametrize("library", ["pycuda", "cuda-python"])
def test_whoever_waits_for_the_gpu_sleeps(installed: dict[str, Any], heap: Heap, library: str) -> None:
    """The flags are of the primary context, and are set before anything is made on it."""
    if library == "cuda-python":
        del installed["pycuda.driver"]
    device_memory()
    assert heap.calls[0] == "flags"
    assert heap.flags == 4


@pytest.mark.usefixtures("installed")
def test_gpu_that_lets_nobody_sleep_is_told(heap: Heap) -> None:
    heap.fails.add("flags")
    with pytest.raises(CheckFailed, match="the GPU cannot let this program sleep; seen: cudaErrorIllegalAddress; next"):
        device_memory()
