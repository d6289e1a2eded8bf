"""Python child processes that import nothing from the current folder."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# the environment's form of -P
SAFE_PATH = "PYTHONSAFEPATH"


def python_command(module: str, *words: object) -> list[str]:
    """Return the command line that runs a module in a new interpreter.

    A file of the current folder is never imported in the place of a module of ours or of the standard library.

    Args:
        module: the module's full name.
        words: its arguments, made text.
    """
    return [sys.executable, "-P", "-m", module, *map(str, words)]


@contextmanager
def safe_path_for_children() -> Iterator[None]:
    """Keep the current folder off the import path of every Python process that is started meanwhile.

    Libraries start such processes by command lines of their own (`multiprocessing` by `-c`, for which Python puts the
    current folder first), and only the environment reaches those.
    """
    before = os.environ.get(SAFE_PATH)
    os.environ[SAFE_PATH] = "1"
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(SAFE_PATH, None)
        else:
            os.environ[SAFE_PATH] = before
