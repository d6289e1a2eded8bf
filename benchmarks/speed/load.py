"""The load of other programs, measured by the share of each core that a busy loop gets."""

import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil

# An idle machine gives a busy loop all of a core but for interrupts; one other busy program on the core takes half.
LEAST_SHARE = 0.9
# short against a second of load, long against a turn of the scheduler
SPIN_S, SPINS = 0.1, 5
# between two looks while others are busy
PAUSE_S = 15.0


@dataclass(frozen=True)
class Load:
    """The share of each core that other programs leave.

    Attributes:
        shares: for each core that this process may use, processor time of a busy loop over wall time, 0 to 1.
        average: the system's load over the last minute; None where the system tells none.
    """

    shares: tuple[float, ...]
    average: float | None

    @property
    def is_busy(self) -> bool:
        """True where other programs would distort a measurement now."""
        return min(self.shares) < LEAST_SHARE

    def __str__(self) -> str:
        average = "" if self.average is None else f", load average {self.average:.1f}"
        return (
            f"a busy loop gets {min(self.shares):.0%} of a core, wanted at least {LEAST_SHARE:.0%}"
            f" ({len(self.shares)} cores{average})"
        )


def measure_load() -> Load:
    """Measure the load of other programs, half a second for each core."""
    average = os.getloadavg()[0] if sys.platform != "win32" else None
    process = psutil.Process()
    if not hasattr(process, "cpu_affinity"):
        return Load((_share(),), average)
    cores = process.cpu_affinity()
    shares = []
    try:
        for core in cores:
            process.cpu_affinity([core])
            shares.append(_share())
    finally:
        process.cpu_affinity(cores)
    return Load(tuple(shares), average)


def quiet_load(
    measure: Callable[[], Load] = measure_load,
    *,
    patience_s: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    say: Callable[[str], None] = print,
) -> Load:
    """Wait until other programs leave enough of each core; return the last load seen, busy where that never came.

    Args:
        measure: measures the load.
        patience_s: seconds to wait at most.
        clock, sleep: seconds.
        say: told once that the machine is busy.
    """
    started, load = clock(), measure()
    if load.is_busy and patience_s > 0:
        say(f"busy: {load}; waiting up to {patience_s:.0f} s")
    while load.is_busy and clock() - started < patience_s:
        sleep(PAUSE_S)
        load = measure()
    return load


def _share() -> float:
    """Processor time over wall time of a busy loop, median of some; at most 1."""
    return min(1.0, statistics.median(_spin() for _ in range(SPINS)))


def _spin() -> float:
    began, used = time.perf_counter(), time.thread_time()
    while time.perf_counter() - began < SPIN_S:
        pass
    return (time.thread_time() - used) / (time.perf_counter() - began)
