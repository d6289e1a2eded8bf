"""TOML: what cannot be read is said with its line, and values are written as a person would."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import InflamapError
from runtime.toml_text import MOST_FILE_BYTES, as_toml, load_toml, shown


def fault_of(data: bytes, tmp_path: Path) -> str:
    """What is said of a file, without its name."""
    file = tmp_path / "odd.toml"
    file.write_bytes(data)
    with pytest.raises(InflamapError) as caught:
        load_toml(file)
    return str(caught.value).removeprefix(str(file))


def test_a_fault_is_said_with_line_and_column(tmp_path: Path) -> None:
    assert fault_of(b"[watch]\r\nthreads = two\r\n", tmp_path) == (
        ", line 2, column 11: no valid TOML (Invalid value); seen: threads = two; next: correct the line"
    )


def test_a_windows_path_in_double_quotes_is_told_of_single_ones(tmp_path: Path) -> None:
    assert fault_of(b'[watch]\nfolder = "C:\\Users\\x"\n', tmp_path) == (
        ', line 2, column 15: no valid TOML (Invalid hex value); seen: folder = "C:\\Users\\x"; '
        "next: write a Windows path in single quotes, as in folder = 'D:\\scans'"
    )


@pytest.mark.parametrize("text", ["a = [1,\n", "a = " + "[" * 5000, "a = " + "9" * 5000, "a = '''"])
def test_what_has_no_line_is_refused_all_the_same(text: str, tmp_path: Path) -> None:
    assert fault_of(text.encode(), tmp_path).startswith(": no valid TOML; seen: ")


def test_another_encoding_is_told_with_its_line(tmp_path: Path) -> None:
    said = fault_of("[watch]\n# März\n".encode("latin-1"), tmp_path)
    assert said == ", line 2: no UTF-8; seen: byte 0xe4; next: save it as UTF-8"
    for name in ("utf-16", "utf-16-le", "utf-16-be", "utf-32"):
        said = fault_of("[watch]\n".encode(name), tmp_path)
        assert said == (
            ": no UTF-8; seen: zero bytes, as of UTF-16; next: save it as UTF-8; > of Windows PowerShell writes UTF-16"
        )


def test_a_byte_order_mark_of_an_editor_does_not_matter(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_bytes(b"\xef\xbb\xbf[watch]\r\nout = 'D:\\r'\r\n")
    assert load_toml(file) == {"watch": {"out": r"D:\r"}}


def test_a_file_that_never_ends_is_not_read_whole(tmp_path: Path) -> None:
    assert fault_of(b"#" * (MOST_FILE_BYTES + 1), tmp_path).startswith(": too large for a configuration; ")


def test_what_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    for file in (tmp_path, tmp_path / "none.toml"):
        with pytest.raises(InflamapError, match="cannot be read; seen: "):
            load_toml(file)


SCALARS = st.text() | st.integers() | st.floats(allow_nan=False) | st.booleans()


@given(value=SCALARS)
def test_a_value_written_reads_back_the_same(value: object) -> None:
    back = tomllib.loads(f"a = {as_toml(value)}")["a"]
    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (r"D:\scans", r"'D:\scans'"),
        (r"D:\it's", r'"D:\\it' + "'" + r's"'),
        (r"D:\März", r'"D:\\März"'),
        ("März µ", '"März µ"'),
        ("a\n\u202eb", '"a\\U0000000a\\U0000202eb"'),
        (True, "true"),
        (10.0, "10.0"),
    ],
)
def test_a_value_is_written_as_a_person_would(value: object, text: str) -> None:
    assert as_toml(value) == text


def test_a_path_is_written_absolute() -> None:
    assert tomllib.loads(f"a = {as_toml(Path('x'))}") == {"a": str(Path.cwd() / "x")}


def test_a_long_value_is_shortened_for_a_message() -> None:
    assert len(shown("x" * 1000)) == 80
    assert shown(16**5000) == "an endless number"
