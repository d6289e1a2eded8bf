"""`python -m benchmarks.cell_calibration`, see the package."""

import argparse
import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import benchmarks.cell_calibration as described
from benchmarks.cell_calibration.cells import KnownFrame, Reliability, mosaics, phantom_frames
from benchmarks.cell_calibration.spots import write_spots
from benchmarks.cell_calibration.temperatures import IMAGES, PATCHES, fit_temperatures
from benchmarks.child_process import exit_with
from runtime.console import Reporter, reporter
from runtime.dense_map import Geometry, dense_map
from trainer.dataset import read_scored_patches
from trainer.fit import fit
from trainer.network import NetworkConfig, TextureNetwork
from trainer.optimise import FitSettings
from trainer.parts import Part
from trainer.phantom import write_phantom
from trainer.predict import predict_with_engine
from trainer.split import split_patches
from trainer.torch_engine import TorchEngine

SIDE_PX = 200
STRIDE_PX = 16


@dataclass(frozen=True)
class Form:
    """The size of the data and the training, and the wanted figures.

    Attributes:
        images: of each data set.
        frames: phantom frames of known severity.
        epochs: of each training.
        limit: largest difference allowed between mean confidence and accuracy of cells on mosaics.
    """

    images: int
    frames: int
    epochs: int
    limit: float


SHORT, FULL = Form(600, 2, 8, 0.1), Form(2000, 12, 24, 0.06)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=described.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true", help="the form of docs/calibration.md")
    parser.add_argument("--work", type=Path, help="new folder for data, runs and found.json; temporary by default")
    parser.add_argument("--seed", type=int, default=0, help="of data and training")
    options = parser.parse_args()
    form = FULL if options.full else SHORT
    if options.work is not None:
        return show(options.work, form, options.seed)
    with tempfile.TemporaryDirectory() as folder:
        return show(Path(folder), form, options.seed)


def show(work: Path, form: Form, seed: int) -> int:
    """Draw, train, measure and print; 0 where confidence is within the limit of accuracy on all mosaics, else 1."""
    found = {}
    with reporter() as report:
        for name, write in (("phantom", _write_phantom), ("spots", _write_spots)):
            started = time.monotonic()
            write(work / name, form, seed)
            found[name] = measure(work / name, work / f"{name}-run", form, seed, report)
            report.say(f"{name}: {time.monotonic() - started:.0f} s")
    (work / "found.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print("\n\n".join(table(name, some) for name, some in found.items()))
    apart = {name: some[PATCHES]["mosaics"] for name, some in found.items()}
    missed = {name: cells for name, cells in apart.items() if abs(cells["confidence"] - cells["accuracy"]) > form.limit}
    for name, cells in missed.items():
        print(f"{name}: confidence {cells['confidence']}, accuracy {cells['accuracy']}; limit {form.limit} apart")
    return int(bool(missed))


def measure(data: Path, run: Path, form: Form, seed: int, report: Reporter) -> dict[str, Any]:
    """Train on a data set and compare the ways to fit the temperature; figures by the name of each."""
    network, val, held_out = _train(data, run, form, seed, report)
    config = network.config
    geometry = Geometry(config.patch_px, STRIDE_PX, config.um_per_px)
    tiled = mosaics(held_out, len(config.grades), geometry)
    frames = phantom_frames(data / "frames", geometry)
    found = {}
    for way, temperature in fit_temperatures(network, val).items():
        network.temperature.fill_(temperature)
        cells = {
            "mosaics": _reliability(network, tiled, inside=True),
            "across": _reliability(network, tiled, inside=False),
        }
        if frames:
            cells["frames"] = _reliability(network, frames, inside=True)
        found[way] = {"temperature": round(temperature, 4), **cells, "images": _image_accuracy(network, held_out)}
    return found


def _write_phantom(folder: Path, form: Form, seed: int) -> None:
    write_phantom(folder, patches=form.images, frames=form.frames, seed=seed, patch_px=SIDE_PX)


def _write_spots(folder: Path, form: Form, seed: int) -> None:
    write_spots(folder, form.images, SIDE_PX, seed)


def _train(data: Path, run: Path, form: Form, seed: int, report: Reporter) -> tuple[TextureNetwork, Part, Part]:
    base = NetworkConfig()
    patches = read_scored_patches(data, patch_px=base.patch_px, model_um_per_px=base.um_per_px)
    parts = split_patches(patches, "random", seed)
    network = fit(
        patches,
        parts,
        NetworkConfig(grades=patches.grades),
        FitSettings(epochs=form.epochs, seed=seed),
        run,
        source=data,
        progress=report.progress,
        say=report.say,
    )
    return network, Part.of(patches, parts, "val"), Part.of(patches, parts, "test")


def _reliability(network: TextureNetwork, frames: list[KnownFrame], *, inside: bool) -> dict[str, Any]:
    engine, config = TorchEngine(network, STRIDE_PX), network.config
    geometry = Geometry(config.patch_px, STRIDE_PX, config.um_per_px)
    maps = [dense_map(frame.pixels, engine, geometry) for frame in frames]
    return Reliability.of(maps, frames, inside=inside).to_json()


def _image_accuracy(network: TextureNetwork, held_out: Part) -> dict[str, float]:
    """Accuracy of images by their mean logits, as `inflamap evaluate`, and by the mean probability of all positions."""
    engine, geometry = TorchEngine(network, network.config.total_stride), network.config.geometry
    by_logits = torch.from_numpy(predict_with_engine(held_out.pixels, engine, geometry))
    cells = [dense_map(pixels, engine, geometry).probabilities for pixels in held_out.pixels]
    by_probability = torch.stack([torch.from_numpy(some).mean((1, 2)) for some in cells])

    def right(found: torch.Tensor) -> float:
        return float((found.argmax(1) == held_out.grades).float().mean())

    return {
        "accuracy": round(right(by_logits), 4),
        "confidence": round(float(by_logits.amax(1).mean()), 4),
        "accuracy_by_mean_probability": round(right(by_probability), 4),
    }


def table(name: str, found: dict[str, Any]) -> str:
    """Return a data set's figures as Markdown: a row for each way, then cells of the mosaics by their confidence."""
    kinds = [kind for kind in ("mosaics", "across", "frames") if kind in found[PATCHES]]
    head = ["fitted by", "temperature", *(f"{kind}: confidence, accuracy, ECE" for kind in kinds)]
    head += ["images: accuracy by mean logits, mean probability"]
    lines = [f"### {name}", "", _row(head), _row(["---"] * len(head))]
    for way, some in found.items():
        figures = [f"{some[k]['confidence']:.3f}, {some[k]['accuracy']:.3f}, {some[k]['ece']:.3f}" for k in kinds]
        images = f"{some['images']['accuracy']:.3f}, {some['images']['accuracy_by_mean_probability']:.3f}"
        lines.append(_row([way, f"{some['temperature']:.2f}", *figures, images]))
    lines += ["", _row(["mosaics, fitted by", "confidence from", "share of cells", "confidence", "accuracy"])]
    lines.append(_row(["---"] * 5))
    for way in (IMAGES, PATCHES):
        for one in found[way]["mosaics"]["bins"]:
            shares = [f"{one[key]:.3f}" for key in ("share", "confidence", "accuracy")]
            lines.append(_row([way, f"{one['from']:.1f}", *shares]))
    return "\n".join(lines)


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    exit_with(main)
