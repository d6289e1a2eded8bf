"""What changed since when, by ids that are no paths."""

from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.file_state import FileState
from runtime.ledger import ImageRow, State
from runtime.ledger.row import Outcome
from runtime.viewer.session import Entry, Session, id_of
from runtime.viewer.setup import Scale

SCALE = Scale(("calm", "inflamed"), True, "Inflammation", ("m",))
CLASSES = Scale(("calm", "inflamed"), False, "Inflammation", ("m",))


def row(
    name: str,
    at: float,
    score: float | None = 2.0,
    state: State = State.SCORED,
    reason: str = "",
    *,
    saved: float | None = None,
    areas: str | None = '{"calm": 0.75, "inflamed": 0.25}',
) -> ImageRow:
    """A row finished at `at` and saved at `saved`, at the same time unless given."""
    outcome = Outcome(score=score, grade=1, area_fraction=areas, overlay_file="o", model_sha256="m")
    file = FileState(1, round(1e9 * (at if saved is None else saved)))
    return ImageRow(Path(name), state, reason, 1, False, file, at, None, at, outcome)


def session(most: int = 100, scale: Scale = SCALE) -> Session:
    return Session(scale, lambda path: path.as_posix(), most=most)


def test_what_changed_is_told_once() -> None:
    found = session()
    assert found.take([row("b", 2), row("a", 1)])
    assert [entry.name for entry in found.entries()] == ["a", "b"]
    version = found.version
    assert not found.take([row("b", 2)])
    assert found.entries(version) == []
    assert found.take([row("b", 3, 1.0)])
    (changed,) = found.entries(version)
    assert (changed.name, changed.score, changed.at) == ("b", 1.0, 3)


def test_a_failed_image_has_no_score_of_an_earlier_content() -> None:
    found = session()
    found.take([row("a", 1, state=State.FAILED, reason="cut")])
    (entry,) = found.entries()
    assert (entry.state, entry.score, entry.grade, entry.reason) == ("failed", None, None, "cut")


def test_what_is_gone_has_every_page_ask_anew() -> None:
    found = session()
    found.take([row("b", 2), row("a", 1)], all_of_them=True)
    before = found.version
    assert found.dropped == 0
    assert found.take([row("b", 2)], all_of_them=True)
    assert [entry.name for entry in found.entries()] == ["b"]
    assert found.dropped > before
    assert found.row(id_of(PurePath("a"))) is None


def test_the_oldest_make_room() -> None:
    found = session(3)
    for number in range(10):
        found.take([row(f"v{number}", number)])
    assert [entry.name for entry in found.entries()] == ["v7", "v8", "v9"]


def test_a_full_session_lets_the_oldest_go_without_having_every_page_ask_anew() -> None:
    found = session(3)
    for number in range(3, 8):
        newest = [row(f"v{at}", at) for at in range(number, number - 3, -1)]
        found.take(newest, all_of_them=True)
        assert [entry.name for entry in found.entries()] == [each.path.name for each in reversed(newest)]
    assert found.dropped == 0
    found.take([row("v7", 7), row("v5", 5), row("v4", 4)], all_of_them=True)
    assert found.dropped == found.version


def test_a_page_that_asks_in_the_midst_misses_nothing() -> None:
    found = session()
    known: dict[str, int] = {}
    version = 0

    def ask() -> None:
        nonlocal version
        now = found.version
        known.update({entry.name: entry.version for entry in found.entries(version)})
        version = now

    def rows() -> Iterator[ImageRow]:
        for number in range(5):
            yield row(f"v{number}", number)
            ask()

    found.take(rows())
    ask()
    assert known == {entry.name: entry.version for entry in found.entries()}


def test_ids_are_no_paths() -> None:
    for path in ("../../etc/passwd", "a/b.bmp", "\udcff.bmp"):
        assert id_of(PurePath(path)).isalnum()
        assert len(id_of(PurePath(path))) == 16
    assert id_of(PurePath("a")) != id_of(PurePath("b"))


CHANGES = st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 50), st.booleans()), max_size=40)


@settings(max_examples=60, deadline=None)
@given(changes=CHANGES, known_from=st.integers(0, 40))
def test_a_page_that_takes_every_change_knows_what_a_new_page_is_told(
    changes: list[tuple[str, int, bool]], known_from: int
) -> None:
    found, rows = session(), {}
    page: dict[str, object] = {}
    version = 0
    for number, (name, at, everything) in enumerate(changes):
        rows[name] = row(name, float(at))
        newest = sorted(rows.values(), key=lambda row: -(row.finished or 0))
        if everything:
            if len(rows) > 1 and at % 3 == 0:
                gone = newest.pop()
                del rows[gone.path.as_posix()]
            found.take(newest, all_of_them=True)
        else:
            found.take([rows[name]])
        if number >= known_from:
            if version < found.dropped:
                page.clear()
                version = 0
            page |= {entry.id: entry for entry in found.entries(version)}
            version = found.version
    if len(changes) > known_from:
        assert page == {entry.id: entry for entry in found.entries()}


SAVED = st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(1, 9), st.integers(1, 50)), max_size=30)


@settings(max_examples=60, deadline=None)
@given(saved=SAVED, most=st.integers(1, 6), everything=st.booleans())
def test_images_are_kept_and_told_in_the_order_in_which_they_were_saved(
    saved: list[tuple[str, int, int]], most: int, everything: bool
) -> None:
    found, rows = session(most), {}
    for name, at, finished in saved:
        rows[name] = row(name, float(finished), saved=float(at))
        in_order = sorted(rows.values(), key=lambda row: (row.acquired, row.path))
        found.take(reversed(in_order) if everything else [rows[name]], all_of_them=everything)
        if everything:
            assert [entry.name for entry in found.entries()] == [each.path.name for each in in_order[-most:]]
    told = found.entries()
    assert [(entry.acquired, entry.name) for entry in told] == sorted((entry.acquired, entry.name) for entry in told)
    assert len(told) <= most


def test_a_full_session_takes_no_image_that_was_saved_before_all_others() -> None:
    found = session(2)
    found.take([row("c", 3), row("b", 2)], all_of_them=True)
    version = found.version
    # an old image was scored again just now
    assert not found.take([row("a", 9, saved=1)])
    assert (found.version, found.dropped) == (version, 0)


def told_of(scale: Scale, **result: Any) -> Entry:
    found = session(scale=scale)
    found.take([row("a", 1, **result)])
    return found.entries()[0]


def test_a_result_is_told_on_its_own_scale() -> None:
    entry = told_of(SCALE)
    assert (entry.score, entry.grade, entry.share, entry.grades) == (2.0, 1, None, None)
    # of an earlier model with other grades
    entry = told_of(SCALE, areas='{"0": 0.5, "1": 0, "2": 0.5}')
    assert (entry.score, entry.share, entry.grades) == (2.0, None, ("0", "1", "2"))
    # grades that are not known are not those of the model that runs
    entry = told_of(SCALE, areas=None)
    assert (entry.score, entry.grades) == (2.0, ())


@pytest.mark.parametrize("mean", [None, 0.25], ids=["no mean", "the mean that an earlier version took"])
def test_of_classes_without_order_the_largest_is_told_and_no_mean(mean: float | None) -> None:
    entry = told_of(CLASSES, score=mean)
    assert (entry.score, entry.grade, entry.share, entry.grades) == (None, 0, 0.75, None)


def test_classes_of_an_earlier_model_are_told_as_such() -> None:
    entry = told_of(SCALE, score=None)
    assert (entry.score, entry.grade, entry.share) == (None, 0, 0.75)


@pytest.mark.parametrize("name", ["a", "a/b"])
def test_names_are_as_the_page_is_to_show_them(name: str) -> None:
    found = Session(SCALE, lambda path: f"pseudonym of {len(path.parts)}")
    found.take([row(name, 1)])
    assert [entry.name for entry in found.entries()] == [f"pseudonym of {len(Path(name).parts)}"]
