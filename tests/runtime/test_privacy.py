"""Nothing is told to anybody: the libraries' reports to their makers are off."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ENGINE = """
import runtime.cli
from runtime.bundle import DEFAULT_BUNDLE, open_bundle
from runtime.model import Model
Model.load(open_bundle(DEFAULT_BUNDLE), threads=1)
"""
EXPORT = "import export.package, export.onnx_graph"


@pytest.mark.parametrize("script", [ENGINE, EXPORT], ids=["engine", "export"])
def test_onnxruntime_keeps_no_identifier_and_no_session(tmp_path: Path, script: str) -> None:
    # where its uploader keeps what it sends, on every system
    places = {name: str(tmp_path) for name in ("HOME", "XDG_CACHE_HOME", "TMPDIR", "LOCALAPPDATA", "TEMP", "TMP")}
    environment = {**os.environ, **places}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    subprocess.run([sys.executable, "-c", script], env=environment, check=True, timeout=100)
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in left if path.name == ".ses" or "onnxruntime" in str(path.relative_to(tmp_path))]
