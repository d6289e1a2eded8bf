"""Names are replaced wherever they stand, always by the same, and nobody finds them without the key."""

import stat
import sys
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import InflamapError, one_line
from runtime.outputs import result_files
from runtime.pseudonyms import KEY_FILE, Pseudonyms, pseudonyms_of
from runtime.service_log import ServiceLog

PSEUDONYMS = Pseudonyms(bytes(32))
IMAGE = PurePosixPath("Müller, Eva 1960/VivaStack #1/v0000001.BMP")


def test_each_part_is_replaced_and_what_lies_together_stays_together() -> None:
    folder, stack, name = PSEUDONYMS.of(IMAGE).split("/")
    assert name.endswith(".bmp")
    assert PSEUDONYMS.of(IMAGE.with_name("v0000002.bmp")).startswith(f"{folder}/{stack}/")
    assert PSEUDONYMS.of(IMAGE.with_name("v0000002.bmp")) != PSEUDONYMS.of(IMAGE)
    assert PSEUDONYMS.of(PurePosixPath("Müller, Eva 1960")) == folder
    assert Pseudonyms(bytes(31) + b"1").of(IMAGE) != PSEUDONYMS.of(IMAGE)


@pytest.mark.parametrize(
    "line",
    [
        "Müller, Eva 1960/VivaStack #1/v0000001.BMP: 1.25 (grade 1)",
        "/data/scans/Müller, Eva 1960/VivaStack #1/v0000001.BMP.overlay.jpg cannot be written",
        "Müller, Eva 1960: this folder cannot be listed; VivaStack #1; v0000001",
    ],
)
def test_no_name_is_left_in_a_line(line: str) -> None:
    told = PSEUDONYMS.within(line, IMAGE)
    assert not any(name in told for name in ("Müller", "VivaStack", "v0000001"))
    assert told != line


def test_words_that_only_hold_a_short_name_stay() -> None:
    assert "cannot be read" in PSEUDONYMS.within("a/b.bmp: cannot be read", PurePosixPath("a/b.bmp"))


@pytest.mark.parametrize("name", ["2", "12", "1/2.bmp", "grade/0.bmp"])
def test_numbers_in_a_line_stay_what_they_are(name: str) -> None:
    line = "seen: 2 x 12 pixels; wanted: grade 0 to 1.5"
    assert PSEUDONYMS.within(line, PurePosixPath(name)).replace(PSEUDONYMS.of(PurePosixPath(name)), "grade") == line
    assert (
        PSEUDONYMS.within(f"/in/{name}: gone", PurePosixPath(name)) == f"/in/{PSEUDONYMS.of(PurePosixPath(name))}: gone"
    )


def test_name_as_python_writes_it_in_an_error_is_replaced() -> None:
    image = PurePosixPath("Eva \"M\" 'x'\\y/v1.bmp")
    told = PSEUDONYMS.within(str(OSError(5, "Input/output error", f"/in/{image}")), image)
    assert "Eva" not in told


names = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=20).filter(
    lambda name: name not in {".", ".."}
)


@given(parts=st.lists(names, min_size=1, max_size=3))
def test_whatever_the_names_their_line_holds_none(parts: list[str]) -> None:
    path = PurePosixPath(*parts)
    said = list[str]()
    log = ServiceLog(said.append, None, PSEUDONYMS)
    log.failed(path, f"/in/{path.as_posix()} cannot be read", attempts=1, again_in_s=None)
    log.event("gone", f"{one_line(path.as_posix())}: the image is gone", about=path)
    for line in said:
        assert PSEUDONYMS.of(path) in line
        assert one_line(path.as_posix()) not in line.replace(PSEUDONYMS.of(path), "") or len(path.as_posix()) <= 3


@pytest.mark.parametrize("name", ["eva.müller", "Anna.Mayr", "report.2026", "x.verylong"])
def test_only_an_images_suffix_is_kept(name: str) -> None:
    assert "." not in PSEUDONYMS.of(PurePosixPath(name))


def test_key_is_made_once_and_is_this_users(tmp_path: Path) -> None:
    first = pseudonyms_of(tmp_path)
    assert pseudonyms_of(tmp_path).of(IMAGE) == first.of(IMAGE)
    if sys.platform != "win32":
        assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600


@pytest.mark.parametrize("content", [b"", b"abcd", "ü".encode(), b"zz" * 32])
def test_key_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / KEY_FILE).write_bytes(content)
    with pytest.raises(InflamapError, match=r"not a key for pseudonyms.*64 hexadecimal digits"):
        pseudonyms_of(tmp_path)


def test_name_that_results_shorten_is_replaced_in_its_short_form_too() -> None:
    image = PurePosixPath("Eva " + "x" * 240 + ".bmp")
    short = result_files(image).score.name
    assert short != f"{image.name}.score.json"
    assert "Eva" not in PSEUDONYMS.within(f"/out/{short} cannot be written", image)
