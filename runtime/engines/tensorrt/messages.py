"""What the library says of its errors: kept, to be told in one line of ours, instead of printed in many of its own."""

from collections import deque
from functools import cache
from typing import Any

# some of them quote whole graphs
LONGEST = 400


class Messages:
    """The library's last errors. `logger` is what its objects are made with."""

    def __init__(self, logger: Any, errors: deque[str]) -> None:
        self.logger = logger
        self._errors = errors

    def take(self) -> list[str]:
        """The errors since last asked, the oldest first."""
        taken = [text[:LONGEST] for text in self._errors]
        self._errors.clear()
        return taken


@cache
def messages_of(trt: Any) -> Messages:
    """The one `Messages` of a module: TensorRT keeps the first logger it is given for the whole process."""
    errors: deque[str] = deque(maxlen=20)
    severity = trt.ILogger.Severity

    class Logger(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            # the binding wants it called by name
            trt.ILogger.__init__(self)

        def log(self, level: Any, text: str) -> None:
            if level in (severity.ERROR, severity.INTERNAL_ERROR):
                errors.append(text)

    return Messages(Logger(), errors)
