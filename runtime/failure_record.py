"""The failure record of an image: a small file beside the results that keeps a failure when the ledger is lost."""

from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Any

import msgspec

from runtime.errors import InflamapError, one_line
from runtime.file_state import FileState
from runtime.outputs import (
    read_record_file,
    remove_file,
    require_own_folder,
    result_files,
    to_document,
    write_atomically,
)
from runtime.version import __version__

SCHEMA = "inflamap.failure/1"
# of SQLite, which keeps the numbers afterwards
_LARGEST = 2**63 - 1


class FailureRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One failure.

    Attributes:
        path: of the image below the watched folder.
        file: the content that failed.
        reason: for a person, one line.
        attempts: how often the image had been taken since it arrived.
        heals: whether trying again may help though the content stays as it is.
        gone: whether the file was there no more.
        at: when the image failed, Unix seconds.
        version: of the inflamap that wrote the record.
    """

    path: PurePath
    file: FileState
    reason: str
    attempts: int
    heals: bool
    gone: bool
    at: float
    version: str = __version__

    def to_json(self) -> dict[str, Any]:
        """Return the document of the file; a time is ISO 8601 in UTC, `mtime_ns` nanoseconds since 1970."""
        return {
            "schema": SCHEMA,
            "image": {"path": self.path.as_posix(), **self.file._asdict()},
            "reason": self.reason,
            "attempts": self.attempts,
            "heals": self.heals,
            "gone": self.gone,
            "failed": datetime.fromtimestamp(self.at, UTC).isoformat(),
            "version": self.version,
        }

    @staticmethod
    def from_json(document: Any) -> "FailureRecord":
        """Read the document of the file.

        Raises:
            ValueError: the document is not a failure record.
        """
        try:
            if document["schema"] != SCHEMA:
                raise ValueError(f"schema {document['schema']!r}")
            image = document["image"]
            at = datetime.fromisoformat(document["failed"])
            if at.tzinfo is None:
                raise ValueError("a time without a zone")
            return FailureRecord(
                path=PurePath(_of_type(image["path"], str)),
                file=FileState(
                    _whole_number(image["size"]),
                    _whole_number(image["mtime_ns"]),
                    *(None if image[name] is None else _whole_number(image[name]) for name in ("ctime_ns", "inode")),
                ),
                # the ledger keeps UTF-8, which no lone surrogate is
                reason=one_line(_of_type(document["reason"], str)),
                attempts=max(0, _whole_number(document["attempts"])),
                heals=_of_type(document["heals"], bool),
                gone=_of_type(document["gone"], bool),
                at=at.timestamp(),
                version=_of_type(document["version"], str),
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"not a failure record of inflamap: {type(error).__name__} {error}") from error


def write_failure(out: Path, failure: FailureRecord) -> None:
    """Write the failure record of an image, durably.

    Raises:
        CannotWrite: the file cannot be written; an earlier one is still there.
    """
    path = out / result_files(failure.path).failure
    require_own_folder(out, path.parent)
    write_atomically(path, to_document(failure.to_json()))


def remove_failure(out: Path, relative: PurePath) -> None:
    """Remove the failure record of an image, if there is one.

    Raises:
        CannotWrite: the file cannot be removed.
    """
    path = out / result_files(relative).failure
    require_own_folder(out, path.parent)
    remove_file(path)


def read_failure(out: Path, path: Path) -> FailureRecord | None:
    """Return the failure that a file below `out` tells of; None where that is no failure record of an image here."""
    try:
        failure = FailureRecord.from_json(read_record_file(path))
        # a record that was copied or renamed is of no image here
        return failure if out / result_files(failure.path).failure == path else None
    except (ValueError, InflamapError):
        return None


def _of_type(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"{kind.__name__} wanted, seen {value!r}")
    return value


def _whole_number(value: Any) -> int:
    if type(value) is not int or abs(value) > _LARGEST:
        raise ValueError(f"a number of 64 bits wanted, seen {value!r}")
    return value
