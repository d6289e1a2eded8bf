"""`inflamap bench`."""

import json
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import TYPE_CHECKING, Any

import click

from runtime.bundle import DEFAULT_BUNDLE, Bundle, open_bundle
from runtime.commands.finite_range import FiniteRange
from runtime.console import print_result, reporter
from runtime.engines.choice import AUTO
from runtime.engines.registry import ENGINE_NAMES, default_threads
from runtime.errors import CheckFailed, InflamapError, one_line
from runtime.machine import this_machine
from runtime.version import NOTICE, __version__

if TYPE_CHECKING:
    from benchmarks.engine_bench.choice import Choice
    from benchmarks.engine_bench.frames import Frames
    from benchmarks.engine_bench.report import EngineReport

ALL = "all"
TIMES = "an engine's own examination of a frame plus reading and writing as in every engine's turns"
# the microscope saves 9 frames/s
BUDGET_MS = 111.0


@click.command()
@click.argument("bundle_folder", metavar="[BUNDLE]", type=click.Path(path_type=Path), default=DEFAULT_BUNDLE)
@click.option("--images", type=click.Path(path_type=Path), help="Folder of images to time. Default: synthetic frames.")
@click.option("--um-per-px", type=FiniteRange(min=0, min_open=True), help="Sampling of the images.")
@click.option(
    "--budget-ms",
    type=FiniteRange(min=0, min_open=True),
    default=BUDGET_MS,
    show_default="111: 9 frames/s",
    help="What p95 of a frame may reach.",
)
@click.option("--engines", default=ALL, show_default=True, help=f"all or some of {','.join(ENGINE_NAMES)}.")
@click.option("--threads", type=click.IntRange(min=1), help="Cores to use at most. Default: half, 4 at most.")
@click.option(
    "--frames", "count", type=click.IntRange(1, 10_000), default=60, show_default=True, help="Frames timed an engine."
)
@click.option(
    "--footprint/--no-footprint",
    default=True,
    help="Measure memory and cores too, some seconds an engine. Default: yes.",
)
@click.option("--accept", "accepting", is_flag=True, help="Store the choice: `--engine auto` takes it on this machine.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def bench(
    bundle_folder: Path,
    images: Path | None,
    um_per_px: float | None,
    budget_ms: float,
    engines: str,
    threads: int | None,
    count: int,
    footprint: bool,
    accepting: bool,
    as_json: bool,
) -> None:
    """Choose the engine for BUNDLE (default: the one that ships) on this machine: right first, then fast.

    Every engine that is here has to reproduce the golden frames and keep the grades of held-out patches and frames;
    those that do are timed from file to results on disk. Ends with 1 when none keeps grades and budget.

    Results are written to a temporary folder and removed; set TMPDIR (Windows: TEMP) to time another disk.
    """
    names, required = _asked_for(engines)
    # OpenCV's and the engines' own imports are for whoever runs it, not for whoever lists the commands
    from benchmarks.engine_bench.choice import choose
    from benchmarks.engine_bench.footprint import SECONDS
    from benchmarks.engine_bench.frames import find_frames, paint_frames
    from benchmarks.engine_bench.measure import measure_engines, prove_engines

    bundle = open_bundle(bundle_folder)
    bundle.verify_files()
    threads = threads or default_threads()
    # a virus scanner may hold a file open for a moment after the last result
    with (
        TemporaryDirectory(prefix="inflamap-bench-", ignore_cleanup_errors=True) as scratch,
        reporter() as report,
    ):
        proofs = prove_engines(bundle, names, required, threads=threads, say=report.say)
        if images is None:
            frames = paint_frames(Path(scratch, "frames"), report.progress)
        else:
            frames = find_frames(images, count, um_per_px, lambda line: report.say(f"inflamap: {line}"))
        reports = measure_engines(
            bundle,
            proofs,
            frames,
            Path(scratch, "results"),
            count=count,
            threads=threads,
            footprint_s=SECONDS if footprint else 0.0,
            progress=report.progress,
        )
        choice = choose(reports, budget_ms)
        stored, fault = _store(bundle, choice, frames, threads, budget_ms, report.say) if accepting else (None, None)
    if as_json:
        document = _document(bundle, frames, reports, choice, count, threads, budget_ms)
        print_result(json.dumps({**document, "accepted": stored is not None}, indent=2, allow_nan=False))
    else:
        from benchmarks.engine_bench.table import notes, tables

        lines = [
            *_heading(bundle, frames, reports, count, threads),
            "",
            *tables(reports, bundle.manifest.gate.part),
            "",
            *notes(reports, choice),
        ]
        if stored is not None:
            lines.append(f"accepted: `--engine auto` takes it on this machine, see {stored}")
        elif choice.engine is not None and not accepting:
            lines.append("not stored: with --accept, `--engine auto` takes it on this machine")
        print_result("\n".join(map(one_line, lines)))
    if choice.engine is None:
        raise CheckFailed(choice.why, next_step=choice.next_step)
    if fault is not None:
        raise fault


def _asked_for(engines: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the engines to look at, and those of them that were asked for by name."""
    names = tuple(dict.fromkeys(name.strip() for name in engines.split(",") if name.strip()))
    unknown = [name for name in names if name not in (ALL, AUTO, *ENGINE_NAMES)]
    if unknown or not names:
        raise InflamapError(
            "--engines: no such engine",
            seen=", ".join(map(repr, unknown)) or "no name",
            wanted=f"{ALL} or some of {', '.join(ENGINE_NAMES)}, with commas between",
        )
    required = tuple(name for name in names if name in ENGINE_NAMES)
    return (required if len(required) == len(names) else ENGINE_NAMES), required


def _store(
    bundle: Bundle, choice: "Choice", frames: "Frames", threads: int, budget_ms: float, say: Callable[[str], None]
) -> tuple[Path | None, InflamapError | None]:
    """Where the choice was stored, if there is one, or why it could not be: what was measured is shown all the same."""
    from benchmarks.engine_bench.frames import SYNTHETIC
    from runtime.acceptance import Acceptance, accept, bundle_identity

    found = choice.engine
    if found is None or found.timing is None:
        return None, None
    frame_ms = found.timing.frame_ms
    acceptance = Acceptance(
        engine=found.engine,
        bundle=bundle_identity(bundle),
        machine=this_machine(),
        runs_on=found.runs_on or {},
        threads=threads,
        budget_ms=budget_ms,
        # the folder's name may be a patient's, and the bundle travels
        frames=SYNTHETIC if frames.source == SYNTHETIC else "own",
        figures={
            **{f"{name}_ms": value for name, value in asdict(frame_ms).items()},
            "frames_per_second": found.timing.frames_per_second,
        },
        version=__version__,
        accepted=datetime.now(UTC).replace(microsecond=0),
    )
    try:
        return accept(bundle, acceptance, say), None
    except InflamapError as fault:
        return None, fault


def _document(
    bundle: Bundle,
    frames: "Frames",
    reports: Sequence["EngineReport"],
    choice: "Choice",
    count: int,
    threads: int,
    budget_ms: float,
) -> dict[str, Any]:
    """What was measured, where, on what, and what came of it."""
    return {
        "bundle": str(bundle.folder),
        "model": {"name": bundle.manifest.name, "synthetic": bundle.manifest.synthetic},
        "gate_part": bundle.manifest.gate.part,
        "machine": _machine(),
        "frames": {
            "source": frames.source,
            "count": len(frames.paths),
            "sizes": [{"width": width, "height": height} for width, height in frames.sizes],
            "left_out": frames.left_out,
            "timed": count,
        },
        "results_in": gettempdir(),
        "times": f"frame_ms: {TIMES}; map_ms: the former alone",
        "threads": threads,
        "budget_ms": budget_ms,
        "engines": [found.to_json(budget_ms) for found in reports],
        "chosen": choice.engine.engine if choice.engine else None,
        "why": choice.why,
        "passed": choice.engine is not None,
        "version": __version__,
        "notice": NOTICE,
    }


def _heading(
    bundle: Bundle, frames: "Frames", reports: Sequence["EngineReport"], count: int, threads: int
) -> list[str]:
    """What was timed, where and on what."""
    from benchmarks.engine_bench.frames import SYNTHETIC
    from benchmarks.engine_bench.timing import WARM_UP_FRAMES

    machine, many = _machine(), len(frames.paths)
    sizes = ", ".join(f"{width}x{height}" for width, height in frames.sizes[:3])
    sizes += " px and other sizes" if len(frames.sizes) > 3 else " px"
    what = f"{many} synthetic" if frames.source == SYNTHETIC else f"{many} of the images in {frames.source}"
    below = {name: version for found in reports for name, version in (found.runs_on or {}).items()}
    return [
        f"model    {bundle.manifest.name}{', trained on synthetic images' if bundle.manifest.synthetic else ''}",
        f"bundle   {bundle.folder}",
        f"machine  {machine['processor']}, {machine['cpus']} cpus ({machine['architecture']}), {machine['system']}",
        f"run by   inflamap {__version__}, Python {machine['python']}, threads: {threads}",
        *([f"         {', '.join(f'{name} {version}' for name, version in below.items())}"] if below else []),
        f"frames   {what}, {sizes}; {count} timed an engine after {WARM_UP_FRAMES} to warm up",
        f"times    {TIMES}",
        f"results  written below {gettempdir()} and removed",
    ]


def _machine() -> dict[str, str | int]:
    """What the times hold for."""
    import onnxruntime

    machine = this_machine()
    return {
        "system": f"{machine.system} {platform.release()}",
        "processor": machine.processor,
        "architecture": machine.architecture,
        "cpus": machine.cpus,
        "python": platform.python_version(),
        "onnxruntime": onnxruntime.__version__,
    }
