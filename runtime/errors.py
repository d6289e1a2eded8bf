"""Errors that a person can act on: what, the value seen, the value wanted, the next step."""

from collections.abc import Iterable
from typing import TypeVar

E = TypeVar("E", bound=BaseException)


class InflamapError(Exception):
    """One line for the person at the keyboard; the command line prints it and exits with `exit_code`.

    Args:
        what: what failed, starting with the file or setting concerned.
        seen: the value found.
        wanted: the value that would have been right.
        next_step: what to do now.
        details: everything of its kind that was found, where that is much; printed before the line, a line each.
    """

    exit_code = 2

    def __init__(
        self, what: str, *, seen: object = None, wanted: str = "", next_step: str = "", details: Iterable[str] = ()
    ) -> None:
        # an exception would keep the frames that it came through, and the pixels in them
        seen = str(seen) if isinstance(seen, BaseException) else seen
        self.what, self.seen, self.wanted, self.next_step = what, seen, wanted, next_step
        self.details = tuple(map(one_line, details))
        parts = [what]
        if seen is not None:
            parts.append(f"seen: {seen}")
        if wanted:
            parts.append(f"wanted: {wanted}")
        if next_step:
            parts.append(f"next: {next_step}")
        super().__init__("; ".join(map(one_line, parts)))


def without_frames(error: E) -> E:
    """Strip an error of its traceback, and of the errors that it came from, and return it.

    Their frames keep whatever the code was working on: a file of 200 MB for as long as the error is remembered, and
    beyond it where a frame holds the error in turn.
    """
    chain: list[BaseException] = [error]
    # an error may name itself as its cause
    while chain:
        each = chain.pop()
        chain += [other for other in (each.__cause__, each.__context__) if other is not None]
        each.__cause__ = each.__context__ = None
        each.__traceback__ = None
    return error


def as_value(error: Exception, path: object = None) -> InflamapError:
    """Return an error to be passed on as a value: one of ours as it is, any other as a line; without frames.

    Args:
        error: what was raised.
        path: the file that the line names; None where whoever gets it adds the name.
    """
    if isinstance(error, InflamapError):
        return without_frames(error)
    prefix = "" if path is None else f"{path}: "
    return InflamapError(f"{prefix}unexpected {type(error).__name__}", seen=error)


def one_line(text: str) -> str:
    """Text as one line that is safe on any terminal, whatever a file's name or a library's message holds."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in " ".join(text.splitlines())
    )


class CheckFailed(InflamapError):
    """A gate or a check was run and did not hold (exit code 1)."""

    exit_code = 1


class UnreadableImage(InflamapError):
    """A file that cannot become a frame now: empty, truncated, damaged, locked, out of reach; time may heal it."""


class NeverAnImage(UnreadableImage):
    """A file whose content decides that it never becomes a frame: to be looked at again only when it changes."""


class BundleError(InflamapError):
    """A bundle that cannot be trusted or understood."""


class EngineMissing(InflamapError):
    """An engine cannot run here for want of a package, a driver or a device; `next_step` names what to install."""


class DataError(InflamapError):
    """A data set that cannot be trained on; `details` names every fault found."""


class Terminated(SystemExit):
    """SIGTERM asked the program to end; the exit code is 143."""
