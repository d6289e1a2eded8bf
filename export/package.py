"""A finished run as a bundle: exported, compared with the trained network, measured, written as one folder."""

import hashlib
import json
import platform
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import torch

from export.calibration import Run, read_calibration_patches, read_run
from export.onnx_graph import PARITY, check_parity, to_onnx
from export.scale_range import measure_scale_range
from runtime.bundle import GoldenFrames, abbreviate, open_bundle
from runtime.bundle_files import FP32_MODEL, GOLDEN_FILE, MANIFEST_FILE, TRAINING_PATCHES_FILE
from runtime.dense_map import Geometry
from runtime.engines.onnxruntime_cpu import OnnxRuntimeEngine
from runtime.engines.registry import default_threads, open_engine
from runtime.errors import InflamapError
from runtime.manifest import FORMAT
from runtime.outputs import check_output_folder, said_plainly
from runtime.quality import QUALITY_VERSION, QualityLimits
from runtime.version import __version__
from trainer.network import NETWORK_VERSION, MapNetwork, TextureNetwork, load_network

# recorded in every bundle; raise it when export writes another graph or measures another way
EXPORT_VERSION = 1
DEFAULT_STRIDE_PX = 16


def export_bundle(
    run_folder: Path,
    out: Path,
    *,
    name: str | None = None,
    data: Path | None = None,
    stride_px: int = DEFAULT_STRIDE_PX,
    say: Callable[[str], None],
) -> None:
    """Write the bundle, whole or not at all.

    Args:
        run_folder: a finished run.
        out: the folder to write; an earlier bundle there is replaced.
        name: the bundle's; the run folder's name when None.
        data: where the run's data set is now; where it was when None.
        stride_px: pixels between neighbouring map cells.
        say: told what was measured.

    Raises:
        InflamapError: no finished run, no data to measure on, a stride the network cannot make, or a folder that is
            not a bundle in the way.
        CheckFailed: the exported model differs from the trained network.
    """
    _require_replaceable(out)
    run = read_run(run_folder)
    network = _load(run_folder)
    config = network.config
    if stride_px <= 0 or stride_px % config.total_stride:
        raise InflamapError("--stride", seen=stride_px, wanted=f"a positive multiple of {config.total_stride} px")
    geometry = Geometry(config.patch_px, stride_px, config.um_per_px)
    patches = read_calibration_patches(run, data, geometry)

    model = to_onnx(network, stride_px)
    frames = golden_images(patches, geometry)
    parity = check_parity(network, stride_px, model, patches, frames)
    say(
        f"torch against onnxruntime: probabilities differ by {parity.patches:.1e} on {len(patches)} patches, "
        f"{parity.frames:.1e} on {len(frames)} frames"
    )
    engine = OnnxRuntimeEngine(model, name="onnxruntime-fp32", precision="fp32", threads=default_threads())
    um_per_px_range, shifts = measure_scale_range(patches, engine, geometry)
    say(f"scores hold from {um_per_px_range[0]:.2f} to {um_per_px_range[1]:.2f} µm/px")

    files = {
        FP32_MODEL: model,
        GOLDEN_FILE: _golden(network, stride_px, frames).to_bytes(),
        TRAINING_PATCHES_FILE: "".join(f"{abbreviate(sha256)}\n" for sha256 in run.trained_on()).encode(),
    }
    manifest = {
        "format": FORMAT,
        "name": name or run_folder.resolve().name,
        "grades": list(config.grades),
        "patch_px": config.patch_px,
        "stride_px": stride_px,
        "um_per_px": config.um_per_px,
        "um_per_px_range": list(um_per_px_range),
        "files": {file: hashlib.sha256(content).hexdigest() for file, content in files.items()},
        "training": _training(run),
        "metrics": {
            FP32_MODEL: {"parity": asdict(parity), "parity_patches": len(patches)},
            "scale": {"mean_abs_shift_grades": shifts, "patches": len(patches)},
        },
        "golden": {"file": GOLDEN_FILE, "tolerance": {FP32_MODEL: PARITY}},
        "quality": asdict(QualityLimits()),
        "synthetic": run.document["data"]["synthetic"],
    }
    _write(out, {**files, MANIFEST_FILE: (json.dumps(manifest, indent=2) + "\n").encode()})


def golden_images(patches: npt.NDArray[np.uint8], geometry: Geometry) -> npt.NDArray[np.uint8]:
    """Two frames of two by two patches: several cells, seams included, and every grey level that is usual.

    Args:
        patches: uint8 [N, 1, P, P], at least one.

    Returns:
        uint8 [2, 1, 2 P, 2 P].
    """
    chosen = np.linspace(0, len(patches) - 1, 8).astype(int)
    side = geometry.patch_px
    quads = patches[chosen, 0].reshape(2, 2, 2, side, side)
    frames: npt.NDArray[np.uint8] = quads.transpose(0, 1, 3, 2, 4).reshape(2, 1, 2 * side, 2 * side)
    return frames


def _load(run_folder: Path) -> TextureNetwork:
    try:
        return load_network(run_folder)
    except (OSError, ValueError, KeyError) as error:
        raise InflamapError(f"{run_folder}: no network", seen=error, next_step="train again") from error


def _golden(network: TextureNetwork, stride_px: int, frames: npt.NDArray[np.uint8]) -> GoldenFrames:
    """The trained network's own outputs: what every engine is held to."""
    with torch.inference_mode():
        probabilities, unfamiliarity = MapNetwork(network, stride_px).eval()(torch.from_numpy(frames))
    return GoldenFrames(frames, probabilities.numpy(), unfamiliarity.numpy())


def _training(run: Run) -> dict[str, Any]:
    """The contract's `training`, with nothing that names a folder or person."""
    document = run.document
    settings = dict(document["settings"])
    if settings["split"] not in {"random", "subject", "column"}:
        settings["split"] = "file"
    return {
        "data_sha256": document["data"]["sha256"],
        "parts": document["data"]["parts"],
        "split": settings["split"],
        "seed": settings["seed"],
        "settings": settings,
        "temperature": document["temperature"],
        "versions": {
            **document["versions"],
            "inflamap": __version__,
            "network": NETWORK_VERSION,
            "export": EXPORT_VERSION,
            "quality": QUALITY_VERSION,
            "onnx": onnx.__version__,
            "onnxruntime": onnxruntime.__version__,
            "python": platform.python_version(),
        },
    }


def _require_replaceable(out: Path) -> None:
    with said_plainly(out):
        if out.exists() and not (out.is_dir() and (not any(out.iterdir()) or (out / MANIFEST_FILE).exists())):
            raise InflamapError(
                f"{out}: is in the way",
                wanted="a new or empty folder, or a bundle to replace",
                next_step="give another --out",
            )
    check_output_folder(out, [])


def _write(out: Path, files: dict[str, bytes]) -> None:
    """Write a folder beside `out`, open it as the service will, and rename it: no half or unproven bundle is ever seen.

    Raises:
        CheckFailed: what was written does not reproduce the golden frames; an earlier bundle is left as it was.
        InflamapError: the disk refuses.
    """
    with said_plainly(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f"{out.name}.tmp-", dir=out.parent))
        earlier = temporary.with_name(f"{temporary.name}-earlier")
        try:
            for name, content in files.items():
                (temporary / name).write_bytes(content)
            # mkdtemp makes it private to this user; the service may run as another
            temporary.chmod(0o755)
            open_engine(open_bundle(temporary), threads=default_threads())
            # moved and not removed: where a file of it is held open, it stays whole
            if out.exists():
                out.rename(earlier)
            try:
                temporary.rename(out)
            except OSError:
                if earlier.exists():
                    earlier.rename(out)
                raise
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
            shutil.rmtree(earlier, ignore_errors=True)
