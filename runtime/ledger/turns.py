"""Whose turn it is: the newest image first, as whoever scans wants it, and nobody waits for ever."""

from enum import Enum

BACKLOG_EVERY = 5
LONGEST_EVERY = 50


class Turn(Enum):
    """Who is taken next of the images that are due."""

    NEWEST = "newest"
    """The newest of those that were never tried; where there is none, as `BACKLOG`."""
    BACKLOG = "backlog"
    """Those that interrupted least, of them those that never failed, of them those that were never scored, of them the
    one that waits longest."""
    LONGEST = "longest"
    """The one that waits longest, whatever became of it; after a failure it waits from the end of its pause."""


class Turns:
    """Whose turn comes next.

    Of five turns one is the backlog's, of fifty one is that of the image that waits longest: were more images saved
    for ever than can be scored, each of n that are due would still be taken within 50 n turns.
    """

    def __init__(self) -> None:
        self._taken = 0

    @property
    def next(self) -> Turn:
        """Whose turn it is."""
        turn = self._taken + 1
        if turn % LONGEST_EVERY == 0:
            return Turn.LONGEST
        return Turn.BACKLOG if turn % BACKLOG_EVERY == 0 else Turn.NEWEST

    def taken(self) -> None:
        """An image was taken: the next turn comes."""
        self._taken += 1
