"""What is timed, in which order, and what is looked at before."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from benchmarks import frame_timing
from benchmarks.frame_timing import (
    WARM_UP_FRAMES,
    Frames,
    Spread,
    find_frames,
    paint_frames,
    require_engines,
    time_engines,
)
from runtime.bundle import DEFAULT_BUNDLE, Bundle, open_bundle
from runtime.engines import registry
from runtime.errors import InflamapError, UnreadableImage
from runtime.images import read_frame
from runtime.scoring import score_file

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
def _twin(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second engine: the first under another name."""
    monkeypatch.setitem(registry.MODEL_FILES, TWIN, registry.MODEL_FILES[ENGINE])


def timed(
    images: Path, scratch: Path, *engines: str, count: int = 3, um_per_px: float | None = 0.5, bundle: Any = None
) -> list[frame_timing.EngineReport]:
    return time_engines(
        bundle or open_bundle(DEFAULT_BUNDLE),
        engines or (ENGINE,),
        find_frames(images, count, um_per_px, pytest.fail),
        scratch,
        count=count,
        threads=1,
        progress=quiet,
    )


def test_spread_is_median_and_95th_percentile() -> None:
    assert Spread.of([float(ms) for ms in range(101)]) == Spread(50.0, 95.0)
    assert Spread.of([7.0]) == Spread(7.0, 7.0)


@pytest.mark.usefixtures("_twin")
def test_whole_score_file_is_timed_engines_take_turns_and_the_warm_up_does_not_count(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, calls = 0.0, []
    # seconds of each call: the warm-up is slow, the twin takes ten times as long
    takes = {ENGINE: [9.0] * WARM_UP_FRAMES + [0.1, 0.2, 0.3, 0.4], TWIN: [9.0] * WARM_UP_FRAMES + [1.0, 2.0, 3.0, 4.0]}

    def score(path: Path, relative: Any, out: Path, model: Any, **options: Any) -> Any:
        nonlocal now
        result = score_file(path, relative, out, model, **options)
        name = [ENGINE, TWIN][len(calls) % 2]
        assert model.engine.name == name
        calls.append((path.name, out / relative))
        now += takes[name].pop(0)
        return dataclasses.replace(result, timing_ms=dataclasses.replace(result.timing_ms, infer=1000 * now))

    monkeypatch.setattr(frame_timing, "score_file", score)
    monkeypatch.setattr(frame_timing, "time", SimpleNamespace(perf_counter=lambda: now))
    first, twin = timed(images, tmp_path / "out", ENGINE, TWIN, count=4)
    assert first.timing is not None
    assert twin.timing is not None
    assert first.timing.frame_ms == Spread(250.0, 385.0)
    assert first.timing.frames_per_second == 4.0
    assert twin.timing.frame_ms == Spread(2500.0, 3850.0)
    assert twin.timing.frames_per_second == 0.4
    start = 1000 * 2 * WARM_UP_FRAMES * 9.0
    assert first.timing.map_ms == Spread.of([start + ms for ms in (100.0, 1300.0, 3600.0, 7000.0)])
    # every frame goes to each engine before the next one, and no result replaces an earlier one
    assert [name for name, _out in calls] == [f"{letter}.png" for letter in "aabbccaabbccaa"]
    assert len({out for _name, out in calls}) == len(calls)


def test_results_lie_on_the_disk_for_every_frame(images: Path, tmp_path: Path) -> None:
    timed(images, tmp_path / "out")
    records = [json.loads(path.read_text()) for path in (tmp_path / "out").rglob("*.score.json")]
    assert len(records) == 3 + WARM_UP_FRAMES
    assert len(list((tmp_path / "out").rglob("*.overlay.jpg"))) == len(records)
    assert sorted(path.name for path in images.iterdir()) == ["a.png", "b.png", "c.png"]


def test_golden_frames_are_proven_and_the_difference_is_told(images: Path, tmp_path: Path) -> None:
    (report,) = timed(images, tmp_path / "out", "auto")
    assert (report.engine, report.precision) == (ENGINE, "fp32")
    assert report.golden.passed
    assert report.golden.reason is None
    assert report.golden.tolerance == 1e-4
    assert report.golden.difference is not None
    assert 0 <= report.golden.difference <= 1e-4
    assert report.timing is not None
    assert report.timing.repeatable
    assert report.timing.score_difference is None


def test_engine_that_fails_its_golden_frames_is_not_timed_and_the_others_go_on(
    images: Path, tmp_path: Path, bundle_with: Callable[..., Bundle], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry.MODEL_FILES, "onnxruntime-lost", "lost.onnx")
    lost, found = timed(images, tmp_path / "out", "onnxruntime-lost", ENGINE, count=1)
    assert not lost.golden.passed
    assert "lost.onnx" in (lost.golden.reason or "")
    assert lost.timing is None
    assert set(lost.to_json()) == set(found.to_json())
    assert lost.to_json()["frame_ms"] is None
    assert found.golden.passed
    assert found.timing is not None

    strict = bundle_with(golden={"file": "golden.npz", "tolerance": {"model.fp32.onnx": 1e-12}})
    (failed,) = timed(images, tmp_path / "none", bundle=strict)
    assert not failed.golden.passed
    assert failed.golden.tolerance == 1e-12
    assert "does not reproduce the golden frames" in (failed.golden.reason or "")
    assert not (tmp_path / "none").exists()


@pytest.mark.usefixtures("_twin")
def test_scores_of_the_engines_are_compared(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    analyse = frame_timing.analyse

    def off(frame: Any, model: Any) -> Any:
        found = analyse(frame, model)
        if model.engine.name != TWIN or found.score is None:
            return found
        # the two scored frames have different widths
        more = 0.25 if frame.width == 400 else -0.5
        return dataclasses.replace(found, score=dataclasses.replace(found.score, mean=found.score.mean + more))

    _first, twin = timed(images, tmp_path / "same", ENGINE, TWIN)
    assert twin.timing is not None
    assert twin.timing.score_difference == 0.0
    monkeypatch.setattr(frame_timing, "analyse", off)
    first, twin = timed(images, tmp_path / "out", ENGINE, TWIN)
    assert first.timing is not None
    assert twin.timing is not None
    assert first.timing.score_difference is None
    assert twin.timing.score_difference == pytest.approx(0.5)
    assert twin.timing.repeatable


def test_score_that_differs_the_second_time_is_noticed(
    images: Path, tmp_path: Path, save_image: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # what comes first is withheld and would be the same every time
    save_image(images / "0.png", np.zeros((300, 300), np.uint8))
    analyse, calls = frame_timing.analyse, iter(range(100))

    def drifting(frame: Any, model: Any) -> Any:
        found = analyse(frame, model)
        if found.score is None:
            return found
        mean = found.score.mean + 1e-9 * next(calls)
        return dataclasses.replace(found, score=dataclasses.replace(found.score, mean=mean))

    monkeypatch.setattr(frame_timing, "analyse", drifting)
    (report,) = timed(images, tmp_path / "out")
    assert report.timing is not None
    assert not report.timing.repeatable


def test_withheld_frames_are_counted_and_those_without_a_map_apart(
    images: Path, tmp_path: Path, save_image: Callable[..., str]
) -> None:
    save_image(images / "d.png", np.zeros((20, 20), np.uint8))
    (report,) = timed(images, tmp_path / "out", count=6)
    assert report.timing is not None
    # a b c d a b: the black one was mapped, the small one could not be
    assert (report.timing.timed, report.timing.withheld, report.timing.unmapped) == (6, 3, 1)
    assert "dark" in (report.timing.withheld_reason or "")

    (report,) = timed(images, tmp_path / "no scale", um_per_px=None)
    assert report.timing is not None
    assert report.timing.unmapped == report.timing.withheld == 3
    assert "--um-per-px" in (report.timing.withheld_reason or "")


def test_frames_that_were_not_mapped_do_not_flatter_those_that_were(
    tmp_path: Path, skin: npt.NDArray[np.uint8], save_image: Callable[..., str]
) -> None:
    save_image(tmp_path / "images" / "a.png", skin)
    for number in range(9):
        save_image(tmp_path / "images" / f"small {number}.png", np.zeros((20, 20), np.uint8))
    (report,) = timed(tmp_path / "images", tmp_path / "out", count=10)
    assert report.timing is not None
    assert report.timing.unmapped == 9
    # of the one frame that was mapped: the others are scaled in a fraction of a millisecond
    assert report.timing.map_ms.p50 == report.timing.map_ms.p95 > 2
    assert report.timing.frames_per_second == pytest.approx(1000 / report.timing.frame_ms.p50, rel=0.01)


def test_unreadable_images_are_left_out_each_with_a_line(images: Path) -> None:
    (images / "0 empty.bmp").write_bytes(b"")
    (images / "b2.png").write_bytes(b"words")
    (images / "z.bmp").write_bytes(b"")
    said: list[str] = []
    found = find_frames(images, 3, 0.5, said.append)
    assert found == Frames(
        str(images), tuple(images / f"{name}.png" for name in "abc"), ((400, 400), (300, 200), (300, 256)), 0.5, 2
    )
    # three were enough: the last one was not looked at
    assert [line.partition(":")[0] for line in said] == [str(images / "0 empty.bmp"), str(images / "b2.png")]


def test_folder_without_an_image_to_time_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InflamapError, match="no images in this folder"):
        find_frames(tmp_path, 3, None, pytest.fail)
    (tmp_path / "a.bmp").write_bytes(b"")
    with pytest.raises(InflamapError, match="1 that cannot be read"):
        find_frames(tmp_path, 3, None, lambda _line: None)
    with pytest.raises(InflamapError, match="nowhere"):
        find_frames(tmp_path / "nowhere", 3, None, pytest.fail)


def test_frame_that_is_gone_meanwhile_is_an_error(images: Path, tmp_path: Path) -> None:
    frames = dataclasses.replace(find_frames(images, 3, 0.5, pytest.fail), paths=(images / "gone.png",))
    with pytest.raises(UnreadableImage, match=r"gone\.png"):
        time_engines(
            open_bundle(DEFAULT_BUNDLE), [ENGINE], frames, tmp_path / "out", count=1, threads=1, progress=quiet
        )


def test_painted_frames_are_the_microscopes_own_and_the_same_every_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frame_timing, "SYNTHETIC_FRAMES", 1)
    first, second = (paint_frames(tmp_path / name, quiet) for name in ("one", "two"))
    assert first.source == "synthetic"
    assert first.sizes == ((1000, 1000),)
    frame = read_frame(first.paths[0])
    assert (frame.width, frame.height, frame.um_per_px, frame.um_per_px_from) == (1000, 1000, 0.5, "vivascope")
    assert first.paths[0].read_bytes() == second.paths[0].read_bytes()


@pytest.mark.parametrize("names", [["gpu"], ["auto", "gpu"], [""], []])
def test_unknown_engines_are_refused(names: list[str]) -> None:
    with pytest.raises(InflamapError, match=ENGINE) as refused:
        require_engines(names)
    assert refused.value.exit_code == 2


def test_known_engines_are_let_through() -> None:
    require_engines(["auto", *registry.ENGINE_NAMES])
