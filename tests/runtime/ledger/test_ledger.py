"""What becomes of an image, one way at a time; random orders of all of them are in test_ledger_machine.py."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from made_up import arrive, result_of

from runtime.file_state import FileState
from runtime.ledger import Ledger, State, open_ledger
from runtime.ledger.account import ModelShare
from runtime.ledger.ledger import _TAKE, Arrival
from runtime.ledger.turns import Turn
from runtime.outputs import result_files

ONE = Path("a.bmp")
FILE = FileState(10, 20)
NOW = 1_700_000_000.0
NAMES = [
    "a.bmp",
    "Site #1/deep er/v 0000000.bmp",
    "ä ö/%20?*.bmp",
    "line\nbreak\t'\".bmp",
    "x" * 246 + ".bmp",
    "ü" * 123 + ".bmp",
]
if sys.platform != "win32":
    NAMES += [os.fsdecode(b"a\xff.bmp"), os.fsdecode(b"\xe4\xf6/b\xff#.bmp"), "back\\slash.bmp"]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(tmp_path, create=True) as opened:
        yield opened


def take(ledger: Ledger, now: float = NOW) -> Any:
    row = ledger.take(now)
    assert row is not None, "nothing is due"
    return row


def only(ledger: Ledger) -> Any:
    (row,) = ledger.rows()
    return row


def test_pause_after_failures_doubles_from_ten_seconds_and_ends_at_an_hour(ledger: Ledger) -> None:
    arrive(ledger, ONE, FILE, NOW)
    now, pauses = NOW, []
    for attempt in range(1, 13):
        row = take(ledger, now)
        assert row.attempts == attempt
        ledger.failed(row, "locked", now)
        pause = next(s for s in (*(10 * 2**n for n in range(9)), 3600) if ledger_is_due(ledger, now, s))
        pauses.append(pause)
        now += pause
    assert pauses == [10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600, 3600]


def ledger_is_due(ledger: Ledger, failed_at: float, pause_s: float) -> bool:
    """Whether the failed image would be taken then; it is put back."""
    if ledger.take(failed_at + pause_s - 0.5) is not None:
        pytest.fail(f"due before {pause_s} s")
    row = ledger.take(failed_at + pause_s)
    if row is not None:
        ledger.postponed(row.path, failed_at + pause_s)
    return row is not None


def test_a_thousand_failures_are_counted_and_do_not_overflow(ledger: Ledger) -> None:
    arrive(ledger, ONE, FILE, NOW)
    for number in range(1100):
        ledger.failed(take(ledger, NOW + number * 3600), "locked", NOW + number * 3600)
    assert only(ledger).attempts == 1100


@pytest.mark.parametrize("back_s", [3700.0, 86_400.0, NOW])
def test_clock_set_back_far_strands_no_failed_image(ledger: Ledger, back_s: float) -> None:
    arrive(ledger, ONE, FILE, NOW)
    ledger.failed(take(ledger), "locked", NOW)
    assert ledger.take(NOW + 9) is None
    assert ledger.take(NOW - back_s) is not None


@pytest.mark.parametrize("back_s", [5.0, 600.0, 3500.0])
def test_clock_set_back_a_little_lets_a_failed_image_wait_no_more_than_that_longer(
    ledger: Ledger, back_s: float
) -> None:
    arrive(ledger, ONE, FILE, NOW)
    ledger.failed(take(ledger), "locked", NOW)
    assert ledger.take(NOW - back_s + 10 + back_s) is not None


def test_new_content_of_a_failed_image_is_due_at_once_and_its_pauses_start_anew(ledger: Ledger) -> None:
    arrive(ledger, ONE, FILE, NOW)
    now = NOW
    for _ in range(5):
        ledger.failed(take(ledger, now), "locked", now)
        now += 3600
    ledger.failed(take(ledger, now), "locked", now)
    arrive(ledger, ONE, FileState(11, 21), now + 1)
    row = take(ledger, now + 1)
    assert (row.state, row.reason, row.attempts) == (State.WAITING, "", 1)
    ledger.failed(row, "locked", now + 1)
    assert ledger.take(now + 12) is not None


def test_failed_images_are_tried_at_once_after_a_start(ledger: Ledger) -> None:
    arrive(ledger, ONE, FILE, NOW)
    ledger.failed(take(ledger), "locked", NOW)
    assert not ledger.waits()
    assert ledger.recover() == []
    assert ledger.waits()
    row = take(ledger, NOW + 0.1)
    # what it failed with is still known, lest it be told twice
    assert (row.reason, row.attempts) == ("locked", 2)


def test_image_that_ends_the_program_is_given_up_with_a_reason_and_healed_by_retry(ledger: Ledger) -> None:
    arrive(ledger, ONE, FILE, NOW)
    for _ in range(4):
        take(ledger)
        assert ledger.recover() == []
    take(ledger)
    assert ledger.recover() == [ONE]
    row = only(ledger)
    assert row.state == State.FAILED
    assert "ended 5 times" in row.reason
    assert "next: inflamap retry" in row.reason
    # neither time nor a start brings it back, and it is told of once
    assert ledger.take(NOW + 1e9) is None
    assert ledger.recover() == []
    assert ledger.take(NOW + 1e9) is None
    ledger.retry([ONE], NOW)
    for _ in range(4):
        take(ledger)
        assert ledger.recover() == [], "the interruptions of before were counted again"


def test_new_content_of_an_image_given_up_is_taken(ledger: Ledger) -> None:
    arrive(ledger, ONE, FILE, NOW)
    for _ in range(5):
        take(ledger)
        ledger.recover()
    arrive(ledger, ONE, FileState(11, 21), NOW)
    assert take(ledger).path == ONE


def test_new_content_has_interrupted_nothing(ledger: Ledger) -> None:
    arrive(ledger, ONE, FILE, NOW)
    for _ in range(4):
        take(ledger)
        assert ledger.recover() == []
    arrive(ledger, ONE, FileState(11, 21), NOW)
    for _ in range(4):
        take(ledger)
        assert ledger.recover() == [], "the interruptions of the content before were counted"
    # as one that never did, it may be taken beside another
    arrive(ledger, ONE, FileState(12, 22), NOW)
    assert ledger.take(NOW, beside=True) is not None


@pytest.mark.parametrize("change", ["retry", "new version"])
def test_what_was_asked_for_anew_has_interrupted_nothing(ledger: Ledger, change: str) -> None:
    arrive(ledger, ONE, FILE, NOW)
    ledger.failed(take(ledger), "locked", NOW)
    for _ in range(4):
        take(ledger, NOW + 10)
        ledger.recover()
    if change == "retry":
        ledger.retry([ONE], NOW)
    else:
        assert ledger.retry_failed(NOW) == 1
    for _ in range(4):
        take(ledger, NOW)
        assert ledger.recover() == []
    take(ledger, NOW)
    assert ledger.recover() == [ONE]


def test_pause_ends_at_its_very_end(ledger: Ledger) -> None:
    arrive(ledger, ONE, FILE, NOW)
    assert ledger.failed(take(ledger), "locked", NOW) == NOW + 10
    assert ledger.take(NOW + 9.999) is None
    assert ledger.take(NOW + 10) is not None


def test_pause_of_an_hour_is_no_clock_that_was_set_back(ledger: Ledger) -> None:
    arrive(ledger, ONE, FILE, NOW)
    ledger.postponed(take(ledger).path, NOW + 3600)
    assert ledger.take(NOW) is None
    # nor when another is due
    arrive(ledger, Path("b.bmp"), FILE, NOW)
    assert take(ledger, NOW).path == Path("b.bmp")
    assert ledger.take(NOW) is None
    assert ledger.take(NOW - 0.001) is not None


def test_image_that_is_gone_keeps_all_but_its_size(ledger: Ledger) -> None:
    file = FileState(10, 20, 30, 40)
    arrive(ledger, ONE, file, NOW)
    ledger.finished(take(ledger), result_of(), NOW + 1)
    scored = only(ledger)
    assert scored.file == file
    ledger.retry([ONE], NOW + 2)
    ledger.finished(take(ledger, NOW + 2), result_of(), NOW + 3, gone=True)
    row = only(ledger)
    assert (row.state, row.file) == (State.SCORED, FileState(-1, 20, 30, 40))
    assert row.outcome == scored.outcome
    assert row.acquired == scored.acquired
    assert ledger.known_of(["a.bmp"]) == {"a.bmp": FileState(-1, 20, 30, 40)}


def test_failed_image_that_is_gone_keeps_its_earlier_result_and_all_but_its_size(ledger: Ledger) -> None:
    arrive(ledger, ONE, FileState(10, 20, 30, 40), NOW)
    ledger.finished(take(ledger), result_of(), NOW + 1)
    outcome = only(ledger).outcome
    arrive(ledger, ONE, FileState(11, 21, 31, 41), NOW + 2)
    assert ledger.failed(take(ledger, NOW + 2), "the file is gone", NOW + 3, gone=True) is None
    row = only(ledger)
    assert (row.state, row.reason, row.file) == (State.FAILED, "the file is gone", FileState(-1, 21, 31, 41))
    assert (row.outcome, row.finished, row.attempts) == (outcome, NOW + 3, 1)
    # it comes back as it was
    arrive(ledger, ONE, FileState(11, 21, 31, 41), NOW + 4)
    assert take(ledger, NOW + 4).file == FileState(11, 21, 31, 41)


def test_image_never_tried_comes_before_all_that_are_retried(ledger: Ledger) -> None:
    arrive(ledger, Path("old"), FILE, NOW - 1000)
    arrive(ledger, Path("asked again"), FILE, NOW - 999)
    ledger.retry([Path("asked again")], NOW - 999)
    for number in range(300):
        arrive(ledger, Path(f"broken {number}"), FILE, NOW + number / 1000)
    for _ in range(300):
        ledger.failed(take(ledger, NOW + 1), "cut", NOW + 1)
    for turn in (Turn.NEWEST, Turn.BACKLOG):
        names = []
        for _ in range(3):
            row = ledger.take(NOW + 100, turn=turn)
            assert row is not None
            names.append(row.path.name.split()[0])
        assert names == ["old", "asked", "broken"]
        ledger.release()


@pytest.mark.parametrize("statement", _TAKE.values(), ids=_TAKE)
def test_turn_is_found_by_an_index(ledger: Ledger, statement: str) -> None:
    asked = {"now": NOW, "longest": 3600.0, "beside": False}
    plan = [row[3] for row in ledger._database.execute(f"EXPLAIN QUERY PLAN {statement}", asked)]
    of_images = [step for step in plan if "images" in step]
    assert of_images
    assert all("USING INDEX images_" in step or "USING PRIMARY KEY" in step for step in of_images), plan
    assert not any("TEMP B-TREE" in step for step in plan), plan


@pytest.mark.parametrize("turn", Turn)
@pytest.mark.parametrize("waits", [True, False])
def test_turn_is_found_as_fast_among_thousands_that_pause(ledger: Ledger, turn: Turn, waits: bool) -> None:
    ledger.arrived(Arrival(f"broken {number}", FILE, NOW) for number in range(3000))
    ledger._database.execute("UPDATE images SET state = 'failed', due = ? + length(path)", (NOW + 3000,))
    ledger._database.execute("UPDATE images SET due = 0 WHERE path = ?", (b"broken 77",))
    if waits:
        arrive(ledger, ONE, FILE, NOW)
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1

    ledger._database.set_progress_handler(step, 100)
    row = ledger.take(NOW + 1, turn=turn)
    assert row is not None
    assert row.path.name in (ONE.name, "broken 77")
    assert steps < 50, "of SQLite's machine, by hundreds"


def test_interrupted_image_comes_after_all_others_that_wait(ledger: Ledger) -> None:
    for number, name in enumerate(["first", "second", "third"]):
        arrive(ledger, Path(name), FILE, NOW + number)
    assert take(ledger).path == Path("third")
    ledger.recover()
    assert [take(ledger).path.name for _ in range(3)] == ["second", "first", "third"]


def test_newest_comes_first_however_long_it_waits(ledger: Ledger) -> None:
    for number in range(4):
        arrive(ledger, Path(f"{number}"), FILE, NOW + 100 * number)
    ledger.retry([Path("3")], NOW + 1000)
    assert [take(ledger, NOW + 5000).path.name for _ in range(4)] == ["2", "1", "0", "3"]


def test_retry_is_not_forgotten_while_the_image_is_away(ledger: Ledger) -> None:
    arrive(ledger, ONE, FILE, NOW)
    ledger.finished(take(ledger), result_of(), NOW)
    ledger.retry([ONE], NOW + 1)
    ledger.finished(take(ledger, NOW + 1), result_of(), NOW + 2, gone=True)
    assert ledger.take(NOW + 1e6) is None
    # the share is back
    arrive(ledger, ONE, FILE, NOW + 10)
    assert take(ledger, NOW + 10).redo


def test_failed_images_that_are_gone_can_be_dropped_and_others_cannot(ledger: Ledger) -> None:
    for number, name in enumerate(["failed.bmp", "late.bmp", "scored.bmp"]):
        arrive(ledger, Path(name), FILE, NOW + number)
        row = take(ledger, NOW + number)
        if name == "scored.bmp":
            ledger.finished(row, result_of(Path(name)), NOW)
        else:
            ledger.failed(row, "cut", NOW + 100 * number)
    assert ledger.failed_before(NOW + 50, b"", 10) == [Path("failed.bmp")]
    assert ledger.failed_before(NOW + 500, b"", 10) == [Path("failed.bmp"), Path("late.bmp")]
    assert ledger.failed_before(NOW + 500, b"failed.bmp", 10) == [Path("late.bmp")]
    for name in ("failed.bmp", "scored.bmp"):
        ledger.dropped(Path(name))
    assert [row.path.name for row in ledger.rows()] == ["late.bmp", "scored.bmp"]


def test_turns_of_the_backlog_and_of_whoever_waits_longest(ledger: Ledger) -> None:
    for number, name in enumerate(["asked again", "interrupted", "old", "new"]):
        arrive(ledger, Path(name), FILE, NOW + 100 * number)
    now = NOW + 310
    ledger.retry([Path("asked again")], NOW)
    assert take(ledger, now).path.name == "new"
    ledger.postponed(Path("new"), 0.0)
    taken = ledger.take(now, turn=Turn.BACKLOG)
    assert taken is not None
    assert taken.path.name == "interrupted"
    ledger.recover()
    names = []
    for turn in (Turn.BACKLOG, Turn.LONGEST, Turn.LONGEST):
        row = ledger.take(now, turn=turn)
        assert row is not None
        names.append(row.path.name)
    assert names == ["old", "asked again", "interrupted"]


def test_whoever_waits_longest_and_interrupted_is_taken_alone(ledger: Ledger) -> None:
    for number, name in enumerate(["deadly", "other"]):
        arrive(ledger, Path(name), FILE, NOW + number)
    ledger.take(NOW + 100, turn=Turn.BACKLOG)
    ledger.recover()
    # nothing beside another, so that there soon is none
    assert ledger.take(NOW + 100, turn=Turn.LONGEST, beside=True) is None
    row = ledger.take(NOW + 100, turn=Turn.LONGEST)
    assert row is not None
    assert row.path.name == "deadly"


def test_many_arrive_as_one(ledger: Ledger) -> None:
    def arrivals() -> Iterator[Arrival]:
        yield Arrival("a", FILE, NOW)
        raise OSError("the disk went away")

    with pytest.raises(OSError, match="went away"):
        ledger.arrived(arrivals())
    assert list(ledger.rows()) == []
    ledger.arrived([Arrival("a", FILE, NOW), Arrival("b", FileState(1, 2), NOW)])
    assert ledger.known_of(["a", "b", "c"]) == {"a": FILE, "b": FileState(1, 2)}


def test_what_cannot_heal_waits_for_new_content_a_retry_or_a_new_version(ledger: Ledger) -> None:
    arrive(ledger, ONE, FILE, NOW)
    assert ledger.failed(take(ledger), "a stack", NOW, heals=False) is None
    assert ledger.recover() == []
    assert ledger.take(NOW + 1e6) is None
    assert ledger.retry_failed(NOW + 1) == 1
    assert ledger.failed(take(ledger, NOW + 1), "a stack", NOW + 1, heals=False) is None
    ledger.retry([ONE], NOW + 2)
    assert take(ledger, NOW + 2).path == ONE


def test_new_version_does_not_wait_for_files_that_are_gone(ledger: Ledger) -> None:
    arrive(ledger, ONE, FILE, NOW)
    ledger.failed(take(ledger), "the file is gone", NOW, gone=True)
    assert ledger.retry_failed(NOW + 1) == 0


def test_overlays_come_oldest_first_page_by_page_until_they_are_removed(ledger: Ledger) -> None:
    names = [f"{number}.bmp" for number in range(5)]
    for number, name in enumerate(names):
        arrive(ledger, Path(name), FILE, NOW)
        ledger.finished(take(ledger), result_of(Path(name)), NOW + 10 - number // 2)
    page = ledger.overlays(None, 3)
    assert [overlay.path.name for overlay in page] == ["4.bmp", "2.bmp", "3.bmp"]
    ledger.overlay_removed(page[0].path)
    assert [overlay.path.name for overlay in ledger.overlays(page[-1], 3)] == ["0.bmp", "1.bmp"]
    assert [overlay.path.name for overlay in ledger.overlays(None, 9)] == ["2.bmp", "3.bmp", "0.bmp", "1.bmp"]


@pytest.mark.parametrize("before", ["first time", "retried before"])
@pytest.mark.parametrize("end", ["finished", "failed"])
def test_retry_asked_for_while_in_hand_leaves_it_waiting(ledger: Ledger, before: str, end: str) -> None:
    arrive(ledger, ONE, FILE, NOW)
    if before == "retried before":
        ledger.retry([ONE], NOW)
    row = take(ledger)
    ledger.retry([ONE], NOW + 1)
    if end == "finished":
        ledger.finished(row, result_of(), NOW + 2)
    else:
        ledger.failed(row, "locked", NOW + 2)
    again = take(ledger, NOW + 2)
    assert again.redo
    ledger.finished(again, result_of(), NOW + 3)
    assert only(ledger).state == State.SCORED
    assert not only(ledger).redo
    assert ledger.take(NOW + 1e9) is None


def test_content_that_comes_while_an_older_one_fails_does_not_wait_for_the_older_ones_pause(ledger: Ledger) -> None:
    arrive(ledger, ONE, FILE, NOW)
    now = NOW
    for _ in range(9):
        ledger.failed(take(ledger, now), "truncated", now)
        now += 3600
    row = take(ledger, now)
    arrive(ledger, ONE, FileState(11, 21), now + 1)
    ledger.failed(row, "truncated", now + 2)
    assert ledger.take(now + 2 + 10) is not None


def test_retry_of_a_failed_image_clears_its_reason_and_keeps_the_others(ledger: Ledger) -> None:
    for name in ("a.bmp", "b.bmp"):
        arrive(ledger, Path(name), FILE, NOW)
        ledger.failed(take(ledger), f"{name} is locked", NOW)
    ledger.retry([ONE, Path("unknown.bmp")], NOW)
    assert [(row.path.name, row.state, row.reason, row.redo) for row in ledger.rows()] == [
        ("a.bmp", State.WAITING, "", True),
        ("b.bmp", State.FAILED, "b.bmp is locked", False),
    ]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_any_name_comes_back_as_it_was_and_so_do_its_result_files(name: str, tmp_path: Path) -> None:
    path = Path(name)
    with open_ledger(tmp_path, create=True) as ledger:
        arrive(ledger, path, FILE, NOW)
        ledger.finished(take(ledger), result_of(path), NOW)
    with open_ledger(tmp_path) as ledger:
        assert list(ledger.known()) == [(path, FILE)]
        row = only(ledger)
    files = result_files(path)
    assert row.path == path
    assert os.fsencode(row.outcome.score_file) == os.fsencode(files.score.as_posix())
    assert (row.outcome.overlay_file, row.outcome.map_file) == (files.overlay.as_posix(), files.map.as_posix())


def test_one_name_is_one_row_however_its_folders_are_written(ledger: Ledger) -> None:
    arrive(ledger, Path("sub") / "a.bmp", FILE, NOW)
    arrive(ledger, Path("sub/./a.bmp"), FILE, NOW)
    assert only(ledger).path.as_posix() == "sub/a.bmp"


def test_result_is_kept_whole(ledger: Ledger) -> None:
    arrive(ledger, ONE, FILE, NOW)
    ledger.finished(take(ledger), result_of(), NOW + 3)
    row = only(ledger)
    assert (row.state, row.reason, row.attempts, row.arrived, row.finished) == (State.SCORED, "", 1, NOW, NOW + 3)
    assert (row.outcome.score, row.outcome.grade, row.outcome.synthetic) == (2.25, 2, True)
    ledger.retry([ONE], NOW + 4)
    ledger.finished(take(ledger, NOW + 4), result_of(status="withheld"), NOW + 5)
    row = only(ledger)
    assert (row.state, row.reason, row.outcome.score, row.outcome.map_file) == (
        State.WITHHELD,
        "too dark, too small",
        None,
        None,
    )


def test_what_status_asks_is_answered(ledger: Ledger) -> None:
    records = [
        result_of(),
        result_of(um_per_px=0.7),
        result_of(status="withheld", um_per_px=None, model="other"),
    ]
    assert ledger.oldest_waiting() is None
    assert ledger.finished_between(0, NOW) == (0, None)
    for number, record in enumerate(records):
        arrive(ledger, Path(f"{number}.bmp"), FILE, NOW + number)
        ledger.finished(take(ledger, NOW + number), record, NOW + 10 + number)
    arrive(ledger, Path("w1.bmp"), FILE, NOW + 50)
    arrive(ledger, Path("w2.bmp"), FILE, NOW + 55)
    ledger.failed(take(ledger, NOW + 60), "locked", NOW + 60)
    assert ledger.counts() == {State.WAITING: 1, State.SCORED: 2, State.WITHHELD: 1, State.FAILED: 1}
    assert ledger.oldest_waiting() == NOW + 50
    assert ledger.finished_between(NOW + 11, NOW + 12) == (2, NOW + 11)
    assert ledger.models() == [ModelShare("tiny", "t" * 64, 2), ModelShare("other", "o" * 64, 1)]
    assert ledger.at_other_scale(0.5) == 1
    assert [row.path.name for row in ledger.rows(State.FAILED)] == ["w2.bmp"]


def test_notes_are_kept_and_replaced(tmp_path: Path) -> None:
    with open_ledger(tmp_path, create=True) as ledger:
        assert ledger.noted("folder") is None
        for value in ("first", {"name": "m\udcff"}, None, os.fsdecode(b"/a\xff") if os.name != "nt" else "x"):
            ledger.note("folder", value)
            assert ledger.noted("folder") == value


def test_image_that_interrupted_is_not_taken_beside_another(ledger: Ledger) -> None:
    for name in ("other.bmp", "deadly.bmp"):
        arrive(ledger, Path(name), FILE, NOW + (name == "deadly.bmp"))
    assert take(ledger).path.name == "deadly.bmp"
    ledger.recover()
    assert take(ledger).path.name == "other.bmp"
    assert ledger.take(NOW, beside=True) is None
    assert ledger.take(NOW) is not None


def test_orderly_end_with_an_image_in_hand_is_no_interruption(ledger: Ledger) -> None:
    arrive(ledger, ONE, FILE, NOW)
    for _ in range(10):
        take(ledger)
        ledger.release()
        assert ledger.recover() == []


def test_new_images_come_before_those_asked_for_again(ledger: Ledger) -> None:
    for number in range(3):
        arrive(ledger, Path(f"old {number}.bmp"), FILE, NOW + number)
        ledger.finished(take(ledger, NOW + number), result_of(), NOW + number)
    ledger.retry([row.path for row in ledger.rows()], NOW + 10)
    arrive(ledger, Path("new.bmp"), FILE, NOW + 20)
    assert take(ledger, NOW + 30).path.name == "new.bmp"


def test_failure_that_cannot_heal_waits_for_new_content(ledger: Ledger) -> None:
    arrive(ledger, ONE, FILE, NOW)
    ledger.failed(take(ledger), "the file is gone", NOW, gone=True)
    assert ledger.recover() == []
    assert ledger.take(NOW + 1e6) is None
    arrive(ledger, ONE, FILE, NOW + 1e6)
    assert ledger.take(NOW + 1e6) is not None
