"""Ratios of one run of the benchmarks, or of several taken together."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.speed.guard import Verdict, read_ratios, together
from benchmarks.speed.ratio import Ratio
from benchmarks.speed.run import run_benchmarks
from runtime.errors import CheckFailed

# what looks slower is run again so often, and judged by all of its rounds
REPEATS = 2


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


def judged(
    found: Mapping[str, Ratio],
    verdicts_on: Callable[[Mapping[str, Ratio]], list[Verdict]],
    folder: Path,
    *,
    short: bool = False,
    slow_map: float = 0.0,
) -> tuple[Mapping[str, Ratio], list[Verdict]]:
    """The verdicts, after what looked slower was run again; and the ratios with those rounds added.

    Args:
        found: by name of the benchmark.
        verdicts_on: `guard.judge` with its baseline.
        folder, short, slow_map: as of `measure`.
    """
    verdicts = verdicts_on(found)
    for _ in range(REPEATS):
        slower = sorted(verdict.name for verdict in verdicts if verdict.slower)
        if not slower:
            break
        print(f"once more, for they look slower: {', '.join(slower)}")
        found = measured_again(found, folder, slower, short=short, slow_map=slow_map)
        verdicts = verdicts_on(found)
    return found, verdicts
