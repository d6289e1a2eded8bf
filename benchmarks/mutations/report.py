"""The document on a run of mutants: counts, and every survivor with its diff and what is known of it."""

from collections import Counter
from collections.abc import Mapping, Sequence

from benchmarks.mutations.mutants import Mutant
from benchmarks.mutations.outcomes import Note, note_on
from benchmarks.mutations.trial import KILLED, SURVIVED, TIMEOUT

HEAD = """# Mutation tests

What the tests do not notice: one place of the code is changed at random (a comparison, a number, a condition, an
exception, a loop, a decorator), and the tests that belong to the module are run. A change that no test notices is a
*survivor*: it is tested from then on, or the reason why nothing can tell it from the code stands beside it.

    python -m benchmarks.mutations --sample {sample} --seed {seed}

Changes are made by [cosmic-ray](https://cosmic-ray.readthedocs.io), in a copy of the checkout. Places are drawn evenly
over all modules, and one of the changes of each. Type annotations are left out. SQL and other texts are not changed,
and no statement is left out: the property tests and the fault injection in [reliability.md](reliability.md) look for
those.

{tried} of the {sample} mutants of seed {seed} were tried, the last of them on commit {commit}, {date}.
"""


def untold(found: Mapping[Mutant, str], sources: Mapping[str, str], notes: Sequence[Note]) -> list[Mutant]:
    """Return survivors without a note that explains them."""
    survivors = [mutant for mutant, outcome in found.items() if outcome == SURVIVED]
    return [mutant for mutant in survivors if not _equivalent(mutant, sources, notes)]


def to_markdown(
    found: Mapping[Mutant, str],
    sources: Mapping[str, str],
    notes: Sequence[Note],
    *,
    sample: int,
    seed: int,
    commit: str,
    date: str,
) -> str:
    """Return the document.

    Args:
        found: outcome of each mutant that was tried.
        sources: code of the modules by path.
        notes: see `read_notes`.
        sample: how many were drawn.
        seed: that they were drawn by.
        commit, date: of the run.
    """
    lines = [HEAD.format(tried=len(found), sample=sample, seed=seed, commit=commit, date=date), *_counts(found), ""]
    survivors = [mutant for mutant, outcome in found.items() if outcome == SURVIVED]
    lines += ["## Survivors", ""] if survivors else ["No mutant survived.", ""]
    for mutant in sorted(survivors, key=lambda each: (each.path, each.line)):
        reason = _equivalent(mutant, sources, notes)
        lines += _section(mutant.path, mutant.line, mutant.change(sources[mutant.path]))
        lines += [f"Equivalent: {reason}" if reason else "**Neither tested nor explained yet.**", ""]
    tested = [note for note in notes if note.tested_by]
    if tested:
        lines += ["## Survivors of earlier runs, tested now", ""]
    for note in tested:
        lines += [*_section(note.path, None, note.change), f"Now tested by `{note.tested_by}`.", ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def _counts(found: Mapping[Mutant, str]) -> list[str]:
    by_path: dict[str, Counter[str]] = {}
    for mutant, outcome in found.items():
        by_path.setdefault(mutant.path, Counter())[outcome] += 1
    by_path = dict(sorted(by_path.items()))
    rows = [(f"`{path}`", counts) for path, counts in by_path.items()]
    rows.append(("**all**", sum(by_path.values(), Counter())))
    return [
        "| module | mutants | killed | timeout | survived |",
        "|---|---|---|---|---|",
        *(f"| {name} | {c.total()} | {c[KILLED]} | {c[TIMEOUT]} | {c[SURVIVED]} |" for name, c in rows),
    ]


def _section(path: str, line: int | None, change: str) -> list[str]:
    return [f"`{path}`" + (f", line {line}:" if line else ":"), "", "```diff", change, "```", ""]


def _equivalent(mutant: Mutant, sources: Mapping[str, str], notes: Sequence[Note]) -> str:
    note = note_on(notes, mutant.path, mutant.change(sources[mutant.path]))
    return note.equivalent if note else ""
