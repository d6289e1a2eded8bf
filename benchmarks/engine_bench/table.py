"""What `inflamap bench` shows a person: an engine a row, within the width of a terminal."""

import textwrap
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias, TypeVar

from benchmarks.engine_bench.choice import Choice
from benchmarks.engine_bench.report import EngineReport
from benchmarks.microscope import FRAMES_PER_SECOND
from runtime.gate import GateFigures

WIDTH = 100
# what is copied from it, such as a path, stays in one piece
_AS_WRITTEN: dict[str, Any] = {"subsequent_indent": "    ", "break_long_words": False, "break_on_hyphens": False}
# a heading and a text for each engine
_Column: TypeAlias = list[str]
_T = TypeVar("_T")


def tables(reports: Sequence[EngineReport], part: str) -> list[str]:
    """Whether each engine keeps the grades, then how fast it is: the fastest first.

    Args:
        reports: what was found about each engine.
        part: of the data set that the gate's patches are from.
    """
    here = [found for found in reports if found.available]
    timed = sorted((found for found in here if found.mapped), key=lambda found: found.p50_ms)
    lines = _grades(here, part) if here else []
    return [*lines, "", *_speed(timed)] if timed else lines


def notes(reports: Sequence[EngineReport], choice: Choice) -> list[str]:
    """What the figures do not say by themselves; then the choice, on the last line."""
    lines = []
    for found in reports:
        if misses := found.misses():
            lines += [f"{found.engine} FAILED:", *(f"  {miss}" for miss in misses)]
    # much of it is the same for several
    engines: dict[str, list[str]] = {}
    for found in reports:
        for remark in _remarks(found):
            engines.setdefault(remark, []).append(found.engine)
    lines += [f"{_together(names)}: {remark}" for remark, names in engines.items()]
    wrapped = [part for line in lines for part in textwrap.wrap(line, WIDTH, **_AS_WRITTEN)]
    chosen = choice.engine.engine if choice.engine else "none"
    return [*wrapped, *([""] if lines else []), f"chosen: {chosen}: {choice.why}"]


def _remarks(found: EngineReport) -> Iterator[str]:
    if found.missing is not None:
        yield f"not here: {found.missing}"
    if found.judgement and found.judgement.mosaics:
        yield "judged on mosaics of the bundle's patches too, for FP32 shows too few cells of these frames"
    if found.judgement and found.judgement.verdict and not found.judgement.verdict.strangers.patches:
        yield "what it withholds was not put to the test, for FP32 finds even shuffled pixels familiar"
    if timing := found.timing:
        if timing.unmapped == timing.timed:
            yield (
                "EVERY frame was withheld before a map was computed, so that no time says anything: "
                f"{timing.withheld_reason}"
            )
        elif timing.withheld:
            unmapped = f", {timing.unmapped} of them before a map was computed" if timing.unmapped else ""
            yield f"{timing.withheld} of {timing.timed} frames withheld{unmapped}: {timing.withheld_reason}"
    if found.footprint and found.footprint.reached_fps < FRAMES_PER_SECOND:
        yield (
            f"memory and cores are at {found.footprint.reached_fps:g} frames/s; it does not reach "
            f"{FRAMES_PER_SECOND:g} one frame after another (the watch writes while it scores)"
        )
    if found.footprint_fault:
        yield found.footprint_fault


def _together(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _grades(reports: Sequence[EngineReport], part: str) -> list[str]:
    verdicts = [found.judgement.verdict if found.judgement else None for found in reports]
    patches = [verdict.patches if verdict else None for verdict in verdicts]
    frames = [verdict.frames if verdict else None for verdict in verdicts]
    golden = [found.golden for found in reports]

    def unchanged(figures: Sequence[GateFigures | None]) -> _Column:
        return _column("unchanged", figures, lambda figure: figure.unchanged, ".4f")

    # where grades have no order, of the class probabilities and not of the expected grade
    moved = "distance" if any(figures and figures.shift is None for figures in patches) else "shift"

    def shift(figures: Sequence[GateFigures | None]) -> _Column:
        return _column(moved, figures, lambda figure: figure.movement, ".4f")

    return _aligned(
        _engines(reports),
        [
            ("", [["grades", *("kept" if found.keeps_grades else "FAILED" for found in reports)]]),
            (
                "golden frames",
                [
                    _column("differ by", golden, lambda check: check.difference, ".1e"),
                    _column("allowed", golden, lambda check: check.tolerance, ".1e"),
                ],
            ),
            (
                # where none were held out, they are those that the training was chosen by
                "held-out patches" if part == "test" else f"patches of {part}",
                [unchanged(patches), shift(patches), _column("kappa", patches, lambda figure: figure.kappa, ".4f")],
            ),
            ("whole frames", [unchanged(frames), shift(frames)]),
            ("INT8", [_column("share", verdicts, lambda verdict: verdict.int8_share, ".2f")]),
        ],
    )


def _speed(reports: Sequence[EngineReport]) -> list[str]:
    timings, taken = [found.timing for found in reports], [found.footprint for found in reports]
    return _aligned(
        _engines(reports),
        [
            (
                "frame to disk, ms",
                [
                    _column("p50", timings, lambda timing: timing.frame_ms.p50, ".1f"),
                    _column("p95", timings, lambda timing: timing.frame_ms.p95, ".1f"),
                    _column("p99", timings, lambda timing: timing.frame_ms.p99, ".1f"),
                ],
            ),
            ("frames", [_column("per s", timings, lambda timing: timing.frames_per_second, ".1f")]),
            (
                "map alone, ms",
                [
                    _column("p50", timings, lambda timing: timing.map_ms.p50, ".1f"),
                    _column("p95", timings, lambda timing: timing.map_ms.p95, ".1f"),
                ],
            ),
            ("peak", [_column("memory", taken, lambda footprint: footprint.peak_memory_mb, ".0f", " MB")]),
            ("cores at", [_column("9 per s", taken, lambda footprint: footprint.cores_at_9_fps, ".2f")]),
            ("score", [_column("off FP32", timings, lambda timing: timing.score_difference, ".1e")]),
        ],
    )


def _engines(reports: Sequence[EngineReport]) -> _Column:
    return ["engine", *(found.engine for found in reports)]


def _column(
    header: str, found: Sequence[_T | None], figure: Callable[[_T], float | None], form: str, unit: str = ""
) -> _Column:
    """A column of the table; a dash where there is nothing to show."""
    figures = [None if one is None else figure(one) for one in found]
    return [header, *("-" if value is None else f"{value:{form}}{unit}" for value in figures)]


def _aligned(engines: _Column, groups: Sequence[tuple[str, Sequence[_Column]]]) -> list[str]:
    """Lines of text: the engines on the left, then groups of columns, each below its title."""
    blocks = [["", *engines]]
    for title, columns in groups:
        widths = [max(map(len, column)) for column in columns]
        rows = [" ".join(map(str.rjust, row, widths)) for row in zip(*columns, strict=True)]
        width = max(len(title), len(rows[0]))
        # a title over one column ends where it does
        blocks.append(
            [title.rjust(width) if len(columns) == 1 else title.ljust(width), *(row.rjust(width) for row in rows)]
        )
    first, *others = blocks
    width = max(map(len, first))
    return ["   ".join(row).rstrip() for row in zip([text.ljust(width) for text in first], *others, strict=True)]
