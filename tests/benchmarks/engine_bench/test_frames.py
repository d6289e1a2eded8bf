"""What is timed: the microscope's own kind, or what the user has."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from benchmarks.engine_bench import frames
from benchmarks.engine_bench.frames import Frames, find_frames, paint_frames
from runtime.errors import InflamapError
from runtime.images import read_frame


def quiet(_label: str, _done: int, _total: int) -> None:
    pass


def test_unreadable_images_are_left_out_each_with_a_line(
    tmp_path: Path, skin: npt.NDArray[np.uint8], save_image: Callable[..., str]
) -> None:
    images = tmp_path / "images"
    save_image(images / "a.png", skin)
    save_image(images / "b.png", np.zeros((200, 300), np.uint8))
    save_image(images / "c.png", skin[:256, :300])
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


def test_painted_frames_are_the_microscopes_own_and_the_same_every_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "SYNTHETIC_FRAMES", 1)
    first, second = (paint_frames(tmp_path / name, quiet) for name in ("one", "two"))
    assert first.source == "synthetic"
    assert first.sizes == ((1000, 1000),)
    frame = read_frame(first.paths[0])
    assert (frame.width, frame.height, frame.um_per_px, frame.um_per_px_from) == (1000, 1000, 0.5, "vivascope")
    assert first.paths[0].read_bytes() == second.paths[0].read_bytes()
