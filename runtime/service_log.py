"""What the watch says: a line for a person, and the same as JSON in a file that is rotated.

Neither holds pixels, nor anything of a file's content but its hash.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any, Literal

from runtime.errors import one_line
from runtime.pseudonyms import Pseudonyms
from runtime.result import Result, summary_line

Level = Literal["info", "warning", "error"]


class ServiceLog:
    """One line an image, and one for whatever else happens.

    Args:
        say: told the line for a person.
        write: told what the line is about, where there is a file.
        pseudonyms: stand for the names of folders and files in both.
    """

    def __init__(
        self,
        say: Callable[[str], None],
        write: Callable[[dict[str, Any]], None] | None = None,
        pseudonyms: Pseudonyms | None = None,
    ) -> None:
        self._say, self._write, self._pseudonyms = say, write, pseudonyms

    def event(
        self, event: str, line: str, *, level: Level = "info", about: PurePath | None = None, **facts: Any
    ) -> None:
        """Something happened.

        Args:
            event: a word for what.
            line: for a person.
            level: `warning` for what needs an eye, `error` for what needs a hand.
            about: the image or folder below the watched one that it is about, whose name may stand in the line.
            facts: what JSON can hold, for a program.
        """
        # the watched folder itself has no parts, and is nobody's
        if about is None or not about.parts:
            self._tell(event, line, level, facts)
            return
        # a line that begins with the name, as most do, is told by the rest: a name may be a mere number
        begin = f"{one_line(about.as_posix())}: "
        told = self._without_names(line.removeprefix(begin), about)
        if line.startswith(begin):
            told = f"{one_line(self._name(about))}: {told}"
        self._tell(event, told, level, {"image": self._name(about)} | facts)

    def result(self, relative: PurePath, result: Result) -> None:
        """An image was scored, or its score withheld."""
        score = result.score
        facts = {
            "image": self._name(relative),
            # without order there is a class and no score
            "score": None if score is None or score.mean is None else round(score.mean, 3),
            "grade": None if score is None else score.grade,
            "reasons": list(result.reasons),
            "sha256": result.image.sha256,
            "model": result.model.sha256,
            "engine": result.model.engine,
            "ms": round(result.timing_ms.total, 1),
        }
        self._tell(result.status, summary_line(result, self._name(relative)), "info", facts)

    def failed(self, relative: PurePath, reason: str, *, attempts: int, again_in_s: float | None) -> None:
        """An image could not be done."""
        name, reason = self._name(relative), self._without_names(reason, relative)
        facts = {
            "image": name,
            "reason": reason,
            "attempts": attempts,
            "again_in_s": None if again_in_s is None else round(again_in_s, 1),
        }
        self._tell("failed", f"{one_line(name)}: {reason}", "warning", facts)

    def _tell(self, event: str, line: str, level: Level, facts: dict[str, Any]) -> None:
        self._say(line if level == "info" else f"inflamap: {line}")
        if self._write is not None:
            self._write({"time": _now(), "level": level, "event": event} | facts | {"line": line})

    def _name(self, relative: PurePath) -> str:
        return relative.as_posix() if self._pseudonyms is None else self._pseudonyms.of(relative)

    def _without_names(self, text: str, about: PurePath) -> str:
        return text if self._pseudonyms is None else self._pseudonyms.within(text, about)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
