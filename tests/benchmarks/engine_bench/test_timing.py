"""What is timed, in which order, and what is looked at before."""

import dataclasses
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path, PurePath
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from msgspec.structs import replace

from benchmarks.engine_bench import timing
from benchmarks.engine_bench.frames import find_frames
from benchmarks.engine_bench.timing import WARM_UP_FRAMES, FrameTiming, Spread, Stopped, time_engines
from runtime.bundle import Bundle
from runtime.engines.registry import MODEL_FILES
from runtime.errors import CheckFailed, UnreadableImage
from runtime.images import read_frame
from runtime.model import Model
from runtime.scoring import examine, write_examined

ENGINE, TWIN = "onnxruntime-fp32", "onnxruntime-twin"


def quiet(_label: str, _done: int, _total: int) -> None:
    pass


@pytest.fixture
def images(tmp_path: Path, skin: npt.NDArray[np.uint8], save_image: Callable[..., str]) -> Path:
    """A scored frame, one withheld after it was mapped, and a third that is scored."""
    folder = tmp_path / "images"
    save_image(folder / "a.png", skin)
    save_image(folder / "b.png", np.zeros((200, 300), np.uint8))
    save_image(folder / "c.png", skin[:256, :300])
    return folder


@pytest.fixture
def twin(model: Model) -> Model:
    """The same engine under another name."""

    class Twin:
        name, precision = TWIN, "fp32"
        run = staticmethod(model.engine.run)

    return Model(model.bundle, Twin())


@pytest.fixture(autouse=True)
def _twin_has_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODEL_FILES, TWIN, "model.fp32.onnx")


def timed(
    images: Path, scratch: Path, *models: Model, count: int = 3, um_per_px: float | None = 0.5
) -> list[FrameTiming]:
    frames = find_frames(images, count, um_per_px, pytest.fail)
    found = time_engines(models, frames, scratch, count=count, progress=quiet)
    assert not any(isinstance(timing, Stopped) for timing in found)
    return [timing for timing in found if isinstance(timing, FrameTiming)]


def test_spread_is_median_and_two_percentiles() -> None:
    assert Spread.of([float(ms) for ms in range(101)]) == Spread(50.0, 95.0, 99.0)
    assert Spread.of([7.0]) == Spread(7.0, 7.0, 7.0)


def test_engines_take_turns_and_share_what_does_not_depend_on_them(
    images: Path, tmp_path: Path, model: Model, twin: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    calls: list[tuple[str, str, Path]] = []
    # seconds of each call after a warm-up that is slow
    examining = {ENGINE: [0.1, 0.2, 0.3, 0.4], TWIN: [1.0, 2.0, 3.0, 4.0]}
    writing = {ENGINE: [0.01, 0.02, 0.03, 0.04], TWIN: [0.05, 0.06, 0.07, 0.08]}

    def spend(seconds: dict[str, list[float]], name: str) -> float:
        nonlocal now
        turn = sum(name == called for called, _path, _out in calls) - 1 - WARM_UP_FRAMES
        took = 9.0 if turn < 0 else seconds[name][turn]
        now += took
        return took

    def slow_examine(path: Path, relative: PurePath, model: Model, **options: Any) -> Any:
        examined = examine(path, relative, model, **options)
        calls.append((model.engine.name, path.name, Path()))
        return msgspec.structs.replace(examined, infer_ms=1000 * spend(examining, model.engine.name))

    def slow_write(examined: Any, relative: Any, out: Path, model: Model) -> Any:
        calls[-1] = (*calls[-1][:2], out / relative)
        spend(writing, model.engine.name)
        return write_examined(examined, relative, out, model)

    monkeypatch.setattr(timing, "examine", slow_examine)
    monkeypatch.setattr(timing, "write_examined", slow_write)
    monkeypatch.setattr(timing, "time", SimpleNamespace(perf_counter=lambda: now))
    first, second = timed(images, tmp_path / "out", model, twin, count=4)

    # every frame's examination with the writing of both engines in that round
    rounds = list(zip(writing[ENGINE], writing[TWIN], strict=True))
    for found, own in ((first, examining[ENGINE]), (second, examining[TWIN])):
        both = [1000 * (seconds + around) for seconds, pair in zip(own, rounds, strict=True) for around in pair]
        assert found.frame_ms == Spread.of(both)
        assert found.map_ms == Spread.of([1000 * seconds for seconds in own])
        assert found.frames_per_second == round(1000 / found.frame_ms.p50, 2)
    # every frame goes to each engine before the next one, and no result replaces an earlier one
    pairs = [(calls[place], calls[place + 1]) for place in range(0, len(calls), 2)]
    assert [{one[1], other[1]} for one, other in pairs] == [{f"{letter}.png"} for letter in "abcabca"]
    assert all({one[0], other[0]} == {ENGINE, TWIN} for one, other in pairs)
    assert len({out for _name, _path, out in calls}) == len(calls)


def test_no_engine_always_follows_the_same_other_one(
    images: Path, tmp_path: Path, model: Model, twin: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []

    def listen(path: Path, relative: PurePath, model: Model, **options: Any) -> Any:
        order.append(model.engine.name)
        return examine(path, relative, model, **options)

    monkeypatch.setattr(timing, "examine", listen)
    timed(images, tmp_path / "out", model, twin, count=17)
    first = Counter(order[::2])
    assert min(first[ENGINE], first[TWIN]) >= 5


def test_results_lie_on_the_disk_for_every_frame(images: Path, tmp_path: Path, model: Model) -> None:
    timed(images, tmp_path / "out", model)
    records = [json.loads(path.read_text()) for path in (tmp_path / "out").rglob("*.score.json")]
    assert len(records) == 3 + WARM_UP_FRAMES
    assert len(list((tmp_path / "out").rglob("*.overlay.jpg"))) == len(records)
    assert sorted(path.name for path in images.iterdir()) == ["a.png", "b.png", "c.png"]


def test_scores_of_the_engines_are_compared(
    images: Path, tmp_path: Path, model: Model, twin: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = timing._find

    def off(model: Model, path: Path, um_per_px: float | None) -> Any:
        found = find(model, path, um_per_px)
        if model.engine.name != TWIN or found.score is None:
            return found
        # the two scored frames have different widths
        more = 0.25 if read_frame(path).width == 400 else -0.5
        return dataclasses.replace(found, score=replace(found.score, mean=found.score.mean + more))

    first, second = timed(images, tmp_path / "same", model, twin)
    assert (first.score_difference, second.score_difference) == (None, 0.0)
    assert first.repeatable
    assert second.repeatable
    monkeypatch.setattr(timing, "_find", off)
    _first, second = timed(images, tmp_path / "out", model, twin)
    assert second.score_difference == pytest.approx(0.5)


def test_without_order_areas_are_compared(
    images: Path, tmp_path: Path, bundle_with: Callable[..., Bundle], monkeypatch: pytest.MonkeyPatch
) -> None:
    classes = Model.load(bundle_with(ordered=False), threads=1)
    find = timing._find

    def off(model: Model, path: Path, um_per_px: float | None) -> Any:
        found = find(model, path, um_per_px)
        if found.score is None:
            return found
        assert found.score.mean is None
        names = list(found.score.area_fraction)
        return dataclasses.replace(found, score=replace(found.score, area_fraction=dict.fromkeys(names, 0.2)))

    (found,) = timed(images, tmp_path / "same", classes)
    assert found.repeatable
    assert found.withheld == 1
    monkeypatch.setattr(timing, "_find", off)
    (found,) = timed(images, tmp_path / "out", classes)
    # the areas that were found first are not those of the results
    assert not found.repeatable


def test_scores_are_compared_with_those_of_fp32_wherever_it_stands(
    images: Path, tmp_path: Path, model: Model, twin: Model
) -> None:
    first, second = timed(images, tmp_path / "out", twin, model)
    assert (first.score_difference, second.score_difference) == (0.0, None)
    (alone,) = timed(images, tmp_path / "alone", twin)
    assert alone.score_difference is None


@pytest.mark.parametrize("runs", [0, 1, 3 + WARM_UP_FRAMES + 1], ids=["at once", "when looked at", "when timed"])
@pytest.mark.parametrize(
    "failure", [RuntimeError("no kernel\nfor this size"), CheckFailed("the GPU is gone")], ids=["its own", "ours"]
)
def test_one_that_fails_is_told_and_the_others_are_timed(
    runs: int, failure: Exception, images: Path, tmp_path: Path, model: Model
) -> None:
    class Failing:
        name, precision = TWIN, "fp32"
        left = runs

        def run(self, images: npt.NDArray[np.uint8]) -> Any:
            self.left -= 1
            if self.left < 0:
                raise failure
            return model.engine.run(images)

    frames = find_frames(images, 3, 0.5, pytest.fail)
    models = [Model(model.bundle, Failing()), model]
    stopped, found = time_engines(models, frames, tmp_path / "out", count=3, progress=quiet)
    assert stopped == Stopped("failed while it was timed: " + " ".join(str(failure).splitlines()))
    assert isinstance(found, FrameTiming)
    assert found.timed == 3


def test_score_that_differs_another_time_is_noticed(images: Path, tmp_path: Path, model: Model) -> None:
    class Tiring:
        """Right for as long as somebody checks."""

        name, precision, runs = ENGINE, "fp32", 0

        def run(self, images: npt.NDArray[np.uint8]) -> Any:
            self.runs += 1
            output = model.engine.run(images)
            if self.runs <= 3 + WARM_UP_FRAMES:
                return output
            return msgspec.structs.replace(output, probabilities=output.probabilities[:, ::-1].copy())

    (found,) = timed(images, tmp_path / "out", Model(model.bundle, Tiring()))
    assert not found.repeatable


def test_withheld_frames_are_counted_and_those_without_a_map_apart(
    images: Path, tmp_path: Path, save_image: Callable[..., str], model: Model
) -> None:
    save_image(images / "d.png", np.zeros((20, 20), np.uint8))
    (found,) = timed(images, tmp_path / "out", model, count=6)
    # a b c d a b: the black one was mapped, the small one could not be
    assert (found.timed, found.withheld, found.unmapped) == (6, 3, 1)
    assert "dark" in (found.withheld_reason or "")

    (found,) = timed(images, tmp_path / "no scale", model, um_per_px=None)
    assert found.unmapped == found.withheld == 3
    assert "--um-per-px" in (found.withheld_reason or "")


def test_frames_that_were_not_mapped_do_not_flatter_those_that_were(
    tmp_path: Path, skin: npt.NDArray[np.uint8], save_image: Callable[..., str], model: Model
) -> None:
    save_image(tmp_path / "images" / "a.png", skin)
    for number in range(9):
        save_image(tmp_path / "images" / f"small {number}.png", np.zeros((20, 20), np.uint8))
    (found,) = timed(tmp_path / "images", tmp_path / "out", model, count=10)
    assert found.unmapped == 9
    # of the one frame that was mapped: the others are scaled in a fraction of a millisecond
    assert found.map_ms.p50 == found.map_ms.p95 > 2


def test_frame_that_is_gone_meanwhile_is_an_error(images: Path, tmp_path: Path, model: Model) -> None:
    frames = dataclasses.replace(find_frames(images, 3, 0.5, pytest.fail), paths=(images / "gone.png",))
    with pytest.raises(UnreadableImage, match=r"gone\.png"):
        time_engines([model], frames, tmp_path / "out", count=1, progress=quiet)
