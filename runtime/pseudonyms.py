"""Names in logs that do not tell who was imaged: folders and files are often called after patients."""

import hashlib
import hmac
import os
import re
from pathlib import Path, PurePath

from runtime.errors import InflamapError, one_line
from runtime.outputs import said_plainly, write_atomically

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
        """A line about the image in which nothing of its path is left."""
        names = [relative.as_posix(), str(relative), *relative.parts, *(Path(part).stem for part in relative.parts)]
        # lines hold names as they can be printed
        for name in sorted({name for name in [*names, *map(one_line, names)] if name}, key=len, reverse=True):
            # as part of another word it is no name
            text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", lambda _found: self.of(relative), text)
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
            write_atomically(path, os.urandom(KEY_BYTES).hex().encode() + b"\n")
            path.chmod(0o600)
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


def _plain_suffix(name: str) -> str:
    """The suffix where it is one that says nothing but the kind of file."""
    suffix = PurePath(name).suffix
    return suffix.lower() if re.fullmatch(r"\.[A-Za-z]{1,4}", suffix) else ""
