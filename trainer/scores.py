"""What the raters said of each patch: `scores.csv`, row by row."""

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainer.grade_scale import GradeScale
from trainer.score_rows import Row, parse_row
from trainer.table import Fault, read_table

COLUMNS = ("path", "score")
OPTIONAL_COLUMNS = ("subject", "rater", "split", "um_per_px", "x", "y")
SCORES_FILE = "scores.csv"
# grades beyond the usual 0 to 4 are believed when each has this many scores: fewer is a typing error
BELIEVABLE_SCORES = 5


@dataclass(frozen=True)
class ScoredPatch:
    """One patch with every rater's score.

    Attributes:
        path: as written in the data set, below its folder, with `/` between folders.
        corner: top-left pixel (x, y) of the patch in a whole frame, None when the file is the patch.
        scores: each rater's grade index.
        raters: names in the order of `scores`.
        subject: whose skin it is; the path when nothing tells.
        split: `train`, `val` or `test` where the data set says so, else None.
        um_per_px: sampling of the file; as far as the data set tells it before the file is read.
        ordered: whether the grades are steps of one scale; False for classes without an order.
    """

    path: str
    corner: tuple[int, int] | None
    scores: tuple[int, ...]
    raters: tuple[str, ...]
    subject: str
    split: str | None
    um_per_px: float | None
    ordered: bool = True

    @property
    def grade(self) -> int:
        """The grade that the raters agree on, see `consensus`."""
        return consensus(self.scores, ordered=self.ordered)

    @property
    def has_majority(self) -> bool:
        """Whether more raters name one grade than any other."""
        return len(_most_frequent(self.scores)) == 1

    @property
    def has_subject(self) -> bool:
        """Whether the data set names whose skin it is."""
        return self.subject != self.path


def consensus(scores: Sequence[int], *, ordered: bool) -> int:
    """Combine the scores of several raters, at least one: their median, or their majority without an order."""
    return median(scores) if ordered else majority(scores)


def consensus_name(*, ordered: bool) -> str:
    """Name the rule of `consensus`, for texts that a user reads."""
    return "median" if ordered else "majority"


def median(scores: Sequence[int]) -> int:
    """The middle score; of two in the middle the lower."""
    return sorted(scores)[(len(scores) - 1) // 2]


def majority(scores: Sequence[int]) -> int:
    """Return the class that most scores name; of classes named equally often, the one that is named first.

    The number of a class has no influence: renumbered classes have the renumbered majority. Nor has its frequency in
    the data set, by which rare classes would lose every tie, and which other patches would change.
    """
    return _most_frequent(scores)[0]


def _most_frequent(scores: Sequence[int]) -> list[int]:
    """Return the scores that occur most often, in the order of their first occurrence."""
    counts = Counter(scores)
    most = max(counts.values())
    return [score for score, count in counts.items() if count == most]


@dataclass(frozen=True)
class Listing:
    """A data set before any of its images is read.

    Attributes:
        patches: those whose file is there.
        rows: the first line that speaks of each, 0 where there is no table.
        grades: names of the K grades, lowest first.
        notes: what the person should know, one line each.
        faults: what must be mended; where there are any, `patches` serve to find more, and for nothing else.
    """

    patches: tuple[ScoredPatch, ...]
    rows: tuple[int, ...]
    grades: tuple[str, ...]
    notes: tuple[str, ...]
    faults: tuple[Fault, ...]


def read_scores(folder: Path, scale: GradeScale | None = None) -> Listing:
    """Read the patches of `scores.csv`, each with all its raters, and everything that is wrong with them.

    Paths lie below the data folder: an absolute one, or one with `..`, would hold on one machine only, and is a fault.

    Args:
        folder: the data set's.
        scale: of the scores; whole numbers from 0 where None.
    """
    try:
        table = read_table(folder / SCORES_FILE, COLUMNS, OPTIONAL_COLUMNS)
    except OSError as error:
        return Listing((), (), (), (), (Fault(0, f"{SCORES_FILE}: cannot be read: {error.strerror}"),))
    faults = list(table.faults)
    if not table.rows and not faults:
        faults.append(Fault(0, f"{SCORES_FILE}: no rows"))
    rows = [parse_row(number, cells, scale, faults) for number, cells in table.rows]
    grades, notes = _grades(rows, scale, faults)

    rows = [row for row in rows if row.path]
    images, patches = _grouped(rows, lambda row: row.path), _grouped(rows, lambda row: row.patch)
    # of whom a frame is, and how it was sampled, holds for every patch in it
    for column, groups in (("subject", images), ("um_per_px", images), ("split", patches)):
        for group in groups:
            _require_one(column, group, faults)
    missing = {group[0].path for group in images if not _is_file(folder / group[0].path)}
    faults += [
        Fault(group[0].number, f"no file {group[0].path}", "no file") for group in images if group[0].path in missing
    ]
    gathered = [(group[0].number, _gather(group, faults)) for group in patches]
    there = [(number, patch) for number, patch in gathered if patch.path not in missing]
    return Listing(
        tuple(patch for _number, patch in there),
        tuple(number for number, _patch in there),
        grades,
        (*table.notes, *notes, *_unnamed_raters(patches), *_similar_names(rows)),
        tuple(faults),
    )


def _grades(
    rows: Sequence[Row], scale: GradeScale | None, faults: list[Fault]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the grades' names, and notes on them; none where a score is at fault, which may be a grade in the
    billions.
    """
    scored = [(row.number, row.score) for row in rows if row.score is not None]
    counts = Counter(score for _number, score in scored)
    if scale is not None:
        return scale.names, tuple(
            f"no score is {name}: a grade without patches"
            for grade, name in enumerate(scale.names)
            if not counts[grade]
        )
    lowest, highest = min(counts, default=0), max(counts, default=0)
    # a rubric may well begin at 1, of which the numbers alone say nothing
    hint = f"for a scale that begins at {lowest}: --grades {lowest}-{highest}" if 0 < lowest < highest else ""
    if highest > 4 and any(counts[grade] < BELIEVABLE_SCORES for grade in range(highest + 1)):
        wanted = f"0 to 4 (or {BELIEVABLE_SCORES} scores of every grade up to it{'; ' if hint else ''}{hint})"
        faults.extend(
            Fault(number, f"score {score}, wanted {wanted}", "too high") for number, score in scored if score > 4
        )
        return (), ()
    if len(scored) < len(rows):
        return (), ()
    if rows and not highest:
        faults.append(Fault(0, "only 1 grade, wanted at least 2"))
    missing = [grade for grade in range(highest) if not counts[grade]]
    return tuple(str(grade) for grade in range(highest + 1)), tuple(
        f"no score is {grade}: a grade without patches{f' ({hint})' if hint and grade == 0 else ''}"
        for grade in missing
    )


def _unnamed_raters(patches: Sequence[Sequence[Row]]) -> list[str]:
    """Return a warning where some patches stand in more rows without a rater's name than others do."""
    unnamed = [[row for row in group if not row.cells.get("rater")] for group in patches]
    several = [group for group in unnamed if len(group) > 1]
    if not several or len({len(group) for group in unnamed}) == 1:
        return []
    differing = sum(len({row.score for row in group}) > 1 for group in several)
    first = several[0]
    return [
        f"{len(several)} of {len(patches)} patches stand in several rows without a rater's name, {differing} of them "
        f"with different scores: taken for several raters (first: {first[0].path}, rows {first[0].number} and "
        f"{first[1].number})"
    ]


def _similar_names(rows: Sequence[Row]) -> list[str]:
    """Return a warning for each column whose names differ in case or blanks alone."""
    warnings = []
    for column in ("rater", "subject"):
        spellings: dict[str, list[str]] = defaultdict(list)
        for name in sorted({row.cells.get(column, "") for row in rows}):
            spellings["".join(name.casefold().split())].append(name)
        several = [names for names in spellings.values() if len(names) > 1]
        if several:
            first, second = several[0][:2]
            warnings.append(
                f"{len(several)} {column}(s) are spelled in several ways, and taken for different ones: "
                f"{first!r} and {second!r}"
            )
    return warnings


def _grouped(rows: Iterable[Row], key: Callable[[Row], Hashable]) -> list[list[Row]]:
    groups = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return list(groups.values())


def _require_one(column: str, group: Sequence[Row], faults: list[Fault]) -> None:
    first = group[0].cells.get(column, "")
    for row in group:
        other = row.cells.get(column, "")
        if other != first:
            said = f"{row.path} has {column} {first!r} and {other!r}, wanted one"
            faults.append(Fault(row.number, said, f"several of {column}"))
            return


def _gather(group: Sequence[Row], faults: list[Fault]) -> ScoredPatch:
    """One patch of all its rows."""
    first = group[0]
    # several rows without a name are several raters all the same
    raters = tuple(
        row.cells.get("rater") or (f"rater {nth}" if len(group) > 1 else "") for nth, row in enumerate(group, 1)
    )
    faults += [
        Fault(row.number, f"{row.path} scored twice by rater {rater!r}, wanted one row a rater", "scored twice")
        for nth, (row, rater) in enumerate(zip(group, raters, strict=True))
        if rater in raters[:nth]
    ]
    return ScoredPatch(
        first.path,
        first.corner,
        tuple(row.score for row in group if row.score is not None),
        raters,
        first.cells.get("subject") or first.path,
        first.cells.get("split") or None,
        first.um_per_px,
    )


def _is_file(path: Path) -> bool:
    # Path.is_file raises for a name that is too long
    return os.path.isfile(path)  # noqa: PTH113
