"""Worker processes that end with the work that started them: by its end, an error, Ctrl-C, or the parent's death."""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import wait
from typing import Any, ParamSpec, TypeVar

# a killed process is gone at once, unless a disk holds it
END_S = 5.0
# of a worker whose parent is gone; nobody reads it
ORPHANED = 1

_P = ParamSpec("_P")
_T = TypeVar("_T")


@contextmanager
def worker_pool(
    workers: int, initializer: Callable[..., object] | None = None, arguments: tuple[Any, ...] = ()
) -> Iterator[ProcessPoolExecutor]:
    """Provide a pool of spawned processes; leave the block by an exception to cancel its work and end its processes.

    Ctrl-C reaches only the parent: a worker prints no traceback. A worker whose parent was killed ends within a second.

    Args:
        workers: the number of processes at most.
        initializer: called in each process before its first work, with `arguments`.
        arguments: see `initializer`.
    """
    # 'spawn' everywhere: it is what Windows has, and a fork of a process that holds OpenCV's threads can hang.
    pool = _Pool(workers, multiprocessing.get_context("spawn"), _begin, (initializer, arguments))
    try:
        with processes_end_on_error():
            yield pool
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def processes_end_on_error() -> Iterator[None]:
    """End every process that `multiprocessing` starts within the block when an exception leaves the block."""
    earlier = set(multiprocessing.active_children())
    try:
        yield
    except BaseException:
        # a second Ctrl-C must not leave half of them
        with interrupts_deferred():
            started = set(multiprocessing.active_children()) - earlier
            for process in started:
                process.kill()
            for process in started:
                process.join(END_S)
        raise


@contextmanager
def interrupts_deferred() -> Iterator[None]:
    """Hold Ctrl-C and SIGTERM back until the end of the block; a process that the block starts holds Ctrl-C back too.

    A process whose start is broken off in the middle would print a traceback.
    """
    with _handlers_deferred():
        if sys.platform == "win32":
            yield
            return
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _handlers_deferred() -> Iterator[None]:
    """Call Python's handlers of Ctrl-C and SIGTERM at the end of the block.

    The mask of this thread is not enough: a thread of numpy's libraries may take the signal, and Python then runs the
    handler in the main thread.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    # the others are the system's: they end the process at once, or do nothing
    handlers = {number: handler for number, handler in handlers.items() if callable(handler)}
    for number in handlers:
        signal.signal(number, lambda number, _frame: came.append(number))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])


def start_resource_tracker() -> None:
    """Start the process that `multiprocessing` starts with its first worker; its start would release a held Ctrl-C."""
    if sys.platform != "win32":
        from multiprocessing.resource_tracker import ensure_running

        ensure_running()


def follow_parent() -> None:
    """Leave Ctrl-C to the parent, and end this worker process as soon as the parent is gone, however it ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker is started by multiprocessing"

    def end_after(sentinel: int) -> None:
        wait([sentinel])
        os._exit(ORPHANED)

    threading.Thread(target=end_after, args=(parent.sentinel,), name="parent", daemon=True).start()


class _Pool(ProcessPoolExecutor):
    """Starts its processes while Ctrl-C is held back: one that is still importing would print a traceback."""

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> "Future[_T]":
        start_resource_tracker()
        with interrupts_deferred():
            return super().submit(fn, *args, **kwargs)


def _begin(initializer: Callable[..., object] | None, arguments: tuple[Any, ...]) -> None:
    follow_parent()
    if initializer is not None:
        initializer(*arguments)
