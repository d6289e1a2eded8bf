"""What the watch says to the page's process arrives as it was said."""

from pathlib import Path

import msgspec
import pytest

from runtime.viewer.address import Address
from runtime.viewer.setup import Scale, Setup, from_line, to_line

SCALE = Scale(("mild", "sévère"), False, "Dryness", ("0" * 64,))


@pytest.mark.parametrize("folder", ["/scans/ä", "/scans/\udcff", "/scans/two\nlines"])
def test_every_path_arrives(folder: str) -> None:
    setup = Setup(Path(folder), Path("/out"), Address("::1", 80), "token", 2.5, True, SCALE)
    line = to_line(setup)
    assert line.count(b"\n") == 1
    assert from_line(line) == setup


def test_anything_else_is_refused() -> None:
    with pytest.raises(msgspec.MsgspecError):
        from_line(b"")
