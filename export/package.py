"""A finished run as a bundle: exported, compared with the trained network, quantised, gated, written as one folder."""

import dataclasses
import hashlib
import json
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from msgspec.structs import asdict, replace

from export.bundle_folder import require_replaceable, write_bundle
from export.engines import TENSORRT_ENGINES, Judged, judge_engines, require_tensorrt
from export.familiarity import FAMILIAR_PATCHES, OUTLIERS
from export.gates import GATE_PATCHES, gate_of, gate_patches
from export.golden import tolerances
from export.measurements import measure
from export.models import Models, make_models
from export.onnx_graph import Parity
from export.refused import images_to_refuse, require_withheld
from export.run_files import Run, read_run, refused_by
from export.run_images import PartImages, in_orientations, read_part, rows_of
from runtime.bundle import Bundle, abbreviate
from runtime.bundle_arrays import GoldenFrames
from runtime.bundle_files import FP32_MODEL, GATE_FILE, GOLDEN_FILE, MANIFEST_FILE, TRAINING_PATCHES_FILE
from runtime.dense_map import Geometry
from runtime.engines.registry import ENGINE_NAMES, default_threads
from runtime.errors import CheckFailed, InflamapError
from runtime.evenly import evenly
from runtime.gate import Verdict
from runtime.gate_set import GateSet
from runtime.gate_table import gate_table
from runtime.grading import check_quantity
from runtime.machine import this_machine
from runtime.manifest import FORMAT, facts_of
from runtime.quality import QUALITY_VERSION
from runtime.result import DEFAULT_QUANTITY
from runtime.version import __version__
from trainer.network import NETWORK_VERSION, TextureNetwork, load_network

# recorded in every bundle; raise it when export writes another graph or measures another way
EXPORT_VERSION = 5
DEFAULT_STRIDE_PX = 16
# ranges are taken from so many of the patches that were trained on
CALIBRATION_PATCHES = 400
# fewer than these are shown in several orientations
LEAST_CALIBRATION_IMAGES = 300


def export_bundle(
    run_folder: Path,
    out: Path,
    *,
    name: str | None = None,
    quantity: str = DEFAULT_QUANTITY,
    data: Path | None = None,
    stride_px: int = DEFAULT_STRIDE_PX,
    tensorrt: bool = False,
    refuse: Path | None = None,
    outliers: int = OUTLIERS,
    say: Callable[[str], None],
) -> None:
    """Write the bundle, whole or not at all.

    A quantised file that does not keep the grades is left out of it, and an error ends the export after it was written.

    Args:
        run_folder: a finished run.
        out: the folder to write; an earlier bundle there is replaced.
        name: the bundle's; the run folder's name when None.
        quantity: what an ordered score is called on overlay and page.
        data: where the run's data set is now; where it was when None.
        stride_px: pixels between neighbouring map cells.
        tensorrt: whether TensorRT's plans are built here too, and its engines judged.
        refuse: folder of images that must be withheld; the one that the run was trained with when None.
        outliers: how many procedural textures the out-of-distribution detector is fitted on.
        say: told what was measured.

    Raises:
        EngineMissing: TensorRT is asked for, and its package, driver or GPU is not here.
        InflamapError: no finished run, no data to measure on, a stride the network cannot make, a quantity that does
            not fit an overlay, or a folder that is not a bundle in the way.
        CheckFailed: the exported model differs from the trained network, a quantised one does not keep its grades, or
            an image of `refuse` would still be scored.
    """
    _require_quantity(quantity)
    require_replaceable(out)
    if tensorrt:
        # asked at once, and not after minutes of work
        require_tensorrt()
    run = read_run(run_folder)
    network = _load(run_folder)
    config = network.config
    if stride_px <= 0 or stride_px % config.total_stride:
        raise InflamapError("--stride", seen=stride_px, wanted=f"a positive multiple of {config.total_stride} px")
    geometry = Geometry(config.patch_px, stride_px, config.um_per_px)
    threads = default_threads()
    validation = read_part(run, data, geometry, "val", GATE_PATCHES)
    trained = read_part(run, data, geometry, "train", FAMILIAR_PATCHES)
    held_out = read_part(run, data, geometry, "test", GATE_PATCHES) if rows_of(run, "test") else validation

    refused = images_to_refuse(refuse, refused_by(run), geometry, report=say)
    measured = measure(network, geometry, trained, validation, refused, outliers=outliers, threads=threads, report=say)
    model, reference, limits = measured.model, measured.reference, measured.limits
    # before the rest of the work, and before anything is written
    require_withheld(refused, reference, geometry, limits)
    if refused:
        say(f"images to refuse: all {len(refused)} are withheld")

    # nothing is chosen by what was held out; where nothing was, there is but one part
    choosing = gate_of(validation, model, reference, geometry, limits)
    judging = choosing if held_out is validation else gate_of(held_out, model, reference, geometry, limits)
    calibration = calibration_images(trained)
    models = make_models(measured.graph, calibration, choosing, judging, threads=threads, say=say)
    _require_reference(models)

    golden = GoldenFrames(measured.golden, *model.answers(measured.golden))
    allowed = {file.name: tolerances(file.engine, golden, limits.unfamiliar) for file in models.files}
    document: dict[str, Any] = {
        "format": FORMAT,
        "name": name or run_folder.resolve().name,
        "grades": list(config.grades),
        "ordered": config.ordered,
        "quantity": quantity,
        "patch_px": config.patch_px,
        "stride_px": stride_px,
        "um_per_px": config.um_per_px,
        "um_per_px_range": [measured.scales.low, measured.scales.high],
        "training": _training(run),
        "quality": asdict(limits),
        "golden": {
            "file": GOLDEN_FILE,
            "tolerance": {file: probability for file, (probability, _) in allowed.items()},
            "unfamiliarity_tolerance": {file: unfamiliarity for file, (_, unfamiliarity) in allowed.items()},
        },
        "gate": {"file": GATE_FILE, "part": held_out.part},
        "synthetic": run.document["data"]["synthetic"],
    }
    files = {
        **{file.name: file.content for file in models.files},
        GOLDEN_FILE: replace(golden, facts=facts_of(document)).to_bytes(),
        GATE_FILE: gate_patches(judging).to_bytes(),
        TRAINING_PATCHES_FILE: "".join(f"{abbreviate(sha256)}\n" for sha256 in run.trained_on()).encode(),
    }
    document["files"] = {file: hashlib.sha256(content).hexdigest() for file, content in files.items()}
    document["metrics"] = {
        **_file_metrics(models, measured.parity, len(validation.patches)),
        **measured.figures,
        "calibration": {
            "part": trained.part,
            "patches": min(len(trained.patches), CALIBRATION_PATCHES),
            "frames": len(trained.frames),
            "images": sum(map(len, calibration)),
        },
        "chosen_by": _gate_metrics(validation, choosing),
        "gate": _gate_metrics(held_out, judging),
    }
    names = [name for name in ENGINE_NAMES if tensorrt or not name.startswith(TENSORRT_ENGINES)]
    judged: dict[str, Judged] = {}

    def prove(bundle: Bundle) -> bytes:
        judged.update(judge_engines(bundle, names, judging, threads=threads, say=say))
        document["metrics"]["engines"] = _engine_metrics(judged)
        return _as_json(document)

    write_bundle(out, {**files, MANIFEST_FILE: _as_json(document)}, prove)
    by = (
        "by which nothing was chosen"
        if held_out is not validation
        else "which was chosen by too, for nothing was held out"
    )
    say(f"held against FP32 on the {held_out.part} part, {by}:")
    for line in gate_table(
        _verdicts(models, validation.part) | {name: found.verdict for name, found in judged.items()}
    ):
        say(line)
    if (shown := sum(map(len, calibration))) < LEAST_CALIBRATION_IMAGES:
        say(f"calibrated on {shown} images, {LEAST_CALIBRATION_IMAGES} are wanted: the training part holds no more")
    _require_all(models, out)


def calibration_images(trained: PartImages) -> list[npt.NDArray[np.uint8]]:
    """Batches to take the ranges from: the patches, in as many orientations as make up for few, and each frame.

    Returns:
        uint8 [N, 1, H, W] each.
    """
    patches = trained.patches[evenly(len(trained.patches), CALIBRATION_PATCHES)]
    shown = in_orientations(patches, LEAST_CALIBRATION_IMAGES)
    return [shown[:, None], *(np.ascontiguousarray(frame[None, None]) for frame in trained.frames)]


def _require_reference(models: Models) -> None:
    if FP32_MODEL in models.missed:
        raise CheckFailed(
            f"{FP32_MODEL} does not grade as the trained network does",
            seen="; ".join(models.missed[FP32_MODEL].verdict.misses()),
            next_step="report the versions of torch, onnx and onnxruntime",
        )


def _require_all(models: Models, out: Path) -> None:
    if models.missed:
        raise CheckFailed(
            f"{', '.join(models.missed)}: not written",
            seen="; ".join(f"{name}: {', '.join(file.verdict.misses())}" for name, file in models.missed.items()),
            wanted="the grades of FP32",
            next_step=f"use {out} with the engines of the other files, or train again, longer or on more patches",
        )


def _file_metrics(models: Models, parity: Parity, patches: int) -> dict[str, dict[str, Any]]:
    found = {file.name: {"gate": file.verdict.to_json(), **file.made} for file in models.files}
    found[FP32_MODEL] |= {"parity": dataclasses.asdict(parity), "parity_patches": patches}
    # why a file is not there is worth knowing where it is missed
    missed = {
        name: {"gate": file.verdict.to_json(), "chosen": file.chosen, **file.made}
        for name, file in models.missed.items()
    }
    return found | ({"missed": missed} if missed else {})


def _gate_metrics(part: PartImages, gate: GateSet) -> dict[str, Any]:
    return {
        "part": part.part,
        "patches": len(part.patches),
        "images": len(gate.patches),
        "frames": len(gate.frames) - gate.mosaics,
        "mosaics": gate.mosaics,
        "strangers": len(gate.strangers),
    }


def _verdicts(models: Models, chosen_by: str) -> dict[str, Verdict]:
    """Of all files by name; for which none was found, it is told by which part that was."""
    missed = {name if file.chosen else f"{name} ({chosen_by})": file.verdict for name, file in models.missed.items()}
    return {file.name: file.verdict for file in models.files} | missed


def _engine_metrics(judged: dict[str, Judged]) -> dict[str, Any]:
    """What the engines did on the machine that exported, which need not be the microscope's."""
    return {"machine": asdict(this_machine()), **{name: found.to_json() for name, found in judged.items()}}


def _as_json(document: dict[str, Any]) -> bytes:
    return (json.dumps(document, indent=2) + "\n").encode()


def _require_quantity(quantity: str) -> None:
    try:
        check_quantity(quantity)
    except ValueError as error:
        raise InflamapError(f"--quantity: {error}", next_step="give a word or two, such as Inflammation") from error


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
        "um_per_px": document.get("options", {}).get("--um-per-px"),
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
