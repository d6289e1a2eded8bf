"""What tests of the watch share."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from watch_bench import Bench

from runtime.bundle import Bundle
from runtime.engines.onnxruntime_cpu import OnnxRuntimeEngine
from runtime.model import Model


@pytest.fixture
def bench(tmp_path: Path, model: Model) -> Bench:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    return Bench(tmp_path / "in", tmp_path / "out", model)


@pytest.fixture
def patch_of_skin(skin: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Scored in some ten milliseconds."""
    return skin[100:300, 100:300].copy()


@pytest.fixture
def other_model(bundle_with: Callable[..., Bundle]) -> Model:
    """The shipped model under another hash."""
    bundle = bundle_with()
    altered = bundle.manifest.files | {"model.fp32.onnx": "f" * 64}
    return Model(
        Bundle(bundle.folder, msgspec.structs.replace(bundle.manifest, files=altered), bundle.facts),
        OnnxRuntimeEngine(bundle.read_file("model.fp32.onnx"), name="onnxruntime-fp32", precision="fp32", threads=1),
    )
