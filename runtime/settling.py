"""Files seen, and since when each has not changed."""

from typing import NamedTuple

from runtime.file_state import FileState


class AtRest(NamedTuple):
    """A file that has come to rest. `rested_s`: seconds since it last changed, as far as was seen."""

    path: str
    state: FileState
    rested_s: float


class Settling:
    """Files that have not come to rest. Knows no clock and no folder, only what it is told."""

    def __init__(self, settle_s: float) -> None:
        self._settle_s = settle_s
        self._resting_since: dict[str, tuple[FileState, float]] = {}
        # those that were at rest when they were seen first, at a start many thousands
        self._at_rest: dict[str, AtRest] = {}

    def __len__(self) -> int:
        """Number of files that have not come to rest."""
        return len(self._resting_since)

    def see(self, path: str, state: FileState | None, now: float, age_s: float = 0.0) -> None:
        """Note what a file looks like now.

        Args:
            path: the file.
            state: None when it is gone.
            now: seconds on a steady clock.
            age_s: how long it has been at rest already.
        """
        resting = self._resting_since.get(path)
        if self._at_rest:
            self._at_rest.pop(path, None)
        if state is None:
            self._resting_since.pop(path, None)
        elif resting is not None:
            if resting[0] != state:
                self._resting_since[path] = (state, now)
        elif age_s >= self._settle_s and age_s > 0:
            self._at_rest[path] = AtRest(path, state, age_s)
        else:
            # an age below zero comes from a clock set back, or a copy that kept another machine's time
            self._resting_since[path] = (state, now - max(0.0, age_s))

    def dismiss(self, path: str) -> None:
        """The file is as it was when it was last given: it changed, and changed back."""
        self._resting_since.pop(path, None)
        self._at_rest.pop(path, None)

    def waiting(self, now: float, most: int) -> list[str]:
        """Files to look at again: all while they are few; of more than `most` those whose rest is over, if it held."""
        if len(self._resting_since) <= most:
            return list(self._resting_since)
        return [path for path, (_state, since) in self._resting_since.items() if now - since >= self._settle_s]

    def take(self, now: float) -> list[AtRest]:
        """Files that have come to rest; those that were so when first seen, then the others as they did. Each is given
        once."""
        first, self._at_rest = list(self._at_rest.values()), {}
        ready = sorted(
            (since, path) for path, (_state, since) in self._resting_since.items() if now - since >= self._settle_s
        )
        return first + [AtRest(path, self._resting_since.pop(path)[0], now - since) for since, path in ready]
