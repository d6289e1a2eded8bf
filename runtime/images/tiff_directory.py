"""A TIFF's directories: whether they are whole and true to the file."""

import math
import struct
from typing import Any, NamedTuple

import msgspec

from runtime.errors import NeverAnImage, UnreadableImage
from runtime.images.imagej import MOST_CHARACTERS, image_count, is_imagej
from runtime.images.limits import MAX_PIXELS, check_size, truncated
from runtime.images.source import Source

# bytes of one value by the number of its type, of TIFF 6.0 and of BigTIFF
_VALUE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
# and the whole numbers among them, as `struct` knows them
_WHOLE = {1: "B", 3: "H", 4: "I", 16: "Q"}
_SUBFILE_TYPE, _WIDTH, _LENGTH, _BITS, _DESCRIPTION, _SAMPLES, _TILE_WIDTH, _TILE_LENGTH = (
    254,
    256,
    257,
    258,
    270,
    277,
    322,
    323,
)
_REDUCED = 1
# no image with more is read
_MOST_SAMPLES, _MOST_BITS = 4, 64
# tags that say what the pixels are and where; without one of them tifffile would take a default
_PIXEL_TAGS = frozenset({256, 257, 258, 259, 262, 270, 273, 277, 278, 279, 284, 317, 322, 323, 324, 325, 338, 339})
# tifffile looks no further either
_MOST_TAGS = 4096
# each value becomes a Python number of 36 bytes; a mosaic in strips of one row has 16,000
_MOST_VALUES = 1 << 20
# of all directories together, in which a page of a stack has few
_MOST_VALUES_IN_ALL = 1 << 22
# tags of pages may share small values, as a resolution; the rest of them lies side by side in the file
_SHARED_BYTES = 1 << 20
# the deepest stacks have some hundred slices
_MOST_PAGES = 1024


class _Held(msgspec.Struct):
    """What all directories hold so far: values, and bytes of them outside the directories."""

    values: int = 0
    elsewhere: int = 0


class _Layout(NamedTuple):
    """How a directory is laid out: `struct` formats of its parts, and where the first one's offset is."""

    number: str
    entry: str
    offset: str
    first_at: int


class _Entry(NamedTuple):
    """One tag of a directory: its values' type and number, and the values themselves or where they are."""

    code: int
    kind: int
    number: int
    value: bytes


def check_directory(file: Source) -> int:
    """Look through the directories of a TIFF before a reader spends time or memory on what it says.

    Returns:
        how many bytes of pixels its images have by them, before compression.

    Raises:
        UnreadableImage: a directory, or a value that tells about the pixels, is not in the file, or not yet.
        NeverAnImage: too many directories, a circle of them, images that are too large, or values that cannot all be in
            the file.
    """
    layout = _layout(file)
    (at,) = _unpack(layout.offset, file, layout.first_at)
    if not at:
        # writers put it in last
        raise truncated("a header that names no directory", "the directory's offset")
    pages: set[int] = set()
    held, pixel_bytes = _Held(), 0
    while at:
        if at in pages:
            raise NeverAnImage("the TIFF's directories go round in a circle", seen=f"byte {at} again")
        pages.add(at)
        if len(pages) > _MOST_PAGES:
            raise NeverAnImage("the TIFF has too many pages", seen=f"more than {_MOST_PAGES}")
        listed, end = _entries(file, at, layout)
        _check_values(listed, file.size, layout, held)
        # of two of one code tifffile takes the first
        entries = {entry.code: entry for entry in reversed(listed)}
        # the same values named by page after page are a small file, and become gigabytes
        if held.elsewhere > 2 * file.size + _SHARED_BYTES or held.values > _MOST_VALUES_IN_ALL:
            raise NeverAnImage(
                "the TIFF's directories contradict each other",
                seen=f"{held.values} values of {held.elsewhere} bytes in a file of {file.size}",
            )
        pixel_bytes += _pixel_bytes(entries, file, layout)
        (at,) = _unpack(layout.offset, file, end)
    # a large ImageJ stack has one directory
    return pixel_bytes * (_images_behind(entries, file, layout) if len(pages) == 1 else 1)


def _layout(file: Source) -> _Layout:
    head = file.read_at(0, 4)
    order = "<" if head[:2] == b"II" else ">"
    if len(head) < 4 or struct.unpack_from(f"{order}H", head, 2) == (42,):
        return _Layout(f"{order}H", f"{order}HHI4s", f"{order}I", 4)
    big = _unpack(f"{order}HH", file, 4)
    if big != (8, 0):
        raise UnreadableImage("the BigTIFF header is not legal", seen=f"{big[0]} bytes an offset", wanted="8")
    return _Layout(f"{order}Q", f"{order}HHQ8s", f"{order}Q", 8)


def _entries(file: Source, at: int, layout: _Layout) -> tuple[list[_Entry], int]:
    """The tags of the directory at byte `at`, and where it ends and the next one's offset is."""
    (tags,) = _unpack(layout.number, file, at)
    if not tags:
        raise truncated(f"a directory without tags at byte {at}", "tags")
    if tags > _MOST_TAGS:
        raise NeverAnImage("the TIFF's directory is not legal", seen=f"{tags} tags", wanted=f"at most {_MOST_TAGS}")
    at += struct.calcsize(layout.number)
    size = tags * struct.calcsize(layout.entry)
    raw = file.read_at(at, size)
    if len(raw) < size:
        raise truncated(f"{file.size} bytes", f"a directory at byte {at}")
    return [_Entry(*entry) for entry in struct.iter_unpack(layout.entry, raw)], at + size


def _check_values(entries: list[_Entry], file_bytes: int, layout: _Layout, held: _Held) -> None:
    elsewhere = 0
    for entry in entries:
        size = entry.number * _VALUE_BYTES.get(entry.kind, 0)
        if size <= len(entry.value):
            continue
        (offset,) = struct.unpack(layout.offset, entry.value)
        if offset + size > file_bytes:
            if entry.code in _PIXEL_TAGS:
                raise truncated(f"{file_bytes} bytes", f"{size} bytes of tag {entry.code} at byte {offset}")
            continue  # tifffile passes over it as well
        if size > entry.number > _MOST_VALUES:
            raise NeverAnImage("the TIFF's directory is not legal", seen=f"{entry.number} values of tag {entry.code}")
        elsewhere += size
        held.values += entry.number
        held.elsewhere += size
    if elsewhere > file_bytes:
        raise NeverAnImage(
            "the TIFF's directory contradicts itself",
            seen=f"tags of {elsewhere} bytes in a file of {file_bytes}",
        )


def _pixel_bytes(entries: dict[int, _Entry], file: Source, layout: _Layout) -> int:
    """Bytes of a directory's image, with what its tiles hold beyond it."""

    def value(code: int, default: int) -> int:
        return _first_value(entries[code], file, layout) if code in entries else default

    sides = [value(code, 0) for code in (_WIDTH, _LENGTH)]
    if not value(_SUBFILE_TYPE, 0) & _REDUCED and all(sides):
        check_size(*sides)
    tiles = [max(1, value(code, 1)) for code in (_TILE_WIDTH, _TILE_LENGTH)]
    pixels = math.prod(-(-side // tile) * tile for side, tile in zip(sides, tiles, strict=True))
    samples, bits = min(value(_SAMPLES, 1), _MOST_SAMPLES), min(value(_BITS, 1), _MOST_BITS)
    # a preview, which is not decoded, must not make room for a longer file than an image may
    return min(pixels, MAX_PIXELS) * samples * -(-bits // 8)


def _images_behind(entries: dict[int, _Entry], file: Source, layout: _Layout) -> int:
    """How many images lie one behind the other, by ImageJ's description; 1 without one."""
    entry = entries.get(_DESCRIPTION)
    if entry is None or entry.number <= len(entry.value):
        return 1
    (offset,) = struct.unpack(layout.offset, entry.value)
    description = file.read_at(offset, min(entry.number, MOST_CHARACTERS)).decode("latin-1")
    return image_count(description) if is_imagej(description) else 1


def _first_value(entry: _Entry, file: Source, layout: _Layout) -> int:
    """The first value of a tag of whole numbers; 0 where there is none."""
    form = layout.offset[0] + _WHOLE.get(entry.kind, "")
    size = struct.calcsize(form)
    if len(form) == 1 or not entry.number:
        return 0
    value = entry.value
    if entry.number * size > len(value):
        (offset,) = struct.unpack(layout.offset, value)
        value = file.read_at(offset, size)
    return int(struct.unpack_from(form, value)[0]) if len(value) >= size else 0


def _unpack(form: str, file: Source, at: int) -> tuple[Any, ...]:
    raw = file.read_at(at, struct.calcsize(form))
    if len(raw) < struct.calcsize(form):
        raise truncated(f"{file.size} bytes", f"a directory at byte {at}")
    return struct.unpack(form, raw)
