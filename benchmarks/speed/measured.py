"""Ratios of one run of the benchmarks, or of several taken together."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.speed.guard import read_ratios, together
from benchmarks.speed.ratio import Ratio
from benchmarks.speed.run import run_benchmarks
from runtime.errors import CheckFailed


def measure(
    folder: Path, *, only: str = "", names: Sequence[str] = (), short: bool = False, slow_map: float = 0.0
) -> dict[str, Ratio]:
    """Run benchmarks; arguments as of `run_benchmarks`, whose file `speed.json` is left in the folder.

    Raises:
        CheckFailed: one gives a wrong result or passes its own limit.
    """
    file = folder / "speed.json"
    if not run_benchmarks(file, only=only, names=names, short=short, slow_map=slow_map):
        raise CheckFailed("a benchmark gives a wrong result, or passes its own limit", next_step="see above which")
    return read_ratios(file)


def measured_again(
    found: Mapping[str, Ratio], folder: Path, names: Sequence[str], *, short: bool = False, slow_map: float = 0.0
) -> dict[str, Ratio]:
    """What was found, and for some of it the rounds of another run added."""
    again = measure(folder, names=names, short=short, slow_map=slow_map)
    return {name: together([ratio, again[name]]) if name in again else ratio for name, ratio in found.items()}
