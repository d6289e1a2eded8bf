"""Deflated data comes in pieces, and tells whether it ended."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.images.inflate import Inflating


@given(st.binary(max_size=2000), st.integers(0, 60), st.sampled_from([zlib.MAX_WBITS, -zlib.MAX_WBITS]))
def test_pieces_make_up_what_was_deflated(part: bytes, times: int, wbits: int) -> None:
    packer = zlib.compressobj(wbits=wbits)
    data = part * times
    deflated = packer.compress(data) + packer.flush()
    whole = Inflating(memoryview(deflated), wbits=wbits)
    assert b"".join(whole) == data
    assert whole.ended
    cut = Inflating(deflated[:-1], wbits=wbits)
    assert data.startswith(b"".join(cut))
    assert not cut.ended


def test_no_piece_of_a_bomb_is_large() -> None:
    inflating = Inflating(zlib.compress(bytes(50 << 20), 9))
    assert max(map(len, inflating)) <= 4 << 20 | 1 << 18


def test_damage_is_zlibs_error() -> None:
    with pytest.raises(zlib.error):
        list(Inflating(b"no stream"))
