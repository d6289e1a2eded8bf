"""Deflated data, piece by piece, so that a reader can stop before a bomb fills the memory."""

import zlib
from collections.abc import Iterator

# deflate cannot beat 1032:1: a slice inflates to at most 4 MB
_SLICE = 4 << 10


class Inflating:
    """The pieces that deflated data inflates to, none larger than 4 MB.

    Attributes:
        ended: whether its stream came to its end, where a checksum is compared; known once the pieces are.
    """

    def __init__(self, deflated: bytes | bytearray | memoryview, *, wbits: int = zlib.MAX_WBITS) -> None:
        """`wbits` as zlib's: negative where there is neither header nor checksum."""
        self._deflated, self._inflater = deflated, zlib.decompressobj(wbits)

    @property
    def ended(self) -> bool:
        return self._inflater.eof

    def __iter__(self) -> Iterator[bytes]:
        """Raises zlib.error where the data is damaged."""
        for at in range(0, len(self._deflated), _SLICE):
            yield self._inflater.decompress(self._deflated[at : at + _SLICE])
            if self._inflater.eof:
                return
