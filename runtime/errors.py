"""Errors that a person can act on: what, the value seen, the value wanted, the next step."""

from collections.abc import Iterable


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
