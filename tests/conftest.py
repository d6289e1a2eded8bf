"""What all tests share: the shipped bundle, a model with random weights, real frames where they are."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from runtime.bundle import DEFAULT_BUNDLE, Bundle, open_bundle
from runtime.scoring import Model


@pytest.fixture(scope="session")
def model() -> Model:
    """The shipped model on its engine."""
    return Model.load(open_bundle(DEFAULT_BUNDLE), threads=1)


@pytest.fixture(scope="session")
def real_frames() -> list[Path]:
    """The raw in vivo confocal frames; the test skips where there are none."""
    place = os.environ.get("INFLAMAP_REAL_FRAMES")
    if not place:
        pytest.skip("INFLAMAP_REAL_FRAMES is not set: it names a folder with real confocal frames")
    frames = sorted(path for path in Path(place).rglob("*.jpg") if "raw_data" in path.parts)
    assert len(frames) == 20
    return frames


@pytest.fixture
def bundle_with(tmp_path: Path) -> Callable[..., Bundle]:
    """Copies the shipped bundle with other keys in `bundle.json`."""

    def copy(**changes: Any) -> Bundle:
        folder = tmp_path / "bundle"
        folder.mkdir()
        document = json.loads((DEFAULT_BUNDLE / "bundle.json").read_text())
        for name in document["files"]:
            (folder / name).write_bytes((DEFAULT_BUNDLE / name).read_bytes())
        (folder / "bundle.json").write_text(json.dumps(document | changes))
        return open_bundle(folder)

    return copy


@pytest.fixture(scope="session")
def skin() -> npt.NDArray[np.uint8]:
    """A phantom frame, uint8 [400, 400], at 0.5 µm/px; synthetic."""
    from trainer.phantom import draw_subjects, paint_frame

    severity = np.tile(np.linspace(0.0, 4.0, 400, dtype=np.float32), (400, 1))
    return paint_frame(draw_subjects(5)[0], severity, np.random.default_rng(5))


@pytest.fixture
def save_image() -> Callable[[Path, npt.NDArray[Any]], str]:
    """Writes pixels as the file's suffix says; gives the file's sha256."""

    def save(path: Path, pixels: npt.NDArray[Any]) -> str:
        path.parent.mkdir(parents=True, exist_ok=True)
        data = cv2.imencode(path.suffix, pixels)[1].tobytes()
        path.write_bytes(data)
        return hashlib.sha256(data).hexdigest()

    return save
