"""Drawn textures whose grade is plain to see, and a network small enough to learn them in seconds."""

import csv
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import hypothesis
import numpy as np
import numpy.typing as npt
import pytest
import torch

from runtime.cli import main
from trainer.dataset import ScoredPatches, read_scored_patches
from trainer.fit import fit
from trainer.network import NetworkConfig, TextureNetwork
from trainer.optimise import FitSettings
from trainer.scores import ScoredPatch
from trainer.split import split_patches

# a laptop that trains beside the tests is slow, not wrong
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")

GRADES = 3
PERIODS_PX = (3.5, 6.0, 11.0)


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


@pytest.fixture(scope="session")
def draw_texture() -> Callable[..., npt.NDArray[np.uint8]]:
    """Draws stripes in any direction, the coarser the higher the grade, under a camera's noise."""

    def draw(grade: int, rng: np.random.Generator, side: int = 36) -> npt.NDArray[np.uint8]:
        turn, phase = rng.uniform(0, 2 * np.pi, 2)
        y, x = np.mgrid[:side, :side]
        wave = np.sin((x * np.cos(turn) + y * np.sin(turn)) * 2 * np.pi / PERIODS_PX[grade] + phase)
        return np.clip(120 + 45 * wave + 8 * rng.standard_normal((side, side)), 0, 255).astype(np.uint8)

    return draw


@pytest.fixture(scope="session")
def write_csv() -> Callable[..., None]:
    """Writes a CSV file: header and rows."""

    def write(path: Path, header: str, rows: Sequence[Sequence[object]], *, encoding: str = "utf-8") -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="", encoding=encoding) as file:
            writer = csv.writer(file)
            writer.writerow(header.split(","))
            writer.writerows(rows)

    return write


@pytest.fixture(scope="session")
def draw_data(draw_texture, write_csv) -> Callable[..., Path]:
    """Writes a data set of drawn textures, two raters each, and gives its folder."""

    def draw(folder: Path, patches: int = 120, *, side: int = 36, subjects: int = 12, seed: int = 0) -> Path:
        rng = np.random.default_rng(seed)
        rows = []
        (folder / "patches").mkdir(parents=True)
        for number in range(patches):
            grade, path = number % GRADES, f"patches/t{number:04d}.png"
            (folder / path).write_bytes(cv2.imencode(".png", draw_texture(grade, rng, side))[1].tobytes())
            rows += [(path, grade, f"s{number % subjects:02d}", rater, 0.5) for rater in ("anna", "bela")]
        write_csv(folder / "scores.csv", "path,score,subject,rater,um_per_px", rows)
        return folder

    return draw


@pytest.fixture(scope="session")
def tiny() -> NetworkConfig:
    return NetworkConfig(
        grades=("0", "1", "2"), kernels=(4, 3), strides=(2, 2), widths=(16, 16), patch_px=32, hidden=16
    )


@pytest.fixture(scope="session")
def make_patches() -> Callable[..., ScoredPatches]:
    """Builds a data set in memory from scores, subjects and so on; every image differs."""

    def make(
        scores: Sequence[Sequence[int]],
        *,
        paths: Sequence[str] | None = None,
        subjects: Sequence[str] | None = None,
        splits: Sequence[str | None] | None = None,
        grades: int = 5,
        ordered: bool = True,
    ) -> ScoredPatches:
        count = len(scores)
        paths = paths or [f"p{number:04d}.png" for number in range(count)]
        subjects = subjects or paths
        splits = splits or [None] * count
        patches = tuple(
            ScoredPatch(path, None, tuple(some), tuple(f"r{r}" for r in range(len(some))), subject, split, 0.5, ordered)
            for path, some, subject, split in zip(paths, scores, subjects, splits, strict=True)
        )
        hashes = tuple(hashlib.sha256(str(number).encode()).hexdigest() for number in range(count))
        return ScoredPatches(
            patches,
            tuple(np.full((4, 4), number % 251, np.uint8) for number in range(count)),
            hashes,
            hashes,
            tuple(str(grade) for grade in range(grades)),
            synthetic=False,
            notes=(),
        )

    return make


@dataclass(frozen=True)
class Trained:
    """A finished run of the tiny network and all that went into it."""

    run: Path
    folder: Path
    data: ScoredPatches
    parts: tuple[str, ...]
    settings: FitSettings
    network: TextureNetwork
    said: tuple[str, ...]


@pytest.fixture(scope="session")
def train_tiny(tiny) -> Callable[..., Trained]:
    """Trains the tiny network on a folder of drawn textures."""

    def train(folder: Path, run: Path, settings: FitSettings) -> Trained:
        data = read_scored_patches(folder, patch_px=tiny.patch_px, model_um_per_px=tiny.um_per_px)
        parts = split_patches(data, settings.split, settings.seed)
        said: list[str] = []
        network = fit(data, parts, tiny, settings, run, source=folder, progress=lambda *_step: None, say=said.append)
        return Trained(run, folder, data, parts, settings, network, tuple(said))

    return train


@pytest.fixture(scope="session")
def trained(tmp_path_factory, draw_data, train_tiny) -> Trained:
    folder = draw_data(tmp_path_factory.mktemp("textures"), patches=240)
    return train_tiny(folder, tmp_path_factory.mktemp("runs") / "tiny", FitSettings(epochs=12, batch=32, seed=7))


@pytest.fixture
def inflamap(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs the command as a user types it; gives exit code, stdout and stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        code = left.value.code
        assert isinstance(code, int)
        return code, said.out, said.err

    return run
