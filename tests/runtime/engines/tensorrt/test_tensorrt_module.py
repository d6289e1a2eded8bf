"""Whatever is missing is one line that names what to install, and nothing is imported before it is asked for."""

import importlib
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from runtime.engines.tensorrt.module import import_tensorrt
from runtime.errors import EngineMissing, InflamapError

OPENING = """
import sys
from pathlib import Path
from runtime.bundle import DEFAULT_BUNDLE
from runtime.dense_map import Geometry
from runtime.engines.tensorrt import open_tensorrt
from runtime.errors import EngineMissing
loaded = {"tensorrt", "tensorrt_rtx", "cuda", "pycuda"} & set(sys.modules)
assert not loaded, loaded
model = (DEFAULT_BUNDLE / "model.fp16.trt.onnx").read_bytes()
try:
    open_tensorrt(model, name="tensorrt-fp16", precision="fp16", geometry=Geometry(128, 16, 0.5), say=print)
except EngineMissing as error:
    print(f"{type(error).__name__}: {error}")
"""


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> dict[str, ModuleType | Exception]:
    """Modules by name as they would be found; others are not there."""
    found: dict[str, ModuleType | Exception] = {}

    def find(name: str) -> ModuleType:
        module = found.get(name, ModuleNotFoundError(f"No module named {name!r}", name=name))
        if isinstance(module, Exception):
            raise module
        return module

    monkeypatch.setattr(importlib, "import_module", find)
    monkeypatch.delenv("INFLAMAP_TENSORRT", raising=False)
    return found


def library(name: str) -> ModuleType:
    module = ModuleType(name)
    module.Builder = object  # type: ignore[attr-defined]
    return module


def test_full_package_comes_first(installed: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    installed["tensorrt_rtx"] = rtx = library("tensorrt_rtx")
    assert import_tensorrt() is rtx
    installed["tensorrt"] = full = library("tensorrt")
    assert import_tensorrt() is full
    assert import_tensorrt("tensorrt_rtx") is rtx
    monkeypatch.setenv("INFLAMAP_TENSORRT", "tensorrt_rtx")
    assert import_tensorrt() is rtx


@pytest.mark.usefixtures("installed")
def test_missing_package_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    line = r"TensorRT is not installed: no tensorrt and no tensorrt_rtx; next: pip install 'inflamap\[tensorrt\]'"
    with pytest.raises(EngineMissing, match=line):
        import_tensorrt()
    monkeypatch.setenv("INFLAMAP_TENSORRT", "tensorrt")
    with pytest.raises(EngineMissing, match="TensorRT is not installed: no tensorrt; next"):
        import_tensorrt()


@pytest.mark.parametrize(
    "fault",
    [
        ModuleNotFoundError("No module named 'tensorrt_libs'", name="tensorrt_libs"),
        ImportError("libnvinfer.so.11: cannot open shared object file"),
        OSError("[WinError 126] nvinfer_11.dll"),
    ],
    ids=["no libraries", "library missing", "library missing on Windows"],
)
def test_broken_package_is_not_passed_over_in_silence(installed: dict[str, Any], fault: Exception) -> None:
    installed.update(tensorrt=fault, tensorrt_rtx=library("tensorrt_rtx"))
    with pytest.raises(EngineMissing, match=r"tensorrt is installed but .* or set INFLAMAP_TENSORRT=tensorrt_rtx"):
        import_tensorrt()


def test_folder_that_bears_the_name_is_no_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python imports any folder on its path, such as one for plans in the working directory, as an empty package."""
    (tmp_path / "tensorrt").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv("INFLAMAP_TENSORRT", raising=False)
    monkeypatch.delitem(sys.modules, "tensorrt", raising=False)
    try:
        assert hasattr(import_tensorrt(), "Builder")
        assert "tensorrt" in sys.modules
    finally:
        sys.modules.pop("tensorrt", None)


def test_library_that_is_asked_for_and_is_only_a_folder_is_missing(installed: dict[str, Any]) -> None:
    installed.update(tensorrt=ModuleType("tensorrt"), tensorrt_rtx=library("tensorrt_rtx"))
    with pytest.raises(EngineMissing, match="TensorRT is not installed: no tensorrt; next"):
        import_tensorrt("tensorrt")


def test_choice_of_something_else_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFLAMAP_TENSORRT", "onnxruntime")
    with pytest.raises(
        InflamapError, match="INFLAMAP_TENSORRT names no TensorRT module; seen: onnxruntime; wanted: tens"
    ):
        import_tensorrt()


def test_without_a_driver_or_gpu_opening_is_one_line_and_no_crash() -> None:
    """In a process of its own, for a library that crashes would take the tests with it."""
    # where there is a GPU it is hidden
    hidden = os.environ | {"CUDA_VISIBLE_DEVICES": "", "INFLAMAP_TENSORRT": "tensorrt_rtx"}
    done = subprocess.run(
        [sys.executable, "-c", OPENING], capture_output=True, text=True, timeout=60, env=hidden, check=False
    )
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    assert line.startswith(
        (
            "EngineMissing: there is no NVIDIA driver, or it is too old; seen: cudaErrorInsufficientDriver; wanted: ",
            "EngineMissing: no NVIDIA GPU is visible to this program; seen: ",
        )
    )
    assert "next: " in line
    assert done.stderr == ""
