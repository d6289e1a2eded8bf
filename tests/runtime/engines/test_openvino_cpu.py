"""OpenVINO gives what onnxruntime gives, where and as it was asked to, and tells nobody."""

import os
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil
import pytest

from runtime.bundle import DEFAULT_BUNDLE
from runtime.bundle_files import FP32_MODEL, INT8_MODEL
from runtime.engines import DeployedEngine, EngineOutput
from runtime.engines.onnxruntime_cpu import OnnxRuntimeEngine
from runtime.engines.openvino_cpu import OpenVinoEngine
from runtime.errors import BundleError, CheckFailed, EngineMissing, InflamapError

FILES = {"fp32": FP32_MODEL, "int8": INT8_MODEL}

# not pytest.importorskip: OpenVINO imported other than by the engine tells its maker
needs_openvino = pytest.mark.skipif(find_spec("openvino") is None, reason="OpenVINO is not installed")


def model_bytes(precision: str) -> bytes:
    return (DEFAULT_BUNDLE / FILES[precision]).read_bytes()


def opened(precision: str = "fp32") -> OpenVinoEngine:
    return OpenVinoEngine(model_bytes(precision), name=f"openvino-{precision}", precision=precision, threads=1)


def onnxruntime_output(images: npt.NDArray[np.uint8], precision: str) -> EngineOutput:
    return OnnxRuntimeEngine(model_bytes(precision), name="other", precision=precision, threads=1).run(images)


def assert_equal(one: EngineOutput, other: EngineOutput, within: float = 0.0) -> None:
    np.testing.assert_allclose(one.probabilities, other.probabilities, rtol=0, atol=within)
    np.testing.assert_allclose(one.unfamiliarity, other.unfamiliarity, rtol=0, atol=within)


@needs_openvino
def test_engine_tells_what_it_is() -> None:
    engine: DeployedEngine = opened()
    assert (engine.name, engine.precision) == ("openvino-fp32", "fp32")
    assert engine.runs_on.keys() == {"openvino"}
    assert engine.runs_on["openvino"][:3] == "202"


@needs_openvino
@pytest.mark.parametrize(("precision", "within"), [("fp32", 1e-4), ("int8", 0.02)])
def test_output_is_onnxruntimes(precision: str, within: float, skin: npt.NDArray[np.uint8]) -> None:
    output = opened(precision).run(skin[None, None])
    assert (output.probabilities.dtype, output.unfamiliarity.dtype) == (np.float32, np.float32)
    assert_equal(output, onnxruntime_output(skin[None, None], precision), within)


@needs_openvino
def test_frames_of_any_size_and_number_may_follow_each_other(skin: npt.NDArray[np.uint8]) -> None:
    engine = opened()
    sizes = [(1, 128, 128), (1, 400, 400), (3, 129, 250), (1, 143, 144), (2, 128, 397), (1, 400, 400)]
    for number, height, width in sizes:
        # views of the frame, not contiguous
        images = np.broadcast_to(skin[:height, :width], (number, 1, height, width))
        images.flags.writeable = False
        output = engine.run(images)
        rows, columns = (height - 128) // 16 + 1, (width - 128) // 16 + 1
        assert output.probabilities.shape == (number, 5, rows, columns)
        assert_equal(output, onnxruntime_output(np.ascontiguousarray(images), "fp32"), 1e-4)


@needs_openvino
@pytest.mark.parametrize("other", [(1, 1, 400, 400), (1, 1, 128, 160), (2, 1, 400, 400)])
def test_outputs_outlive_the_next_run(other: tuple[int, ...], skin: npt.NDArray[np.uint8]) -> None:
    engine = opened()
    output = engine.run(skin[None, None])
    before = EngineOutput(output.probabilities.copy(), output.unfamiliarity.copy())
    engine.run(np.zeros(other, np.uint8))
    assert_equal(output, before)
    # nor is what the next run gives touched by whoever writes into this one
    again = engine.run(skin[None, None])
    output.probabilities[:] = np.nan
    assert_equal(again, before)


@needs_openvino
def test_memory_does_not_grow_with_every_new_size() -> None:
    engine, process = opened("int8"), psutil.Process()
    sizes = np.random.default_rng(3).integers(128, 300, (270, 2))
    grown = 0
    for at, (height, width) in enumerate(sizes):
        # the first sizes fill what is kept; without a bound these 200 took 100 MB more
        if at == 70:
            grown = -process.memory_info().rss
        engine.run(np.zeros((1, 1, height, width), np.uint8))
    grown += process.memory_info().rss
    assert grown < 40e6


@needs_openvino
def test_one_thread_takes_one_core(skin: npt.NDArray[np.uint8]) -> None:
    engine = opened("int8")
    engine.run(skin[None, None])
    wall, processor = time.perf_counter(), time.process_time()
    for _ in range(100):
        engine.run(skin[None, None])
    assert time.process_time() - processor < 1.2 * (time.perf_counter() - wall)


@needs_openvino
@pytest.mark.parametrize(
    "images",
    [np.zeros((1, 1, 200, 200), np.float32), np.zeros((1, 3, 200, 200), np.uint8), np.zeros((200, 200), np.uint8)],
    ids=["float", "colour", "no batch"],
)
def test_what_openvino_would_bend_to_its_needs_is_refused(images: npt.NDArray[Any]) -> None:
    with pytest.raises(InflamapError, match=rf"seen: {images.dtype} .*wanted: uint8 \[N, 1, H, W\]"):
        opened().run(images)


@needs_openvino
def test_frame_smaller_than_a_patch_is_refused() -> None:
    # by OpenVINO itself or, where it would give a map of no cells, by the engine: which of them is OpenVINO's whim
    with pytest.raises((InflamapError, RuntimeError), match=r"wanted: one patch at least|AvgPool"):
        opened().run(np.zeros((1, 1, 127, 300), np.uint8))


@needs_openvino
@pytest.mark.parametrize("path", [False, True], ids=["no model", "a model's path"])
def test_bytes_that_are_no_model_are_refused(path: bool) -> None:
    data = os.fsencode(DEFAULT_BUNDLE / FP32_MODEL) if path else b"no model"
    with pytest.raises(BundleError, match="OpenVINO cannot load the model") as raised:
        OpenVinoEngine(data, name="openvino-fp32", precision="fp32", threads=1)
    assert "\n" not in str(raised.value)


@needs_openvino
def test_integer_file_that_calls_itself_float_is_refused() -> None:
    with pytest.raises(CheckFailed, match=r"another precision than asked; seen: f32, u8; wanted: f32"):
        OpenVinoEngine(model_bytes("int8"), name="openvino-fp32", precision="fp32", threads=1)


@needs_openvino
def test_options_hold() -> None:
    compiled = opened()._compiled
    asked = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "ENABLE_CPU_PINNING": False, "EXECUTION_DEVICES": ["CPU"]}
    assert {name: compiled.get_property(name) for name in asked} == asked
    assert compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name() == "f32"


def test_want_of_openvino_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(EngineMissing, match=r"not installed here; .*next: pip install 'inflamap\[openvino\]'$"):
        opened()


def test_module_brings_in_neither_openvino_nor_onnx() -> None:
    script = (
        "import sys, runtime.engines.openvino_cpu; print({'openvino', 'onnx', 'openvino_telemetry'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout == "set()\n"


PRIVATE = """
import sys

seen = []
def watch(event, _arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.fork", "os.posix_spawn"):
        seen.append(event)
sys.addaudithook(watch)

import numpy as np
from runtime.bundle import DEFAULT_BUNDLE
from runtime.engines.openvino_cpu import OpenVinoEngine
model = (DEFAULT_BUNDLE / "model.int8.onnx").read_bytes()
engine = OpenVinoEngine(model, name="openvino-int8", precision="int8", threads=1)
engine.run(np.zeros((1, 1, 128, 128), np.uint8))
engine.int8_share()
print(seen, [name for name, module in sys.modules.items() if name.startswith("openvino_telemetry") and module])
"""


@needs_openvino
def test_openvino_tells_nobody_and_writes_nothing(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    places = ("HOME", "XDG_CACHE_HOME", "TMPDIR", "USERPROFILE", "LOCALAPPDATA", "APPDATA", "TEMP", "TMP")
    # OpenVINO's reports are off in CI, by this variable among others
    environment = {name: value for name, value in os.environ.items() if name not in ("CI", "TF_BUILD", "JENKINS_URL")}
    environment |= {name: str(home) for name in places} | {"PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run(
        [sys.executable, "-c", PRIVATE],
        env=environment,
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.stdout == "[] []\n"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
