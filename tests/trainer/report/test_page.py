"""The page: all that was found, for a clinician to read, in one file that needs nothing else."""

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from runtime.version import NOTICE
from trainer.evaluate import evaluate_network
from trainer.intervals import Figure
from trainer.report.facts import read_facts
from trainer.report.page import report_page

SECTIONS = [
    "How far the model agrees with the experts",
    "As good as an expert?",
    "Which grades are taken for which",
    "Is the model's confidence honest?",
    "Error by subject",
    "The worst patches",
    "How the training went",
    "The data",
    "How to repeat it",
    "For tracing",
]
DATA = Path("/lab/skin")
SCORES = [(0, 0), (1, 1), (2, 3), (3, 3), (4, 4), (4, 4), (0, 1), (2, 2)]
SAID = [0, 1, 2, 3, 4, 1, 0, 2]
SUBJECTS = ["ann", "ann", "bob", "bob", "cid", "cid", "dan", "dan"]


@pytest.fixture
def data(make_patches):
    return make_patches(SCORES, subjects=SUBJECTS)


@pytest.fixture
def make_page(evaluated, facts_of, read_page):
    """The page of a model that says `said` of `data`."""

    def make(patches, said, *, part="held-out", ordered=True, **changes):
        found = evaluated(patches, said, ordered=ordered)
        return read_page(report_page(facts_of(patches, ordered=ordered, **changes), found, part, data=DATA))

    return make


def test_everything_is_there_in_a_clinicians_order(data, make_page):
    page = make_page(data, SAID)
    assert [heading for heading in page.sections if heading in SECTIONS] == SECTIONS
    headline = page.sections[SECTIONS[0]]
    assert "8 patches of 4 subjects, the held-out part of /lab/skin (split: random)" in headline
    # one of eight is wrong, by three grades of four
    for name, value in (("Accuracy", "87.5 %"), ("Mean distance (MAD)", "0.375 grades"), ("Normalised", "9.4 %")):
        assert re.search(rf"{re.escape(name)}.{{0,10}} {re.escape(value)} 95 % interval [\d.]+ to [\d.]+", headline)
    assert "take whole subjects for what was sampled" in headline
    assert "With so few as 4 subjects they are wide." in headline
    assert "ptimistic" not in headline
    experts = page.sections[SECTIONS[1]]
    assert "No two experts scored" in experts
    assert re.search(r"r0 8 75 % 0\.\d+ \([^)]+\) 8 88 %", experts)
    assert "ICC(2,1)" in experts
    assert "4 2 50.0 % (" in page.sections[SECTIONS[2]]
    assert "70 to 80 % 8 75.0 % 87.5 %" in page.sections[SECTIONS[3]]
    assert re.search(
        r"subject patches accuracy MAD mean error cid 2 50 % 1\.50 -1\.50 ann 2 100 %", page.sections[SECTIONS[4]]
    )
    worst = page.sections[SECTIONS[5]]
    assert "1 of 8 patches are graded otherwise" in worst
    assert "Raters: 4. Model: 1, 75 % sure. r0 4, r1 4" in worst
    assert "p0005.png, subject cid; 4 × 4 px, 2 × 2 µm" in worst
    assert "3 of at most 5 epochs; the weights of epoch 2 were kept" in page.sections[SECTIONS[6]]
    lines = page.sections[SECTIONS[7]]
    assert "0 1 0 2 3 1 1 1 1 3" in lines
    assert "all grades 2 1 8 11" in lines
    assert "0.25 µm/px to 1 µm/px" in lines
    assert "3 patches tell no µm/px" in lines
    assert "inflamap train /lab/skin --out /lab/runs/july --um-per-px 0.25 --epochs 5" in page.sections[SECTIONS[8]]
    for traced in (
        "9e" * 32,
        "da" * 32,
        "5b" * 32,
        "torch 2.13.1",
        "temperature 1.137",
        "augmentation.gain 0.15",
        "seed 7",
    ):
        assert traced in page.sections[SECTIONS[9]]


def test_the_confusion_matrix_shows_counts_and_shares(data, make_page):
    matrix = make_page(data, SAID).sections[SECTIONS[2]]
    assert "0 2 100 % 0 0 0 0 1 0 1 100 % 0 0 0" in matrix
    assert "4 0 1 50 % 0 0 1 50 %" in matrix


def test_the_page_needs_nothing_else(data, evaluated, facts_of, read_page):
    written = report_page(facts_of(data), evaluated(data, SAID), "held-out", data=DATA)
    page = read_page(written)
    assert not re.search(rb"https?:|@import|url\((?!#)", written)
    assert {name for name, _attributes in page.elements}.isdisjoint({"script", "link", "iframe", "object", "a", "form"})
    for _name, attributes in page.elements:
        assert all(
            attributes.get(key, "#").startswith(("#", "data:image/png")) for key in ("src", "href", "xlink:href")
        )
    assert len(page.of("svg")) == 4
    ids = [attributes["id"] for _name, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_nothing_is_told_by_sight_alone(data, make_page):
    page = make_page(data, SAID)
    assert all(svg["role"] == "img" and svg["aria-label"] for svg in page.of("svg"))
    assert [image["alt"] for image in page.of("img")] == ["patch p0005.png: raters 4, model 1"]
    assert all(header.get("scope") for header in page.of("th"))


def test_the_same_input_makes_the_same_bytes(data, evaluated, facts_of):
    first, second = (report_page(facts_of(data), evaluated(data, SAID), "held-out", data=DATA) for _ in range(2))
    assert first == second


def test_the_notice_always_stands_there(data, make_page):
    page = make_page(data, SAID)
    assert page.text.count(NOTICE) == 2
    assert "ynthetic data" not in page.text
    assert "trained on synthetic images. Research" not in page.text


def test_synthetic_data_is_called_so_first(data, make_page):
    page = make_page(dataclasses.replace(data, synthetic=True), SAID)
    assert page.text.index("Synthetic data: skin, raters and severity are drawn") < page.text.index("Accuracy")


def test_a_model_of_synthetic_skin_is_called_so_on_real_skin(data, make_page):
    page = make_page(data, SAID, data={"synthetic": True})
    assert "The model was trained on synthetic images. Research use only." in page.text
    assert "Synthetic data:" not in page.text


def test_figures_of_the_validation_part_warn_before_anything_else(data, make_page):
    page = make_page(data, SAID, part="validation")
    warning = page.text.index(
        "Figures of the validation part. By this part the kept epoch and the temperature were chosen"
    )
    assert warning < page.text.index("Accuracy")
    assert "inflamap evaluate /lab/runs/july /lab/skin completes this report" in page.text
    assert "the validation part of /lab/skin" in page.sections[SECTIONS[0]]
    assert "Figures of the validation part" not in make_page(data, SAID).text


def test_patches_from_elsewhere_are_told_from_the_runs_own(data, evaluated, facts_of, read_page):
    page = read_page(report_page(facts_of(data.select([0, 1, 4])), evaluated(data, SAID), "held-out", data=DATA))
    assert "3 of them are the held-out part of its own data" in page.sections[SECTIONS[0]]


def test_the_oracle_speaks_where_there_is_one(data, evaluated, facts_of, read_page):
    found = dataclasses.replace(
        evaluated(data, SAID), oracle={"accuracy": 0.925}, accuracy_of_oracle=Figure(0.946, 0.9, 0.99)
    )
    page = read_page(report_page(facts_of(data), found, "held-out", data=DATA))
    assert "would reach an accuracy of 92.5 %" in page.sections[SECTIONS[1]]
    assert "94.6 % (90.0 to 99.0 %) of that" in page.sections[SECTIONS[1]]
    without = read_page(report_page(facts_of(data), evaluated(data, SAID), "held-out", data=DATA))
    assert "oracle" not in without.text


def test_as_good_as_an_expert_is_a_figure(make_patches, evaluated, facts_of, read_page):
    data = make_patches(SCORES * 20, subjects=SUBJECTS * 20)
    found = evaluated(data, SAID * 20)
    experts = read_page(report_page(facts_of(data), found, "held-out", data=DATA)).sections[SECTIONS[1]]
    assert found.experts.verdict()[1:] in experts
    assert f"is {found.experts.kappa_among_raters.value:.3f} (" in experts
    assert f"and {found.experts.kappa_model_with_raters.value:.3f} (" in experts
    assert "No two experts" not in experts


def test_figures_of_subjects_that_were_trained_on_are_called_optimistic_before_they_are_read(
    make_patches, evaluated, facts_of, read_page
):
    data = make_patches(SCORES * 20, subjects=SUBJECTS * 20)
    found = evaluated(data, [score[0] for score in SCORES] * 20, trained_subjects=frozenset({"ann", "bob", "eve"}))
    written = report_page(facts_of(data), found, "held-out", data=DATA)
    page = read_page(written)
    headline, experts = page.sections[SECTIONS[0]], page.sections[SECTIONS[1]]
    said = "Optimistic: 2 of the 4 subjects also have patches that the model was trained or chosen by"
    assert headline.index(said) < headline.index("Accuracy")
    assert "On subjects that it was also trained or chosen by, and so optimistically, " in experts
    assert b'class="verdict"' not in written
    # and a split that keeps subjects apart has its verdict as a headline
    apart = report_page(facts_of(data), evaluated(data, SAID * 20), "held-out", data=DATA)
    assert b'class="verdict"' in apart
    assert "ptimistic" not in read_page(apart).text


def test_one_subject_is_no_headline_of_how_good_the_model_is(make_patches, evaluated, facts_of):
    data = make_patches(SCORES * 20, subjects=["ann"] * 160)
    written = report_page(facts_of(data), evaluated(data, SAID * 20), "held-out", data=DATA)
    assert b'class="verdict"' not in written
    assert b"For one subject alone, " in written


def test_the_weaknesses_of_the_split_stand_above_all_figures(data, make_page):
    warning = "the validation part holds 1 of 4 subjects, wanted 3: epoch"
    page = make_page(data, SAID, data={"warnings": [warning]})
    assert page.text.index(warning) < page.text.index("Accuracy")


def test_an_undefined_kappa_is_a_dash(make_patches, make_page):
    page = make_page(make_patches([(1, 1)] * 6, subjects=["ann", "bob", "cid"] * 2), [1] * 6)
    assert "Weighted kappa – undefined The model and the raters use one grade throughout" in page.text
    assert "Accuracy 100.0 % 95 % interval" in page.text


def test_the_expected_grade_is_on_the_scale_of_the_grades(make_patches, make_page):
    data = dataclasses.replace(make_patches(SCORES, subjects=SUBJECTS), grades=("1", "2", "3", "4", "5"))
    worst = make_page(data, SAID).sections[SECTIONS[5]]
    # 0.75 for grade 2, and a sixteenth for each of the four others
    assert "Raters: 5. Model: 2, 75 % sure." in worst
    assert "expected grade 2.31 on a scale of 1 to 5" in worst


def test_the_kept_epoch_is_told_with_its_reason(data, make_page):
    def told(*losses):
        history = [
            {"train_loss": 1.0, "val_loss": loss, "val_loss_error": 0.02, "val_accuracy": 0.5} for loss in losses
        ]
        return make_page(data, SAID, history=history).sections[SECTIONS[6]]

    assert "the weights of epoch 2 were kept, whose loss on the validation part, 0.500, is the lowest" in told(0.9, 0.5)
    later = told(0.9, 0.5, 0.51, 0.8)
    assert (
        "epoch 3 were kept: the last with a loss on the validation part, 0.510, within one standard error, 0.020, of "
        "the lowest, 0.500 in epoch 2."
    ) in later


def test_one_rater_cannot_tell_how_good_an_expert_is(make_patches, make_page):
    page = make_page(make_patches([(0,), (1,), (2,)]), [0, 1, 2])
    assert "holds one score for each patch" in page.sections[SECTIONS[1]]
    assert "None: every patch gets the grade of the raters' median." in page.sections[SECTIONS[5]]


def test_images_without_subjects_are_not_called_people(make_patches, make_page):
    page = make_page(make_patches([(0,), (1,), (2,)]), [0, 1, 1])
    assert "3 patches of unnamed subjects" in page.sections[SECTIONS[0]]
    assert "take the images for independent" in page.sections[SECTIONS[0]]
    assert "The data names no subjects: where patches of one person" in page.sections[SECTIONS[0]]
    assert "The data names no subjects" in page.sections[SECTIONS[4]]
    assert len(page.of("svg")) == 3


def test_one_subject_speaks_for_itself_alone(make_patches, make_page):
    page = make_page(make_patches([(0,), (1,), (2,)], subjects=["ann"] * 3), [0, 1, 1])
    assert "they hold for that subject alone" in page.sections[SECTIONS[0]]
    assert "3 patches of 1 subject," in page.sections[SECTIONS[0]]


def test_a_crowd_of_subjects_is_cut_to_the_worst(make_patches, make_page):
    subjects = [f"s{number:02d}" for number in range(60)]
    page = make_page(make_patches([(0,)] * 60, subjects=subjects), [3] * 7 + [0] * 53)
    assert "The 40 subjects with the largest error, of 60" in page.sections[SECTIONS[4]]
    assert "s39" in page.sections[SECTIONS[4]]
    assert "s40" not in page.sections[SECTIONS[4]]


@pytest.mark.parametrize("grades", [2, 50])
def test_grades_without_an_order_have_no_distances(make_patches, make_page, grades):
    data = make_patches([(number % grades,) * 2 for number in range(100)], grades=grades, subjects=["a", "b"] * 50)
    page = make_page(data, [0, *(number % grades for number in range(99))], ordered=False)
    for distance in ("MAD", "kappa", "ICC", "expected grade", "mean error"):
        assert distance not in page.text
    assert "Accuracy" in page.sections[SECTIONS[0]]
    assert len([cell for cell in page.of("td") if "agreed" in cell.get("class", "")]) == grades


@pytest.mark.parametrize(("ordered", "wanted", "other"), [(True, "median", "majority"), (False, "majority", "median")])
def test_the_page_names_how_the_raters_scores_are_combined(make_patches, make_page, ordered, wanted, other):
    data = make_patches([(0, 2, 4), (4, 0, 4)], subjects=["a", "b"])
    for said in ([0, 4], [1, 1]):
        page = make_page(data, said, ordered=ordered)
        assert other not in page.text
        assert f"the very grade that is the raters' {wanted}." in page.sections[SECTIONS[0]]
        for section in (1, 2, 5, 7):
            assert wanted in page.sections[SECTIONS[section]]


def test_a_grade_that_nobody_gave_has_no_recall(make_patches, make_page):
    page = make_page(make_patches([(0,), (0,)]), [0, 0])
    assert "0 2 100.0 % (1.2 to 100.0 %) 1 0 – 2 0 –" in page.sections[SECTIONS[2]]


def test_names_cannot_leave_their_place(make_patches, evaluated, facts_of, read_page):
    attack = '<script>alert("x")</script>&\'"'
    nasty = f"{attack}\udcff\u202e\n"
    data = make_patches([(0, 1), (1, 1)], paths=[f"{nasty}1", f"{nasty}2"], subjects=[nasty, "שלום"], grades=2)
    patches = tuple(dataclasses.replace(patch, raters=(attack, "r")) for patch in data.patches)
    data = dataclasses.replace(data, patches=patches, grades=(attack, f"{attack} B"), notes=(nasty,))
    facts = facts_of(
        data,
        data={"folder": nasty, "notes": [nasty]},
        settings={"split": nasty},
        versions={"torch": attack},
    )
    facts = dataclasses.replace(facts, folder=Path("/lab") / nasty.replace("/", ""))
    for part in ("held-out", "validation"):
        written = report_page(facts, evaluated(data, [1, 0]), part, data=Path("/lab") / nasty)
        page = read_page(written)
        assert not page.of("script")
        for section in (1, 2, 4, 5, 7):
            assert attack in page.sections[SECTIONS[section]]
        assert "שלום" in page.sections[SECTIONS[4]]
        assert "\\udcff\\u202e" in page.text
        assert "\u202e" not in page.text
        assert any(attack in image["alt"] for image in page.of("img"))


def test_a_page_of_large_pictures_can_be_sent(make_patches, evaluated, facts_of):
    data = make_patches([(0,)] * 12, subjects=["a", "b"] * 6)
    found = evaluated(data, [1] * 12)
    rng = np.random.default_rng(0)
    noise = tuple(rng.integers(0, 256, (600, 500), np.uint8) for _ in range(12))
    found = dataclasses.replace(found, data=dataclasses.replace(data, pixels=noise))
    page = report_page(facts_of(data), found, "held-out", data=DATA)
    assert page.count(b"data:image/png") == 12
    assert len(page) < 2_000_000


def test_a_trained_run_has_its_page(trained, read_page):
    held_out = trained.data.of_part(trained.parts, "test")
    found = evaluate_network(trained.network, held_out, severity=None, progress=lambda *_step: None)
    page = read_page(report_page(read_facts(trained.run), found, "held-out", data=trained.folder))
    assert f"50 patches of 12 subjects, the held-out part of {trained.folder}" in page.sections[SECTIONS[0]]
    assert trained.data.content_sha256() in page.sections[SECTIONS[9]]


def test_no_command_pays_for_it_at_its_start():
    commands = "trainer.commands.train, trainer.commands.evaluate"
    slow = "{'lightning_fabric', 'matplotlib', 'jinja2', 'trainer.report.page'}"
    check = f"import sys, {commands}; print({slow} & {{*sys.modules}})"
    found = subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3]
    )
    assert found.stdout == "set()\n"
