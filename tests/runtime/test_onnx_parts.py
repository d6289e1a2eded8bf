"""Parts of onnx are its own modules, and leave the package as it is for whoever imports it afterwards."""

import subprocess
import sys

import pytest

from runtime.onnx_parts import onnx_part

SCRIPT = """
import sys
from runtime.onnx_parts import onnx_part
part = onnx_part("onnx_ml_pb2")
assert "onnx" not in sys.modules
import onnx, onnx.checker
assert onnx.ModelProto is part.ModelProto
model = onnx.load(sys.argv[1])
onnx.checker.check_model(model, full_check=True)
assert part.ModelProto.FromString(model.SerializeToString()) == model
"""


def test_the_package_comes_afterwards_as_if_nothing_had_been() -> None:
    from runtime.bundle import DEFAULT_BUNDLE
    from runtime.bundle_files import FP32_MODEL

    subprocess.run([sys.executable, "-c", SCRIPT, str(DEFAULT_BUNDLE / FP32_MODEL)], check=True)


def test_what_is_loaded_already_is_taken() -> None:
    import onnx

    assert onnx_part("onnx_ml_pb2").ModelProto is onnx.ModelProto


def test_a_part_that_is_not_there_is_an_import_error() -> None:
    with pytest.raises(ImportError):
        onnx_part("no_such_part")
