"""`inflamap bench`."""

import json
import os
import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any

import click

from benchmarks.frame_timing import (
    SYNTHETIC,
    WARM_UP_FRAMES,
    EngineReport,
    Frames,
    FrameTiming,
    find_frames,
    paint_frames,
    require_engines,
    time_engines,
)
from runtime.bundle import DEFAULT_BUNDLE, Bundle, open_bundle
from runtime.commands.finite_range import FiniteRange
from runtime.console import print_result, reporter
from runtime.engines.registry import AUTO, ENGINE_NAMES, default_threads, engine_called
from runtime.errors import CheckFailed, one_line
from runtime.version import NOTICE, __version__

MICROSCOPE_FRAMES_PER_SECOND = 9


@click.command()
@click.argument("bundle_folder", metavar="[BUNDLE]", type=click.Path(path_type=Path), default=DEFAULT_BUNDLE)
@click.option("--images", type=click.Path(path_type=Path), help="Folder of images to time. Default: synthetic frames.")
@click.option("--um-per-px", type=FiniteRange(min=0, min_open=True), help="Sampling of the images.")
@click.option("--budget-ms", type=FiniteRange(min=0, min_open=True), help="End with 1 when p95 is above this.")
@click.option("--engines", default=AUTO, show_default=True, help=f"auto or some of {','.join(ENGINE_NAMES)}.")
@click.option("--threads", type=click.IntRange(min=1), help="Cores to use at most. Default: half, 4 at most.")
@click.option(
    "--frames", "count", type=click.IntRange(1, 10_000), default=30, show_default=True, help="Frames timed an engine."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def bench(
    bundle_folder: Path,
    images: Path | None,
    um_per_px: float | None,
    budget_ms: float | None,
    engines: str,
    threads: int | None,
    count: int,
    as_json: bool,
) -> None:
    """Prove BUNDLE (default: the one that ships) on this machine, and time it from file to results on disk.

    Results are written to a temporary folder and removed; set TMPDIR (Windows: TEMP) to time another disk.
    """
    names = tuple(dict.fromkeys(name.strip() for name in engines.split(",") if name.strip()))
    require_engines(names)
    names = tuple(dict.fromkeys(map(engine_called, names)))
    bundle = open_bundle(bundle_folder)
    threads = threads or default_threads()
    # a virus scanner may hold a file open for a moment after the last result
    with (
        TemporaryDirectory(prefix="inflamap-bench-", ignore_cleanup_errors=True) as scratch,
        reporter() as report,
    ):
        if images is None:
            frames = paint_frames(Path(scratch, "frames"), report.progress)
        else:
            frames = find_frames(images, count, um_per_px, lambda line: report.say(f"inflamap: {line}"))
        reports = time_engines(
            bundle,
            names,
            frames,
            Path(scratch, "results"),
            count=count,
            threads=threads,
            progress=report.progress,
        )
    faults = [
        fault for fault in (_golden_fault(reports), _result_fault(reports), _budget_fault(reports, budget_ms)) if fault
    ]
    if as_json:
        found = _document(bundle, frames, reports, count, threads)
        document = {**found, "budget_ms": budget_ms, "passed": not faults, "version": __version__, "notice": NOTICE}
        print_result(json.dumps(document, indent=2, allow_nan=False))
    else:
        kept = [f"budget of {budget_ms:g} ms for p95 of a frame: kept"] if budget_ms and not faults else []
        lines = [*_heading(bundle, frames, count, threads), "", *_table(reports), "", *_notes(reports), *kept]
        print_result("\n".join(map(one_line, lines)))
    for fault in faults[:-1]:
        click.echo(f"inflamap: {fault}", err=True)
    if faults:
        raise faults[-1]


def _golden_fault(reports: Sequence[EngineReport]) -> CheckFailed | None:
    failed = [found.engine for found in reports if not found.golden.passed]
    if not failed:
        return None
    return CheckFailed(
        "golden frames",
        seen=f"failed by {', '.join(failed)}",
        wanted="the outputs recorded at export",
        next_step="see the reason given with the results; do not use that engine on this machine",
    )


def _result_fault(reports: Sequence[EngineReport]) -> CheckFailed | None:
    failed = [found.engine for found in reports if found.timing and not found.timing.repeatable]
    if not failed:
        return None
    return CheckFailed(
        "the same frame scored twice",
        seen=f"two mean scores by {', '.join(failed)}",
        wanted="the same one",
        next_step="do not use that engine on this machine, and report its processor",
    )


def _budget_fault(reports: Sequence[EngineReport], budget_ms: float | None) -> CheckFailed | None:
    """Why the budget is not kept, or not shown to be: frames that no map was computed for keep any budget."""
    timed = [(found.engine, found.timing) for found in reports if found.timing]
    if budget_ms is None or not timed:
        return None
    over = [f"{name} {timing.frame_ms.p95:.1f} ms" for name, timing in timed if timing.frame_ms.p95 > budget_ms]
    if over:
        return CheckFailed(
            "p95 of frame_ms is above the budget",
            seen=", ".join(over),
            wanted=f"at most {budget_ms:g} ms",
            next_step="close other programs, or try more --threads, another engine or a faster machine",
        )
    if all(timing.unmapped == timing.timed for _name, timing in timed):
        return CheckFailed(
            "the budget was not checked",
            seen="every frame was withheld before a map was computed",
            wanted="frames that are mapped",
            next_step="give --um-per-px, or other --images",
        )
    return None


def _document(
    bundle: Bundle, frames: Frames, reports: Sequence[EngineReport], count: int, threads: int
) -> dict[str, Any]:
    """What was timed, where, on what, and what was found."""
    return {
        "bundle": str(bundle.folder),
        "model": {"name": bundle.manifest.name, "synthetic": bundle.manifest.synthetic},
        "machine": _machine(),
        "frames": {
            "source": frames.source,
            "count": len(frames.paths),
            "sizes": [{"width": width, "height": height} for width, height in frames.sizes],
            "left_out": frames.left_out,
            "timed": count,
        },
        "results_in": gettempdir(),
        "threads": threads,
        "engines": [found.to_json() for found in reports],
    }


def _heading(bundle: Bundle, frames: Frames, count: int, threads: int) -> list[str]:
    """What was timed, where and on what."""
    machine, many = _machine(), len(frames.paths)
    sizes = ", ".join(f"{width}x{height}" for width, height in frames.sizes[:3])
    sizes += " px and other sizes" if len(frames.sizes) > 3 else " px"
    what = f"{many} synthetic" if frames.source == SYNTHETIC else f"{many} of the images in {frames.source}"
    return [
        f"model    {bundle.manifest.name}{', trained on synthetic images' if bundle.manifest.synthetic else ''}",
        f"bundle   {bundle.folder}",
        f"machine  {machine['processor']}, {machine['cpus']} cpus ({machine['architecture']}), {machine['system']}",
        f"run by   inflamap {__version__}, Python {machine['python']}, onnxruntime {machine['onnxruntime']}, "
        f"threads: {threads}",
        f"frames   {what}, {sizes}; {count} timed an engine after {WARM_UP_FRAMES} to warm up",
        f"results  written below {gettempdir()} and removed",
    ]


def _table(reports: Sequence[EngineReport]) -> list[str]:
    """A column an engine: a terminal is narrower than its names beside all figures."""
    rows: list[list[str]] = [
        ["", *(found.engine for found in reports)],
        ["golden frames", *("passed" if found.golden.passed else "FAILED" for found in reports)],
        ["  largest difference", *(_figure(found.golden.difference, ".1e") for found in reports)],
        ["  tolerance", *(_figure(found.golden.tolerance, ".1e") for found in reports)],
    ]
    if any(found.timing for found in reports):
        rows += [
            _row("frame, file to disk    p50", reports, lambda timing: timing.frame_ms.p50, ".1f", " ms"),
            _row("                       p95", reports, lambda timing: timing.frame_ms.p95, ".1f", " ms"),
            _row("map alone              p50", reports, lambda timing: timing.map_ms.p50, ".1f", " ms"),
            _row("                       p95", reports, lambda timing: timing.map_ms.p95, ".1f", " ms"),
            _row("frames per second", reports, lambda timing: timing.frames_per_second, ".1f"),
        ]
    if sum(found.timing is not None for found in reports) > 1:
        rows.append(_row("mean score differs by", reports, lambda timing: timing.score_difference, ".1e"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["   ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]


def _row(
    label: str,
    reports: Sequence[EngineReport],
    value: Callable[[FrameTiming], float | None],
    form: str,
    unit: str = "",
) -> list[str]:
    """A line of the table about the engines that were timed."""
    return [label, *(_figure(value(found.timing) if found.timing else None, form, unit) for found in reports)]


def _figure(value: float | None, form: str, unit: str = "") -> str:
    return "-" if value is None else f"{value:{form}}{unit}"


def _notes(reports: Sequence[EngineReport]) -> list[str]:
    """What the figures do not say by themselves, a line each."""
    notes = []
    for found in reports:
        timing = found.timing
        if timing is None:
            notes.append(f"{found.engine}: not timed: {found.golden.reason}")
            continue
        if timing.unmapped == timing.timed:
            notes.append(
                f"{found.engine}: EVERY frame was withheld before a map was computed, so that these times say little: "
                f"{timing.withheld_reason}"
            )
            continue
        if timing.withheld:
            unmapped = f", {timing.unmapped} of them before a map was computed" if timing.unmapped else ""
            notes.append(
                f"{found.engine}: {timing.withheld} of {timing.timed} frames withheld{unmapped}: "
                f"{timing.withheld_reason}"
            )
        reaches = "reaches" if timing.frames_per_second >= MICROSCOPE_FRAMES_PER_SECOND else "does NOT reach"
        most = f"the microscope's most, {MICROSCOPE_FRAMES_PER_SECOND} frames/s"
        notes.append(f"{found.engine} {reaches} {most}, one frame after another (the watch writes while it scores)")
    return notes


def _machine() -> dict[str, str | int | None]:
    """What the times hold for."""
    import onnxruntime

    return {
        "system": f"{platform.system()} {platform.release()}",
        "processor": _processor(),
        "architecture": platform.machine(),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "onnxruntime": onnxruntime.__version__,
    }


def _processor() -> str:
    """The processor's name, which `platform` does not know on Linux."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            key, _colon, value = line.partition(":")
            if key.strip() == "model name" and value.strip():
                return value.strip()
    except OSError:
        pass
    return platform.processor() or "unknown processor"
