"""Mutants of a module: one place changed, by cosmic-ray's operators."""

import ast
import difflib
import hashlib
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cosmic_ray.plugins
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code

# 11 comparisons for each comparison would be 11 chances for a place with one, and 1 for a place with a number
Site = tuple[str, tuple[int, int], tuple[int, int], str]


@dataclass(frozen=True)
class Mutant:
    """A module with one place changed.

    Attributes:
        path: of the module, relative to the checkout.
        source: SHA-256 of the module as it is.
        operator: cosmic-ray's name of the change.
        occurrence: the number of the place, of those where the operator applies.
        line: of the place, from 1.
        arguments: of the operator.
    """

    path: str
    source: str
    operator: str
    occurrence: int
    line: int
    arguments: tuple[tuple[str, str], ...] = ()

    @property
    def key(self) -> str:
        """The name under which its outcome is kept."""
        return f"{self.path} {self.source[:16]} {self.operator} {dict(self.arguments)} {self.occurrence}"

    def code(self, source: str) -> str:
        """Return the module's code with the change.

        Raises:
            ValueError: `source` is not the code that the mutant was drawn from.
        """
        operator = cosmic_ray.plugins.get_operator(self.operator)(**dict(self.arguments))
        code = mutate_code(source, operator, self.occurrence)
        if code is None or digest(source) != self.source:
            raise ValueError(f"{self.path} is no longer what the mutant {self.operator} was drawn from")
        return str(code)

    def change(self, source: str) -> str:
        """Return the change as the lines of a diff that begin with - or +, without indentation and empty lines."""
        lines = difflib.ndiff(source.splitlines(), self.code(source).splitlines())
        return "\n".join(f"{line[0]} {line[2:].strip()}" for line in lines if line[0] in "-+" and line[2:].strip())


def digest(source: str) -> str:
    """Return the SHA-256 of a source text."""
    return hashlib.sha256(source.encode()).hexdigest()


def mutants_of(path: str, source: str) -> dict[Site, list[Mutant]]:
    """Return all mutants of a module, those of one place and one kind of change together.

    Type annotations are left as they are: no test can notice a change of them.
    """
    found: dict[Site, list[Mutant]] = defaultdict(list)
    annotations, nodes = _annotations(source), list(ast_nodes(get_ast(source)))
    for name in sorted(cosmic_ray.plugins.operator_names()):
        operator_class = cosmic_ray.plugins.get_operator(name)
        # operators with arguments want a list of names; none of ours does
        if operator_class.arguments():
            continue
        operator = operator_class()
        occurrence = -1
        for node in nodes:
            for begin, end in operator.mutation_positions(node):
                occurrence += 1
                if any(first <= begin and end <= last for first, last in annotations):
                    continue
                site = path, begin, end, name.rpartition("/")[2].partition("_")[0]
                found[site].append(Mutant(path, digest(source), name, occurrence, begin[0]))
    return dict(found)


def draw(sources: Mapping[str, str], count: int, seed: int) -> list[Mutant]:
    """Draw mutants at random: places evenly over all modules, and one of the changes of each.

    Args:
        sources: code by path.
        count: how many; fewer where there are not so many places.
        seed: the same seed draws the same mutants of the same code.
    """
    sites: list[Sequence[Mutant]] = []
    for path in sorted(sources):
        sites += [mutants for _site, mutants in sorted(mutants_of(path, sources[path]).items())]
    rng = random.Random(seed)
    drawn = rng.sample(sites, min(count, len(sites)))
    return [rng.choice(mutants) for mutants in drawn]


def read_sources(checkout: Path, files: Sequence[Path]) -> dict[str, str]:
    """Return the code of modules by their POSIX path relative to the checkout."""
    return {file.as_posix(): (checkout / file).read_text(encoding="utf-8") for file in files}


def _annotations(source: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """First and last place of each annotation, as (line, column)."""
    found: list[ast.expr] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation is not None:
            found.append(node.annotation)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.returns is not None:
            found.append(node.returns)
    return [
        ((node.lineno, node.col_offset), (node.end_lineno or node.lineno, node.end_col_offset or 0)) for node in found
    ]
