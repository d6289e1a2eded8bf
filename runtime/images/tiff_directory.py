"""A TIFF's directories: whether they are whole and true to the file."""

import struct
from typing import Any, NamedTuple

import msgspec

from runtime.errors import NeverAnImage, UnreadableImage
from runtime.images.limits import truncated

# bytes of one value by the number of its type, of TIFF 6.0 and of BigTIFF
_VALUE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
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


def check_directory(data: bytes) -> None:
    """Looks through the directories of a TIFF before a reader spends time or memory on what it says.

    Raises:
        UnreadableImage: a directory, or a value that tells about the pixels, is not in the file, or not yet.
        NeverAnImage: too many directories, a circle of them, or values that cannot all be in the file.
    """
    layout = _layout(data)
    (at,) = _unpack(layout.offset, data, layout.first_at)
    if not at:
        # writers put it in last
        raise truncated("a header that names no directory", "the directory's offset")
    pages: set[int] = set()
    held = _Held()
    while at:
        if at in pages:
            raise NeverAnImage("the TIFF's directories go round in a circle", seen=f"byte {at} again")
        pages.add(at)
        if len(pages) > _MOST_PAGES:
            raise NeverAnImage("the TIFF has too many pages", seen=f"more than {_MOST_PAGES}")
        (at,) = _unpack(layout.offset, data, _check_entries(data, at, layout, held))
        # the same values named by page after page are a small file, and become gigabytes
        if held.elsewhere > 2 * len(data) + _SHARED_BYTES or held.values > _MOST_VALUES_IN_ALL:
            raise NeverAnImage(
                "the TIFF's directories contradict each other",
                seen=f"{held.values} values of {held.elsewhere} bytes in a file of {len(data)}",
            )


def _layout(data: bytes) -> _Layout:
    order = "<" if data[:2] == b"II" else ">"
    if len(data) < 4 or struct.unpack_from(f"{order}H", data, 2) == (42,):
        return _Layout(f"{order}H", f"{order}HHI4s", f"{order}I", 4)
    big = _unpack(f"{order}HH", data, 4)
    if big != (8, 0):
        raise UnreadableImage("the BigTIFF header is not legal", seen=f"{big[0]} bytes an offset", wanted="8")
    return _Layout(f"{order}Q", f"{order}HHQ8s", f"{order}Q", 8)


def _check_entries(data: bytes, at: int, layout: _Layout, held: _Held) -> int:
    """Checks the directory at byte `at`, and gives where it ends and the next one's offset is."""
    (tags,) = _unpack(layout.number, data, at)
    if not tags:
        raise truncated(f"a directory without tags at byte {at}", "tags")
    if tags > _MOST_TAGS:
        raise NeverAnImage("the TIFF's directory is not legal", seen=f"{tags} tags", wanted=f"at most {_MOST_TAGS}")
    at += struct.calcsize(layout.number)
    elsewhere = 0
    for _ in range(tags):
        code, kind, count, value = _unpack(layout.entry, data, at)
        at += struct.calcsize(layout.entry)
        size = count * _VALUE_BYTES.get(kind, 0)
        if size <= len(value):
            continue
        (offset,) = _unpack(layout.offset, value, 0)
        if offset + size > len(data):
            if code in _PIXEL_TAGS:
                raise truncated(f"{len(data)} bytes", f"{size} bytes of tag {code} at byte {offset}")
            continue  # tifffile passes over it as well
        if size > count > _MOST_VALUES:
            raise NeverAnImage("the TIFF's directory is not legal", seen=f"{count} values of tag {code}")
        elsewhere += size
        held.values += count
        held.elsewhere += size
    if elsewhere > len(data):
        raise NeverAnImage(
            "the TIFF's directory contradicts itself",
            seen=f"tags of {elsewhere} bytes in a file of {len(data)}",
        )
    return at


def _unpack(form: str, data: bytes, at: int) -> tuple[Any, ...]:
    if at + struct.calcsize(form) > len(data):
        raise truncated(f"{len(data)} bytes", f"a directory at byte {at}")
    return struct.unpack_from(form, data, at)
