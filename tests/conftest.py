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
from msgspec.structs import replace

from runtime.bundle import DEFAULT_BUNDLE, Bundle, open_bundle
from runtime.bundle_arrays import GoldenFrames
from runtime.bundle_files import GOLDEN_FILE
from runtime.manifest import facts_of
from runtime.model import Model


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
    """Copies the shipped bundle with other keys in `bundle.json`, or other contents of its files, as if exported so."""

    def copy(*, contents: dict[str, bytes] | None = None, **changes: Any) -> Bundle:
        folder = tmp_path / "bundle"
        folder.mkdir()
        shipped = json.loads((DEFAULT_BUNDLE / "bundle.json").read_text())
        files = {name: (DEFAULT_BUNDLE / name).read_bytes() for name in shipped["files"]}
        # the golden frames keep a copy of what the manifest says of the scores
        sealed = GoldenFrames.from_bytes(files[GOLDEN_FILE])
        files[GOLDEN_FILE] = replace(sealed, facts=facts_of(shipped | changes)).to_bytes()
        files |= contents or {}
        for name, data in files.items():
            (folder / name).write_bytes(data)
        hashes = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
        (folder / "bundle.json").write_text(json.dumps(shipped | {"files": hashes} | changes))
        return open_bundle(folder)

    return copy


@pytest.fixture
def strict_golden() -> dict[str, Any]:
    """A `golden` of `bundle.json` with tolerances that no engine keeps."""
    golden: dict[str, Any] = json.loads((DEFAULT_BUNDLE / "bundle.json").read_text())["golden"]
    return golden | {"tolerance": dict.fromkeys(golden["tolerance"], 1e-12)}


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
