"""The dense map against the same model without it, against the bare session, and against what the cores can do."""

import functools

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx.utils import Extractor

from benchmarks.speed.finer_stride import at_half_stride
from benchmarks.speed.macs import convolution_macs
from benchmarks.speed.patches import in_batches, one_patch_a_call
from benchmarks.speed.ratio import Against
from runtime.bundle import Bundle
from runtime.bundle_files import FP32_MODEL
from runtime.dense_map import Geometry, dense_map
from runtime.engines import Engine
from runtime.model import Model

Frame = npt.NDArray[np.uint8]
EQUAL = 1e-5
PRODUCT = 2048


def require_equal(frame: Frame, engine: Engine, geometry: Geometry, other: npt.NDArray[np.float32]) -> None:
    mapped = dense_map(frame, engine, geometry).expected_grade()
    np.testing.assert_allclose(mapped, other, rtol=0, atol=EQUAL)
    # a map of one value would be equal to anything
    assert mapped.std() > 0.1


def ceiling(model: bytes, frame: Frame, geometry: Geometry) -> float:
    """What the ratio would be if nothing but multiply-accumulates took time."""
    cells = geometry.cells(frame.shape[0]) * geometry.cells(frame.shape[1])
    patch = convolution_macs(model, geometry.patch_px, geometry.patch_px)
    return cells * patch / convolution_macs(model, *frame.shape)


def measure_one_patch_a_call(
    against: Against, bundle: Bundle, engine: Engine, geometry: Geometry, frame: Frame, *, rounds: int
) -> None:
    patches = functools.partial(one_patch_a_call, frame, engine, geometry)
    require_equal(frame, engine, geometry, patches())
    against.faster(lambda: dense_map(frame, engine, geometry), patches, rounds=rounds)
    against.note(ceiling=ceiling(bundle.read_file(FP32_MODEL), frame, geometry))


def test_map_against_one_patch_a_call(against: Against, model: Model, frame: Frame) -> None:
    measure_one_patch_a_call(against, model.bundle, model.engine, model.bundle.geometry, frame, rounds=12)
    against.promise(18)


def test_map_against_batches_of_64(against: Against, model: Model, frame: Frame) -> None:
    engine, geometry = model.engine, model.bundle.geometry
    batches = functools.partial(in_batches, frame, engine, geometry, 64)
    require_equal(frame, engine, geometry, batches())
    against.faster(lambda: dense_map(frame, engine, geometry), batches, rounds=12)


def test_map_at_half_the_stride_against_one_patch_a_call(against: Against, model: Model, frame: Frame) -> None:
    engine, geometry = at_half_stride(model.bundle, threads=1)
    assert geometry.stride_px == 8
    measure_one_patch_a_call(against, model.bundle, engine, geometry, frame, rounds=4)
    against.promise(60)


def test_map_against_the_bare_session(
    against: Against, model: Model, bare_session: onnxruntime.InferenceSession, frame: Frame
) -> None:
    """What is around the model's own pass over the frame: cutting, checking, holding the outputs."""
    geometry = model.bundle.geometry
    seen = np.ascontiguousarray(frame[:992, :992])
    probabilities, unfamiliarity = bare_session.run(None, {"image": seen[None, None]})
    found = dense_map(frame, model.engine, geometry)
    np.testing.assert_array_equal(found.probabilities, probabilities[0])
    np.testing.assert_array_equal(found.unfamiliarity, unfamiliarity[0])
    against.slower(
        lambda: dense_map(frame, model.engine, geometry),
        lambda: bare_session.run(None, {"image": seen[None, None]}),
        rounds=120,
    )


def test_map_against_the_map_without_unfamiliarity(
    against: Against, model: Model, bare_session: onnxruntime.InferenceSession, frame: Frame
) -> None:
    """Measure the cost of the out-of-distribution detector in the model's pass over a frame."""
    graph = onnx.ModelProto.FromString(model.bundle.read_file(FP32_MODEL))
    grades_alone = Extractor(graph).extract_model(["image"], ["probabilities"])
    session = onnxruntime.InferenceSession(
        grades_alone.SerializeToString(), bare_session.get_session_options(), providers=["CPUExecutionProvider"]
    )
    seen = np.ascontiguousarray(frame[:992, :992])[None, None]
    probabilities, _ = bare_session.run(None, {"image": seen})
    np.testing.assert_allclose(session.run(None, {"image": seen})[0], probabilities, rtol=0, atol=EQUAL)
    against.slower(
        lambda: bare_session.run(None, {"image": seen}), lambda: session.run(None, {"image": seen}), rounds=80
    )
    against.promise(1.15)


def test_map_against_a_matrix_product(against: Against, model: Model, frame: Frame) -> None:
    """Floating-point operations a second of the map, its share of a float32 product's of 2048x2048 matrices."""
    geometry = model.bundle.geometry
    rng = np.random.default_rng(0)
    left, right = (rng.standard_normal((PRODUCT, PRODUCT), dtype=np.float32) for _ in range(2))
    product = np.empty_like(left)
    np.matmul(left, right, out=product)
    np.testing.assert_allclose(product[7], left[7].astype(float) @ right.astype(float), rtol=1e-2, atol=1e-2)
    # of the pixels below cells, which are all that the map looks at
    macs = convolution_macs(model.bundle.read_file(FP32_MODEL), 992, 992)
    found = against.faster(
        lambda: dense_map(frame, model.engine, geometry), lambda: np.matmul(left, right, out=product), rounds=24
    )
    against.record([each * macs / PRODUCT**3 for each in found.each], "higher", macs=macs)
    against.promise(0.4)


def test_frames_together_against_one_after_the_other(against: Against, model: Model, frame: Frame) -> None:
    """Whether a backlog would be done sooner in batches of four."""
    frames = np.stack([np.roll(frame[:992, :992], shift) for shift in range(4)])[:, None]
    together = model.engine.run(frames).probabilities
    alone = np.concatenate([model.engine.run(frames[place : place + 1]).probabilities for place in range(4)])
    np.testing.assert_allclose(together, alone, rtol=0, atol=EQUAL)

    def one_by_one() -> None:
        for place in range(4):
            model.engine.run(frames[place : place + 1])

    against.slower(lambda: model.engine.run(frames), one_by_one, rounds=20)
