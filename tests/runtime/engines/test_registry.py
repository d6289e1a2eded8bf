"""An engine that is not the trained network's equal on this machine does not run."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from runtime.bundle import DEFAULT_BUNDLE, Bundle, open_bundle
from runtime.bundle_files import FP32_MODEL
from runtime.engines import EngineOutput
from runtime.engines.onnxruntime_cpu import OnnxRuntimeEngine
from runtime.engines.registry import check_golden_frames, default_threads, model_sha256, open_engine
from runtime.errors import BundleError, CheckFailed, InflamapError


def test_reference_runs_the_fp32_file() -> None:
    bundle = open_bundle(DEFAULT_BUNDLE)
    engine = open_engine(bundle, threads=1)
    assert (engine.name, engine.precision) == ("onnxruntime-fp32", "fp32")
    assert model_sha256(bundle, engine) == bundle.manifest.files["model.fp32.onnx"]


def test_engine_takes_batches_of_any_size() -> None:
    engine = open_engine(open_bundle(DEFAULT_BUNDLE), threads=1)
    output = engine.run(np.full((3, 1, 128, 160), 90, np.uint8))
    assert output.probabilities.shape == (3, 5, 1, 3)
    assert output.unfamiliarity.shape == (3, 1, 3)
    np.testing.assert_allclose(output.probabilities.sum(axis=1), 1, atol=1e-5)


def test_unknown_engine_is_refused_with_the_known_ones() -> None:
    with pytest.raises(
        InflamapError, match="no such engine; seen: tensorrt-fp8; wanted: auto or one of onnxruntime-fp32"
    ):
        open_engine(open_bundle(DEFAULT_BUNDLE), "tensorrt-fp8", threads=1)


def test_bytes_that_are_no_model_are_refused() -> None:
    with pytest.raises(BundleError, match="cannot load the model"):
        OnnxRuntimeEngine(b"no model", name="onnxruntime-fp32", precision="fp32", threads=1)


class Altered:
    """The shipped engine with its probabilities changed."""

    name, precision = "onnxruntime-fp32", "fp32"

    def __init__(self, change: Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]) -> None:
        self._change = change
        self._engine = open_engine(open_bundle(DEFAULT_BUNDLE), threads=1)

    def run(self, images: npt.NDArray[np.uint8]) -> EngineOutput:
        output = self._engine.run(images)
        return EngineOutput(self._change(output.probabilities), output.unfamiliarity)


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p + np.float32(2e-4),
        lambda p: np.where(np.arange(p.size).reshape(p.shape) == 7, np.float32(np.nan), p),
    ],
    ids=["shifted", "one NaN"],
)
def test_engine_that_differs_on_the_golden_frames_is_refused(
    change: Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]],
) -> None:
    with pytest.raises(CheckFailed, match=r"does not reproduce the golden frames.*wanted: at most 0\.0001"):
        check_golden_frames(Altered(change), open_bundle(DEFAULT_BUNDLE), FP32_MODEL)


@pytest.mark.parametrize(
    "changes",
    [{"grades": ["0", "1", "2", "3"]}, {"stride_px": 32}, {"patch_px": 144}],
    ids=lambda changes: next(iter(changes)),
)
def test_manifest_that_describes_another_model_is_refused(
    changes: dict[str, object], bundle_with: Callable[..., Bundle]
) -> None:
    with pytest.raises(BundleError, match=r"the model is not the one that bundle\.json describes"):
        open_engine(bundle_with(**changes), threads=1)


def test_engine_whose_unfamiliarity_differs_is_refused() -> None:
    engine = open_engine(open_bundle(DEFAULT_BUNDLE), threads=1)

    class Careless:
        name, precision = "onnxruntime-fp32", "fp32"

        def run(self, images: npt.NDArray[np.uint8]) -> EngineOutput:
            output = engine.run(images)
            return EngineOutput(output.probabilities, np.zeros_like(output.unfamiliarity))

    with pytest.raises(CheckFailed, match=r"seen: difference .* in unfamiliarity; wanted: at most 0\.0001"):
        check_golden_frames(Careless(), open_bundle(DEFAULT_BUNDLE), FP32_MODEL)


def test_engine_that_fails_on_the_golden_frames_is_refused() -> None:
    class Failing:
        name, precision = "onnxruntime-fp32", "fp32"

        def run(self, images: npt.NDArray[np.uint8]) -> EngineOutput:
            raise RuntimeError(f"no kernel for {images.shape}")

    with pytest.raises(CheckFailed, match=r"cannot run the golden frames.*no kernel"):
        check_golden_frames(Failing(), open_bundle(DEFAULT_BUNDLE), FP32_MODEL)


def test_model_swapped_for_another_is_refused_on_opening(bundle_with: Callable[..., Bundle]) -> None:
    bundle = bundle_with()
    (bundle.folder / FP32_MODEL).write_bytes(b"another")
    with pytest.raises(BundleError, match="sha256"):
        open_engine(bundle, threads=1)


def test_threads_leave_the_microscope_its_share() -> None:
    assert 1 <= default_threads() <= 4
