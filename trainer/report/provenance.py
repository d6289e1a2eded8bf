"""Where the patches and the model come from, line by line."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from trainer.evaluate import Evaluation
from trainer.report.facts import RunFacts

PART_NAMES = {"train": "training", "val": "validation", "test": "held out"}

Lines = list[tuple[str, str]]


def origin(facts: RunFacts, evaluation: Evaluation, part: str, data: Path) -> str:
    """Data, part and split of the patches evaluated, in words."""
    split = f"split: {facts.document['settings']['split']}"
    if part == "validation":
        return f"the validation part of {data} ({split})"
    held_out = facts.content_of("test")
    known = sum(sha256 in held_out for sha256 in evaluation.data.sha256)
    if known == len(evaluation.data):
        return f"the held-out part of {data} ({split}): the run never saw them"
    return f"of {data}: the run never saw them, and {known} of them are the held-out part of its own data ({split})"


def patches_by_grade(facts: RunFacts) -> list[tuple[str, list[int]]]:
    """Of each grade its name and its patches in each of `PART_NAMES`."""
    counts = facts.patches_by_grade()
    return [
        (name, [counts[grade, part] for part in PART_NAMES])
        for grade, name in enumerate(facts.document["network"]["grades"])
    ]


def data_lines(facts: RunFacts, evaluation: Evaluation, data: Path) -> Lines:
    """Folders, sizes and scales."""
    sizes = {pixels.shape for pixels in evaluation.data.pixels}
    by_area = sorted(sizes, key=lambda shape: (shape[0] * shape[1], shape))
    return [
        ("data trained on", facts.document["data"]["folder"]),
        ("data evaluated on", str(data)),
        ("size at the model's scale", _range([f"{width} × {height} px" for height, width in by_area])),
        (
            "sampling of the files",
            _range([f"{scale:g} µm/px" for scale in sorted({row.um_per_px for row in facts.split})]),
        ),
        ("the model's scale", f"{facts.document['network']['um_per_px']:g} µm/px"),
        ("split", facts.document["settings"]["split"]),
    ]


def hashes(facts: RunFacts) -> Lines:
    """SHA-256 of what the run was made of and what it made."""
    data = facts.document["data"]
    return [("weights", facts.weights_sha256), ("data", data["sha256"]), ("split", data["split_sha256"])]


def tracing(facts: RunFacts) -> list[tuple[str, Lines]]:
    """Versions, devices, settings and the network, by title."""
    run = facts.document
    return [
        ("Versions", list(_flattened(run["versions"]))),
        ("Trained on", list(_flattened(run["devices"]))),
        ("Settings", list(_flattened(run["settings"]))),
        ("Network", [*_flattened(run["network"]), ("temperature", f"{run['temperature']:.4g}")]),
    ]


def _range(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{words[0]} to {words[-1]}"


def _flattened(settings: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Names and values of nested settings, one line each, `augmentation.gain` for one within another."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flattened(value, f"{above}{name}.")
        elif isinstance(value, list | tuple):
            yield f"{above}{name}", ", ".join(map(str, value))
        else:
            yield f"{above}{name}", str(value)
