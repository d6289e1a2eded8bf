"""HOST:PORT, and whether others than this machine can reach it."""

import pytest

from runtime.errors import InflamapError
from runtime.viewer.address import Address, parse_address


@pytest.mark.parametrize(
    ("text", "wanted", "loopback", "everywhere"),
    [
        ("127.0.0.1:8765", Address("127.0.0.1", 8765), True, False),
        ("127.9.9.9:1", Address("127.9.9.9", 1), True, False),
        ("LocalHost:0", Address("localhost", 0), True, False),
        ("[::1]:8765", Address("::1", 8765), True, False),
        ("0.0.0.0:8765", Address("0.0.0.0", 8765), False, True),
        ("[::]:80", Address("::", 80), False, True),
        ("192.168.1.20:65535", Address("192.168.1.20", 65535), False, False),
        ("confocal-1.clinic.example:8765", Address("confocal-1.clinic.example", 8765), False, False),
        # a name that only looks like this machine
        ("localhost.example:80", Address("localhost.example", 80), False, False),
    ],
)
def test_address_is_read(text: str, wanted: Address, loopback: bool, everywhere: bool) -> None:
    found = parse_address(text)
    assert found == wanted
    assert (found.is_loopback, found.is_everywhere) == (loopback, everywhere)
    assert parse_address(found.authority) == found


@pytest.mark.parametrize(
    "text",
    ["", "8765", ":8765", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "::1:80", "a b:80", "ä:80"],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(InflamapError, match=r"--viewer is no address; seen: .*; wanted: HOST:PORT; next: "):
        parse_address(text)
