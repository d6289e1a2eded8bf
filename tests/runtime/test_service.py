"""Each image once; the watched folder only read; a broken file stops nothing."""

import json
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import pytest

from runtime.bundle import Bundle
from runtime.engines.onnxruntime_cpu import OnnxRuntimeEngine
from runtime.folder_watch import WatchSettings
from runtime.scoring import Model
from runtime.service import Tally, watch

AT_ONCE = WatchSettings(settle_s=0.0, poll_s=0.01)


@pytest.fixture
def watch_once(tmp_path: Path, model: Model) -> Callable[..., tuple[Tally, list[str]]]:
    """One pass over tmp_path/in into tmp_path/out: the tally and what was said."""

    def run(other: Model | None = None, um_per_px: float | None = 0.5) -> tuple[Tally, list[str]]:
        said: list[str] = []
        tally = watch(
            tmp_path / "in",
            tmp_path / "out",
            other or model,
            AT_ONCE,
            threading.Event(),
            um_per_px=um_per_px,
            once=True,
            say=said.append,
        )
        return tally, said

    return run


def test_image_is_scored_once_until_its_content_or_the_model_changes(
    tmp_path: Path,
    skin: npt.NDArray[np.uint8],
    watch_once: Callable[..., tuple[Tally, list[str]]],
    bundle_with: Callable[..., Bundle],
    save_image: Callable[..., str],
) -> None:
    save_image(tmp_path / "in" / "VivaStack #1" / "ä v1.bmp", skin)
    save_image(tmp_path / "in" / "same.bmp", skin)
    assert watch_once()[0] == Tally(done=2)
    assert (tmp_path / "out" / "VivaStack #1" / "ä v1.bmp.score.json").exists()
    assert watch_once()[0] == Tally(skipped=2)

    sha256 = save_image(tmp_path / "in" / "same.bmp", skin[::-1].copy())
    assert watch_once()[0] == Tally(done=1, skipped=1)
    record = json.loads((tmp_path / "out" / "same.bmp.score.json").read_text())
    assert record["image"]["sha256"] == sha256

    bundle = bundle_with()
    altered = bundle.manifest.files | {"model.fp32.onnx": "f" * 64}
    other = Model(
        Bundle(bundle.folder, msgspec.structs.replace(bundle.manifest, files=altered)),
        OnnxRuntimeEngine(bundle.read_file("model.fp32.onnx"), name="onnxruntime-fp32", precision="fp32", threads=1),
    )
    assert watch_once(other)[0] == Tally(done=2)


def test_image_without_a_scale_is_scored_once_the_scale_is_given(
    tmp_path: Path,
    skin: npt.NDArray[np.uint8],
    watch_once: Callable[..., tuple[Tally, list[str]]],
    save_image: Callable[..., str],
) -> None:
    save_image(tmp_path / "in" / "v.bmp", skin)
    tally, said = watch_once(um_per_px=None)
    assert tally == Tally(done=1)
    assert "withheld: scale unknown" in said[0]
    tally, said = watch_once(um_per_px=0.5)
    assert tally == Tally(done=1)
    assert "withheld" not in said[0]
    assert watch_once(um_per_px=0.5)[0] == Tally(skipped=1)
    assert watch_once(um_per_px=None)[0] == Tally(skipped=1)
    assert watch_once(um_per_px=0.6)[0] == Tally(done=1)


def test_broken_files_are_said_and_the_others_done(
    tmp_path: Path,
    skin: npt.NDArray[np.uint8],
    watch_once: Callable[..., tuple[Tally, list[str]]],
    save_image: Callable[..., str],
) -> None:
    save_image(tmp_path / "in" / "good.bmp", skin)
    (tmp_path / "in" / "empty.bmp").write_bytes(b"")
    (tmp_path / "in" / "short.bmp").write_bytes((tmp_path / "in" / "good.bmp").read_bytes()[:5000])
    tally, said = watch_once()
    assert tally == Tally(done=1, failed=2)
    assert sum("empty.bmp" in line for line in said) == 1
    assert sum("short.bmp" in line for line in said) == 1
    assert all("\n" not in line for line in said)


def test_damaged_record_is_made_anew(
    tmp_path: Path,
    skin: npt.NDArray[np.uint8],
    watch_once: Callable[..., tuple[Tally, list[str]]],
    save_image: Callable[..., str],
) -> None:
    save_image(tmp_path / "in" / "v.bmp", skin)
    watch_once()
    for content in ("", "{}", '{"image": null}', "[]"):
        (tmp_path / "out" / "v.bmp.score.json").write_text(content)
        assert watch_once()[0] == Tally(done=1)


def test_watched_folder_is_only_read(
    tmp_path: Path,
    skin: npt.NDArray[np.uint8],
    watch_once: Callable[..., tuple[Tally, list[str]]],
    save_image: Callable[..., str],
) -> None:
    save_image(tmp_path / "in" / "v.bmp", skin)
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in (tmp_path / "in").iterdir()}
    watch_once()
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in (tmp_path / "in").iterdir()} == before


def test_stop_ends_the_watch_after_the_image_in_hand(
    tmp_path: Path, skin: npt.NDArray[np.uint8], model: Model, save_image: Callable[..., str]
) -> None:
    for number in range(3):
        save_image(tmp_path / "in" / f"{number}.bmp", skin)
    stop = threading.Event()
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        stop.set()

    tally = watch(tmp_path / "in", tmp_path / "out", model, AT_ONCE, stop, um_per_px=0.5, say=say)
    assert tally.done == 1
    assert len(list((tmp_path / "out").glob("*.score.json"))) == 1
    assert not list((tmp_path / "out").rglob("*.tmp*"))
