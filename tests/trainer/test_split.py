"""Who trains, who chooses, who is held out: no image, and where asked no subject, on two sides."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from runtime.errors import DataError
from trainer.dataset import ScoredPatches
from trainer.part_drawing import validation_subjects
from trainer.split import (
    PARTS,
    TEST_SHARE,
    VALIDATION_SHARE,
    default_split,
    is_written_by_run,
    split_patches,
)
from trainer.split_record import seen_in_training, split_sha256, write_split

# how many patches each image, or each subject, brings
sizes = st.lists(st.integers(1, 9), min_size=5, max_size=60)


def units_of(sizes: Sequence[int]) -> list[str]:
    """One name a patch: `u0` for the first unit's patches and so on."""
    return [f"u{unit}" for unit, size in enumerate(sizes) for _ in range(size)]


def graded(count: int) -> list[tuple[int]]:
    return [(number % 5,) for number in range(count)]


def near(count: int, wanted: int, sizes: Sequence[int]) -> bool:
    """Whether no whole unit more or less would have come nearer, or a single unit is already too much."""
    return abs(count - wanted) <= max(sizes) / 2 or wanted < max(sizes)


def split_if_taught(data: ScoredPatches, how: str, seed: int) -> tuple[str, ...]:
    """The parts; drawings that leave one grade to train on are passed over, for they are refused by right."""
    try:
        return split_patches(data, how, seed)
    except DataError as error:
        assume("only one grade to train on" not in str(error))
        raise


def check_units(units: Sequence[str], parts: Sequence[str], sizes: Sequence[int], *, by_subject: bool = False) -> None:
    sides = defaultdict(set)
    for unit, part in zip(units, parts, strict=True):
        sides[unit].add(part)
    assert all(len(side) == 1 for side in sides.values())
    counts, wanted = Counter(parts), round(TEST_SHARE * len(parts))
    assert all(counts[part] for part in PARTS)
    if not by_subject:
        assert near(counts["test"], wanted, sizes)
        assert near(counts["val"], round(VALIDATION_SHARE * (len(parts) - wanted)), sizes)
        return
    # a subject with the last patches of a grade stays in training
    assert counts["test"] <= wanted + max(sizes) / 2 or wanted < max(sizes)
    remaining = len({unit for unit, part in zip(units, parts, strict=True) if part != "test"})
    validating = len({unit for unit, part in zip(units, parts, strict=True) if part == "val"})
    if remaining >= 6 and min(sizes) > 1:
        assert validating >= validation_subjects(remaining)


def test_random_holds_out_the_studys_797_of_3797(make_patches):
    counts = Counter(split_patches(make_patches(graded(3797)), "random", 0))
    assert counts == {"test": 797, "val": 300, "train": 2700}


@given(sizes=sizes, seed=st.integers(0, 9))
def test_random_never_puts_an_image_on_two_sides(make_patches, sizes, seed):
    paths = units_of(sizes)
    data = make_patches([(number % 2,) for number in range(len(paths))], paths=paths, subjects=["s"] * len(paths))
    parts = split_if_taught(data, "random", seed)
    check_units(paths, parts, sizes)


@given(sizes=sizes, seed=st.integers(0, 9))
def test_subject_never_puts_a_subject_on_two_sides(make_patches, sizes, seed):
    subjects = units_of(sizes)
    data = make_patches([(number % 2,) for number in range(len(subjects))], subjects=subjects)
    parts = split_if_taught(data, "subject", seed)
    check_units(subjects, parts, sizes, by_subject=True)


def test_the_seed_alone_decides(make_patches):
    data = make_patches(graded(100))
    first = split_patches(data, "random", 1)
    assert split_patches(data, "random", 1) == first
    assert split_patches(data, "random", 2) != first
    backwards = data.select(list(reversed(range(100))))
    assert split_patches(backwards, "random", 1) == tuple(reversed(first))


def test_a_file_decides_and_validation_is_drawn_from_its_training_part_by_subject(make_patches, write_csv, tmp_path):
    subjects = [f"s{number // 4}" for number in range(80)]
    data = make_patches(graded(80), subjects=subjects)
    named = ["test" if number % 3 == 0 else "train" for number in range(80)]
    write_csv(
        tmp_path / "split.csv",
        "split,path",
        [(part, patch.path) for part, patch in zip(named, data.patches, strict=True)],
        encoding="utf-8-sig",
    )
    parts = split_patches(data, str(tmp_path / "split.csv"), 0)
    assert [part == "test" for part in parts] == [part == "test" for part in named]
    chosen = {subject for subject, part in zip(subjects, parts, strict=True) if part == "val"}
    # a quarter of 20
    assert len(chosen) == 5
    assert not chosen & {subject for subject, part in zip(subjects, parts, strict=True) if part == "train"}


def test_a_file_that_names_all_three_parts_is_kept_to_the_letter(make_patches, write_csv, tmp_path):
    data = make_patches(graded(30))
    named = tuple(PARTS[number % 3] for number in range(30))
    rows = [(f"./{patch.path}", part) for part, patch in zip(named, data.patches, strict=True)]
    write_csv(tmp_path / "split.csv", "path,split", [*rows, ("not in the data.png", "train")])
    assert split_patches(data, str(tmp_path / "split.csv"), 0) == named


def test_a_file_that_names_subjects_decides_for_all_their_patches(make_patches, write_csv, tmp_path):
    data = make_patches(graded(30), subjects=[("S01", "s02", "s03")[number % 3] for number in range(30)])
    rows = [("s01 ", "train"), ("s02", "val"), ("s03", "test"), ("s03", "test"), ("s99", "train")]
    write_csv(tmp_path / "split.csv", "subject,split", rows)
    assert split_patches(data, str(tmp_path / "split.csv"), 0) == PARTS * 10


def test_a_file_may_part_the_patches_of_a_frame(make_patches, tmp_path):
    data = make_patches(graded(30), paths=["frame.png"] * 30)
    data = replace(data, patches=tuple(replace(patch, corner=(nth, 7)) for nth, patch in enumerate(data.patches)))
    write_split(tmp_path, data, PARTS * 10)
    assert split_patches(data, str(tmp_path / "split.csv"), 0) == PARTS * 10


# each writes a file down to the disk, which may be slow
@settings(max_examples=15)
@given(sizes=sizes, seed=st.integers(0, 9), how=st.sampled_from(["random", "subject"]))
def test_the_split_that_a_run_wrote_splits_the_same_data_again(make_patches, tmp_path_factory, sizes, seed, how):
    subjects = units_of(sizes)
    data = make_patches([(number % 2,) for number in range(len(subjects))], subjects=subjects)
    parts = split_if_taught(data, how, seed)
    folder = tmp_path_factory.getbasetemp()
    write_split(folder, data, parts)
    assert split_patches(data, str(folder / "split.csv"), seed + 1) == parts


def test_the_data_sets_own_column_decides(make_patches):
    named = tuple(PARTS[number % 3] for number in range(30))
    assert split_patches(make_patches(graded(30), splits=named), "column", 0) == named
    with pytest.raises(
        DataError, match=r"split column: 2 fault\(s\); wanted: one of train, val, test for each"
    ) as raised:
        split_patches(make_patches(graded(30), splits=[*named[:-2], None, None]), "column", 0)
    assert raised.value.details == ("p0028.png: no part in the column split; and 1 more of this kind",)


@pytest.mark.parametrize(
    ("header", "rows", "faults"),
    [
        (
            "path,split",
            [("p0000.png", "train"), ("p0001.png", "hold"), ("p0000.png", "test"), ("p0002.png",)],
            [
                "p0003.png: not in {}",
                "row 3: p0001.png: unknown part 'hold'",
                "row 4: p0000.png is in two parts, train and test",
                "row 5: p0002.png: unknown part ''",
            ],
        ),
        (
            "split,subject",
            [("train", "s0"), ("test", "S0"), ("Val", "s1")],
            [
                "subject S2: not in {}",
                "row 3: subject S0 is in two parts, train and test",
                "row 4: subject s1: unknown part 'Val'",
            ],
        ),
    ],
)
def test_everything_wrong_with_a_file_is_said_at_once(make_patches, write_csv, tmp_path, header, rows, faults):
    file = tmp_path / "split.csv"
    write_csv(file, header, rows)
    with pytest.raises(DataError, match=rf"{len(faults)} fault\(s\); wanted: one of train, val, test") as raised:
        split_patches(make_patches(graded(4), subjects=["s0", "s1", "S2", "S2"]), str(file), 0)
    assert list(raised.value.details) == [fault.format(file) for fault in faults]


@pytest.mark.parametrize(
    "content",
    [None, b"path,part\na.png,train\n", b"split\ntrain\n", b"\xff\xfep\0a\0", b'path,split\na.png,"' + b"x" * 140_000],
)
def test_what_is_no_split_at_all_is_refused_with_the_choices(make_patches, tmp_path, content):
    if content is not None:
        (tmp_path / "split.csv").write_bytes(content)
    with pytest.raises(DataError, match=r"cannot be read.*wanted: random, subject, or a CSV file"):
        split_patches(make_patches(graded(4)), str(tmp_path / "split.csv"), 0)


def test_a_split_is_a_runs_own_by_the_content_that_it_lists(make_patches, write_csv, tmp_path):
    data = make_patches(graded(30))
    write_split(tmp_path, data, split_patches(data, "random", 0))
    write_csv(tmp_path / "other.csv", "path,split", [("a.png", "train")])
    assert is_written_by_run(str(tmp_path / "split.csv"))
    assert not any(map(is_written_by_run, ("random", "subject", "column", str(tmp_path / "other.csv"))))


def test_the_default_is_by_subject_where_every_patch_has_one(make_patches):
    named = [f"s{number % 8}" for number in range(40)]
    assert default_split(make_patches(graded(40), subjects=named)) == "subject"
    assert default_split(make_patches(graded(40))) == "random"
    assert default_split(make_patches(graded(40), subjects=["p0000.png", *named[1:]])) == "random"
    assert default_split(make_patches(graded(40), subjects=named, splits=["test"] * 40)) == "column"


@pytest.mark.parametrize("without", [1, 40])
def test_a_split_by_subject_wants_a_subject_for_each_patch(make_patches, without):
    subjects = [f"p{number:04d}.png" if number < without else f"s{number % 8}" for number in range(40)]
    with pytest.raises(DataError) as raised:
        split_patches(make_patches(graded(40), subjects=subjects), "subject", 0)
    assert str(raised.value) == (
        f"split subject; seen: {without} of 40 patches without a subject; wanted: a subject for each patch; next: fill "
        "the column subject of scores.csv, or give --split random"
    )


@pytest.mark.parametrize(("subjects", "validating"), [(24, 5), (12, 3), (8, 3), (5, 2), (4, 1), (3, 1)])
def test_validation_takes_three_subjects_or_a_quarter_of_them(make_patches, subjects, validating):
    """Of few subjects fewer, so that training keeps two where it can."""
    scores = [(number // subjects % 2,) for number in range(120)]
    data = make_patches(scores, subjects=[f"s{number % subjects:02d}" for number in range(120)])
    for seed in range(5):
        parts = split_patches(data, "subject", seed)
        chosen = {patch.subject for patch, part in zip(data.patches, parts, strict=True) if part == "val"}
        assert len(chosen) == validating


def test_a_subject_with_the_last_patches_of_a_grade_trains(make_patches):
    subjects = [f"s{number % 10}" for number in range(100)]
    scores = [(4,) if subject == "s3" else (number // 10 % 3,) for number, subject in enumerate(subjects)]
    data = make_patches(scores, subjects=subjects)
    for seed in range(20):
        parts = split_patches(data, "subject", seed)
        assert {part for subject, part in zip(subjects, parts, strict=True) if subject == "s3"} == {"train"}


def test_too_few_subjects_for_three_parts_are_refused(make_patches):
    data = make_patches(graded(40), subjects=[f"s{number % 2}" for number in range(40)])
    with pytest.raises(DataError, match=r"no patches in train; seen: 40 patches of 2 subjects.*another --split"):
        split_patches(data, "subject", 0)


def test_a_single_grade_teaches_nothing(make_patches):
    splits = [("train", "val", "test")[number % 3] for number in range(30)]
    data = make_patches([(3,) if part == "train" else (0,) for part in splits], splits=splits)
    with pytest.raises(DataError, match="only one grade to train on; seen: 3; wanted: patches of at least two"):
        split_patches(data, "column", 0)


def test_a_run_remembers_by_content_what_it_has_seen(make_patches, tmp_path: Path):
    data = make_patches(graded(20))
    parts = split_patches(data, "random", 0)
    write_split(tmp_path, data, parts)
    seen = seen_in_training(tmp_path).sha256
    assert seen == {sha[:16] for sha, part in zip(data.sha256, parts, strict=True) if part != "test"}
    assert 0 < len(seen) < 20
    (tmp_path / "split.csv").unlink()
    with pytest.raises(DataError, match=r"split\.csv: cannot be read"):
        seen_in_training(tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"path,split\na,train\n", b"path,split,sha256\na,train\n", b'"' + b"x" * 140_000]
)
def test_a_damaged_split_of_a_run_is_refused_with_what_to_do(tmp_path, content):
    (tmp_path / "split.csv").write_bytes(content)
    with pytest.raises(DataError, match=r"split\.csv: cannot be read; seen: .*; next: train again"):
        seen_in_training(tmp_path)


def test_a_split_is_known_by_what_it_uses_for_what(make_patches):
    data = make_patches(graded(6))
    parts = ("train", "train", "val", "test", "test", "train")
    first = split_sha256(data, parts)
    assert split_sha256(data.select([5, 4, 3, 2, 1, 0]), tuple(reversed(parts))) == first
    assert split_sha256(data, ("train", "test", "val", "train", "test", "train")) != first


def test_the_grades_of_a_split_are_the_raters_majorities_where_classes_have_no_order(make_patches):
    # every median is 1; the first of the tied classes is 0 or 2
    scores, splits = [(0, 1, 2), (2, 1, 0)] * 10, (["train"] * 3 + ["val", "test"]) * 4
    with pytest.raises(DataError, match="only one grade to train on"):
        split_patches(make_patches(scores, splits=splits), "column", 0)
    data = make_patches(scores, splits=splits, ordered=False)
    assert split_patches(data, "column", 0) == tuple(splits)
    for seed in range(5):
        drawn = split_patches(data, "random", seed)
        assert {patch.grade for patch, part in zip(data.patches, drawn, strict=True) if part == "train"} == {0, 2}
