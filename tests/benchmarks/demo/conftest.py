"""A demo's figures, made up."""

import numpy as np
import pytest

from benchmarks.demo.figures import DemoFigures
from benchmarks.demo.truth import AgainstTruth
from benchmarks.rehearsal import Rehearsal


@pytest.fixture
def figures() -> DemoFigures:
    picture = np.zeros((10, 20, 3), np.uint8)
    return DemoFigures(
        evaluation={
            "accuracy": {"value": 0.804, "ci95": [0.761, 0.843]},
            "mad": {"value": 0.212, "ci95": [0.17, 0.26]},
        },
        bench={
            "engines": [
                {"engine": "onnxruntime-fp32"},
                {
                    "engine": "onnxruntime-int8",
                    "golden": {"difference": 1.01e-2, "tolerance": 5e-2},
                    "gate": {"patches": {"cells": 300, "unchanged": 0.9967}},
                    "frame_ms": {"p50": 110.6, "p95": 116.2},
                    "frames_per_second": 9.31,
                },
            ],
            "chosen": "onnxruntime-int8",
            "why": "fastest of 2 that keep the grades and 1000 ms",
        },
        rehearsal=Rehearsal(9.0, 90, 89, {"scored": 89}, 1.0, (1.1, 1.2, 1.3), 12, 0.8),
        truths=[
            AgainstTruth("v<0>.bmp", 0.25, picture, picture, picture),
            AgainstTruth("v1.bmp", 0.35, picture, picture, picture),
            AgainstTruth("v2.bmp", None, picture, picture, picture),
        ],
        seconds=155.0,
    )
