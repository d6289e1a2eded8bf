"""What onnxruntime's options do to the shipped model: time of a map, time to load, and processor time while it waits.

    python -m benchmarks.speed.engine_options [--repeats N]

Each set of options differs from the engine's own in one point; all take turns. The answers have to be the same.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnxruntime
from onnxruntime import GraphOptimizationLevel, SessionOptions

from benchmarks.child_process import exit_with
from benchmarks.microscope import FRAMES_PER_SECOND
from benchmarks.speed.frame import synthetic_frame
from benchmarks.speed.profile import milliseconds
from runtime.bundle import DEFAULT_BUNDLE, open_bundle
from runtime.bundle_files import FP32_MODEL

EQUAL = 1e-5
SECONDS = 5.0
SPINNING = "session.intra_op.allow_spinning"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=40)
    repeats = parser.parse_args().repeats
    model = open_bundle(DEFAULT_BUNDLE).read_file(FP32_MODEL)
    image = np.ascontiguousarray(synthetic_frame()[:992, :992])[None, None]
    with TemporaryDirectory(prefix="inflamap-options-") as name:
        ahead = Path(name) / "optimised.onnx"
        makers = _makers(model, ahead)
        sessions = {what: make() for what, make in makers.items()}
        wanted = next(iter(sessions.values())).run(None, {"image": image})[0]
        for what, session in sessions.items():
            apart = float(np.abs(session.run(None, {"image": image})[0] - wanted).max())
            if not apart <= EQUAL:
                print(f"FAILED: {what}: other answers, by {apart:.1e}")
                return 1
        maps = milliseconds({w: lambda s=s: s.run(None, {"image": image}) for w, s in sessions.items()}, repeats)  # type: ignore[misc]
        loads = milliseconds(makers, 15)
    own = next(iter(sessions))
    print("| options | map, ms | against the engine's own | load, ms |\n|---|---|---|---|")
    for what in sessions:
        print(f"| {what} | {maps[what]:.2f} | {maps[what] / maps[own]:.2f} | {loads[what]:.1f} |")
    print(f"\n| threads, between frames | processor time at {FRAMES_PER_SECOND:g} frames/s, cores |\n|---|---|")
    for threads in (1, 2):
        for spinning in (False, True):
            share = _share(onnxruntime.InferenceSession(model, _options(threads, spinning=spinning)), image)
            print(f"| {threads}, {'spinning' if spinning else 'asleep'} | {share:.2f} |")
    return 0


def _options(threads: int = 1, *, spinning: bool = False) -> SessionOptions:
    options = SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry(SPINNING, "1" if spinning else "0")
    return options


def _makers(model: bytes, ahead: Path) -> dict[str, Callable[[], Any]]:
    """Sessions by what is other about them; the first is as the engine opens it."""

    def opened(source: bytes | str = model, threads: int = 1, **changes: Any) -> Any:
        options = _options(threads)
        for name, value in changes.items():
            setattr(options, name, value)
        return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])

    levels = GraphOptimizationLevel
    opened(optimized_model_filepath=str(ahead), log_severity_level=3)
    return {
        "the engine's own: 1 thread, all optimisations": opened,
        "2 threads": lambda: opened(threads=2),
        "no optimisation of the graph": lambda: opened(graph_optimization_level=levels.ORT_DISABLE_ALL),
        "basic optimisations": lambda: opened(graph_optimization_level=levels.ORT_ENABLE_BASIC),
        "extended: fusions, no blocked layout": lambda: opened(graph_optimization_level=levels.ORT_ENABLE_EXTENDED),
        "optimised ahead, for this processor alone": lambda: opened(
            str(ahead), graph_optimization_level=levels.ORT_DISABLE_ALL
        ),
        "no arena: memory from the system each time": lambda: opened(enable_cpu_mem_arena=False),
        "no memory pattern": lambda: opened(enable_mem_pattern=False),
    }


def _share(session: Any, image: Any) -> float:
    """Processor seconds a second with a frame now and then, as a microscope saves them."""
    session.run(None, {"image": image})
    started, used = time.monotonic(), time.process_time()
    while (now := time.monotonic()) - started < SECONDS:
        session.run(None, {"image": image})
        time.sleep(max(0.0, 1 / FRAMES_PER_SECOND - (time.monotonic() - now)))
    return (time.process_time() - used) / (time.monotonic() - started)


if __name__ == "__main__":
    exit_with(main)
