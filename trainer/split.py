"""Which patches train, which choose, and which are held out."""

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path

from runtime.errors import DataError
from trainer.dataset import ScoredPatches
from trainer.part_drawing import PartDrawing
from trainer.scores import ScoredPatch
from trainer.table import Fault, Table, fault_lines, read_table

PARTS = ("train", "val", "test")
# the study's 797 of 3797
TEST_SHARE = 0.21
VALIDATION_SHARE = 0.1


def split_patches(data: ScoredPatches, how: str, seed: int) -> tuple[str, ...]:
    """The part of each patch.

    Args:
        data: the data set.
        how: `random` holds out 21 % of the images, `subject` whole subjects up to about that share, else a CSV file
            with the columns `path,split` (and `x,y` where patches of one frame differ, as a run's own `split.csv` has
            them) or `subject,split`. A `split` column in the data set is used where `how` is `column`.
        seed: of the drawing.

    Returns:
        `train`, `val` or `test` for each patch. `val` is drawn from what is not held out, by the same unit, or by
        subject where a file or column names none. Drawn by subject it takes `validation_subjects` of them.

    Raises:
        DataError: patches without a subject in a split by subject, a file that names unknown parts, two for one image
            or subject, or leaves some out (in `details`), a part that would stay empty, or a single grade to train on.
    """
    if how == "random":
        parts = _draw(data, [patch.path for patch in data.patches], seed)
    elif how == "subject":
        _require_subjects(data)
        parts = _draw(data, [patch.subject for patch in data.patches], seed, by_subject=True)
    else:
        parts = _complete(data, _given(data.patches, how), seed)
    empty = [part for part in PARTS if part not in parts]
    if empty:
        raise DataError(
            f"split {how}: no patches in {', '.join(empty)}",
            seen=f"{len(data)} patches of {len({patch.subject for patch in data.patches})} subjects",
            wanted="patches to train on, to choose by and to hold out",
            next_step="give more patches, or another --split",
        )
    taught = {patch.grade for patch, part in zip(data.patches, parts, strict=True) if part == "train"}
    if len(taught) == 1:
        raise DataError(
            f"split {how}: only one grade to train on",
            seen=data.grades[taught.pop()],
            wanted="patches of at least two",
            next_step="give more patches, or another --split",
        )
    return tuple(parts)


def default_split(data: ScoredPatches) -> str:
    """Return the split of a data set for which none is asked: its own column, by subject where all are named, else
    by image.
    """
    if any(patch.split for patch in data.patches):
        return "column"
    return "subject" if all(patch.has_subject for patch in data.patches) else "random"


def is_written_by_run(how: str) -> bool:
    """Whether `how` is the `split.csv` of a run: nobody else lists the patches' content."""
    return how not in {"random", "subject", "column"} and "sha256" in _split_table(Path(how)).columns


def person(subject: str) -> str:
    """One name for a subject, however it was spelled: `S01` and `s01 ` are the same."""
    return subject.strip().casefold()


def _require_subjects(data: ScoredPatches) -> None:
    without = sum(not patch.has_subject for patch in data.patches)
    if without:
        raise DataError(
            "split subject",
            seen=f"{without} of {len(data)} patches without a subject",
            wanted="a subject for each patch",
            next_step="fill the column subject of scores.csv, or give --split random",
        )


def _draw(data: ScoredPatches, units: Sequence[str], seed: int, *, by_subject: bool = False) -> list[str]:
    """Hold out whole units up to the share, then draw validation units from the rest."""
    drawing = PartDrawing(data, units, range(len(data)), seed)
    wanted = round(TEST_SHARE * len(data))
    drawing.take("test", wanted)
    least = drawing.validation_units() if by_subject else 1
    drawing.take("val", round(VALIDATION_SHARE * (len(data) - wanted)), least)
    return drawing.parts


def _given(patches: Sequence[ScoredPatch], how: str) -> list[str]:
    """The part that the data set's own column, or a file, gives each patch."""
    if how == "column":
        named = [patch.split or "" for patch in patches]
        without = (patch.path for patch in patches if not patch.split)
        faults = [Fault(0, f"{path}: no part in the column split", "column") for path in dict.fromkeys(without)]
    else:
        named, faults = _read_split(Path(how), patches)
    if faults:
        raise DataError(
            f"split {how}: {len(faults)} fault(s)",
            wanted=f"one of {', '.join(PARTS)} for each",
            next_step="mend what the lines above name, or give --split random or subject",
            details=fault_lines(faults),
        )
    return named


def _read_split(path: Path, patches: Sequence[ScoredPatch]) -> tuple[list[str], list[Fault]]:
    """The part that a file gives each patch, and what is wrong with that."""
    table = _split_table(path)
    corners = {"path", "x", "y"} <= set(table.columns)

    def key(cells: Mapping[str, str]) -> Hashable:
        if "path" not in table.columns:
            return person(cells["subject"])
        image = Path(cells["path"]).as_posix()
        return (image, cells["x"], cells["y"]) if corners else image

    part_of: dict[Hashable, str] = {}
    faults = []
    for number, cells in table.rows:
        part = cells["split"]
        before = part_of.setdefault(key(cells), part)
        name = cells.get("path") or f"subject {cells['subject']}"
        if part not in PARTS:
            faults.append(Fault(number, f"{name}: unknown part {part!r}", f"part {part}"))
        elif part != before:
            faults.append(Fault(number, f"{name} is in two parts, {before} and {part}", "two parts"))
    named, without = [], []
    for patch in patches:
        x, y = patch.corner or ("", "")
        cells = {"path": patch.path, "subject": patch.subject, "x": str(x), "y": str(y)}
        named.append(part_of.get(key(cells), ""))
        if key(cells) not in part_of:
            without.append(patch.path if "path" in table.columns else f"subject {patch.subject}")
    return named, faults + [Fault(0, f"{name}: not in {path}", "not there") for name in dict.fromkeys(without)]


def _split_table(path: Path) -> Table:
    wanted = "random, subject, or a CSV file with the columns path,split or subject,split"
    try:
        table = read_table(path, ("split",), ("path", "subject", "x", "y"))
    # ValueError: a zero byte in the name
    except (OSError, ValueError) as error:
        raise DataError(f"split {path}: cannot be read", seen=error, wanted=wanted) from error
    faults = list(table.faults)
    if not {"path", "subject"} & set(table.columns):
        faults.append(Fault(0, f"{path.name}: no column path or subject"))
    if faults:
        raise DataError(
            f"split {path}: cannot be read", seen=f"{len(faults)} fault(s)", wanted=wanted, details=map(str, faults)
        )
    return table


def _complete(data: ScoredPatches, parts: list[str], seed: int) -> list[str]:
    """Draw a validation part by subject from `train` where none is named."""
    if "val" in parts:
        return parts
    rows = [row for row, part in enumerate(parts) if part == "train"]
    drawing = PartDrawing(data, [patch.subject for patch in data.patches], rows, seed)
    named = all(data.patches[row].has_subject for row in rows)
    drawing.take("val", round(VALIDATION_SHARE * len(rows)), drawing.validation_units() if named else 1)
    return ["val" if drawn == "val" else part for part, drawn in zip(parts, drawing.parts, strict=True)]
