"""Where training runs: one device or several, each in a process of its own, in the precision that suits them."""

import os
import pickle
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing.queues import SimpleQueue
from typing import TYPE_CHECKING, Any

import torch
import torch.multiprocessing

from runtime.errors import InflamapError
from trainer.worker_pool import follow_parent, interrupts_deferred, processes_end_on_error, start_resource_tracker

if TYPE_CHECKING:
    from lightning_fabric import Fabric

# among the names of callbacks, what stands for the end
RETURNED = ""


@dataclass(frozen=True)
class Devices:
    """The machine's devices that are used.

    Attributes:
        accelerator: `cuda` or `cpu`.
        count: processes, one for each device.
        precision: as Fabric names it; mixed where the device has a fast half precision.
    """

    accelerator: str = "cpu"
    count: int = 1
    precision: str = "32-true"

    @staticmethod
    def found() -> "Devices":
        """All GPUs of the machine, else its CPU."""
        if not torch.cuda.is_available():
            return Devices()
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
        return Devices("cuda", torch.cuda.device_count(), "bf16-mixed" if fast else "16-mixed")


def run_on(devices: Devices, function: Callable[..., Any], *arguments: Any, **callbacks: Callable[..., None]) -> Any:
    """Run `function(fabric, *arguments, **callbacks)` in a process for each device.

    Args:
        devices: where.
        function: a module's own function where there are several devices; what it returns goes through a pickle.
        callbacks: called here, in this process, with what the first of the processes calls them with.

    Returns:
        what `function` returned in the first process.

    Raises:
        InflamapError: raised by `function`.
    """
    # a second and more to import: no command's start pays for it
    from lightning_fabric import Fabric

    if devices.accelerator == "cuda":
        # the same seed and machine are to give the same weights, at some cost in speed
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)
    fabric = Fabric(
        accelerator=devices.accelerator,
        devices=devices.count,
        strategy="auto" if devices.count == 1 else "ddp_spawn",
        precision=devices.precision,  # type: ignore[arg-type]
    )
    if devices.count == 1:
        return fabric.launch(function, *arguments, **callbacks)
    found: list[Any] = []
    with _called_here({**callbacks, RETURNED: found.append}) as calls, _own_port():
        # pickled, for Fabric takes arguments apart and refuses frozen dataclasses
        work = pickle.dumps((function, arguments, tuple(callbacks)))
        _launch(lambda: fabric.launch(_in_a_process, work, calls))  # type: ignore[arg-type]
    if isinstance(found[0], InflamapError):
        raise found[0]
    return found[0]


def _launch(start: Callable[[], object]) -> None:
    """Start processes and wait for their end, in a thread that holds Ctrl-C back.

    The processes take that over until they follow their parent: one that is still importing would print a traceback.
    """
    errors: list[BaseException] = []

    def run() -> None:
        try:
            with interrupts_deferred():
                start()
        except BaseException as error:
            errors.append(error)

    start_resource_tracker()
    launching = threading.Thread(target=run, name="processes of training", daemon=True)
    with processes_end_on_error():
        launching.start()
        launching.join()
        if errors:
            raise errors[0]


def _in_a_process(fabric: "Fabric", work: bytes, calls: "SimpleQueue[Any]") -> None:
    """One of several processes; the first tells what `function` returned, or the error that all of them met.

    Pickled here, for torch's queues would hand tensors over as shared memory that this process goes on to change. Told
    by the queue of the calls, for what a process returns is read when it has ended, and more than a pipe holds would
    keep it from ending. An error is told, for one that is raised loses its kind on the way.
    """
    follow_parent()
    function, arguments, names = pickle.loads(work)

    def tell(name: str, *values: Any) -> None:
        if fabric.is_global_zero:
            calls.put((name, pickle.dumps(values)))

    try:
        tell(RETURNED, function(fabric, *arguments, **{name: partial(tell, name) for name in names}))
    except InflamapError as error:
        tell(RETURNED, error)
    finally:
        # Fabric ends the connection for NCCL alone; gloo's threads, met by the interpreter's end, now and then abort it
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


@contextmanager
def _called_here(callbacks: dict[str, Callable[..., None]]) -> Iterator["SimpleQueue[Any]"]:
    """A queue whose (name, pickled values) are handed to the callbacks, all of them before this ends."""
    calls: SimpleQueue[Any] = torch.multiprocessing.get_context("spawn").SimpleQueue()

    def listen() -> None:
        while (call := calls.get()) is not None:
            name, values = call
            callbacks[name](*pickle.loads(values))

    # where an exception ends the training, a process that was killed may hold the queue for ever
    listener = threading.Thread(target=listen, name="callbacks of training", daemon=True)
    listener.start()
    yield calls
    calls.put(None)
    listener.join()


@contextmanager
def _own_port() -> Iterator[None]:
    """Fabric leaves the port at which its processes met in the environment: the next training would find it taken."""
    given = "MASTER_PORT" in os.environ
    try:
        yield
    finally:
        if not given:
            os.environ.pop("MASTER_PORT", None)
