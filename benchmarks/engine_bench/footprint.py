"""What an engine takes of the machine while it keeps up with the microscope: memory, and processor time.

    python -m benchmarks.engine_bench.footprint BUNDLE ENGINE THREADS SECONDS UM_PER_PX|- < FRAMES

is told the paths of frames as a JSON list and scores them at the microscope's rate, from file to results on the disk,
in a process of its own, so that nothing that other engines have taken is counted; it prints one JSON document.
`inflamap bench` runs it for each engine.
"""

import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath
from subprocess import PIPE, TimeoutExpired
from tempfile import TemporaryDirectory

import psutil

from benchmarks.child_process import python_module, run_child
from benchmarks.engine_bench.frames import Frames
from benchmarks.microscope import FRAMES_PER_SECOND
from runtime.acquisition import Acquisition
from runtime.bundle import Bundle, open_bundle
from runtime.errors import CheckFailed, InflamapError, one_line
from runtime.model import Model
from runtime.scoring import score_file

SECONDS = 3.0
# the first frames pay for fonts, memory and caches that all later ones find ready
WARM_UP_FRAMES = 2
PATIENCE_S = 300.0


@dataclass(frozen=True)
class Footprint:
    """What one engine took.

    Attributes:
        peak_memory_mb: the most memory that the process held, Python and its libraries included, in 10^6 bytes.
        cores_at_9_fps: processor seconds a second at the microscope's 9 frames/s; 1 is one core kept busy.
        cpu_share_at_9_fps: the same as a share (0 to 1) of all the machine's cores.
        reached_fps: frames scored a second; below 9 where the engine does not keep up, and the two above are of less.
    """

    peak_memory_mb: float
    cores_at_9_fps: float
    cpu_share_at_9_fps: float
    reached_fps: float


def measure_footprint(bundle: Bundle, engine: str, frames: Frames, *, threads: int, seconds: float) -> Footprint:
    """Measure one engine in a process of its own.

    Args:
        bundle: the model.
        engine: its id.
        frames: to score, in turn.
        threads: cores to use at most.
        seconds: how long to go on.

    Raises:
        CheckFailed: the process did not come to an end, or said why it cannot.
    """
    words = [bundle.folder, engine, threads, seconds, frames.um_per_px or "-"]
    command = python_module("benchmarks.engine_bench.footprint", *words)
    # on the command line there may be no room for thousands of them
    paths = json.dumps([os.fspath(path) for path in frames.paths]).encode()
    try:
        done = run_child(command, data=paths, stdout=PIPE, stderr=PIPE, timeout_s=PATIENCE_S)
    except (TimeoutExpired, OSError) as error:
        raise CheckFailed(f"{engine}: memory and processor time were not measured", seen=error) from error
    try:
        return Footprint(**json.loads(done.stdout))
    except (ValueError, TypeError) as error:
        said = done.stderr.decode(errors="replace").strip().splitlines() or [f"exit code {done.returncode}"]
        raise CheckFailed(f"{engine}: memory and processor time were not measured", seen=said[-1]) from error


def score_paced(model: Model, frames: Frames, out: Path, *, seconds: float) -> Footprint:
    """Score frames at the microscope's rate in this process; memory counts from the process's start."""
    count = max(1, round(seconds * FRAMES_PER_SECOND))
    started = used = 0.0
    for number in range(-WARM_UP_FRAMES, count):
        if number == 0:
            started, used = time.perf_counter(), time.process_time()
        if number > 0:
            # by the schedule and not after each other: what one frame takes longer the next may make good
            time.sleep(max(0.0, started + number / FRAMES_PER_SECOND - time.perf_counter()))
        path = frames.paths[number % len(frames.paths)]
        score_file(path, PurePath(f"{number}-{path.name}"), out, model, acquisition=Acquisition(frames.um_per_px))
    processor_s = time.process_time() - used
    spent = time.perf_counter() - started
    # an engine that keeps up rests until the next frame is due
    spent_s = max(spent, count / FRAMES_PER_SECOND)
    cores = processor_s / spent_s
    return Footprint(
        peak_memory_mb=round(peak_memory() / 1e6, 1),
        cores_at_9_fps=round(cores, 3),
        cpu_share_at_9_fps=round(cores / (os.cpu_count() or 1), 3),
        reached_fps=round(count / spent_s, 2),
    )


def peak_memory() -> int:
    """Bytes that this process held at most.

    Not `ru_maxrss`, which on Linux a process takes over from the one that started it.
    """
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    memory = psutil.Process().memory_info()
    return int(getattr(memory, "peak_wset", memory.rss))


def main() -> int:
    folder, engine, threads, seconds, um_per_px = sys.argv[1:]
    frames = Frames("", tuple(map(Path, json.load(sys.stdin))), (), None if um_per_px == "-" else float(um_per_px))
    try:
        model = Model.load(open_bundle(Path(folder)), engine, threads=int(threads))
        # a virus scanner may hold a file open for a moment after the last result
        with TemporaryDirectory(prefix="inflamap-bench-", ignore_cleanup_errors=True) as out:
            print(json.dumps(asdict(score_paced(model, frames, Path(out), seconds=float(seconds)))))
    except InflamapError as error:
        print(one_line(str(error)), file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
