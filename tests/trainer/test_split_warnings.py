"""Weaknesses of a split: grades that a part lacks, few validation subjects, one image under several names."""

from collections.abc import Sequence
from dataclasses import replace

from trainer.dataset import ScoredPatches
from trainer.split_warnings import split_warnings

PARTS = ["train"] * 8 + ["val"] * 6 + ["test"] * 6
# two in each part
SCORES = [(number % 2,) for number in range(20)]
SUBJECTS = [f"s{number // 2}" for number in range(20)]


def warned(data: ScoredPatches, parts: Sequence[str] = PARTS) -> list[str]:
    return list(split_warnings(data, parts))


def test_a_sound_split_has_no_warning(make_patches):
    assert warned(make_patches(SCORES, subjects=SUBJECTS, grades=2)) == []


def test_grades_that_a_part_lacks_are_named_with_the_consequence(make_patches):
    scores = [(0,) if part == "train" else (number % 2 + 2 * (part == "test"),) for number, part in enumerate(PARTS)]
    assert warned(make_patches(scores, subjects=SUBJECTS, grades=4)) == [
        "no training patch has any of the grades 1, 2, 3: the model cannot learn it",
        "no validation patch has any of the grades 2, 3: nothing is chosen by it",
        "no held-out patch has any of the grades 0, 1: how well the model finds it stays unknown",
    ]


def test_few_validation_subjects_are_counted(make_patches):
    subjects = [subject if part != "val" else "v" for subject, part in zip(SUBJECTS, PARTS, strict=True)]
    assert warned(make_patches(SCORES, subjects=subjects, grades=2)) == [
        "the validation part holds 1 of 5 subjects, wanted 3: epoch, temperature and limits are chosen by so few, and "
        "may not hold for others"
    ]


def test_a_quarter_of_many_subjects_is_wanted_where_they_stand_apart(make_patches):
    subjects = [f"s{number}" for number in range(40)]
    parts = ["test"] * 8 + ["val"] * 4 + ["train"] * 28
    data = make_patches([(number % 2,) for number in range(40)], subjects=subjects, grades=2)
    assert warned(data, parts)[0].startswith("the validation part holds 4 of 32 subjects, wanted 8: ")
    # of a split by image the subjects of validation may be any three
    shared = replace(data, patches=tuple(replace(p, subject=f"s{n % 5}") for n, p in enumerate(data.patches)))
    assert warned(shared, parts) == []


def test_unnamed_subjects_are_not_counted(make_patches):
    assert not any("subjects" in line for line in warned(make_patches(SCORES, grades=2)))


def test_one_image_under_several_names_is_counted_once_and_contradictions_apart(make_patches):
    data = make_patches([*SCORES[:-2], (0,), (1,)], subjects=SUBJECTS, grades=2)
    hashes = list(data.sha256)
    # two of the same grade in training, two of other grades held out
    hashes[2], hashes[19] = hashes[0], hashes[18]
    data = replace(data, sha256=tuple(hashes))
    assert warned(data) == [
        "2 image(s) stand under several names in one part, and count as often: p0000.png and p0002.png (train)",
        "1 image(s) stand under several names with different grades, which contradict each other: p0018.png and "
        "p0019.png (test)",
    ]
