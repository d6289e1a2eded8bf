"""Where each millisecond of a frame goes: the three threads' stages, the model's layers, and how cost grows.

    python -m benchmarks.speed.profile [--picture docs/performance-frame.svg] [--repeats N]

prints the tables of docs/performance.md and draws the stages. Stages are timed alone, in turns, on one thread.
"""

import argparse
import hashlib
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt

from benchmarks.child_process import exit_with
from benchmarks.engine_bench.frames import paint_frames
from benchmarks.speed.finer_stride import at_half_stride
from benchmarks.speed.layers import Layer, layers_of
from benchmarks.speed.ratio import seconds_in_turns
from runtime.analysis import analyse
from runtime.bundle import DEFAULT_BUNDLE, open_bundle
from runtime.bundle_files import FP32_MODEL
from runtime.dense_map import dense_map
from runtime.images import file_sha256, read_frame, to_model_scale
from runtime.images.opening import read_shared
from runtime.images.reader import frames_of
from runtime.map_file import encode_map
from runtime.model import Model
from runtime.outputs import write_result
from runtime.overlay import encode_jpeg
from runtime.patch_statistics import patch_statistics
from runtime.pictures import ImageLabel, draw
from runtime.python_child import python_command
from runtime.quality import judge
from runtime.scoring import examine, write_examined
from runtime.summary import sum_up

PRODUCT = 2048
# of a copy that no cache holds
COPIED_BYTES = 1 << 28


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--repeats", type=int, default=60)
    asked = parser.parse_args()
    # numpy's matrix product takes as many threads as it finds at its import
    if os.environ.get("OPENBLAS_NUM_THREADS") != "1":
        command = python_command("benchmarks.speed.profile", *sys.argv[1:])
        os.execve(sys.executable, command, {**os.environ, "OPENBLAS_NUM_THREADS": "1"})
    model = Model.load(open_bundle(DEFAULT_BUNDLE), threads=1)
    with TemporaryDirectory(prefix="inflamap-profile-") as name:
        place = Path(name)
        path = paint_frames(place / "frames", lambda _what, _done, _of: None).paths[0]
        stages = {
            thread: milliseconds(works, asked.repeats) for thread, works in frame_stages(path, place, model).items()
        }
        # decoding hashes the bytes as well
        stages["reading"]["decode and check"] -= stages["reading"]["hash it"]
        layers = layers_of(model.bundle.read_file(FP32_MODEL), 992, place)
        sizes = by_size(model)
    _print_stages(stages)
    _print_layers(layers)
    _print_sizes(sizes)
    if asked.picture:
        from benchmarks.speed.profile_picture import draw_stages

        draw_stages(stages, asked.picture)
    return 0


def frame_stages(path: Path, place: Path, model: Model) -> dict[str, dict[str, Callable[[], object]]]:
    """What each thread does for a frame, in its order."""
    geometry, manifest = model.bundle.geometry, model.bundle.manifest
    data = read_shared(path)
    frame = read_frame(path)
    pixels = to_model_scale(frame, geometry.um_per_px)
    found = dense_map(pixels, model.engine, geometry)
    seen = patch_statistics(pixels, geometry)
    analysis = analyse(frame, model)
    assert analysis.map is not None
    assert analysis.valid is not None
    score = sum_up([analysis], manifest.grading)
    picture = draw((analysis,), (None,), (), score, model, ImageLabel(path.name))
    overlay, maps = encode_jpeg(picture), [(analysis.map, analysis.valid)]
    map_file = encode_map(maps, path.name, manifest.grading)
    relative = PurePath(path.name)
    record = write_examined(examine(path, relative, model), relative, place / "results", model).to_json()
    return {
        "reading": {
            "read the file": lambda: read_shared(path),
            "hash it": lambda: hashlib.sha256(data),
            "decode and check": lambda: frames_of(data),
        },
        "scoring": {
            "run the model": lambda: dense_map(pixels, model.engine, geometry),
            "measure every patch": lambda: patch_statistics(pixels, geometry),
            "judge": lambda: judge(seen, found.unfamiliarity, manifest.quality),
        },
        "writing": {
            "hash the file again": lambda: file_sha256(path),
            "sum up": lambda: sum_up([analysis], manifest.grading),
            "draw": lambda: draw((analysis,), (None,), (), score, model, ImageLabel(path.name)),
            "encode the JPEG": lambda: encode_jpeg(picture),
            "encode the map": lambda: encode_map(maps, path.name, manifest.grading),
            "three durable files": lambda: write_result(
                place / "results", relative, overlay=overlay, map_file=map_file, record=record
            ),
        },
    }


def milliseconds(works: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median of each, in turns."""
    return {name: 1000 * seconds for name, seconds in seconds_in_turns(works, repeats).items()}


def by_size(model: Model) -> list[tuple[str, int, float]]:
    """(frame and stride, cells, ms of the map) of some sizes, and at half the stride."""
    rng = np.random.default_rng(0)
    finer, finer_geometry = at_half_stride(model.bundle, threads=1)
    found = []
    for side in (500, 1000, 2000, 4000):
        pixels: npt.NDArray[np.uint8] = rng.integers(0, 256, (side, side), np.uint8)
        for engine, geometry in ((model.engine, model.bundle.geometry), (finer, finer_geometry)):
            cells = geometry.cells(side) ** 2
            taken = milliseconds({"map": lambda e=engine, g=geometry, p=pixels: dense_map(p, e, g)}, 7)  # type: ignore[misc]
            found.append((f"{side}x{side} at {geometry.stride_px} px", cells, taken["map"]))
    return found


def _print_stages(stages: Mapping[str, Mapping[str, float]]) -> None:
    print("| thread | stage | ms |\n|---|---|---|")
    for thread, each in stages.items():
        for name, taken in each.items():
            print(f"| {thread} | {name} | {taken:.2f} |")
        print(f"| **{thread}** | | **{sum(each.values()):.1f}** |")


def _print_layers(layers: list[Layer]) -> None:
    left = np.random.default_rng(0).standard_normal((PRODUCT, PRODUCT), dtype=np.float32)
    product = milliseconds({"product": lambda: left @ left}, 9)["product"]
    source = np.zeros(COPIED_BYTES, np.uint8)
    target = np.ones_like(source)
    copied = milliseconds({"copy": lambda: np.copyto(target, source)}, 7)["copy"]
    rate, bandwidth = PRODUCT**3 / product / 1e6, 2 * COPIED_BYTES / copied / 1e6
    print(f"\nmatrix product: {rate:.1f} GMAC/s; copy: {bandwidth:.1f} GB/s read and written\n")
    print("| layer | 10⁶ MACs | ms | share of the product's rate | ms at that rate | MB moved | ms at the bandwidth |")
    print("|---|---|---|---|---|---|---|")
    for layer in layers:
        at_rate, at_bandwidth = layer.macs / rate / 1e6, layer.moved_bytes / bandwidth / 1e6
        share = f"{at_rate / layer.ms:.2f}" if layer.macs else ""
        print(
            f"| {layer.name} | {layer.macs / 1e6:.0f} | {layer.ms:.2f} | {share} | {at_rate:.2f} | "
            f"{layer.moved_bytes / 1e6:.0f} | {at_bandwidth:.2f} |"
        )


def _print_sizes(sizes: list[tuple[str, int, float]]) -> None:
    print("\n| frame | cells | ms | µs a cell |\n|---|---|---|---|")
    for name, cells, taken in sizes:
        print(f"| {name} | {cells} | {taken:.1f} | {1000 * taken / cells:.2f} |")


if __name__ == "__main__":
    exit_with(main)
