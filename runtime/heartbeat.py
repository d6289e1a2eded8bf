"""Signs of life for the service manager: ready, at work, stuck, at its end. By systemd's protocol, sd_notify(3)."""

import os
import socket
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

# systemd's own advice is half of the time it waits; a third leaves room for a beat that comes late
BEATS_A_WATCHDOG = 3
# what `systemctl status` shows need not be newer
QUIET_S = 20.0


class Heartbeat:
    """Tells the service manager how the watch stands; does nothing where none asked to be told.

    Args:
        environ: `NOTIFY_SOCKET` names the socket to tell, `WATCHDOG_USEC` the time within which it wants a sign of
            life, `WATCHDOG_PID` of which process.
        clock: seconds on a steady clock.
        alive: told at every beat, as often as one comes.
    """

    def __init__(
        self,
        environ: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.monotonic,
        alive: Callable[[], None] = lambda: None,
    ) -> None:
        self._clock, self._alive = clock, alive
        self._address = _address(environ.get("NOTIFY_SOCKET", ""))
        watched = _microseconds(environ) if environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid()) else 0
        self._every_s = min(QUIET_S, watched / 1e6 / BEATS_A_WATCHDOG) if watched else QUIET_S
        self.watched = watched > 0
        """Whether a manager starts this process anew when it falls silent."""
        self._next = 0.0

    def ready(self, status: str) -> None:
        """The watch has begun."""
        self._send("READY=1", status)

    def beat(self, status: Callable[[], str]) -> None:
        """The watch is getting on; to be called as often as one likes.

        Not to be called by a timer: a loop that is stuck must fall silent.
        """
        self._alive()
        if self._clock() < self._next:
            return
        self._send("WATCHDOG=1" if self.watched else "", status())

    def stopping(self) -> None:
        """The watch is ending, at somebody's wish."""
        self._send("STOPPING=1", "finishing the image in hand")

    def _send(self, news: str, status: str) -> None:
        self._next = self._clock() + self._every_s
        if self._address is None:
            return
        line = " ".join(status.split())
        message = "\n".join(part for part in (news, f"STATUS={line}") if part)
        # whoever asked may be gone, and a manager that does not read must not hold up the watch
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.setblocking(False)
            channel.sendto(message.encode(errors="backslashreplace"), self._address)


def end_hard() -> None:
    """End this process though a thread of it does not come back, for whoever started it to start it again."""
    sys.stderr.flush()
    os._exit(2)


def _address(name: str) -> str | None:
    # one in the abstract namespace is written with an @
    if not name or name[0] not in "/@" or not hasattr(socket, "AF_UNIX"):
        return None
    return "\0" + name[1:] if name[0] == "@" else name


def _microseconds(environ: Mapping[str, str]) -> int:
    try:
        return max(0, int(environ.get("WATCHDOG_USEC", "0")))
    except ValueError:
        return 0
