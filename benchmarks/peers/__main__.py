"""The dense map against other people's software, with the same model on the same frame.

    pip install --group peers && python -m benchmarks.peers [--rounds N]

Each has to give the same grades first. Ends with 1 when one does not, when MONAI is less than 30 times as slow, or when
an engine of theirs is faster than the fastest of ours by more than the noise of this run. Synthetic frame; one thread.
"""

import argparse
from collections.abc import Callable

import cv2
import numpy as np

from benchmarks.child_process import exit_with
from benchmarks.peers.contenders import contenders
from benchmarks.peers.shipped_network import shipped_network
from benchmarks.speed.frame import synthetic_frame
from benchmarks.speed.ratio import seconds_in_turns
from runtime.bundle import DEFAULT_BUNDLE, open_bundle
from runtime.bundle_files import FP32_MODEL
from runtime.dense_map import dense_map
from runtime.engines.registry import open_engine
from runtime.errors import EngineMissing

# MONAI lays its windows so that the last ones end with the frame, as ours do only at such sizes
SIDE = 992
EQUAL = 1e-4
MONAI_LIMIT = 30.0
NOISE = 0.05
OURS = ("onnxruntime-fp32", "onnxruntime-int8", "openvino-fp32", "openvino-int8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    cv2.setNumThreads(1)
    bundle = open_bundle(DEFAULT_BUNDLE)
    geometry, frame = bundle.geometry, np.ascontiguousarray(synthetic_frame()[:SIDE, :SIDE])
    network = shipped_network(bundle.read_file(FP32_MODEL), bundle.manifest.grades, geometry.stride_px)
    theirs = contenders(bundle, network, frame, threads=1)
    works: dict[str, Callable[[], object]] = {}
    reference = None
    for name in OURS:
        try:
            engine = open_engine(bundle, name, threads=1)
        except EngineMissing as missing:
            print(missing)
            continue
        works[name] = lambda engine=engine: dense_map(frame, engine, geometry)  # type: ignore[misc]
        if reference is None:
            reference = dense_map(frame, engine, geometry).expected_grade()
    assert reference is not None
    faults = []
    for contender in theirs:
        apart = float(np.abs(contender.map() - reference).max())
        print(f"{contender.name}: largest difference in expected grade {apart:.1e}")
        if not apart <= EQUAL:
            faults.append(f"{contender.name} gives other grades")
        works[contender.name] = contender.map
    seconds = seconds_in_turns(works, rounds)
    fp32 = seconds[OURS[0]]
    fastest = min((name for name in OURS if name in seconds), key=seconds.__getitem__)
    print(f"\n{SIDE}x{SIDE} px, {reference.size} cells, one thread, median of {rounds} rounds in turns")
    for name, median in sorted(seconds.items(), key=lambda item: item[1]):
        print(f"{name:42s} {1000 * median:9.1f} ms  {median / fp32:7.2f} times the map of {OURS[0]}")
    for contender in theirs:
        if contender.whole and seconds[contender.name] < seconds[fastest] * (1 - NOISE):
            faults.append(f"{contender.name} is faster than {fastest}")
        if contender.name.startswith("MONAI") and seconds[contender.name] < MONAI_LIMIT * fp32:
            faults.append(f"{contender.name} is less than {MONAI_LIMIT:g} times as slow as the map")
    for fault in faults:
        print(f"FAILED: {fault}")
    return int(bool(faults))


if __name__ == "__main__":
    exit_with(main)
