"""Whatever a row of the ledger holds, the others are told, and none is told wrongly without a word."""

import io
import json
import sqlite3
import tempfile
import time
from contextlib import closing, redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from made_up import arrive, fail, finish
from page_server import SHIPPED_SCALE

from runtime.cli import main
from runtime.file_state import FileState
from runtime.ledger import open_ledger
from runtime.ledger.binding import watched_images
from runtime.ledger.columns import COLUMNS
from runtime.outputs import LEDGER_FILE
from runtime.viewer.address import Address
from runtime.viewer.reading import LedgerReader
from runtime.viewer.setup import Setup

NAMES = ["P1/a.bmp", "P1/b.bmp", "P2/c.bmp", "f.bmp", "w.bmp"]
WHOLE = "P1/b.bmp"


def make(out: Path) -> None:
    with open_ledger(out, create=True) as ledger:
        for name in NAMES[:3]:
            finish(ledger, name, score=1.75)
        fail(ledger, "f.bmp")
        arrive(ledger, Path("w.bmp"), FileState(1, 1), time.time())
        ledger.note("folder", str(out / "in"))
        ledger.note("model", {"name": "tiny", "sha256": "t" * 64, "quantity": "Inflammation"})


def put(out: Path, table: str, column: str, value: object, where: str) -> None:
    """As a disk does it: no check, no trigger."""
    with closing(sqlite3.connect(out / LEDGER_FILE, isolation_level=None)) as other:
        other.execute("PRAGMA ignore_check_constraints = ON")
        # text that is no UTF-8 cannot be given as such
        cast = "CAST(? AS TEXT)" if isinstance(value, bytearray) else "?"
        given = bytes(value) if isinstance(value, bytearray) else value
        key = "path" if table == "images" else "name"
        other.execute(f"UPDATE OR IGNORE {table} SET {column} = {cast} WHERE {key} = ?", (given, where))


def run(*arguments: str) -> tuple[int, str, list[str]]:
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8", newline=""), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as stop:
        main(list(arguments))
    out.seek(0)
    return int(stop.value.code or 0), out.read(), err.getvalue().splitlines()


def damaged_rows(out: Path) -> int:
    with open_ledger(out) as ledger:
        return ledger.damaged_rows()


def look_at_page(out: Path) -> dict[str, tuple[str, float | None]]:
    setup = Setup(out / "in", out, Address("127.0.0.1", 0), None, 0.0, False, SHIPPED_SCALE)
    with closing(LedgerReader(setup)) as reader:
        assert reader.look()
        assert reader.status is not None
        json.dumps(reader.status.to_json(), allow_nan=False)
        assert reader.folders()
        return {entry.name: (entry.reason, entry.score) for entry in reader.session.entries()}


# bytes as a blob, bytes as a text, and what the bits of a number may become
VALUES = st.one_of(
    st.binary(max_size=20),
    st.binary(min_size=1, max_size=20).map(bytearray),
    st.text(max_size=8).filter(lambda text: text.isprintable() and max(text, default="") < "\ud800"),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.none(),
)
PLACES = st.one_of(
    st.tuples(st.just("images"), st.sampled_from(COLUMNS), st.sampled_from([n for n in NAMES if n != WHOLE])),
    st.tuples(st.just("notes"), st.sampled_from(["name", "value"]), st.sampled_from(["folder", "model"])),
)


@settings(max_examples=60, deadline=None)
@given(damages=st.lists(st.tuples(PLACES, VALUES), min_size=1, max_size=4))
@example(damages=[(("images", "reason", "P1/a.bmp"), bytearray(b"\xc3("))])
@example(damages=[(("images", "state", "P1/a.bmp"), "lost")])
@example(damages=[(("images", "path", "w.bmp"), bytearray(b"\xff"))])
@example(damages=[(("images", "arrived", "w.bmp"), b"\xff")])
@example(damages=[(("images", "finished", "P1/a.bmp"), float("inf"))])
@example(damages=[(("images", "mtime_ns", "P1/a.bmp"), 2**62)])
@example(damages=[(("images", "model", "P2/c.bmp"), None)])
@example(damages=[(("images", "model_sha256", "P2/c.bmp"), 1.5)])
@example(damages=[(("images", "area_fraction", "P2/c.bmp"), "{")])
@example(damages=[(("images", "score_file", "P2/c.bmp"), 5)])
@example(damages=[(("notes", "value", "model"), "{")])
@example(damages=[(("notes", "value", "folder"), bytearray(b'"\xff"'))])
def test_others_are_told_whatever_a_row_holds(damages: list[tuple[tuple[str, str, str], object]]) -> None:
    with tempfile.TemporaryDirectory() as place:
        out = Path(place)
        make(out)
        for (table, column, where), value in damages:
            try:
                put(out, table, column, value, where if table == "notes" else where.encode())  # type: ignore[arg-type]
            except sqlite3.IntegrityError:
                # NOT NULL holds for a key only
                continue
        number = damaged_rows(out)
        told = [line for line in [say(number)] if line]
        for arguments in (
            ["results"],
            ["results", "--csv", "-"],
            ["results", "--by", "folder"],
            ["status"],
            ["status", "--json"],
            ["retry"],
            ["retry", "--all"],
        ):
            code, said, errors = run(*arguments, "--out", place)
            assert code == 0, (arguments, errors)
            assert [line for line in errors if "damaged" in line] == told
            if arguments == ["results"]:
                assert sum(DAMAGED in line for line in said.splitlines()) <= number
                assert sum(WHOLE in line and "1.75" in line for line in said.splitlines()) == 1
            if arguments[-1] == "--json":
                json.loads(said, parse_constant=pytest.fail)
        shown = look_at_page(out)
        assert WHOLE in shown
        assert damaged_rows(out) == number


DAMAGED = "this row of the ledger is damaged; the next start of the watch repairs it"


def say(number: int) -> str:
    rows = "1 row of the ledger is damaged" if number == 1 else f"{number} rows of the ledger are damaged"
    return f"inflamap: {rows}; the next start of the watch repairs the ledger" if number else ""


@pytest.mark.parametrize(
    ("column", "value"), [("score", 3.25), ("state", "withheld"), ("finished", 5.0), ("model", "other"), ("size", 7)]
)
def test_wrong_value_is_shown_as_damage_and_not_as_a_result(tmp_path: Path, column: str, value: object) -> None:
    make(tmp_path)
    put(tmp_path, "images", column, value, b"P1/a.bmp")  # type: ignore[arg-type]
    code, said, errors = run("results", "--out", str(tmp_path))
    assert code == 0
    assert errors[0] == say(1)
    (line,) = [line for line in said.splitlines() if "P1/a.bmp" in line]
    assert line.split() == ["-", "failed", "P1/a.bmp", *f"({DAMAGED})".split()]
    _, table, _ = run("results", "--csv", "-", "--out", str(tmp_path))
    (record,) = [line for line in table.splitlines() if "P1/a.bmp" in line]
    assert "1.75" not in record
    assert "3.25" not in record
    assert look_at_page(tmp_path)["P1/a.bmp"] == (DAMAGED, None)


def test_damaged_text_is_shown_as_far_as_it_is_text(tmp_path: Path) -> None:
    make(tmp_path)
    put(tmp_path, "images", "reason", bytearray(b"lo\xffked"), b"f.bmp")  # type: ignore[arg-type]
    for command in ("results", "status"):
        _, said, errors = run(command, "--out", str(tmp_path))
        assert f"{DAMAGED} (was: lo\ufffdked)" in said
        assert errors == [say(1)]
    # the page does not know whether the rest names the image, which pseudonyms hide
    assert look_at_page(tmp_path)["f.bmp"] == (DAMAGED, None)


@pytest.mark.parametrize("key", [5, "text", bytearray(b"\xff")])
def test_images_of_a_watch_are_told_whatever_one_of_them_is_called(tmp_path: Path, key: object) -> None:
    make(tmp_path)
    put(tmp_path, "images", "path", key, b"w.bmp")
    assert {path.as_posix() for path in watched_images(tmp_path)} == set(NAMES) - {"w.bmp"}


def test_whole_ledger_is_told_without_such_a_line(tmp_path: Path) -> None:
    make(tmp_path)
    for command in ("results", "status", "retry"):
        assert not any("damaged" in line for line in run(command, "--out", str(tmp_path))[2])


def test_retry_of_a_damaged_row_changes_nothing_and_says_so(tmp_path: Path) -> None:
    make(tmp_path)
    put(tmp_path, "images", "score", 3.25, b"P1/a.bmp")  # type: ignore[arg-type]
    code, _, errors = run("retry", "P1/a.bmp", "--out", str(tmp_path))
    assert code == 2
    assert errors[0] == say(1)
    assert "no such image among the results" in errors[-1]
    code, _, errors = run("retry", "P1", "--out", str(tmp_path))
    assert (code, errors[0]) == (0, say(1))
    assert errors[1].startswith("1 image to be scored anew")
