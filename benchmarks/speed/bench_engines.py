"""Each engine of the base bundle that runs on a processor against onnxruntime in FP32, map for map."""

import functools

import numpy as np
import numpy.typing as npt
import pytest

from benchmarks.speed.ratio import Against
from runtime.dense_map import dense_map
from runtime.engines.registry import open_engine
from runtime.errors import EngineMissing
from runtime.model import Model

# mean difference in expected grade; the gate, which is asked at export, is stricter and looks at every grade
MOST_DIFFERENCE = {"fp32": 1e-4, "int8": 0.05}


@pytest.mark.parametrize("name", ["onnxruntime-int8", "openvino-fp32", "openvino-int8"])
def test_engine_against_onnxruntime_fp32(
    against: Against, model: Model, frame: npt.NDArray[np.uint8], name: str
) -> None:
    try:
        engine = open_engine(model.bundle, name, threads=1)
    except EngineMissing as missing:
        pytest.skip(str(missing))
    geometry = model.bundle.geometry
    reference = functools.partial(dense_map, frame, model.engine, geometry)
    work = functools.partial(dense_map, frame, engine, geometry)
    apart = np.abs(work().expected_grade() - reference().expected_grade())
    assert float(apart.mean()) <= MOST_DIFFERENCE[engine.precision]
    against.slower(work, reference, rounds=40)
