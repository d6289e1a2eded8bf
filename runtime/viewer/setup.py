"""What the watch tells the page's process at its start."""

import os
from pathlib import Path
from typing import Any

import msgspec

from runtime.viewer.address import Address


class Setup(msgspec.Struct, frozen=True):
    """All that the page's process has to know; the first line on its standard input, as JSON.

    Attributes:
        folder: the watched folder, absolute.
        out: the results' folder, absolute.
        address: where to listen.
        token: what a browser has to know; None where only this machine can ask.
        min_free_gb: as of the watch, in 10^9 bytes.
        pseudonymise: names of folders and files are not shown.
    """

    folder: Path
    out: Path
    address: Address
    token: str | None
    min_free_gb: float
    pseudonymise: bool


def to_line(setup: Setup) -> bytes:
    """One line, whatever bytes a path is made of."""
    return msgspec.json.encode(setup, enc_hook=lambda path: os.fsencode(path).hex()) + b"\n"


def from_line(line: bytes) -> Setup:
    """What `to_line` was given.

    Raises:
        msgspec.MsgspecError: it is none.
    """
    return msgspec.json.decode(line, type=Setup, dec_hook=_path)


def _path(kind: type, value: Any) -> Any:
    return kind(os.fsdecode(bytes.fromhex(value)))


class Began(msgspec.Struct, frozen=True):
    """The one line that the page's process says: where it listens, or why it does not.

    Attributes:
        url: of the page, without the token; empty where it could not begin.
        fault: why it could not.
    """

    url: str = ""
    fault: str = ""
