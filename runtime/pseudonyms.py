"""Names in logs that do not tell who was imaged: folders and files are often called after patients."""

import hashlib
import hmac
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePath

from runtime.errors import InflamapError, one_line
from runtime.images.signature import SUFFIXES
from runtime.outputs import result_files, said_plainly, temporary_of

KEY_FILE = "inflamap.pseudonyms"
KEY_BYTES = 32
_LENGTH = 10


class Pseudonyms:
    """A name for each folder and file: always the same for one, and not to be turned back without the key.

    HMAC-SHA256 with a key of this results folder, so that nobody who only has the log can try out names.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def of(self, relative: PurePath) -> str:
        """The path, part by part, so that what lies together stays together; the suffix is kept."""
        *folders, name = relative.parts
        return "/".join([*map(self._part, folders), self._part(name) + _plain_suffix(name)])

    def within(self, text: str, relative: PurePath) -> str:
        """What is told about the image, in which nothing of its path is left."""
        parts = [*relative.parts, *_parts_of_results(relative)]
        names = [relative.as_posix(), str(relative), *parts, *(Path(part).stem for part in parts)]
        # lines hold names as they can be printed, and the system's errors as Python would write them
        written = {form for name in names if name for form in (name, one_line(name), repr(name)[1:-1])}
        for name in sorted(written, key=len, reverse=True):
            text = re.sub(_as_a_name(name), lambda _found: self.of(relative), text)
        return text

    def _part(self, name: str) -> str:
        return hmac.new(self._key, os.fsencode(name), hashlib.sha256).hexdigest()[:_LENGTH]


def pseudonyms_of(out: Path) -> Pseudonyms:
    """Those of a results folder; their key is made there when it is missing, for this user alone.

    Raises:
        InflamapError: the key cannot be read or made, or is none.
    """
    path = out / KEY_FILE
    with said_plainly(path):
        if not path.exists():
            _make_key(path)
        text = path.read_bytes().strip()
    try:
        key = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise InflamapError(
            f"{path}: not a key for pseudonyms",
            wanted=f"{2 * KEY_BYTES} hexadecimal digits",
            next_step="remove it; a new one gives other pseudonyms",
        )
    return Pseudonyms(key)


def _as_a_name(name: str) -> str:
    """Where a text speaks of a file or folder of that name, and does not just hold the same letters."""
    escaped = re.escape(name)
    if len(name) > 3 and not name.isdigit():
        # as part of another word it is no name
        return rf"(?<!\w){escaped}(?!\w)"
    # a number or a syllable is one only within a path
    return rf"(?<=[/\\]){escaped}(?!\w)|(?<!\w){escaped}(?=[/\\])"


def _make_key(path: Path) -> None:
    """For this user alone from its first instant on."""
    temporary = temporary_of(path)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(os.urandom(KEY_BYTES).hex().encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _parts_of_results(relative: PurePath) -> Iterator[str]:
    """Names that an image's results have, which are shortened where its own is long."""
    try:
        files = result_files(relative)
    except InflamapError:
        return
    for file in (files.score, files.overlay, files.map, files.failure):
        yield file.name


def _plain_suffix(name: str) -> str:
    """The suffix where it is an image's; others may be a part of somebody's name."""
    suffix = PurePath(name).suffix.lower()
    return suffix if suffix in SUFFIXES else ""
