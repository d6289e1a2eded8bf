"""A finished run as a bundle: exported, compared with the trained network, quantised, gated, written as one folder."""

import hashlib
import json
import platform
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

from export.bundle_folder import require_replaceable, write_bundle
from export.engines import TENSORRT_ENGINES, judge_engines, require_tensorrt
from export.golden import answers, golden_frames, golden_images, tolerances
from export.models import Models, make_models
from export.onnx_graph import Parity, check_parity, to_onnx
from export.run_files import Run, read_run
from export.run_images import PartImages, mosaics, read_frames, read_part, rows_of
from export.scale_range import measure_scale_range
from runtime.bundle import Bundle, abbreviate
from runtime.bundle_arrays import GatePatches
from runtime.bundle_files import FP32_MODEL, GATE_FILE, GOLDEN_FILE, MANIFEST_FILE, TRAINING_PATCHES_FILE
from runtime.dense_map import Geometry
from runtime.engines.onnxruntime_cpu import OnnxRuntimeEngine
from runtime.engines.registry import ENGINE_NAMES, REFERENCE_ENGINE, default_threads
from runtime.errors import CheckFailed, InflamapError
from runtime.gate import Cells, GateSet
from runtime.gate_table import gate_table
from runtime.manifest import FORMAT, facts_of
from runtime.quality import QUALITY_VERSION, QualityLimits
from runtime.version import __version__
from trainer.network import NETWORK_VERSION, TextureNetwork, load_network

# recorded in every bundle; raise it when export writes another graph or measures another way
EXPORT_VERSION = 2
DEFAULT_STRIDE_PX = 16
# parity and scale are measured on patches that were chosen by, ranges are taken from patches that were trained on
MEASURED_PATCHES, CALIBRATION_PATCHES = 300, 400
# fewer training patches than this are shown in several orientations, of which skin has none
LEAST_CALIBRATION_PATCHES = 300
# the gate's patches travel in the bundle: some megabytes
GATE_PATCHES = 400


def export_bundle(
    run_folder: Path,
    out: Path,
    *,
    name: str | None = None,
    data: Path | None = None,
    stride_px: int = DEFAULT_STRIDE_PX,
    tensorrt: bool = False,
    say: Callable[[str], None],
) -> None:
    """Write the bundle, whole or not at all.

    A quantised file that does not keep the grades is left out of it, and an error ends the export after it was written.

    Args:
        run_folder: a finished run.
        out: the folder to write; an earlier bundle there is replaced.
        name: the bundle's; the run folder's name when None.
        data: where the run's data set is now; where it was when None.
        stride_px: pixels between neighbouring map cells.
        tensorrt: whether TensorRT's plans are built here too, and its engines judged.
        say: told what was measured.

    Raises:
        EngineMissing: TensorRT is asked for, and its package, driver or GPU is not here.
        InflamapError: no finished run, no data to measure on, a stride the network cannot make, or a folder that is
            not a bundle in the way.
        CheckFailed: the exported model differs from the trained network, or a quantised one does not keep its grades.
    """
    require_replaceable(out)
    if tensorrt:
        # asked at once, and not after minutes of work
        require_tensorrt()
    run = read_run(run_folder)
    network = _load(run_folder)
    config = network.config
    if stride_px <= 0 or stride_px % config.total_stride:
        raise InflamapError("--stride", seen=stride_px, wanted=f"a positive multiple of {config.total_stride} px")
    geometry, limits, threads = (
        Geometry(config.patch_px, stride_px, config.um_per_px),
        QualityLimits(),
        default_threads(),
    )
    measured = read_part(run, data, geometry, "val", MEASURED_PATCHES)
    trained = read_part(run, data, geometry, "train", CALIBRATION_PATCHES)
    held_out = read_part(run, data, geometry, "test" if rows_of(run, "test") else "val", GATE_PATCHES)

    graph = to_onnx(network, stride_px)
    images = golden_images(measured.patches)
    parity = check_parity(network, stride_px, graph, measured.patches[:, None], images)
    say(
        f"torch against onnxruntime: probabilities differ by {parity.patches:.1e} on {len(measured.patches)} patches, "
        f"{parity.frames:.1e} on {len(images)} frames"
    )
    reference = OnnxRuntimeEngine(graph, name=REFERENCE_ENGINE, precision="fp32", threads=threads)
    um_per_px_range, shifts = measure_scale_range(measured.patches[:, None], reference, geometry)
    say(f"scores hold from {um_per_px_range[0]:.2f} to {um_per_px_range[1]:.2f} µm/px")

    gate_patches = _gate_patches(network, stride_px, held_out)
    frames = read_frames(run, data, geometry, held_out.part)
    gate = GateSet.of(
        gate_patches.patches,
        gate_patches.medians,
        Cells(gate_patches.probabilities, gate_patches.unfamiliarity),
        frames or mosaics(held_out.patches),
        reference,
        geometry,
        limits,
    )
    calibration = calibration_images(trained, read_frames(run, data, geometry, "train"))
    models = make_models(graph, calibration, gate, threads=threads, say=say)
    if FP32_MODEL in models.missed:
        raise CheckFailed(
            f"{FP32_MODEL} does not grade as the trained network does",
            seen="; ".join(models.missed[FP32_MODEL].misses()),
            next_step="report the versions of torch, onnx and onnxruntime",
        )

    document: dict[str, Any] = {
        "format": FORMAT,
        "name": name or run_folder.resolve().name,
        "grades": list(config.grades),
        "patch_px": config.patch_px,
        "stride_px": stride_px,
        "um_per_px": config.um_per_px,
        "um_per_px_range": list(um_per_px_range),
        "training": _training(run),
        "quality": asdict(limits),
        "gate": {"file": GATE_FILE, "part": held_out.part},
        "synthetic": run.document["data"]["synthetic"],
    }
    golden = golden_frames(network, stride_px, images, facts_of(document))
    allowed = {file.name: tolerances(file.engine, golden) for file in models.files}
    files = {
        **{file.name: file.content for file in models.files},
        GOLDEN_FILE: golden.to_bytes(),
        GATE_FILE: gate_patches.to_bytes(),
        TRAINING_PATCHES_FILE: "".join(f"{abbreviate(sha256)}\n" for sha256 in run.trained_on()).encode(),
    }
    document |= {
        "files": {file: hashlib.sha256(content).hexdigest() for file, content in files.items()},
        "golden": {
            "file": GOLDEN_FILE,
            "tolerance": {file: probability for file, (probability, _) in allowed.items()},
            "unfamiliarity_tolerance": {file: unfamiliarity for file, (_, unfamiliarity) in allowed.items()},
        },
        "metrics": {
            **_file_metrics(models, parity, len(measured.patches)),
            "scale": {"mean_abs_shift_grades": shifts, "patches": len(measured.patches)},
            "calibration": {
                "part": trained.part,
                "patches": len(trained.patches),
                "images": sum(map(len, calibration)),
            },
            "gate": {
                "part": held_out.part,
                "patches": len(held_out.patches),
                "frames": len(gate.frames),
                "frames_are": "images of the part" if frames else "mosaics of the part's patches",
            },
        },
    }
    verdicts = models.verdicts()
    engines = [name for name in ENGINE_NAMES if tensorrt or not name.startswith(TENSORRT_ENGINES)]

    def prove(bundle: Bundle) -> None:
        verdicts.update(judge_engines(bundle, engines, gate, threads=threads, say=say))

    write_bundle(out, {**files, MANIFEST_FILE: (json.dumps(document, indent=2) + "\n").encode()}, prove)
    for line in gate_table(verdicts):
        say(line)
    _require_all(models, out)


def calibration_images(trained: PartImages, frames: tuple[npt.NDArray[np.uint8], ...]) -> list[npt.NDArray[np.uint8]]:
    """Batches to take the ranges from: the patches, in as many orientations as make up for few, and each frame.

    Returns:
        uint8 [N, 1, H, W] each.
    """
    patches = trained.patches
    turned = [
        np.rot90(mirrored, quarters, (1, 2)) for mirrored in (patches, patches[:, :, ::-1]) for quarters in range(4)
    ]
    wanted = -(-LEAST_CALIBRATION_PATCHES // len(patches))
    shown = np.concatenate(turned[: max(1, wanted)])
    return [np.ascontiguousarray(shown[:, None]), *(np.ascontiguousarray(frame[None, None]) for frame in frames)]


def _gate_patches(network: TextureNetwork, stride_px: int, held_out: PartImages) -> GatePatches:
    probabilities, unfamiliarity = answers(network, stride_px, held_out.patches[:, None])
    return GatePatches(held_out.patches, held_out.medians, probabilities[:, :, 0, 0], unfamiliarity[:, 0, 0])


def _require_all(models: Models, out: Path) -> None:
    if models.missed:
        raise CheckFailed(
            f"{', '.join(models.missed)}: not written",
            seen="; ".join(f"{name}: {', '.join(found.misses())}" for name, found in models.missed.items()),
            wanted="the grades of FP32",
            next_step=f"use {out} with the engines of the other files, or train again, longer or on more patches",
        )


def _file_metrics(models: Models, parity: Parity, patches: int) -> dict[str, dict[str, Any]]:
    found = {file.name: {"gate": file.verdict.to_json(), **file.made} for file in models.files}
    found[FP32_MODEL] |= {"parity": asdict(parity), "parity_patches": patches}
    return found


def _load(run_folder: Path) -> TextureNetwork:
    try:
        return load_network(run_folder)
    except (OSError, ValueError, KeyError) as error:
        raise InflamapError(f"{run_folder}: no network", seen=error, next_step="train again") from error


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
