"""A plan on a (fake) GPU gives the very map of the whole batch, in whatever pieces it has to run."""

import threading
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from fake_tensorrt import FakeTensorRT, model_file, true_map
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from runtime.dense_map import Geometry, dense_map
from runtime.engines import Engine
from runtime.engines.tensorrt import engine as engine_module
from runtime.engines.tensorrt import open_tensorrt
from runtime.engines.tensorrt.loaded_plan import Seams
from runtime.engines.tensorrt.pieces import pieces
from runtime.engines.tensorrt.plan import Profile, profile_of
from runtime.engines.tensorrt.plan_cache import PlanCache
from runtime.errors import BundleError, CheckFailed, EngineMissing, InflamapError


def images_of(*shape: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture
def small_profile(monkeypatch: pytest.MonkeyPatch) -> Profile:
    """At most 2 images of 20 x 20 px at once."""
    profile = Profile((1, 1, 8, 8), (1, 1, 20, 20), (2, 1, 20, 20))
    monkeypatch.setattr(engine_module, "profile_of", lambda _geometry: profile)
    return profile


def test_map_is_the_models_whatever_the_size(machine: Any) -> None:
    engine: Engine = machine.open()
    for shape in [(1, 1, 8, 8), (3, 1, 40, 33), (1, 1, 9, 50), (4, 1, 10, 10)]:
        images = images_of(*shape)
        output = engine.run(images)
        wanted = true_map(images, 8, 3)
        np.testing.assert_array_equal(output.probabilities, wanted["probabilities"])
        np.testing.assert_array_equal(output.unfamiliarity, wanted["unfamiliarity"])


def test_images_beyond_the_profile_run_in_pieces_to_the_same_map(machine: Any, small_profile: Profile) -> None:
    images = images_of(5, 1, 61, 47)
    output = machine.open().run(images)
    wanted = true_map(images, 8, 3)
    np.testing.assert_array_equal(output.probabilities, wanted["probabilities"])
    np.testing.assert_array_equal(output.unfamiliarity, wanted["unfamiliarity"])
    assert len(machine.trt.shapes) > 3
    # the fake context refuses what is outside of the profile, as the real one does; here it never had to
    assert max(shape[2] for shape in machine.trt.shapes) <= small_profile.largest[2]


@settings(max_examples=200, deadline=None)
@given(
    patch=st.integers(1, 12),
    stride=st.integers(1, 9),
    beyond=st.tuples(st.integers(0, 60), st.integers(0, 60)),
    room=st.integers(0, 20),
    count=st.integers(0, 7),
    batch=st.integers(1, 4),
)
def test_pieces_hold_every_cell_once_and_fit_the_profile(
    patch: int, stride: int, beyond: tuple[int, int], room: int, count: int, batch: int
) -> None:
    geometry = Geometry(patch, stride, 0.5)
    height, width = patch + beyond[0], patch + beyond[1]
    largest = patch + room
    profile = Profile((1, 1, patch, patch), (1, 1, patch, patch), (batch, 1, largest, largest))
    held = np.zeros((count, geometry.cells(height), geometry.cells(width)), int)
    for piece in pieces(count, height, width, geometry, profile):
        held[piece.images, piece.cell_rows, piece.cell_columns] += 1
        assert 1 <= piece.images.stop - piece.images.start <= batch
        for pixels, cells, side in [
            (piece.rows, piece.cell_rows, height),
            (piece.columns, piece.cell_columns, width),
        ]:
            length = pixels.stop - pixels.start
            assert patch <= length <= largest
            assert pixels.stop <= side
            assert pixels.start == cells.start * stride
            assert geometry.cells(length) == cells.stop - cells.start
            # no pixel that no cell sees, so that frames of nearly the same size share a shape
            assert (length - patch) % stride == 0
    assert (held == 1).all()


def test_profile_takes_every_tile_of_the_dense_map() -> None:
    geometry = Geometry(128, 16, 0.5)
    profile = profile_of(geometry)
    assert profile.smallest == (1, 1, 128, 128)
    assert profile.usual == (1, 1, 992, 992)
    assert profile.largest == (4, 1, 1536, 1536)
    # a patch larger than that is a profile of its own
    assert profile_of(Geometry(3000, 16, 0.5)).largest[2:] == profile_of(Geometry(3000, 16, 0.5)).smallest[2:]


def test_buffers_are_used_again_and_grow_when_needed(machine: Any) -> None:
    engine = machine.open()
    engine.run(images_of(1, 1, 40, 40))
    first = machine.memory.allocations
    for side in (40, 8, 23, 40):
        engine.run(images_of(1, 1, side, side))
    assert machine.memory.allocations == first == 3
    engine.run(images_of(1, 1, 80, 80))
    assert machine.memory.allocations == 6
    assert len(machine.memory.blocks) == 3


def test_image_that_is_a_view_is_taken(machine: Any) -> None:
    images = images_of(2, 1, 60, 60)[:, :, ::2, 10:50]
    np.testing.assert_array_equal(machine.open().run(images).probabilities, true_map(images, 8, 3)["probabilities"])


def test_runs_from_several_threads_take_turns(machine: Any) -> None:
    engine = machine.open()
    wrong: list[int] = []

    def run(seed: int) -> None:
        images = images_of(1, 1, 20 + seed, 30, seed=seed)
        for _ in range(20):
            if not np.array_equal(engine.run(images).unfamiliarity, true_map(images, 8, 3)["unfamiliarity"]):
                wrong.append(seed)

    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_dense_map_runs_on_it(machine: Any) -> None:
    pixels = images_of(50, 40)
    found = dense_map(pixels, machine.open(), Geometry(8, 3, 0.5), tile_px=20)
    np.testing.assert_array_equal(found.unfamiliarity, true_map(pixels[None, None], 8, 3)["unfamiliarity"][0])


def test_it_says_what_it_runs_on(machine: Any) -> None:
    engine = machine.open(name="tensorrt-fp16", precision="fp16")
    assert (engine.name, engine.precision) == ("tensorrt-fp16", "fp16")
    assert engine.runs_on == {"tensorrt_rtx": "1.7.0", "gpu": "Fake RTX", "driver": "600.01 (CUDA 13.0)"}
    assert engine.int8_share() is None


def test_int8_engine_tells_its_share_from_its_own_layers(machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = machine.open(name="tensorrt-int8", precision="int8")
    asked: list[object] = []

    def work(*arguments: object) -> dict[str, int]:
        asked.extend(arguments)
        return {"conv": 3, "another": 1}

    monkeypatch.setattr(engine_module, "convolution_work", work)
    assert engine.int8_share() == 0.75
    # on the usual frame: 1000 px cut to whole strides of 3 beyond a patch of 8
    assert asked == [machine.trt, model_file(8, 3), 998]


def test_images_of_another_type_are_refused(machine: Any) -> None:
    with pytest.raises(TypeError, match="images are float32; wanted: uint8"):
        machine.open().run(images_of(1, 1, 20, 20).astype(np.float32))


def test_no_image_gives_an_empty_map(machine: Any) -> None:
    assert machine.open().run(images_of(0, 1, 20, 20)).probabilities.shape == (0, 3, 5, 5)


def test_image_smaller_than_a_patch_is_refused(machine: Any) -> None:
    with pytest.raises(InflamapError, match="image smaller than a patch; seen: 20x7 px; wanted: at least 8x8 px"):
        machine.open().run(images_of(1, 1, 7, 20))


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (
            "Runtime",
            "tensorrt_rtx 1.7.0 cannot start on Fake RTX; seen: CUDA initialization failure with error: 35; next",
        ),
        ("Runtime is None", "tensorrt_rtx 1.7.0 cannot start on Fake RTX; seen: Runtime is None failed"),
        ("Builder", "tensorrt_rtx 1.7.0 cannot start; seen: CUDA initialization failure with error: 35; next: choose"),
        ("Builder is None", "tensorrt_rtx 1.7.0 cannot start; seen: Builder is None failed"),
        ("build", "tensorrt_rtx 1.7.0 cannot build the model; seen: build failed as it was told to; next: choose"),
        ("load", "tensorrt_rtx 1.7.0 cannot load the plan it built for Fake RTX; seen: load failed"),
        ("context", "the GPU cannot hold the model's intermediate results; seen: context failed"),
        ("address", "tensorrt-fp16 takes no buffer for probabilities; seen: address failed"),
        ("run", r"tensorrt-fp16 cannot run on images of shape \(1, 1, 20, 20\); seen: run failed"),
    ],
)
def test_what_the_library_refuses_is_one_line_with_its_reason(machine: Any, call: str, line: str) -> None:
    machine.trt.fails.add(call)
    with pytest.raises(CheckFailed, match=line) as raised:
        machine.open().run(images_of(1, 1, 20, 20))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(("earlier", "later"), [("build", "load"), ("load", "context"), ("address", "run")])
def test_errors_of_a_call_that_succeeded_explain_no_later_failure(machine: Any, earlier: str, later: str) -> None:
    machine.trt.grumbles.add(earlier)
    machine.trt.fails.add(later)
    with pytest.raises(CheckFailed, match=f"seen: {later} failed") as raised:
        machine.open().run(images_of(1, 1, 20, 20))
    assert raised.value.details == ()


def test_run_after_a_failed_one_is_right_again(machine: Any) -> None:
    engine, images = machine.open(), images_of(1, 1, 20, 20)
    for call in ("address", "run"):
        machine.trt.fails = {call}
        with pytest.raises(CheckFailed):
            engine.run(images)
    machine.trt.fails = set()
    np.testing.assert_array_equal(engine.run(images).unfamiliarity, true_map(images, 8, 3)["unfamiliarity"])


def test_bytes_that_are_no_model_are_refused_with_the_parsers_faults(machine: Any) -> None:
    with pytest.raises(
        CheckFailed, match="cannot read the model; seen: fault 0 of the model; wanted: a model"
    ) as raised:
        machine.open(b"no model")
    assert raised.value.details == ("fault 1 of the model",)


def test_model_of_other_types_is_refused_before_it_writes_anywhere(machine: Any) -> None:
    with pytest.raises(BundleError, match=r"inputs and outputs are not a bundle's; seen: .*probabilities HALF"):
        machine.open(model_file(8, 3, output="HALF"))


def test_model_of_another_stride_is_refused(machine: Any) -> None:
    with pytest.raises(BundleError, match="another shape than its patch and stride give"):
        machine.open(model_file(8, 4)).run(images_of(1, 1, 40, 40))


def test_gpu_that_the_library_has_no_code_for_is_named(machine: Any) -> None:
    machine.gpu = replace(machine.gpu, compute_capability="9.0")
    with pytest.raises(
        EngineMissing,
        match=r"no code for this GPU; seen: compute capability 9.0; wanted: one of 7.5, 8.9, 12.0; next: inst",
    ):
        machine.open()


def test_plan_is_built_for_the_gpu_at_hand(machine: Any) -> None:
    machine.open()
    assert machine.trt.builds[0]["capability"] == 89


def test_library_that_builds_for_what_it_finds_is_let(machine: Any) -> None:
    """The full package has no list of generations, and no kernels compiled at run time."""

    class Full(FakeTensorRT):
        __name__, __version__ = "tensorrt", "11.0"
        ComputeCapability = None
        DynamicShapesKernelSpecializationStrategy = None

    trt = Full(machine.memory)
    seams = Seams(trt, machine.gpu, machine.memory, PlanCache(None, machine.said.append))
    engine = open_tensorrt(
        model_file(8, 3), name="tensorrt-fp16", precision="fp16", geometry=Geometry(8, 3, 0.5), seams=seams
    )
    assert trt.builds[0]["capability"] is None
    assert "tensorrt" in engine.runs_on
    images = images_of(1, 1, 20, 20)
    np.testing.assert_array_equal(engine.run(images).unfamiliarity, true_map(images, 8, 3)["unfamiliarity"])
    assert trt.compiled == []
