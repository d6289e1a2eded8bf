"""What the watch tells the page's process at its start."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from runtime.viewer.address import Address

if TYPE_CHECKING:
    from runtime.manifest import Manifest


# the lowest there is: a page may wait, an image should not
NICENESS = 19


class Scale(msgspec.Struct, frozen=True):
    """The scale of the model that the watch runs.

    Attributes:
        grades: names of the grades, in the model's order.
        ordered: whether a higher grade means more of the quantity; otherwise the grades are classes without an order.
        quantity: what an ordered score is called, such as "Inflammation".
        models: SHA-256 of each model file of the bundle. Results name the file that scored them.
    """

    grades: tuple[str, ...]
    ordered: bool
    quantity: str
    models: tuple[str, ...]

    @staticmethod
    def of(manifest: "Manifest") -> "Scale":
        """Return the scale of a bundle."""
        models = tuple(manifest.files[name] for name in manifest.model_files())
        return Scale(manifest.grades, manifest.ordered, manifest.quantity, models)


class Setup(msgspec.Struct, frozen=True):
    """All that the page's process has to know; the first line on its standard input, as JSON.

    Attributes:
        folder: the watched folder, absolute.
        out: the results' folder, absolute.
        address: where to listen.
        token: what a browser has to know; None where only this machine can ask.
        min_free_gb: as of the watch, in 10^9 bytes.
        pseudonymise: names of folders and files are not shown.
        scale: of the model that the watch runs.
        niceness: by how much the page's process lowers its priority, 0 to 19; POSIX only.
    """

    folder: Path
    out: Path
    address: Address
    token: str | None
    min_free_gb: float
    pseudonymise: bool
    scale: Scale
    niceness: int = NICENESS


def to_line(setup: Setup) -> bytes:
    """One line, whatever bytes a path is made of."""
    return msgspec.json.encode(setup, enc_hook=lambda path: os.fsencode(path).hex()) + b"\n"


def from_line(line: bytes) -> Setup:
    """What `to_line` was given.

    Raises:
        msgspec.MsgspecError: it is none.
    """
    return msgspec.json.decode(line, type=Setup, dec_hook=_path)


def _path(kind: type, value: Any) -> Any:
    return kind(os.fsdecode(bytes.fromhex(value)))


class Began(msgspec.Struct, frozen=True):
    """The one line that the page's process says: where it listens, or why it does not.

    Attributes:
        url: of the page, without the token; empty where it could not begin.
        fault: why it could not.
    """

    url: str = ""
    fault: str = ""
