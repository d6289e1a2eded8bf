"""Weaknesses of a split that do not forbid training: a line each for log, report and run.json."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from trainer.dataset import ScoredPatches
from trainer.part_drawing import VALIDATION_SUBJECTS, validation_subjects
from trainer.split import PARTS, person


def split_warnings(data: ScoredPatches, parts: Sequence[str]) -> tuple[str, ...]:
    """Return what training, choosing or holding out lacks.

    Args:
        data: N patches.
        parts: `train`, `val` or `test` for each.
    """
    return (*_missing_grades(data, parts), *_few_validation_subjects(data, parts), *_repeated_images(data, parts))


def _missing_grades(data: ScoredPatches, parts: Sequence[str]) -> list[str]:
    counts = Counter((part, patch.grade) for patch, part in zip(data.patches, parts, strict=True))
    consequences = {
        "train": ("training", "the model cannot learn it"),
        "val": ("validation", "nothing is chosen by it"),
        "test": ("held-out", "how well the model finds it stays unknown"),
    }
    warnings = []
    for part, (name, consequence) in consequences.items():
        missing = [grade for number, grade in enumerate(data.grades) if not counts[part, number]]
        if missing:
            what = f"grade {missing[0]}" if len(missing) == 1 else f"any of the grades {', '.join(missing)}"
            warnings.append(f"no {name} patch has {what}: {consequence}")
    return warnings


def _few_validation_subjects(data: ScoredPatches, parts: Sequence[str]) -> list[str]:
    if not all(patch.has_subject for patch in data.patches):
        return []
    subjects: dict[str, set[str]] = {part: set() for part in PARTS}
    for patch, part in zip(data.patches, parts, strict=True):
        subjects[part].add(person(patch.subject))
    validation, remaining = subjects["val"], subjects["val"] | subjects["train"]
    apart = not validation & subjects["train"]
    wanted = validation_subjects(len(remaining)) if apart else VALIDATION_SUBJECTS
    if len(validation) >= wanted:
        return []
    return [
        f"the validation part holds {len(validation)} of {len(remaining)} subjects, wanted {wanted}: epoch, "
        "temperature and limits are chosen by so few, and may not hold for others"
    ]


def _repeated_images(data: ScoredPatches, parts: Sequence[str]) -> list[str]:
    """Return a line on images under several names in one part, and one on those with different grades.

    Images in two parts are leaks (`trainer.leakage`).
    """
    rows_of = defaultdict(list)
    for row, (sha256, part) in enumerate(zip(data.sha256, parts, strict=True)):
        rows_of[sha256, part].append(row)
    repeated = [rows for rows in rows_of.values() if len({data.patches[row].path for row in rows}) > 1]
    contradictory = [rows for rows in repeated if len({data.patches[row].grade for row in rows}) > 1]
    found = (
        (repeated, "stand under several names in one part, and count as often"),
        (contradictory, "stand under several names with different grades, which contradict each other"),
    )
    warnings = []
    for groups, what in found:
        if groups:
            names = list(dict.fromkeys(data.patches[row].path for row in groups[0]))
            warnings.append(f"{len(groups)} image(s) {what}: {names[0]} and {names[1]} ({parts[groups[0][0]]})")
    return warnings
