"""TOML: a small file as values, faults with their line, and values as text."""

import re
from pathlib import Path
from typing import Any

from runtime.errors import InflamapError

# hundreds of times what a configuration takes, and little enough to read from whatever is named as the file
MOST_FILE_BYTES = 2**20
SINGLE_QUOTES = r"write a Windows path in single quotes, as in folder = 'D:\scans'"


def load_toml(file: Path) -> dict[str, Any]:
    """The tables of a file.

    Raises:
        InflamapError: it cannot be read, or is no TOML; names line and column.
    """
    # a start without a file does not wait for it
    import tomllib

    try:
        with file.open("rb") as stream:
            data = stream.read(MOST_FILE_BYTES + 1)
    except OSError as error:
        raise InflamapError(f"{file}: cannot be read", seen=error.strerror, next_step="check --config") from error
    if len(data) > MOST_FILE_BYTES:
        raise InflamapError(f"{file}: too large for a configuration", wanted=f"at most {MOST_FILE_BYTES} bytes")
    # every key of UTF-16 has them, with and without a byte order mark
    if b"\0" in data:
        raise InflamapError(
            f"{file}: no UTF-8",
            seen="zero bytes, as of UTF-16",
            next_step="save it as UTF-8; > of Windows PowerShell writes UTF-16",
        )
    try:
        # an editor of Windows may put a byte order mark before it
        return tomllib.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InflamapError(
            f"{file}, line {line}: no UTF-8",
            seen=f"byte 0x{data[error.start]:02x}",
            next_step="save it as UTF-8",
        ) from error
    # a RecursionError for brackets without end
    except (ValueError, RecursionError) as error:
        raise _no_toml(file, data.decode("utf-8-sig"), str(error)) from error


def as_toml(value: object) -> str:
    """A text, number, truth value, tuple, table or path (made absolute) as TOML.

    What has backslashes stands in single quotes if it can.
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Path):
        value = str(value.absolute())
    if isinstance(value, tuple):
        return f"[{', '.join(map(as_toml, value))}]"
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{as_toml(str(key))} = {as_toml(item)}' for key, item in value.items())} }}"
    if not isinstance(value, str):
        return repr(value) if isinstance(value, int | float | list) else str(value)
    # a console that cannot show a letter may write an escape for it, which single quotes would make another path
    if "\\" in value and "'" not in value and value.isascii() and value.isprintable():
        return f"'{value}'"
    return '"' + "".join(map(_escaped, value)) + '"'


def shown(value: object) -> str:
    """Any value that was read, as it stands in TOML, shortened for a message."""
    try:
        return _short(as_toml(value))
    # thousands of hexadecimal digits, which Python writes in no other way
    except ValueError:
        return "an endless number"
    except RecursionError:
        return "tables without end"


def _no_toml(file: Path, text: str, message: str) -> InflamapError:
    found = re.fullmatch(r"(?P<fault>.*) \(at (?P<place>line (?P<line>\d+), column \d+)\)", message, re.DOTALL)
    if found is None:
        return InflamapError(f"{file}: no valid TOML", seen=message, next_step="look for what is not closed")
    # of a text that ends in an open bracket, the line after the last
    line = "".join(text.split("\n")[int(found["line"]) - 1 :][:1]).strip()
    in_double_quotes = "\\" in line and '"' in line
    return InflamapError(
        f"{file}, {found['place']}: no valid TOML ({found['fault']})",
        seen=_short(line) if line else None,
        next_step=SINGLE_QUOTES if in_double_quotes else "correct the line",
    )


def _escaped(letter: str) -> str:
    if letter in '"\\':
        return f"\\{letter}"
    return letter if letter.isprintable() else f"\\U{ord(letter):08x}"


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:79]}…"
