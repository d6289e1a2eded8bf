"""What ways of quantising cost in grades: equalised or not, calibrators, seven or eight bits, exactly and as run here.

    python -m benchmarks.int8_recipes RUN [--data DATA]

Prints the gate's figures for each, and how far one layer alone moves the expected grade. Half a minute to some minutes.
docs/quantization.md keeps what it printed for the shipped network.
"""

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import onnx

from benchmarks.child_process import exit_with
from export.equalise import equalise
from export.exact_engine import ExactEngine
from export.familiarity import FAMILIAR_PATCHES, fit_familiarity
from export.gates import GATE_PATCHES, gate_of
from export.graph import feature_convolutions
from export.onnx_graph import to_onnx
from export.package import DEFAULT_STRIDE_PX, calibration_images
from export.quantize import (
    CALIBRATORS,
    PROCESSOR,
    TENSORRT,
    Recipe,
    calibrate,
    default_layers,
    few_at_once,
    quantize,
)
from export.run_files import read_run
from export.run_images import read_part
from runtime.dense_map import Geometry
from runtime.engines.onnxruntime_cpu import OnnxRuntimeEngine
from runtime.engines.registry import REFERENCE_ENGINE, default_threads
from runtime.gate import Verdict
from runtime.gate_set import GateSet
from runtime.gate_table import gate_table
from runtime.quality import QualityLimits
from trainer.network import load_network

RECIPES: Mapping[str, Recipe] = {
    "7 bits": PROCESSOR,
    "8 bits": replace(PROCESSOR, reduce_range=False),
    "8 bits, first layer too": replace(PROCESSOR, reduce_range=False, first_in_float=False),
    "TensorRT": TENSORRT,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a finished run")
    parser.add_argument("--data", type=Path, help="its data set, if it was moved")
    chosen = parser.parse_args()
    run, network = read_run(chosen.run), load_network(chosen.run)
    geometry = Geometry(network.config.patch_px, DEFAULT_STRIDE_PX, network.config.um_per_px)
    trained = read_part(run, chosen.data, geometry, "train", FAMILIAR_PATCHES)
    held_out = read_part(run, chosen.data, geometry, "test", GATE_PATCHES)
    validation = read_part(run, chosen.data, geometry, "val", GATE_PATCHES)
    deployed = fit_familiarity(network, geometry, trained.patches, validation.patches).model
    model, threads = to_onnx(deployed), default_threads()
    reference = OnnxRuntimeEngine(model, name=REFERENCE_ENGINE, precision="fp32", threads=threads)
    gate = gate_of(held_out, deployed, reference, geometry, QualityLimits())
    images = calibration_images(trained)
    plain = onnx.load_from_string(model)
    graphs = {"": equalise(plain, few_at_once(images)), "not equalised, ": plain}
    verdicts: dict[str, Verdict] = {}
    for label, graph in graphs.items():
        for calibrator in CALIBRATORS if graph is not plain else list(CALIBRATORS)[:1]:
            ranges = calibrate(graph.SerializeToString(), images, calibrator)
            for recipe_label, recipe in RECIPES.items():
                content = quantize(graph, ranges, recipe, default_layers(graph, recipe))
                name = f"{label}{recipe_label}, {calibrator}"
                verdicts[name] = _exactly(content, gate)
                # other calibrators saturate no more and no less
                if recipe.file == PROCESSOR.file and calibrator == next(iter(CALIBRATORS)):
                    engine = OnnxRuntimeEngine(content, name="onnxruntime-int8", precision="int8", threads=threads)
                    verdicts[f"{name}, kernels here"] = gate.judge(engine)
    print("\n".join(gate_table(verdicts)))
    graph = graphs[""]
    ranges = calibrate(graph.SerializeToString(), images, next(iter(CALIBRATORS)))
    for layer in feature_convolutions(graph):
        alone = _exactly(quantize(graph, ranges, PROCESSOR, (layer,)), gate)
        print(f"{layer} alone in INT8: the expected grade shifts by {alone.patches.shift:.4f}")
    return 0


def _exactly(content: bytes, gate: GateSet) -> Verdict:
    return gate.judge(ExactEngine(content, name="exact", precision="int8", threads=default_threads()))


if __name__ == "__main__":
    exit_with(main)
