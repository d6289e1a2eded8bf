"""The machine that a measurement holds for."""

import os
import platform
from pathlib import Path

import msgspec


class Machine(msgspec.Struct, frozen=True):
    """What the speed and rounding of an engine depend on, beside the libraries it runs on.

    Attributes:
        processor: its name.
        architecture: such as `x86_64`.
        cpus: logical processors.
        system: `Linux` or `Windows`; its updates, which come every other week, do not make another machine.
    """

    processor: str
    architecture: str
    cpus: int
    system: str


def this_machine() -> Machine:
    """The machine this runs on."""
    return Machine(_processor(), platform.machine(), os.cpu_count() or 1, platform.system())


def this_host() -> str:
    """Its name in the network."""
    return platform.node() or "localhost"


def _processor() -> str:
    """The processor's name, which `platform` does not know on Linux."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            key, _colon, value = line.partition(":")
            if key.strip() == "model name" and value.strip():
                return value.strip()
    except OSError:
        pass
    return platform.processor() or "unknown processor"
