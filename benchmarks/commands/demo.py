"""`inflamap demo`: the other commands by name, as a user would type them, on synthetic skin."""

import importlib.util
import json
import shlex
import shutil
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from benchmarks.demo.steps import Steps
from runtime.bundle_files import MANIFEST_FILE
from runtime.console import print_result, reporter
from runtime.errors import CheckFailed, InflamapError
from runtime.output_folder import check_output_folder
from runtime.output_lock import is_held
from runtime.outputs import said_plainly, write_atomically
from runtime.version import NOTICE

if TYPE_CHECKING:
    from benchmarks.demo.figures import DemoFigures
    from benchmarks.rehearsal import Rehearsal

# enough for maps that one can believe, in a few minutes on two cores
PATCHES, FRAMES, EPOCHS = 1500, 12, 20
BENCH_FRAMES = 30
# far beyond the microscope's: the demo shows how any machine does
BENCH_BUDGET_MS = 1000
SAVED_FRAMES = 90
SETTLE_S = 1.0
# what the demo writes is small; a disk that is truly full still stops it
MIN_FREE_GB = 1
WIDTH = 100

SUMMARY_FILE, REPORT_FILE, TABLE_FILE = "inflamap-demo.json", "report.html", "results.csv"
_OURS = ("data", "run", "bundle", "microscope", "results")
# of the extras `train` and `export`
_NEEDED = ("torch", "safetensors", "onnx", "onnxscript")


@click.command()
@click.option(
    "--out",
    "folder",
    type=click.Path(path_type=Path),
    default=Path("inflamap-demo"),
    show_default=True,
    help="Folder for all of it; an earlier demo there is replaced.",
)
def demo(folder: Path) -> None:
    """Show all of it in a few minutes, on synthetic skin.

    Draws the skin, trains a network on it from scratch, exports it, benchmarks it, and watches a folder into which
    frames are being saved at the microscope's rate.
    """
    _require_extras()
    _clear(folder)
    # each command shows its own progress; a bar kept open here would get in its way
    steps = Steps(6, _say)
    _say("inflamap demo: draw synthetic skin, learn to score it, and watch a folder as the microscope fills it")
    evaluation, bench = _learn(steps, folder)
    rehearsal = _watch(steps, folder)
    _show(steps, folder, evaluation, bench, rehearsal)


def _learn(steps: Steps, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """From nothing to a bundle; the documents of `evaluate` and `bench`."""
    data, run, bundle = folder / "data", folder / "run", folder / "bundle"
    steps.begin("Draw synthetic skin of known severity")
    steps.inflamap("phantom", data, "--patches", PATCHES, "--frames", FRAMES)
    steps.end()

    steps.begin("Train a texture network from scratch")
    steps.inflamap("train", data, "--out", run, "--epochs", EPOCHS)
    steps.end()

    # what it imports is for whoever runs the demo, not for whoever lists the commands
    from benchmarks.demo.figures import agreement, frame_time

    steps.begin("Compare it with the raters, on patches it never saw")
    evaluation = json.loads(steps.inflamap("evaluate", run, data, "--json", into=folder / "evaluation.json"))
    steps.end(agreement(evaluation))

    steps.begin("Export it for the microscope's PC")
    # on patches as few as these an INT8 model may miss the gate; it is then left out of the bundle
    steps.inflamap("export", run, "--out", bundle, "--name", "demo", left=bundle / MANIFEST_FILE)
    steps.end()

    steps.begin("Prove it on each engine of this machine, and choose the fastest")
    quickly = ("--frames", BENCH_FRAMES, "--budget-ms", BENCH_BUDGET_MS, "--no-footprint")
    bench = json.loads(
        steps.inflamap(
            "bench", bundle, "--images", data / "frames", *quickly, "--accept", "--json", into=folder / "bench.json"
        )
    )
    steps.end(f"{bench['chosen']}: {bench['why']}; {frame_time(bench)}")
    return evaluation, bench


def _watch(steps: Steps, folder: Path) -> "Rehearsal":
    """The real watch, while frames are being saved."""
    from benchmarks.demo.figures import latency
    from benchmarks.microscope import FRAMES_PER_SECOND
    from benchmarks.rehearsal import rehearse

    results = folder / "results"
    steps.begin(f"Watch a folder into which frames are being saved, {FRAMES_PER_SECOND:g} a second")
    with reporter() as report:
        rehearsal = rehearse(
            [frame.read_bytes() for frame in _frames(folder)],
            folder / "microscope",
            results,
            ["--bundle", str(folder / "bundle"), "--min-free", str(MIN_FREE_GB)],
            per_second=FRAMES_PER_SECOND,
            count=SAVED_FRAMES,
            settle_s=SETTLE_S,
            log=folder / "watch.log",
            show=steps.show,
            progress=report.progress,
        )
    if rehearsal.recorded != rehearsal.saved:
        raise CheckFailed(
            f"{folder}: not every frame has its record",
            seen=f"{rehearsal.recorded} of {rehearsal.saved}",
            next_step=f"inflamap status --out {results}, and read {folder / 'watch.log'}",
        )
    steps.inflamap("results", "--out", results, "--csv", folder / TABLE_FILE)
    steps.end(latency(rehearsal))
    return rehearsal


def _show(
    steps: Steps, folder: Path, evaluation: dict[str, Any], bench: dict[str, Any], rehearsal: "Rehearsal"
) -> None:
    """The page, and the summary on stdout."""
    from benchmarks.demo.figures import DemoFigures
    from benchmarks.demo.page import demo_page
    from benchmarks.demo.truth import against_truth
    from benchmarks.microscope import STACK
    from runtime.bundle import open_bundle

    results, bundle = folder / "results", open_bundle(folder / "bundle")
    truths = [against_truth(frame, results, STACK / frame.name, bundle) for frame in _frames(folder)]
    found = DemoFigures(evaluation, bench, rehearsal, truths, steps.seconds)
    left = [
        ("report", folder / REPORT_FILE, "to open in a browser"),
        ("results", results / STACK, "overlay, map and record of each frame"),
        ("all scores", folder / TABLE_FILE, "a table"),
        ("the model", bundle.folder, "a bundle, for --bundle"),
    ]
    places = [(name, f"{shlex.quote(str(place))} ({what})") for name, place, what in left]
    write_atomically(folder / REPORT_FILE, demo_page(found, places, steps.commands))
    write_atomically(folder / SUMMARY_FILE, (json.dumps(found.to_json(), indent=2) + "\n").encode())
    print_result("\n".join(_summary(found, places)))


def _summary(found: "DemoFigures", places: Sequence[tuple[str, str]]) -> list[str]:
    minutes, seconds = divmod(round(found.seconds), 60)
    return [
        "",
        f"Done in {minutes} min {seconds} s. All of it is synthetic: inflamap draws skin, raters and severity itself.",
        "",
        *_entries(found.lines()),
        "",
        "Look at",
        "",
        *_entries(places),
        "",
        *textwrap.wrap(NOTICE, WIDTH),
    ]


def _entries(lines: Sequence[tuple[str, str]]) -> list[str]:
    """Name and text, wrapped and aligned."""
    indent = " " * 14
    return [
        line
        for name, text in lines
        for line in textwrap.wrap(
            f"{name:<12}{text}", WIDTH, initial_indent="  ", subsequent_indent=indent, break_long_words=False
        )
    ]


def _frames(folder: Path) -> list[Path]:
    return sorted((folder / "data" / "frames").glob("*.bmp"))


def _require_extras() -> None:
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise InflamapError(
            "inflamap demo trains and exports a network, which is not installed here",
            seen=f"no module {missing[0]}",
            next_step="pip install 'inflamap[train,export]'",
        )


def _clear(folder: Path) -> None:
    """An empty folder for the demo: what an earlier one left goes, what somebody else left is not touched."""
    check_output_folder(folder, [])
    with said_plainly(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()) and not (folder / SUMMARY_FILE).is_file():
            raise InflamapError(
                f"{folder} is not empty and holds no earlier demo",
                wanted="a new or empty folder",
                next_step="choose another --out",
            )
        if is_held(folder / "results") is not False:
            raise InflamapError(
                f"{folder}: an earlier demo's watch still runs there",
                next_step=f"stop it (`inflamap status --out {folder / 'results'}` names its process)",
            )
        # from here on it is a demo's, finished or not
        write_atomically(folder / SUMMARY_FILE, b"{}\n")
        for name in _OURS:
            if (folder / name).exists():
                shutil.rmtree(folder / name)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
