"""Limits on connections: idle ones are closed, oldest first, so that a new one is always accepted."""

import ipaddress
from collections.abc import Callable
from typing import Protocol

# A browser opens up to six connections. A reverse proxy keeps some dozens, all from one address.
MAX_IDLE_PER_ADDRESS = 64
MAX_IDLE = 256
# above it the oldest is closed at once; a process may usually open 1024 files
MAX_IDLE_EVER = 640
# time for a new connection to send its request before it may be closed for a newer one
GRACE_S = 0.25
# requests in progress, of which each open page holds one
MAX_ACTIVE_PER_ADDRESS = 96
MAX_ACTIVE = 160


class Connection(Protocol):
    """A connection that can be closed."""

    def close_idle(self) -> None:
        """Close it now."""


class IdleConnections:
    """Connections on which no request is in progress, those idle for longest first.

    Args:
        call_later: runs a function after so many seconds.
    """

    def __init__(self, call_later: Callable[[float, Callable[[], None]], object]) -> None:
        self._call_later = call_later
        self._by_address: dict[str, dict[Connection, None]] = {}
        self._count = 0
        self._scheduled = False

    def __len__(self) -> int:
        return self._count

    def add(self, connection: Connection, address: str, *, answered: bool = False) -> bool:
        """Register a connection; where that makes too many, close others soon.

        Args:
            connection: the connection.
            address: of its client.
            answered: a response was sent on it. It is not kept where it would be one too many: new connections, of
                which nothing was read yet, come first.

        Returns:
            whether it may stay open.
        """
        of_address = self._by_address.get(address, {})
        if connection in of_address:
            return True
        if answered and (self._count >= MAX_IDLE or len(of_address) >= MAX_IDLE_PER_ADDRESS):
            return False
        self._by_address.setdefault(address, of_address)[connection] = None
        self._count += 1
        if self._count > MAX_IDLE_EVER:
            self._close_oldest()
        elif not self._scheduled and (self._count > MAX_IDLE or len(of_address) > MAX_IDLE_PER_ADDRESS):
            self._scheduled = True
            self._call_later(GRACE_S, self._trim)
        return True

    def discard(self, connection: Connection, address: str) -> None:
        """Remove a connection, which got a request or ended."""
        of_address = self._by_address.get(address, {})
        if connection not in of_address:
            return
        del of_address[connection]
        self._count -= 1
        if not of_address:
            del self._by_address[address]

    def _trim(self) -> None:
        self._scheduled = False
        for address, connections in list(self._by_address.items()):
            for _ in range(len(connections) - MAX_IDLE_PER_ADDRESS):
                self._close_oldest(address)
        while self._count > MAX_IDLE:
            self._close_oldest()

    def _close_oldest(self, address: str | None = None) -> None:
        """Close the oldest of an address; unless given, of the address that has most."""
        if address is None:
            address = max(self._by_address, key=lambda each: len(self._by_address[each]))
        oldest = next(iter(self._by_address[address]))
        self.discard(oldest, address)
        oldest.close_idle()


class ActiveRequests:
    """Counts requests in progress."""

    def __init__(self) -> None:
        self._by_address: dict[str, int] = {}
        self._count = 0

    def begin(self, address: str) -> bool:
        """Count a request; return False, and count nothing, where there are too many already."""
        of_address = self._by_address.get(address, 0)
        if self._count >= MAX_ACTIVE or of_address >= MAX_ACTIVE_PER_ADDRESS:
            return False
        self._by_address[address] = of_address + 1
        self._count += 1
        return True

    def end(self, address: str) -> None:
        """Count a request no longer."""
        self._count -= 1
        self._by_address[address] -= 1
        if not self._by_address[address]:
            del self._by_address[address]


def address_key(client: tuple[str, int] | None) -> str:
    """Return the address by which a client is counted: of IPv6 the network of 64 bits, which one machine may own."""
    if client is None:
        return ""
    try:
        address = ipaddress.ip_address(client[0].partition("%")[0])
    except ValueError:
        return client[0]
    if address.version == 4:
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False))
