"""Of each file its result or its fault, in order, and nobody waits for a disk that could examine the next image."""

import importlib
import itertools
import threading
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from runtime.acquisition import Acquisition
from runtime.analysis import Analysis, analyse
from runtime.errors import InflamapError, NeverAnImage, UnreadableImage
from runtime.images import Frame
from runtime.inputs import Input
from runtime.model import Model
from runtime.outputs import CannotWrite
from runtime.result import Result
from runtime.score_files import ResultWriter, score_files


def test_files_are_scored_in_order_each_with_its_result_or_its_fault(
    tmp_path: Path, skin: npt.NDArray[np.uint8], model: Model, save_image: Callable[..., str]
) -> None:
    for name in ("a.bmp", "c.bmp", "e.bmp"):
        save_image(tmp_path / name, skin[:150, :150])
    (tmp_path / "b.bmp").write_bytes(b"no image")
    out = tmp_path / "out"
    out.mkdir()
    # where the results of c must go lies a folder
    (out / "c.bmp.score.json").mkdir()
    images = [Input(tmp_path / f"{name}.bmp", PurePath(f"{name}.bmp")) for name in "abcde"]
    with ResultWriter() as writer:
        found = list(score_files(images, out, model, writer, Acquisition(0.5)))
    assert [type(each) for each in found] == [Result, NeverAnImage, CannotWrite, UnreadableImage, Result]
    assert isinstance(found[4], Result)
    assert found[4].image.path == "e.bmp"
    assert (out / "e.bmp.overlay.jpg").is_file()


def test_one_result_is_written_while_the_next_image_is_examined(
    tmp_path: Path,
    skin: npt.NDArray[np.uint8],
    model: Model,
    save_image: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("a.bmp", "b.bmp"):
        save_image(tmp_path / name, skin[:150, :150])
    second_examined = threading.Event()
    examined: list[Frame] = []

    def write(*_arguments: object, **_keywords: object) -> None:
        # in vain, were the second examined only when the first is written
        assert second_examined.wait(10)

    def analysed(frame: Frame, model: Model) -> Analysis:
        examined.append(frame)
        if len(examined) == 2:
            second_examined.set()
        return analyse(frame, model)

    monkeypatch.setattr("runtime.scoring.write_result", write)
    monkeypatch.setattr("runtime.scoring.analyse", analysed)
    images = [Input(tmp_path / name, PurePath(name)) for name in ("a.bmp", "b.bmp")]
    with ResultWriter() as writer:
        found = list(score_files(images, tmp_path / "out", model, writer, Acquisition(0.5)))
    assert [type(each) for each in found] == [Result, Result]


@pytest.mark.parametrize("error", [MemoryError("much"), RecursionError("deep"), OverflowError("far"), ValueError("no")])
@pytest.mark.parametrize("place", ["runtime.score_files.examine", "runtime.scoring.encode_jpeg"])
def test_whatever_one_image_raises_the_others_are_done(
    error: Exception,
    place: str,
    tmp_path: Path,
    skin: npt.NDArray[np.uint8],
    model: Model,
    save_image: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = ("a.bmp", "b.bmp", "c.bmp")
    for name in names:
        save_image(tmp_path / name, skin[:150, :150])
    module, _, name = place.rpartition(".")
    whole = getattr(importlib.import_module(module), name)
    calls = itertools.count()

    def fail_once(*arguments: Any, **keywords: Any) -> Any:
        if next(calls) == 1:
            raise error
        return whole(*arguments, **keywords)

    monkeypatch.setattr(place, fail_once)
    with ResultWriter() as writer:
        found = list(
            score_files([Input(tmp_path / name, PurePath(name)) for name in names], tmp_path / "out", model, writer)
        )
    assert [isinstance(each, Result) for each in found] == [True, False, True]
    assert isinstance(found[1], InflamapError)
    assert str(found[1]) == f"{tmp_path / 'b.bmp'}: unexpected {type(error).__name__}; seen: {error}"
    assert (found[1].__traceback__, found[1].__context__) == (None, None)
