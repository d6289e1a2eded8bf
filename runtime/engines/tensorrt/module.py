"""Which TensorRT: NVIDIA's full `tensorrt` where it is installed, else `tensorrt_rtx`."""

import importlib
import os
from typing import Any

from runtime.errors import EngineMissing, InflamapError

# the full package knows every GPU; the other is on the public registry and starts faster on the cards it knows
MODULES = ("tensorrt", "tensorrt_rtx")
CHOICE = "INFLAMAP_TENSORRT"
INSTALL = "pip install 'inflamap[tensorrt]'"


def import_tensorrt(name: str | None = None) -> Any:
    """The module to build and run plans with.

    Args:
        name: one of `MODULES`; without it what the environment variable `INFLAMAP_TENSORRT` names, else the first of
            `MODULES` that is installed.

    Raises:
        EngineMissing: none is installed, or one is that cannot be imported: it is not passed over in silence.
        InflamapError: `name` is none of `MODULES`.
    """
    chosen = name or os.environ.get(CHOICE)
    if chosen and chosen not in MODULES:
        raise InflamapError(f"{CHOICE} names no TensorRT module", seen=chosen, wanted=" or ".join(MODULES))
    candidates = (chosen,) if chosen else MODULES
    for candidate in candidates:
        try:
            module = importlib.import_module(candidate)
        except ModuleNotFoundError as error:
            if error.name == candidate:
                continue
            raise _broken(candidate, error) from error
        # a library that is missing or does not fit is an OSError or an ImportError, to some versions a RuntimeError
        except (ImportError, OSError, RuntimeError) as error:
            raise _broken(candidate, error) from error
        # any folder of that name on the path is imported as an empty package
        if hasattr(module, "Builder"):
            return module
    raise EngineMissing(f"TensorRT is not installed: no {' and no '.join(candidates)}", next_step=INSTALL)


def _broken(name: str, error: Exception) -> EngineMissing:
    others = " or ".join(other for other in MODULES if other != name)
    return EngineMissing(
        f"{name} is installed but cannot be imported",
        seen=error,
        next_step=f"install it again, or set {CHOICE}={others} to use that instead",
    )
