"""What trains is not what is held out: images by content, subjects where the split is theirs."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import DataError
from trainer.dataset import ScoredPatches
from trainer.leakage import check_leakage
from trainer.split import PARTS, split_patches
from trainer.split_record import write_split

LETTERS = {"t": "train", "v": "val", "h": "test"}


@pytest.fixture(scope="session")
def make_data(make_patches) -> Callable[..., ScoredPatches]:
    """Builds a data set in memory of given subjects and, by any short names, images."""

    def make(*, subjects: Sequence[str] | None = None, images: Sequence[str] | None = None) -> ScoredPatches:
        count = len(subjects or images or ())
        data = make_patches([(number % 5,) for number in range(count)], subjects=subjects)
        return data if images is None else replace(data, image_sha256=tuple(images))

    return make


def parts_of(letters: str) -> tuple[str, ...]:
    """Of `t`rain, `v`al and `h`eld out, blanks aside."""
    return tuple(LETTERS[letter] for letter in letters.replace(" ", ""))


def leaks_of(data: ScoredPatches, parts: Sequence[str], how: str = "column") -> tuple[str, ...]:
    """What is refused, and warned of when allowed."""
    with pytest.raises(DataError) as raised:
        check_leakage(data, parts, how, allow_duplicates=False)
    leaks = raised.value.details
    assert str(raised.value).startswith(f"split {how}: {len(leaks)} leak(s) between its parts; wanted: each image")
    assert "--allow-duplicates" in raised.value.next_step
    allowed = check_leakage(data, parts, how, allow_duplicates=True)
    assert allowed[:-1] == leaks
    assert allowed[-1].startswith(f"{len(leaks)} leak(s) between the parts are allowed: ")
    return leaks


def warnings_of(data: ScoredPatches, parts: Sequence[str], how: str = "column") -> tuple[str, ...]:
    return check_leakage(data, parts, how, allow_duplicates=False)


# images


@pytest.mark.parametrize("how", ["random", "subject", "column"])
def test_an_image_in_two_parts_is_named_with_all_its_paths_and_parts(make_data, how):
    data = make_data(images=["one", "two", "one", "three", "two", "two", "four", "four"])
    assert leaks_of(data, parts_of("tthvtvvv"), how) == (
        "the same image: p0000.png (train), p0002.png (test)",
        "the same image: p0001.png (train), p0004.png (train), p0005.png (val)",
    )


def test_patches_of_one_frame_in_two_parts_are_one_line(make_data):
    data = make_data(images=["frame"] * 4 + ["other"] * 2)
    data = replace(
        data,
        patches=tuple(replace(patch, path=image) for patch, image in zip(data.patches, data.image_sha256, strict=True)),
    )
    assert leaks_of(data, parts_of("ttht tt")) == ("the same image: frame (train), frame (test)",)


def test_the_same_image_twice_in_one_part_is_no_leak(make_data):
    assert warnings_of(make_data(images=["one", "one", "two", "three"]), parts_of("tthv")) == ()


@given(images=st.lists(st.integers(0, 12), min_size=1, max_size=20), letters=st.data())
def test_exactly_the_images_that_stand_in_two_parts_are_leaks(make_data, images, letters):
    parts = parts_of(letters.draw(st.text("tvh", min_size=len(images), max_size=len(images))))
    data = make_data(images=[str(image) for image in images])
    shared = {image for image in images if len({p for i, p in zip(images, parts, strict=True) if i == image}) > 1}
    assert len(leaks_of(data, parts) if shared else warnings_of(data, parts)) == len(shared)


# subjects

TEN_SUBJECTS = [f"s{number // 4}" for number in range(40)]


def test_a_subject_on_both_sides_of_a_subject_split_is_named_with_an_image_of_each(make_data):
    data = make_data(subjects=TEN_SUBJECTS)
    assert leaks_of(data, parts_of("tttt hhhh tthv vvvv tttt tttt hhhh vtvt tttt hhht")) == (
        "the same subject: s2: p0008.png (train), p0011.png (val), p0010.png (test)",
        "the same subject: s9: p0039.png (train), p0036.png (test)",
    )


def test_validation_may_share_the_subjects_that_train(make_data):
    data = make_data(subjects=TEN_SUBJECTS)
    assert warnings_of(data, parts_of("tttv hhhh tvtt tttv tvtt tttt hhhh vttt tttv hhhh")) == ()


def test_a_split_by_image_is_told_apart_and_warned_of_once(make_data):
    data = make_data(subjects=TEN_SUBJECTS)
    assert warnings_of(data, parts_of("ttth thtt tttt vtht htth tttv tthh vttt tttt thvt")) == (
        "patches of 6 of 10 subjects stand on both sides of the split: its figures are optimistic, and hold only for "
        "skin already met (for new skin: --split subject)",
    )


@pytest.mark.parametrize("images", [2, 3, 8])
def test_what_chance_brings_is_no_subject_split(make_data, images):
    """Of pairs of images, chance alone leaves most wholly on one side."""
    data = make_data(subjects=[f"s{number // images}" for number in range(120 * images)])
    for seed in range(5):
        [warning] = warnings_of(data, split_patches(data, "random", seed))
        assert "stand on both sides" in warning


def test_a_random_split_that_was_asked_for_is_warned_of_too(make_data):
    data = make_data(subjects=TEN_SUBJECTS)
    [warning] = warnings_of(data, split_patches(data, "random", 0), "random")
    assert "stand on both sides of the split: its figures are optimistic" in warning


def test_of_very_many_leaks_the_first_are_named(make_data):
    images = [str(number // 2) for number in range(120)]
    with pytest.raises(DataError, match=r"60 leak\(s\)") as raised:
        check_leakage(make_data(images=images), parts_of("th" * 60), "column", allow_duplicates=False)
    assert len(raised.value.details) == 21
    assert raised.value.details[-1] == "and 40 more like these"


@given(sizes=st.lists(st.integers(1, 6), min_size=6, max_size=20), seed=st.integers(0, 9))
def test_a_drawn_subject_split_holds_no_leak(make_data, sizes, seed):
    data = make_data(subjects=[f"s{unit}" for unit, size in enumerate(sizes) for _ in range(size)])
    data = replace(data, patches=tuple(replace(patch, scores=(row % 2,)) for row, patch in enumerate(data.patches)))
    try:
        parts = split_patches(data, "subject", seed)
    except DataError:
        return  # one grade to train on
    assert warnings_of(data, parts, "subject") == ()


@pytest.mark.parametrize(("how", "letters"), [("subject", "tttt hhv"), ("column", "tttt hhv"), ("subject", "vvvv tth")])
def test_one_person_spelled_two_ways_is_one(make_data, how, letters):
    data = make_data(subjects=["S01", "S01", "S2", "S2", "s01 ", "s01 ", "s3"])
    first, other = ("train", "test") if letters[0] == "t" else ("val", "train")
    named = {first: "p0000.png", other: "p0004.png"}
    where = ", ".join(f"{named[part]} ({part})" for part in PARTS if part in named)
    assert leaks_of(data, parts_of(letters), how) == (f"the same subject: S01 / s01 : {where}",)


def test_patches_without_a_subject_have_none(make_patches):
    """Not even where their files' names differ in case only."""
    data = make_patches([(0,)] * 4, paths=["Scan.png", "scan.png", "b.png", "c.png"])
    assert warnings_of(data, parts_of("thvt")) == ()


def test_a_subject_whose_only_image_leaks_is_named_once(make_data):
    subjects = [*TEN_SUBJECTS, "s10", "s10"]
    data = make_data(subjects=subjects, images=[*map(str, range(40)), "twice", "twice"])
    parts = parts_of("tttt hhhh tttt vvvv tttt tttt hhhh tttt tttt hhhh th")
    assert leaks_of(data, parts) == ("the same image: p0040.png (train), p0041.png (test)",)


def test_the_split_that_a_run_wrote_is_warned_of_and_never_refused_for_its_subjects(make_data, tmp_path):
    data = make_data(subjects=TEN_SUBJECTS)
    parts = parts_of("tttt hhhh tthv vvvv tttt tttt hhhh vtvt tttt hhhh")
    write_split(tmp_path, data, parts)
    [warning] = warnings_of(data, parts, str(tmp_path / "split.csv"))
    assert warning.startswith("patches of 1 of 10 subjects stand on both sides")
    write_split(tmp_path, data, parts_of("tttt hhhh vvvv tttt tttt tttt hhhh tttt tttt hhhh"))
    apart = split_patches(data, str(tmp_path / "split.csv"), 0)
    assert warnings_of(data, apart, str(tmp_path / "split.csv")) == ()
