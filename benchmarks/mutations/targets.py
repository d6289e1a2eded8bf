"""The modules that are mutated, and the tests that belong to each."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Target:
    """Modules and their tests, all relative to the checkout.

    Attributes:
        name: of the target, for `--only`.
        modules: patterns of the files that are mutated.
        tests: files or folders of tests, run for every mutant.
        more: slower tests, run for a mutant that survives `tests`.
    """

    name: str
    modules: tuple[str, ...]
    tests: tuple[str, ...]
    more: tuple[str, ...] = ()

    def files(self, checkout: Path) -> list[Path]:
        """The files that are mutated, relative to the checkout, sorted."""
        found = {path.relative_to(checkout) for pattern in self.modules for path in checkout.glob(pattern)}
        return sorted(found)


_WATCH = ("tests/runtime/test_service_faults.py", "tests/runtime/test_service_obstacles.py")
TARGETS = (
    Target(
        "ledger",
        ("runtime/ledger/*.py",),
        ("tests/runtime/ledger", "tests/runtime/test_in_hand.py"),
        ("tests/runtime/test_retention.py", "tests/runtime/commands/test_retry.py", *_WATCH),
    ),
    Target(
        "gate",
        ("runtime/gate.py",),
        ("tests/runtime/test_gate.py", "tests/runtime/test_gate_set.py", "tests/runtime/test_gate_table.py"),
        ("tests/benchmarks/engine_bench/test_measure.py",),
    ),
    Target(
        "quality",
        ("runtime/quality.py",),
        ("tests/runtime/test_quality.py",),
        ("tests/export/test_quality_limits.py", "tests/runtime/test_scoring.py"),
    ),
    Target("settling", ("runtime/settling.py",), ("tests/runtime/test_settling.py",), _WATCH),
    Target(
        "outputs",
        ("runtime/outputs.py",),
        ("tests/runtime/test_outputs.py", "tests/runtime/test_score_files.py"),
        ("tests/runtime/test_scoring.py", "tests/runtime/test_retention.py", *_WATCH),
    ),
    Target(
        "figures",
        ("trainer/figures.py", "trainer/intervals.py"),
        ("tests/trainer/test_figures.py", "tests/trainer/test_intervals.py"),
        ("tests/trainer/test_experts.py", "tests/trainer/test_evaluate.py"),
    ),
)


def chosen(names: str, targets: Iterable[Target] = TARGETS) -> list[Target]:
    """Return the targets of some names, separated by commas; all of them for "".

    Raises:
        ValueError: there is no target of a name.
    """
    by_name = {target.name: target for target in targets}
    wanted = [name.strip() for name in names.split(",") if name.strip()] or list(by_name)
    if unknown := [name for name in wanted if name not in by_name]:
        raise ValueError(f"no such target: {', '.join(unknown)}; wanted: some of {', '.join(by_name)}")
    return [by_name[name] for name in wanted]
