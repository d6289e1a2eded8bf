"""Where the page is served, and to whom."""

import ipaddress

import msgspec

from runtime.errors import InflamapError

NEXT_STEP = "give it as HOST:PORT, as in 127.0.0.1:8765; an IPv6 address stands in brackets"


class Address(msgspec.Struct, frozen=True):
    """An address to listen on.

    Attributes:
        host: name or IP address, without brackets.
        port: 0 for any that is free.
    """

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def is_everywhere(self) -> bool:
        """Whether it stands for every address of this machine."""
        try:
            return ipaddress.ip_address(self.host).is_unspecified
        except ValueError:
            return False

    @property
    def authority(self) -> str:
        """As it stands in a URL and in `Host`."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """Read HOST:PORT.

    Raises:
        InflamapError: it is none.
    """
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        colon = ""
    plain = bool(host) and all(letter.isalnum() or letter in ".-:_" for letter in host) and host.isascii()
    if not colon or not plain or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise InflamapError("--viewer is no address", seen=text, wanted="HOST:PORT", next_step=NEXT_STEP)
    return Address(host.lower(), int(port))
