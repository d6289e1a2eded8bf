"""Inputs made worse: bytes at random, and fields of the formats, with their checksums made right again."""

import random
import struct
import zlib
from collections.abc import Callable, Sequence

_PNG = b"\x89PNG\r\n\x1a\n"
_ODD_NUMBERS = (
    0,
    1,
    2,
    3,
    7,
    8,
    127,
    128,
    255,
    256,
    1024,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x10000,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
)
_LONGEST = 1 << 17

Rng = random.Random


def worsen(data: bytes, rng: Rng, others: Sequence[bytes]) -> bytes:
    """A copy with one to four changes.

    Args:
        data: what is made worse.
        rng: what draws the changes; the same gives the same.
        others: further inputs, of which parts may be taken.
    """
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        rng.choice(_CHANGES)(changed, rng, others)
        if not changed:
            break
    return repaired(bytes(changed[:_LONGEST]), rng)


def repaired(data: bytes, rng: Rng) -> bytes:
    """A PNG with right checksums, mostly, for else nothing behind them is ever reached."""
    if not data.startswith(_PNG) or rng.random() < 0.2:
        return data
    found, at = bytearray(_PNG), len(_PNG)
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        body = data[at + 4 : at + 8 + length]
        if len(body) < 4 + length:
            break
        if body[:4] == b"IDAT" and rng.random() < 0.3:
            body = b"IDAT" + _other_pixels(body[4:], rng)
        found += struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
        at += 12 + length
    return bytes(found + data[at:])


def _other_pixels(deflated: bytes, rng: Rng) -> bytes:
    try:
        pixels = bytearray(zlib.decompress(deflated))
    except zlib.error:
        return deflated
    for _ in range(rng.choice((1, 4))):
        rng.choice((_number, _cut, _repeat))(pixels, rng, ())
    return zlib.compress(bytes(pixels[:_LONGEST]))


def _bit(data: bytearray, rng: Rng, _: Sequence[bytes]) -> None:
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _number(data: bytearray, rng: Rng, _: Sequence[bytes]) -> None:
    size = min(rng.choice((1, 2, 4, 4, 8)), len(data))
    if not size:
        return
    at = rng.randrange(len(data) - size + 1)
    value = rng.choice((*_ODD_NUMBERS, len(data), rng.getrandbits(32))) % (1 << 8 * size)
    data[at : at + size] = value.to_bytes(size, rng.choice(("little", "big")))


def _early_number(data: bytearray, rng: Rng, others: Sequence[bytes]) -> None:
    """A number in the first bytes, where headers are."""
    head = data[: rng.choice((32, 64, 256, 1024))]
    _number(head, rng, others)
    data[: len(head)] = head


def _cut(data: bytearray, rng: Rng, _: Sequence[bytes]) -> None:
    at = rng.randrange(len(data) + 1)
    del data[at : at + rng.choice((1, 1, 2, 4, 16, 64, 512))]


def _repeat(data: bytearray, rng: Rng, _: Sequence[bytes]) -> None:
    at = rng.randrange(len(data) + 1)
    part = bytes(data[at : at + rng.choice((1, 4, 12, 64, 256))])
    data[at:at] = part * rng.choice((1, 2, 8, 100))


def _insert(data: bytearray, rng: Rng, _: Sequence[bytes]) -> None:
    at = rng.randrange(len(data) + 1)
    data[at:at] = rng.randbytes(rng.choice((1, 2, 4, 8, 32)))


def _splice(data: bytearray, rng: Rng, others: Sequence[bytes]) -> None:
    if others:
        other = rng.choice(others)
        at, start = rng.randrange(len(data) + 1), rng.randrange(len(other) + 1)
        data[at : at + rng.choice((0, 16, 64, 1024))] = other[start : start + rng.choice((4, 16, 64, 1024))]


def _digit(data: bytearray, rng: Rng, _: Sequence[bytes]) -> None:
    """Another number in place of one in digits, as text formats and DICOM have them."""
    places = [at for at, byte in enumerate(data[:4096]) if 0x30 <= byte <= 0x39]
    if places:
        at = rng.choice(places)
        data[at : at + 1] = rng.choice((b"-1", b"9" * 20, b"0", b"1e308", b"nan", b".", b"99999999", b"\\"))


def _tag(data: bytearray, rng: Rng, _: Sequence[bytes]) -> None:
    """A field of an entry in a TIFF's first directory: its code, type, count or value."""
    if bytes(data[:2]) not in (b"II", b"MM") or len(data) < 8:
        return
    order = "<" if data[:2] == b"II" else ">"
    (at,) = struct.unpack_from(f"{order}I", data, 4)
    if at + 2 > len(data):
        return
    (entries,) = struct.unpack_from(f"{order}H", data, at)
    field, size = rng.choice(((0, 2), (2, 2), (4, 4), (8, 4), (8, 2)))
    at += 2 + 12 * rng.randrange(max(1, min(entries, 64))) + field
    if at + size <= len(data):
        value = rng.choice((*_ODD_NUMBERS, rng.randrange(400), len(data), rng.getrandbits(32)))
        data[at : at + size] = (value % (1 << 8 * size)).to_bytes(size, "little" if order == "<" else "big")


_CHANGES: tuple[Callable[[bytearray, Rng, Sequence[bytes]], None], ...] = (
    _bit, _number, _number, _early_number, _early_number, _cut, _repeat, _insert, _splice, _digit, _tag, _tag,
)  # fmt: skip
