"""Shows that nothing is tuned to skin: brick, grass and gravel, told apart by the commands a user would type.

    python -m benchmarks.real_textures [--work DIR]

Cuts patches from the three photographs that scikit-image brings with it: those to train on, to choose by and to judge
by come from strips of each photograph that have no pixel in common. Trains with nominal grades, evaluates, and ends
with 1 when the accuracy is below the limit. About a minute on two cores. Patches of one strip overlap, so that the
interval that `inflamap evaluate` gives is too narrow here, and none is shown.
"""

import argparse
import csv
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE

import cv2
import numpy as np
import numpy.typing as npt
import skimage

from benchmarks.child_process import exit_with, python_module, run_child
from runtime.errors import InflamapError
from runtime.images import read_frame
from trainer.network import NetworkConfig

TEXTURES = ("brick", "grass", "gravel")
SIDE_PX = 512
STEP_PX = 16
EPOCHS = 16
LIMIT = 0.99


@dataclass(frozen=True)
class Place:
    """Where in a photograph a patch lies: its part of the data, and its top-left pixel."""

    part: str
    x: int
    y: int


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, help="new folder for data and run; a temporary one by default")
    chosen = parser.parse_args().work
    if chosen is not None:
        return show(chosen)
    with tempfile.TemporaryDirectory() as folder:
        return show(Path(folder))


def show(work: Path) -> int:
    """Cut, train, evaluate and judge; 0 where the limit is kept, else 1."""
    data, run, split = work / "textures", work / "run", work / "split.csv"
    write_textures(data, split, NetworkConfig().patch_px)
    # photographs have no µm: any scale will do that is the model's own
    scale = ("--um-per-px", NetworkConfig().um_per_px)
    inflamap("train", data, "--out", run, "--split", split, "--loss", "cross-entropy", *scale, "--epochs", EPOCHS)
    found = json.loads(inflamap("evaluate", run, data, *scale, "--json"))
    accuracy = found["accuracy"]["value"]
    print(
        f"{', '.join(TEXTURES)}: accuracy {accuracy:.4f} on {found['patches']} patches of strips never trained on; "
        f"limit {LIMIT:g}"
    )
    return int(not accuracy >= LIMIT)


def write_textures(folder: Path, split: Path, patch_px: int) -> None:
    """Write one sub-folder of patches per texture, and a split file with the columns `path,split`."""
    rows = []
    for texture in TEXTURES:
        photograph = bundled(texture)
        (folder / texture).mkdir(parents=True)
        for place in places(patch_px):
            path = f"{texture}/{place.part}-x{place.x:03d}-y{place.y:03d}.png"
            patch = photograph[place.y : place.y + patch_px, place.x : place.x + patch_px]
            (folder / path).write_bytes(cv2.imencode(".png", patch)[1].tobytes())
            rows.append((path, place.part))
    with split.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "split"))
        writer.writerows(rows)


def bundled(texture: str) -> npt.NDArray[np.uint8]:
    """A photograph, uint8 [512, 512], from scikit-image's own folder: its functions would download what is missing.

    Raises:
        InflamapError: it is not there.
    """
    path = Path(skimage.__file__).parent / "data" / f"{texture}.png"
    if not path.is_file():
        raise InflamapError(f"{path}: no such file", wanted="a scikit-image that brings it, as 0.26 does")
    return read_frame(path).pixels.astype(np.uint8)


def places(patch_px: int) -> list[Place]:
    """Where patches are cut: from a strip to train on, one as wide as a patch to choose by, and one to judge by."""
    train_px = (SIDE_PX - patch_px) // 2
    strips = (("train", 0, train_px), ("val", train_px, train_px + patch_px), ("test", train_px + patch_px, SIDE_PX))
    return [
        Place(part, x, y)
        for part, left, right in strips
        for x in range(left, right - patch_px + 1, STEP_PX)
        for y in range(0, SIDE_PX - patch_px + 1, STEP_PX)
    ]


def inflamap(*arguments: object) -> str:
    """Run one command, its progress on this terminal; what it printed on stdout."""
    done = run_child(python_module("runtime.cli", *arguments), check=True, stdout=PIPE)
    return str(done.stdout.decode())


if __name__ == "__main__":
    exit_with(main)
