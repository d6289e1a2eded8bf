"""A small finished run with names that must not leave it, its graphs and its bundle."""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import hypothesis
import numpy as np
import numpy.typing as npt
import onnx
import pytest
import torch

from export import measurements, package
from export.familiarity import Familiarity, fit_familiarity
from export.map_network import MapNetwork
from export.onnx_graph import to_onnx
from export.ood_detector import ChannelMeans, fit_detector
from export.run_files import read_run
from export.run_images import read_part
from runtime.bundle import Bundle, open_bundle
from runtime.cli import main
from runtime.dense_map import Geometry
from trainer.dataset import read_scored_patches
from trainer.fit import fit
from trainer.network import NetworkConfig, TextureNetwork, load_network
from trainer.optimise import FitSettings
from trainer.split import split_patches

hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")

GRADES, PERIODS_PX = 3, (3.5, 6.0, 11.0)
PARTS = ("train", "train", "val", "test", "train")
# what is chosen by and held out are whole frames to a network that sees 32 px, each of one grade: cells between two
# grades, which a mosaic of patches has many of, are a coin's toss to a network as small as this one
SIDES_PX = {"train": 36, "val": 128, "test": 128}


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def draw_texture(grade: int, side: int, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Stripes in any direction, the coarser the higher the grade, under a camera's noise; uint8 [side, side]."""
    turn, phase = rng.uniform(0, 2 * np.pi, 2)
    y, x = np.mgrid[:side, :side]
    wave = np.sin((x * np.cos(turn) + y * np.sin(turn)) * 2 * np.pi / PERIODS_PX[grade] + phase)
    return np.clip(120 + 45 * wave + 8 * rng.standard_normal((side, side)), 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Finished:
    """A finished run: its folder, its data set, its network and geometry."""

    folder: Path
    data: Path
    network: TextureNetwork
    geometry: Geometry


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Trained on patches of persons, by a split file in a person's folder."""
    private = tmp_path_factory.mktemp("home") / "Erika Mustermann"
    data, rng = private / "scored", np.random.default_rng(0)
    (data / "Visite").mkdir(parents=True)
    scores, split = [], []
    for number in range(150):
        grade, part, path = number % GRADES, PARTS[number % len(PARTS)], f"Visite/Mustermann-{number:03d}.png"
        (data / path).write_bytes(cv2.imencode(".png", draw_texture(grade, SIDES_PX[part], rng))[1].tobytes())
        scores.append((path, grade, f"Patient-{number % 11}", "Dr-Who", 0.5))
        split.append((path, part))
    for name, header, rows in (
        ("scored/scores.csv", ("path", "score", "subject", "rater", "um_per_px"), scores),
        ("who.csv", ("path", "split"), split),
    ):
        with (private / name).open("w", newline="") as file:
            csv.writer(file).writerows([header, *rows])

    config = NetworkConfig(
        grades=("0", "1", "2"), kernels=(4, 3), strides=(2, 2), widths=(16, 16), patch_px=32, hidden=16
    )
    patches = read_scored_patches(data, patch_px=32, model_um_per_px=0.5)
    how = str(private / "who.csv")
    run = tmp_path_factory.mktemp("runs") / "tiny-run"
    fit(
        patches,
        split_patches(patches, how, 0),
        config,
        FitSettings(epochs=15, batch=16, seed=7, split=how),
        run,
        source=data,
        progress=lambda *_step: None,
        say=lambda _line: None,
    )
    return Finished(run, data, load_network(run), Geometry(32, 8, 0.5))


# enough for the textures of these tests, and drawn in a moment
OUTLIERS = 220


@pytest.fixture(scope="session")
def familiar(finished) -> dict[int, Familiarity]:
    """The run's network with a detector for each of three strides; each takes seconds to fit, so tests share them."""
    run = read_run(finished.folder)
    trained, validation = (read_part(run, None, finished.geometry, part, 400).patches for part in ("train", "val"))
    return {
        stride_px: fit_familiarity(
            finished.network, Geometry(32, stride_px, 0.5), trained, validation, outliers=OUTLIERS
        )
        for stride_px in (4, 8, 16)
    }


@pytest.fixture(scope="session")
def models(familiar) -> dict[int, MapNetwork]:
    """The same as they are deployed."""
    return {stride_px: found.model for stride_px, found in familiar.items()}


@pytest.fixture(scope="session")
def graphs(models) -> dict[int, bytes]:
    """Their graphs; each costs torch seconds, so tests share them."""
    return {stride_px: to_onnx(model) for stride_px, model in models.items()}


@pytest.fixture(scope="session")
def share(familiar, graphs) -> Callable[[pytest.MonkeyPatch], None]:
    """Hands shared detectors and graphs out where `export_bundle` would make them anew."""

    def install(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(
            measurements, "fit_familiarity", lambda _network, geometry, *_rest, **_options: familiar[geometry.stride_px]
        )
        patch.setattr(measurements, "to_onnx", lambda model: graphs[model.stride_px])

    return install


@pytest.fixture
def _shared_graphs(share, monkeypatch) -> None:
    share(monkeypatch)


@pytest.fixture(scope="session")
def bundle(finished, share, tmp_path_factory) -> Bundle:
    """The run's bundle at 8 px stride."""
    out = tmp_path_factory.mktemp("bundles") / "tiny"
    with pytest.MonkeyPatch.context() as patch:
        share(patch)
        package.export_bundle(finished.folder, out, stride_px=8, say=lambda _line: None)
    return open_bundle(out)


DEEP = NetworkConfig(grades=("0", "1"), kernels=(4, 3, 3), strides=(2, 2, 2), widths=(16, 16, 32), patch_px=48)


@pytest.fixture(scope="session")
def deep() -> MapNetwork:
    """Random weights, and a detector that looks at two layers."""
    torch.manual_seed(0)
    network = TextureNetwork(DEEP).eval()
    for layer in network.body:
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.2)
    rng = np.random.default_rng(0)
    levels = [ChannelMeans.of(network, rng.integers(0, top, (60, 48, 48), np.uint8), 8) for top in (256, 60, 256)]
    return MapNetwork(network, fit_detector(DEEP, *levels), 8)


@pytest.fixture(scope="session")
def deep_graph(deep) -> onnx.ModelProto:
    return onnx.load_from_string(to_onnx(deep))


@pytest.fixture
def inflamap(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs the command as a user types it; gives exit code, stdout and stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        assert isinstance(left.value.code, int)
        return left.value.code, said.out, said.err

    return run
