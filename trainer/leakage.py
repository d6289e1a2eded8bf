"""Leaks between the parts of a split: what trains must not be what is held out."""

from collections import defaultdict
from collections.abc import Sequence

from runtime.errors import DataError
from trainer.dataset import ScoredPatches
from trainer.split import PARTS, is_written_by_run, person
from trainer.table import abridged


def check_leakage(data: ScoredPatches, parts: Sequence[str], how: str, *, allow_duplicates: bool) -> tuple[str, ...]:
    """Refuse a split whose held-out figures would flatter the network.

    A leak is an image's content that stands in two parts, whatever the file's name, lossless format or scale; or, where
    the split is by subject, a subject in two parts. A split that was given is taken for one by subject when less than
    half as many subjects are held out in part as chance would bring; the `split.csv` of a run never is. Patches that
    name no subject have none.

    Args:
        data: N patches.
        parts: `train`, `val` or `test` for each.
        how: as `split_patches` was told.
        allow_duplicates: to warn of leaks instead.

    Returns:
        Warnings, one line each.

    Raises:
        DataError: `details` name the leaks, of very many the first.
    """
    leaks = _shared_images(data, parts)
    # a random split by image is meant to share subjects
    may_refuse = how != "random" and not is_written_by_run(how)
    shared, warnings = _shared_subjects(data, parts, may_refuse=may_refuse)
    leaks += shared
    if leaks and not allow_duplicates:
        raise DataError(
            f"split {how}: {len(leaks)} leak(s) between its parts",
            wanted="each image, and each subject where the split is by subject, in one part",
            next_step="remove one of the two, give both the same part, or go on with --allow-duplicates",
            details=abridged(leaks),
        )
    if leaks:
        warnings.append(f"{len(leaks)} leak(s) between the parts are allowed: the held-out figures flatter the network")
    return (*abridged(leaks), *warnings)


def subjects_of(data: ScoredPatches) -> frozenset[str]:
    """Return the subjects that a data set names, as `person` spells them."""
    return frozenset(person(patch.subject) for patch in data.patches if patch.has_subject)


def _shared_images(data: ScoredPatches, parts: Sequence[str]) -> list[str]:
    """A line for each image in several parts; patches of one frame are the same image, whether they overlap or not."""
    rows_of = defaultdict(list)
    for row, sha256 in enumerate(data.image_sha256):
        rows_of[sha256].append(row)
    shared = [rows for rows in rows_of.values() if len({parts[row] for row in rows}) > 1]
    return [
        "the same image: " + ", ".join(dict.fromkeys(f"{data.patches[row].path} ({parts[row]})" for row in rows))
        for rows in shared
    ]


def _shared_subjects(data: ScoredPatches, parts: Sequence[str], *, may_refuse: bool) -> tuple[list[str], list[str]]:
    """A line for each subject in two parts of a split by subject; a warning where the split is by image."""
    rows_of = defaultdict(list)
    parts_of_name = defaultdict(set)
    for row, patch in enumerate(data.patches):
        if patch.has_subject:
            rows_of[person(patch.subject)].append(row)
            parts_of_name[patch.subject].add(parts[row])
    # one image in two parts is named already
    several = [rows for rows in rows_of.values() if len({data.image_sha256[row] for row in rows}) > 1]
    # no name in two parts: by subject, whoever drew it. Otherwise validation may have been drawn from the subjects that
    # train, and only what is held out tells
    apart = all(len(named) == 1 for named in parts_of_name.values())
    sides = parts if apart else [str(part == "test") for part in parts]
    torn = [rows for rows in several if len({sides[row] for row in rows}) > 1]
    if not torn:
        return [], []
    if may_refuse and (apart or len(torn) < _torn_by_chance(data, parts, several) / 2):
        return [_subject_line(data, parts, rows) for rows in torn], []
    return [], [
        f"patches of {len(torn)} of {len(several)} subjects stand on both sides of the split: its figures are "
        "optimistic, and hold only for skin already met (for new skin: --split subject)"
    ]


def _torn_by_chance(data: ScoredPatches, parts: Sequence[str], several: Sequence[Sequence[int]]) -> float:
    """How many subjects would stand on both sides had as many images been held out at random."""
    images = [{data.image_sha256[row]: parts[row] == "test" for row in rows} for rows in several]
    share = sum(sum(held.values()) for held in images) / sum(map(len, images))
    return sum(1 - share ** len(held) - (1 - share) ** len(held) for held in images)


def _subject_line(data: ScoredPatches, parts: Sequence[str], rows: Sequence[int]) -> str:
    """The subject as it was spelled, and one of its images in each part."""
    first = {parts[row]: data.patches[row].path for row in reversed(rows)}
    where = ", ".join(f"{first[part]} ({part})" for part in PARTS if part in first)
    return f"the same subject: {' / '.join(dict.fromkeys(data.patches[row].subject for row in rows))}: {where}"
