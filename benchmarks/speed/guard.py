"""Ratios held against a baseline: what is missing, what is new, and what became slower than noise explains."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from benchmarks.speed.ratio import Ratio

BASELINE = Path(__file__).with_name("baseline.json")
# Of a ratio on another class of machine, where work and reference run the same kernels: taken in turns, both feel the
# machine alike. Where they run different ones (INT8, another engine, hashing), baseline.json says more.
ELSEWHERE = 0.3
# until somebody sets another in the file, by what unchanged runs differ by
TOLERANCE = 0.15


@dataclass(frozen=True)
class Entry:
    """What the baseline holds of one benchmark.

    Attributes:
        ratio: as it was accepted.
        tolerance: by which share of it a later one may be worse, on a machine of the same class.
        better: which way it should go.
        elsewhere: by which share it may be worse on a machine of another class.
    """

    ratio: float
    tolerance: float
    better: Literal["lower", "higher"]
    elsewhere: float = ELSEWHERE


NEW = Entry(math.nan, TOLERANCE, "lower")


@dataclass(frozen=True)
class Baseline:
    """Accepted ratios by name of the benchmark, and the class of machine that they were measured on."""

    machine: str
    entries: Mapping[str, Entry]

    @staticmethod
    def read(path: Path) -> "Baseline":
        document = json.loads(path.read_text(encoding="utf-8"))
        return Baseline(document["machine"], {name: Entry(**entry) for name, entry in document["ratios"].items()})

    def write(self, path: Path) -> None:
        ratios = {name: asdict(entry) for name, entry in sorted(self.entries.items())}
        path.write_text(json.dumps({"machine": self.machine, "ratios": ratios}, indent=2) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class Verdict:
    """What one benchmark came to.

    Attributes:
        name: of the benchmark.
        fault: why it fails, in words; None where it does not.
        slower: whether the fault is a ratio that became worse, which may be noise.
    """

    name: str
    fault: str | None
    slower: bool = False


def judge(found: Mapping[str, Ratio], baseline: Baseline, machine: str, *, whole: bool = True) -> list[Verdict]:
    """Hold ratios against the baseline.

    Args:
        found: by name of the benchmark.
        baseline: what was accepted.
        machine: the class of the machine they were measured on, see `machine_class`.
        whole: whether all benchmarks were run, so that one that is missing is a fault.
    """
    verdicts = []
    for name, ratio in found.items():
        entry = baseline.entries.get(name)
        if entry is None:
            verdicts.append(Verdict(name, "not in the baseline: new or renamed; accept it with --accept"))
            continue
        if entry.better != ratio.better:
            verdicts.append(Verdict(name, f"the baseline calls {entry.better} better, the benchmark {ratio.better}"))
            continue
        allowed = entry.tolerance if machine == baseline.machine else max(entry.tolerance, entry.elsewhere)
        if ratio.limit is not None and not _reaches(ratio, ratio.limit):
            verdicts.append(Verdict(name, f"{ratio.median:.3g}, wanted {_wanted(ratio)}", slower=True))
            continue
        worse = ratio.median / entry.ratio - 1 if ratio.better == "lower" else entry.ratio / ratio.median - 1
        # written so that what is no number fails too
        if worse <= allowed:
            verdicts.append(Verdict(name, None))
        else:
            fault = (
                f"{ratio.median:.3g}, {worse:.0%} worse than the baseline's {entry.ratio:.3g} (at most {allowed:.0%})"
            )
            verdicts.append(Verdict(name, fault, slower=True))
    if whole:
        missing = [name for name in baseline.entries if name not in found]
        verdicts += [Verdict(name, "in the baseline and not run: missing or renamed") for name in missing]
    return verdicts


def _reaches(ratio: Ratio, limit: float) -> bool:
    return ratio.median <= limit if ratio.better == "lower" else ratio.median >= limit


def _wanted(ratio: Ratio) -> str:
    return f"at {'most' if ratio.better == 'lower' else 'least'} {ratio.limit:g} on every machine"


def read_ratios(path: Path) -> dict[str, Ratio]:
    """The ratios in a file of pytest-benchmark's, by name; those that skipped or failed are not there.

    Raises:
        ValueError: a benchmark recorded no ratio.
    """
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    ratios = {}
    for benchmark in document["benchmarks"]:
        info = benchmark["extra_info"]
        if "ratio" not in info:
            raise ValueError(f"{benchmark['name']} recorded no ratio")
        ratios[benchmark["name"]] = Ratio(tuple(info["each"]), info["better"], info.get("limit"))
    return ratios


def together(ratios: Sequence[Ratio]) -> Ratio:
    """Several runs of one benchmark as one."""
    return replace(ratios[0], each=tuple(each for ratio in ratios for each in ratio.each))


def accepted(found: Mapping[str, Ratio], earlier: Baseline | None, machine: str, *, whole: bool = True) -> Baseline:
    """A baseline of what was found on a machine of this class; tolerances that the earlier one holds stay.

    Args:
        found: by name of the benchmark.
        earlier: the baseline before, if any.
        machine: the class of the machine that found it.
        whole: whether all benchmarks were run; else those that were not keep what the earlier one holds.

    Raises:
        ValueError: only some were run, and the others are of another class of machine.
    """
    before = {} if earlier is None else dict(earlier.entries)
    entries = {
        name: replace(before.get(name, NEW), ratio=round(ratio.median, 4), better=ratio.better)
        for name, ratio in found.items()
    }
    if whole or earlier is None:
        return Baseline(machine, entries)
    if earlier.machine != machine:
        raise ValueError(f"the baseline is of {earlier.machine}, this is {machine}: accept a run of all benchmarks")
    return Baseline(machine, before | entries)
