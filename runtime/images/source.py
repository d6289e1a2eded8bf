"""A file's bytes, wherever they are asked for: on the disk, before the whole is read, or in memory."""

from typing import Protocol

import msgspec


class Source(Protocol):
    """Bytes that may be read piece by piece."""

    @property
    def size(self) -> int:
        """How many there are."""

    def read_at(self, at: int, count: int) -> bytes:
        """Return so many from byte `at` on; fewer where they end."""


class InMemory(msgspec.Struct, frozen=True):
    """The bytes of a file that was read."""

    data: bytes

    @property
    def size(self) -> int:
        return len(self.data)

    def read_at(self, at: int, count: int) -> bytes:
        return self.data[at : at + count]
