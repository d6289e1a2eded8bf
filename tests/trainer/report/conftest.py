"""Made-up evaluations and runs, and a page taken apart."""

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from runtime.dense_map import Geometry
from runtime.engines import EngineOutput
from trainer.dataset import ScoredPatches
from trainer.evaluate import Evaluation, evaluate
from trainer.network import NetworkConfig
from trainer.optimise import FitSettings
from trainer.report.facts import RunFacts, SplitRow

VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """An HTML page as a reader has it, and every element with its attributes."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.sections: dict[str, str] = {}
        self._open: list[str] = []
        self._words: dict[str, list[str]] = defaultdict(list)
        self._heading = ""
        self.feed(page.decode())
        self.close()
        assert not self._open, "elements left open"
        self.sections = {heading: " ".join("".join(words).split()) for heading, words in self._words.items()}
        self.text = " ".join(self.sections.values())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag
        if tag in {"td", "th", "dt", "dd", "p", "li", "tr", "h1", "h2", "h3", "figcaption", "caption"}:
            self._words[self._heading].append(" ")

    def handle_data(self, data: str) -> None:
        if {"style", "title"} & set(self._open):
            return
        if self._open[-1:] == ["h2"]:
            self._heading = data
        self._words[self._heading].append(data)

    def of(self, tag: str) -> list[dict[str, str]]:
        """Attributes of every element of one kind."""
        return [attributes for name, attributes in self.elements if name == tag]


@dataclasses.dataclass(frozen=True)
class Said:
    """An engine that has an answer for each patch of `make_patches`, known by its grey level."""

    probabilities: npt.NDArray[np.float32]
    name: str = "said"
    precision: str = "fp32"

    def run(self, images: npt.NDArray[np.uint8]) -> EngineOutput:
        return EngineOutput(
            self.probabilities[images[:, 0, 0, 0]][:, :, None, None], np.zeros((len(images), 1, 1), np.float32)
        )


def sure(grades: Sequence[int], count: int, share: float = 0.75) -> npt.NDArray[np.float32]:
    """Probabilities [N, K] that give each of the named grades `share` and the others equal parts of the rest."""
    probabilities = np.full((len(grades), count), (1 - share) / (count - 1), np.float32)
    probabilities[np.arange(len(grades)), grades] = share
    return probabilities


@pytest.fixture
def evaluated() -> Callable[..., Evaluation]:
    """Evaluates a model that says `said` of the patches of `make_patches`, with the confidence `share`."""

    def make(
        data: ScoredPatches,
        said: Sequence[int],
        *,
        share: float = 0.75,
        probabilities: npt.NDArray[np.float32] | None = None,
        ordered: bool = True,
        **options: Any,
    ) -> Evaluation:
        options = {"severity": None, "progress": lambda *_step: None} | options
        data = dataclasses.replace(
            data, patches=tuple(dataclasses.replace(patch, ordered=ordered) for patch in data.patches)
        )
        answers = sure(said, len(data.grades), share) if probabilities is None else probabilities
        return evaluate(data, Said(answers), Geometry(4, 4, 0.5), data.grades, **options)

    return make


@pytest.fixture
def facts_of() -> Callable[..., RunFacts]:
    """A finished run whose held-out part is `patches`, beside two patches it trained on and one it chose by."""

    def make(patches: ScoredPatches, *, ordered: bool = True, **changes: Any) -> RunFacts:
        held_out = [
            SplitRow(patch.grade, "test", 0.5, sha) for patch, sha in zip(patches.patches, patches.sha256, strict=True)
        ]
        split = (
            SplitRow(0, "train", 0.5, "1" * 64),
            SplitRow(1, "train", 0.25, "2" * 64),
            SplitRow(1, "val", 1.0, "3" * 64),
        )
        losses = ((1.5, 1.4, 0.5), (0.9, 0.8, 0.8), (0.6, 0.9, 0.75))
        document: dict[str, Any] = {
            "settings": asdict(FitSettings(epochs=5, seed=7, loss="ordinal" if ordered else "cross-entropy")),
            "network": asdict(NetworkConfig(grades=patches.grades, ordered=ordered)),
            "data": {
                "folder": "/lab/skin",
                "sha256": "da" * 32,
                "patches": len(patches) + 3,
                "parts": {"train": 2, "val": 1, "test": len(patches)},
                "split_sha256": "5b" * 32,
                "synthetic": patches.synthetic,
                "notes": ["3 patches tell no µm/px"],
                "warnings": [],
            },
            "options": {"--um-per-px": 0.25, "--epochs": 5, "--split": "random", "--loss": "ordinal", "--seed": 7},
            "versions": {"inflamap": "0.1.0", "network": 1, "torch": "2.13.1", "python": "3.12.9"},
            "devices": {"accelerator": "cpu", "count": 1, "precision": "32-true"},
            "history": [
                {
                    **dict(zip(("train_loss", "val_loss", "val_accuracy"), entry, strict=True)),
                    "val_loss_error": 0.0,
                }
                for entry in losses
            ],
            "temperature": 1.1375,
            "finished": True,
        }
        for name, change in changes.items():
            merged = isinstance(change, dict) and name != "options"
            document[name] = document[name] | change if merged else change
        return RunFacts(Path("/lab/runs/july"), document, (*split, *held_out), "9e" * 32)

    return make


@pytest.fixture
def read_page() -> Callable[[bytes], Page]:
    return Page
