"""Mutants are drawn by their seed, tried in a copy, resumed, and told with what is known of survivors."""

import ast
import subprocess
import threading
import time
from pathlib import Path

import pytest

pytest.importorskip("cosmic_ray", reason="needs cosmic-ray, of the extra dev")

from benchmarks.mutations.__main__ import try_all
from benchmarks.mutations.mutants import Mutant, draw, mutants_of, read_sources
from benchmarks.mutations.outcomes import NOTES, Note, Outcomes, note_on, read_notes
from benchmarks.mutations.report import to_markdown, untold
from benchmarks.mutations.targets import TARGETS, Target, chosen
from benchmarks.mutations.trial import KILLED, SURVIVED, TIMEOUT, Copy, Stopped
from runtime.errors import CheckFailed, InflamapError

CHECKOUT = Path(__file__).parents[3]
SOURCE = "def larger(a: int | None, b: int) -> int | None:\n    return a if a > b else b\n"
LOOP = "def rest(n: int) -> int:\n    while n > 5:\n        n = n - 5\n    return n\n"
TESTS = "from runtime.small import larger\ndef test_it():\n    assert larger(2, 1) == 2\n    assert larger(1, 2) == 2\n"
LOOP_TESTS = "from trainer.loop import rest\ndef test_it():\n    assert rest(12) == 2\n"
SMALL = Target("small", ("runtime/small.py",), ("tests/test_small.py",))
LOOPS = Target("loop", ("trainer/loop.py",), ("tests/test_loop.py",))


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository of two modules with their tests."""
    place = tmp_path / "checkout"
    files = {"runtime/small.py": SOURCE, "trainer/loop.py": LOOP, "runtime/__init__.py": "", "trainer/__init__.py": ""}
    files |= {"tests/test_small.py": TESTS, "tests/test_loop.py": LOOP_TESTS, "pytest.ini": "[pytest]\n"}
    for name, text in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
    subprocess.run(["git", "init", "-q"], cwd=place, check=True)
    return place


def mutant_of(path: str, source: str, change: str) -> Mutant:
    return next(m for each in mutants_of(path, source).values() for m in each if change in m.change(source))


GREATER_OR_EQUAL = mutant_of("runtime/small.py", SOURCE, "a >= b")


def test_the_same_seed_draws_the_same_mutants_whatever_is_tried_of_them() -> None:
    sources = {"a.py": SOURCE, "b.py": LOOP}
    first = draw(sources, 5, 1)
    assert first == draw(sources, 5, 1)
    assert first != draw(sources, 5, 2)
    assert len(draw(sources, 10_000, 1)) == sum(len(mutants_of(path, code)) for path, code in sources.items())


def test_mutants_differ_from_the_code_and_leave_annotations_alone() -> None:
    for mutants in mutants_of("a.py", SOURCE).values():
        for mutant in mutants:
            code = mutant.code(SOURCE)
            assert ast.dump(ast.parse(code)) != ast.dump(ast.parse(SOURCE)), mutant
            assert code.splitlines()[0] == SOURCE.splitlines()[0]


def test_a_mutant_of_other_code_is_refused() -> None:
    (mutant, *_others) = draw({"a.py": SOURCE}, 1, 1)
    with pytest.raises(ValueError, match="no longer what the mutant"):
        mutant.code(SOURCE + "\n")


def test_outcomes_in_a_copy_and_the_checkout_stays_as_it_is(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.mutations.trial.SPARE_S", 3.0)
    copy = Copy(checkout, tmp_path / "copy")
    tried = {
        KILLED: (mutant_of("runtime/small.py", SOURCE, "a < b"), SOURCE, SMALL),
        SURVIVED: (GREATER_OR_EQUAL, SOURCE, SMALL),
        TIMEOUT: (mutant_of("trainer/loop.py", LOOP, "n = n + 5"), LOOP, LOOPS),
    }
    before = {path: path.read_bytes() for path in checkout.rglob("*.py")}
    for outcome, (mutant, source, target) in tried.items():
        assert copy.try_mutant(mutant, source, target) == outcome
        assert (tmp_path / "copy" / mutant.path).read_text() == source
    assert {path: path.read_bytes() for path in checkout.rglob("*.py")} == before


def test_tests_that_are_broken_off_tell_nothing_of_the_mutant(checkout: Path, tmp_path: Path) -> None:
    (checkout / "tests" / "test_small.py").write_text("import time\ndef test_it():\n    time.sleep(600)\n")
    stop = threading.Event()
    threading.Timer(2.0, stop.set).start()
    with pytest.raises(Stopped):
        Copy(checkout, tmp_path / "copy", stop).try_mutant(GREATER_OR_EQUAL, SOURCE, SMALL)


def test_tests_that_fail_by_themselves_are_told(checkout: Path, tmp_path: Path) -> None:
    (checkout / "tests" / "test_small.py").write_text("def test_it():\n    assert False\n")
    with pytest.raises(CheckFailed, match="small: tests fail on the code as it is"):
        Copy(checkout, tmp_path / "copy").try_mutant(GREATER_OR_EQUAL, SOURCE, SMALL)


def test_an_interrupted_run_goes_on_where_it_was(checkout: Path, tmp_path: Path) -> None:
    sources = read_sources(checkout, SMALL.files(checkout))
    first, second = draw(sources, 2, 3)
    by_path, state = {"runtime/small.py": SMALL}, tmp_path / "state" / "outcomes.jsonl"
    late = time.monotonic() - 1
    try_all([first, second], sources, by_path, Outcomes(state), workers=1, until=late, checkout=checkout)
    assert not state.exists()
    later = time.monotonic() + 600
    try_all([first], sources, by_path, Outcomes(state), workers=2, until=later, checkout=checkout)
    with state.open("a") as file:
        file.write('{"mutant": "cut')
    kept = Outcomes(state)
    assert kept.get(first.key) in (KILLED, SURVIVED)
    assert kept.get(second.key) is None


def test_survivors_are_told_with_what_is_known_of_them() -> None:
    known, unknown = mutant_of("a.py", SOURCE, "a >= b"), mutant_of("a.py", SOURCE, "a == b")
    killed = mutant_of("a.py", SOURCE, "a < b")
    found, sources = {known: SURVIVED, unknown: SURVIVED, killed: KILLED}, {"a.py": SOURCE}
    notes = [
        Note("a.py", known.change(SOURCE), equivalent="equal numbers are one number"),
        Note("a.py", "- x\n+ y", tested_by="tests/test_a.py::test_y"),
    ]
    assert note_on(notes, "b.py", known.change(SOURCE)) is None
    assert untold(found, sources, notes) == [unknown]
    text = to_markdown(found, sources, notes, sample=4, seed=1, commit="c0ffee", date="2026-12-01")
    assert "3 of the 4 mutants of seed 1 were tried, the last of them on commit c0ffee, 2026-12-01." in text
    assert "| `a.py` | 3 | 1 | 0 | 2 |" in text
    assert "| **all** | 3 | 1 | 0 | 2 |" in text
    assert "+ return a if a >= b else b\n```\n\nEquivalent: equal numbers are one number" in text
    assert "+ return a if a == b else b\n```\n\n**Neither tested nor explained yet.**" in text
    assert "- x\n+ y\n```\n\nNow tested by `tests/test_a.py::test_y`." in text


def test_a_note_says_one_thing(tmp_path: Path) -> None:
    file = tmp_path / "notes.toml"
    file.write_text('[[survivor]]\npath = "a.py"\nchange = "- x"\n')
    with pytest.raises(InflamapError, match="neither `tested_by` nor `equivalent`"):
        read_notes(file)
    file.write_text('[[survivor]]\npath = "a.py"\nchange = "- x"\ntested_by = "t"\nequivalent = "e"\n')
    with pytest.raises(InflamapError, match="both `tested_by` and `equivalent`"):
        read_notes(file)


def test_notes_name_modules_and_tests_that_are_there() -> None:
    modules = {file.as_posix() for target in TARGETS for file in target.files(CHECKOUT)}
    for note in read_notes(NOTES):
        assert note.path in modules
        if note.tested_by:
            path, _colons, name = note.tested_by.partition("::")
            assert f"def {name}(" in (CHECKOUT / path).read_text(encoding="utf-8"), note.tested_by


def test_every_target_has_modules_and_tests() -> None:
    for target in TARGETS:
        assert target.files(CHECKOUT)
        for test in (*target.tests, *target.more):
            assert (CHECKOUT / test).exists(), test
    assert [target.name for target in chosen("gate, quality")] == ["gate", "quality"]
    with pytest.raises(ValueError, match="no such target: gates; wanted: some of ledger, gate"):
        chosen("gates")
