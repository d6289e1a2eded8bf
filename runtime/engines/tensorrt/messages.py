"""What the library says of its errors: kept, to be told in one line of ours, instead of printed in many of its own."""

from collections import deque
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeVar

from runtime.errors import CheckFailed

# some of them quote whole graphs
LONGEST = 400
OTHER_ENGINE = "choose another --engine"

T = TypeVar("T")


class Messages:
    """What the library said during the last of the calls made through `checked`, or since `clear`.

    Attributes:
        logger: what the library's objects are made with.
    """

    def __init__(self, logger: Any, errors: deque[str], warnings: deque[str]) -> None:
        self.logger = logger
        self._errors, self._warnings = errors, warnings

    @property
    def errors(self) -> list[str]:
        """The oldest first."""
        return list(self._errors)

    def clear(self) -> None:
        """Before each step that may fail: a call that succeeds may log errors too, which explain no later failure."""
        self._errors.clear()
        self._warnings.clear()

    def checked(self, what: str, call: Callable[..., T | None], *arguments: Any) -> T:
        """What a call of the library gives.

        Args:
            what: what has failed if it fails.

        Raises:
            CheckFailed: it gives None or False, which is how most calls fail, or its binding refuses: a `Builder` or
                `Runtime` that cannot initialise CUDA comes as a TypeError about a null pointer (NVIDIA/TensorRT #2913).
        """
        self.clear()
        try:
            given = call(*arguments)
        except TypeError as error:
            raise self.failure(what, otherwise=str(error)) from error
        if given is None or given is False:
            raise self.failure(what)
        return given

    def failure(
        self,
        what: str,
        *,
        reasons: Sequence[str] = (),
        otherwise: str = "no reason given",
        wanted: str = "",
        next_step: str = OTHER_ENGINE,
    ) -> CheckFailed:
        """The error to raise.

        Args:
            what: see `InflamapError`, as are `wanted` and `next_step`.
            reasons: what is known better than the logger knows it.
            otherwise: what was seen, where nothing was logged.
        """
        # where CUDA cannot be initialised, some versions only warn; the last warning says it
        seen, *rest = [*reasons] or self.errors or [*self._warnings][-1:] or [otherwise]
        return CheckFailed(what, seen=seen, wanted=wanted, next_step=next_step, details=rest)


@cache
def messages_of(trt: Any) -> Messages:
    """The one `Messages` of a module: TensorRT keeps the first logger it is given for the whole process."""
    errors: deque[str] = deque(maxlen=20)
    warnings: deque[str] = deque(maxlen=20)
    severity = trt.ILogger.Severity
    kept = {severity.ERROR: errors, severity.INTERNAL_ERROR: errors, severity.WARNING: warnings}

    class Logger(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            # the binding wants it called by name
            trt.ILogger.__init__(self)

        def log(self, level: Any, text: str) -> None:
            if level in kept:
                kept[level].append(text[:LONGEST])

    return Messages(Logger(), errors, warnings)
