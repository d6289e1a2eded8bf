"""Modules of onnx by themselves: its package imports every tool it has, which takes a process three times as long."""

import importlib
import importlib.util
import sys
from importlib.machinery import PathFinder
from types import ModuleType


def onnx_part(name: str) -> ModuleType:
    """The module `onnx.<name>`, without the package around it where that is not loaded anyway.

    It takes the module's place in `sys.modules`, so that whoever imports onnx afterwards has the same one.

    Raises:
        ImportError: there is no onnx, or no such module in it.
    """
    whole = f"onnx.{name}"
    if whole in sys.modules:
        return sys.modules[whole]
    package = importlib.util.find_spec("onnx")
    found = None if package is None else PathFinder.find_spec(whole, package.submodule_search_locations)
    if found is None or found.loader is None:
        return importlib.import_module(whole)
    module = importlib.util.module_from_spec(found)
    sys.modules[whole] = module
    try:
        found.loader.exec_module(module)
    except BaseException:
        del sys.modules[whole]
        raise
    return module
