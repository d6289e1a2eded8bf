"""What changed since when, by ids that are no paths."""

from collections.abc import Iterator
from pathlib import Path, PurePath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.file_state import FileState
from runtime.ledger import ImageRow, State
from runtime.ledger.row import Outcome
from runtime.viewer.session import Session, id_of


def row(name: str, at: float, score: float | None = 2.0, state: State = State.SCORED, reason: str = "") -> ImageRow:
    outcome = Outcome(
        score=score, grade=2, area_fraction='{"calm": 1, "inflamed": 0}', overlay_file="o", model_sha256="m"
    )
    return ImageRow(Path(name), state, reason, 1, False, FileState(1, 1), at, None, at, outcome)


def session(most: int = 100) -> Session:
    return Session(lambda path: path.as_posix(), most=most)


def test_what_changed_is_told_once() -> None:
    found = session()
    assert found.take([row("b", 2), row("a", 1)])
    assert [entry.name for entry in found.entries()] == ["a", "b"]
    assert found.grades == ["calm", "inflamed"]
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


@pytest.mark.parametrize("name", ["a", "a/b"])
def test_names_are_as_the_page_is_to_show_them(name: str) -> None:
    found = Session(lambda path: f"pseudonym of {len(path.parts)}")
    found.take([row(name, 1)])
    assert [entry.name for entry in found.entries()] == [f"pseudonym of {len(Path(name).parts)}"]
