"""The shared library below the standard library: how it is compiled, which faults it knows, what it logs."""

import os
import platform
import re
import shutil
import subprocess
import sys
from enum import IntEnum
from functools import cache
from pathlib import Path
from typing import NamedTuple

SOURCE = Path(__file__).with_name("injector.c")
# some distributions' compilers give functions other names, or bodies, where these are set
_PLAIN_NAMES = ("-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=0", "-U_FILE_OFFSET_BITS", "-U_TIME_BITS")
_OPTIONS = ("-std=c11", "-O1", "-shared", "-fPIC", *_PLAIN_NAMES)
# the random part of a temporary's name
_RANDOM = re.compile(r"[0-9a-f]{8}(?=$|/)")


class Fault(IntEnum):
    """What happens at one call; `injector.c` has the same numbers."""

    NONE = 0
    EIO = 1
    ENOSPC = 2
    EIO_ON = 3
    """From this call on, for as long as the process lives."""
    ENOSPC_ON = 4
    """The same, of calls that need room on the disk."""
    TORN = 5
    """Half of the bytes are written, and the process is killed."""
    HALF = 6
    """Half of the bytes are written, and the call fails with ENOSPC."""
    SHORT = 7
    """Half of the bytes are written, and the call says so: no fault of the disk, correct code goes on."""
    KILL_BEFORE = 8
    KILL_AFTER = 9

    @property
    def kills(self) -> bool:
        """Whether the process ends with it."""
        return self in (Fault.TORN, Fault.KILL_BEFORE, Fault.KILL_AFTER)

    @property
    def lasts(self) -> bool:
        """Whether it stays until the process ends."""
        return self in (Fault.EIO_ON, Fault.ENOSPC_ON)


OF_ANY_CALL = (Fault.EIO, Fault.ENOSPC, Fault.EIO_ON, Fault.ENOSPC_ON, Fault.KILL_BEFORE, Fault.KILL_AFTER)
OF_WRITES = (*OF_ANY_CALL, Fault.TORN, Fault.HALF, Fault.SHORT)


class Call(NamedTuple):
    """One call that changes the file system.

    Attributes:
        name: of the function.
        size: bytes to be written; -1 where the call writes none.
        path: below the root, the random part of its name left out; of a rename the new name.
        other: of a rename the old name, likewise.
    """

    name: str
    size: int
    path: str
    other: str

    @property
    def faults(self) -> tuple[Fault, ...]:
        """What may happen to it."""
        return OF_ANY_CALL if self.size < 0 else OF_WRITES

    @property
    def place(self) -> tuple[str, str, str]:
        """By which it is known in another run: sizes of JSON and JPEG differ by a few bytes."""
        return self.name, self.path, self.other


@cache
def why_not() -> str | None:
    """Why there can be no injector on this machine; None where there can."""
    if sys.platform != "linux" or platform.libc_ver()[0] != "glibc":
        return "the fault injector needs Linux with glibc"
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return "the fault injector needs a C compiler, as cc or gcc"
    # a compiler may be there without the headers of libc
    command = [compiler, *_OPTIONS, "-x", "c", "-o", os.devnull, "-"]
    tried = subprocess.run(command, input=b"#include <dlfcn.h>", capture_output=True, check=False)
    return None if tried.returncode == 0 else "the fault injector needs a C compiler with libc's headers"


def build(folder: Path) -> Path:
    """Compile the library into a folder; its path."""
    compiler, library = shutil.which("cc") or shutil.which("gcc"), folder / "injector.so"
    assert compiler is not None
    command = [compiler, *_OPTIONS, "-o", str(library), str(SOURCE), "-ldl", "-lpthread"]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return library


def read_log(path: Path) -> list[Call]:
    """The calls that the library logged, in their order."""
    calls = []
    for line in path.read_bytes().decode("utf-8", "surrogateescape").splitlines():
        _number, name, size, place, other = line.split("\t")
        calls.append(Call(name, int(size), _RANDOM.sub("*", place), _RANDOM.sub("*", other)))
    return calls
