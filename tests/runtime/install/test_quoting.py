"""Whatever a path holds, systemd reads it back as it is."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.install.quoting import quoted_command, quoted_path

# no NUL, which no argument holds, and no lone surrogates, which are refused before
WORDS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
ODD = st.text(st.sampled_from("a %$#;:'\"\\\t\näß\x7f-@{}"), max_size=12)
PRINTABLE = st.text(st.characters(exclude_categories=["C", "Z"]) | st.sampled_from(" %\"'\\:#$"), max_size=30)


def read_back(line: str, *, escapes: bool) -> list[str]:
    """The words as systemd.syntax(7) and systemd.service(5) have them read: quotes, escapes, then specifiers."""
    words: list[str] = []
    place = 0
    while place < len(line):
        if line[place] in " \t":
            place += 1
            continue
        raw = bytearray()
        quote = ""
        while place < len(line) and (quote or line[place] not in " \t"):
            letter = line[place]
            if letter == "\\":
                place += 1
                if escapes and line[place] == "x":
                    raw.append(int(line[place + 1 : place + 3], 16))
                    place += 2
                else:
                    assert line[place] in '\\"', "no other escape is needed"
                    raw += line[place].encode()
            elif quote:
                if letter == quote:
                    quote = ""
                else:
                    raw += letter.encode()
            elif letter in "\"'":
                quote = letter
            else:
                raw += letter.encode()
            place += 1
        assert not quote, "a quote that never ends"
        text = raw.decode()
        assert "%" not in text.replace("%%", ""), "a specifier"
        words.append(text.replace("%%", "%"))
    return words


@given(st.lists(WORDS | ODD, min_size=1, max_size=5))
def test_command_is_read_back_word_for_word(words: list[str]) -> None:
    line = quoted_command(["/bin/x", *words])
    assert line.isprintable()
    if line.startswith(":"):
        line = line[1:]
    else:
        assert "$" not in line
    assert read_back(line, escapes=True) == ["/bin/x", *words]


@given(PRINTABLE)
def test_path_of_a_list_is_read_back(name: str) -> None:
    line = quoted_path(f"/{name}")
    assert read_back(line, escapes=False) == [f"-/{name}"]
    if any(letter in name for letter in ": #'"):
        assert line.startswith('"')


@pytest.mark.parametrize("name", ["plain", "two words", "100%h", "a$HOME", "ä#;", "a:b", "(x)"])
def test_systemd_finds_the_program_of_any_name(name: str, tmp_path: Path, analyze: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    program = folder / "python"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = tmp_path / "odd.service"
    line = quoted_command([str(program), name, "it's", 'a"b', "back\\slash"])
    unit.write_text(f"[Service]\nExecStart={line}\n", encoding="utf-8")
    # it says of a program that it does not find, and of what it cannot read
    done = subprocess.run([analyze, "verify", str(unit)], capture_output=True, text=True, check=False, timeout=60)
    assert done.stderr.strip() == ""
    assert done.returncode == 0
