"""An eight-bit file that keeps the grades, or none: calibrators first, then the most sensitive layers in float."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import onnx
from onnxruntime.quantization import TensorsData

from export.equalise import equalise
from export.exact_engine import ExactEngine
from export.graph import feature_convolutions
from export.quantize import CALIBRATORS, Recipe, calibrate, default_layers, few_at_once, quantize, share_of
from runtime.gate import INT8_SHARE, Verdict
from runtime.gate_set import GateSet


@dataclass(frozen=True)
class Attempt:
    """One way of quantising, and what came of it.

    Attributes:
        calibrator: one of `CALIBRATORS`.
        in_float: names of the feature convolutions that stay in float.
        verdict: on the file run exactly, of the gate that is chosen by.
    """

    calibrator: str
    in_float: tuple[str, ...]
    verdict: Verdict


@dataclass(frozen=True)
class Quantized:
    """The outcome for one recipe.

    Attributes:
        file: the model file's name.
        model: its bytes, of the attempt that passed; None where none did.
        attempts: all of them, in order; the last is the one taken.
        sensitivity: for each layer quantised alone `GateFigures.movement`; empty where it was not needed.
    """

    file: str
    model: bytes | None
    attempts: tuple[Attempt, ...]
    sensitivity: Mapping[str, float]


class Int8Search:
    """One calibration, whatever is made of it.

    Each calibrator runs over the images once, when it is first wanted, for all recipes.
    """

    def __init__(
        self,
        model: bytes,
        images: list[npt.NDArray[np.uint8]],
        gate: GateSet,
        *,
        threads: int,
        say: Callable[[str], None],
    ) -> None:
        """Prepare.

        Args:
            model: the float graph.
            images: calibration batches, uint8 [N, 1, H, W] each.
            gate: what attempts are held against the reference on; not what the chosen one is judged on in the end.
            threads: cores to use at most.
            say: told what is tried.
        """
        self._graph = equalise(onnx.load_from_string(model), few_at_once(images))
        self._gate, self._threads, self._say = gate, threads, say

        @cache
        def ranges(calibrator: str) -> TensorsData:
            return calibrate(self._graph.SerializeToString(), images, calibrator)

        self._ranges = ranges

    def find(self, recipe: Recipe) -> Quantized:
        """Try calibrators, then keep ever more layers in float, until the gate is content."""
        preferred = default_layers(self._graph, recipe)
        attempts: list[Attempt] = []
        for calibrator in CALIBRATORS:
            model = self._try(recipe, calibrator, preferred, attempts)
            if attempts[-1].verdict.passed:
                return Quantized(recipe.file, model, tuple(attempts), {})
        # the movement is the figure that hardly depends on how many patches there are
        nearest = min(attempts, key=lambda attempt: attempt.verdict.patches.movement).calibrator
        # what the recipe leaves in float for speed makes room for what has to be for the grades
        layers = feature_convolutions(self._graph)
        sensitivity = self._sensitivity(recipe, nearest, layers)
        for layer in sorted(sensitivity, key=sensitivity.__getitem__, reverse=True):
            fewer = tuple(name for name in layers if name != layer)
            if not fewer or share_of(self._graph, fewer) < INT8_SHARE:
                self._say(
                    f"{recipe.file}: {layer} cannot be kept in float too: less than {INT8_SHARE:.0%} would be left"
                )
                continue
            layers = fewer
            if layers == preferred:
                # tried with every calibrator already
                continue
            model = self._try(recipe, nearest, layers, attempts)
            if attempts[-1].verdict.passed:
                return Quantized(recipe.file, model, tuple(attempts), sensitivity)
        return Quantized(recipe.file, None, tuple(attempts), sensitivity)

    def _try(self, recipe: Recipe, calibrator: str, layers: tuple[str, ...], attempts: list[Attempt]) -> bytes:
        model = quantize(self._graph, self._ranges(calibrator), recipe, layers)
        verdict = self._judge(recipe, model)
        in_float = tuple(name for name in feature_convolutions(self._graph) if name not in layers)
        attempts.append(Attempt(calibrator, in_float, verdict))
        if not verdict.passed:
            kept = f", {', '.join(in_float)} in float" if in_float else ""
            self._say(f"{recipe.file}: {calibrator}{kept}: missed: {'; '.join(verdict.misses())}")
        return model

    def _judge(self, recipe: Recipe, model: bytes) -> Verdict:
        return self._gate.judge(ExactEngine(model, name=recipe.file, precision="int8", threads=self._threads))

    def _sensitivity(self, recipe: Recipe, calibrator: str, layers: tuple[str, ...]) -> dict[str, float]:
        """How far each layer alone moves the answers."""
        judged = {
            layer: self._judge(recipe, quantize(self._graph, self._ranges(calibrator), recipe, (layer,))).patches
            for layer in layers
        }
        found = {layer: figures.movement for layer, figures in judged.items()}
        ordered = all(figures.shift is not None for figures in judged.values())
        what = "shift of the expected grade" if ordered else "distance of the class probabilities"
        unit = " grades" if ordered else ""
        self._say(f"{recipe.file}: {what} with one layer alone in INT8:")
        for layer, shift in sorted(found.items(), key=lambda item: item[1], reverse=True):
            share = share_of(self._graph, (layer,))
            self._say(f"  {layer:<20} {shift:.4f}{unit}   {share:4.0%} of the multiply-accumulates")
        return found
