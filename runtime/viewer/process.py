"""The watch's side of the page: starts its process, shows it that the loop is alive, starts it again when it ends."""

import secrets
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from types import TracebackType

import msgspec

from runtime.errors import InflamapError
from runtime.python_child import python_command
from runtime.service_log import ServiceLog
from runtime.stderr import start_child
from runtime.viewer.setup import Began, Setup, to_line

BEAT_S = 1.0
# how long a process may take to begin, on a machine that is busy with starting
BEGIN_S = 30.0
# to the next try where one ended: a port may be taken for a while
PAUSE_S = 10.0
END_S = 5.0
# nothing of the folder that the watch was started in is imported
_COMMAND = python_command("runtime.viewer")


def require_viewer() -> None:
    """Raises InflamapError where what the page needs is not installed."""
    missing = [name for name in ("starlette", "uvicorn", "prometheus_client") if find_spec(name) is None]
    if missing:
        raise InflamapError(
            "the operator's page is not installed here",
            seen=f"no module {', '.join(missing)}",
            next_step="pip install 'inflamap[viewer]', or leave --viewer out",
        )


def new_token() -> str:
    """What a browser on another machine has to know; of 192 bits, and new with each start of the watch."""
    return secrets.token_urlsafe(24)


class ViewerProcess:
    """The page's process and the thread that minds it; whatever becomes of them, the watch goes on.

    Args:
        setup: what it is to serve.
        say: told the page's address; not written to a log, for it may hold the token.
        log: told when the process ends or cannot begin.
    """

    def __init__(self, setup: Setup, say: Callable[[str], None], log: ServiceLog) -> None:
        self._setup, self._say, self._log = setup, say, log
        self._alive_at = time.monotonic()
        self._end = threading.Event()
        self._fault = ""
        self._minder = threading.Thread(target=self._mind, name="page", daemon=True)

    def __enter__(self) -> "ViewerProcess":
        self._minder.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._minder.join(2 * END_S)

    def tell_alive(self) -> None:
        """The loop is getting on; may be called as often as one likes, and takes no time."""
        self._alive_at = time.monotonic()

    def _mind(self) -> None:
        while not self._end.is_set():
            fault = self._run()
            if self._end.is_set():
                return
            # once for each fault: it is tried again and again
            if fault != self._fault:
                line = f"no page: {fault}; scoring goes on, and it is tried again every {PAUSE_S:.0f} s"
                self._log.event("viewer_fault", line, level="warning")
            self._fault = fault
            self._end.wait(PAUSE_S)

    def _run(self) -> str:
        """One process, from its start to its end; why it ended."""
        try:
            process = start_child(_COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        except OSError as error:
            return f"its process cannot be started: {error}"
        with process:
            assert process.stdin is not None
            # it may end at any time
            with suppress(OSError):
                process.stdin.write(to_line(self._setup))
                process.stdin.flush()
            began = _began(process)
            if not began.fault:
                self._fault = ""
                # for a browser on another machine: it is remembered there, and gone from the address at once
                self._say(f"page: {began.url}{'' if self._setup.token is None else f'?token={self._setup.token}'}")
                with suppress(OSError):
                    self._accompany(process)
            # an end of its input is the end of it
            with suppress(OSError):
                process.stdin.close()
            try:
                process.wait(END_S)
            except subprocess.TimeoutExpired:
                process.kill()
        return began.fault or f"its process ended with {process.returncode}"

    def _accompany(self, process: "subprocess.Popen[bytes]") -> None:
        """Show the process that the loop is alive, as long as both are."""
        assert process.stdin is not None
        told = float("-inf")
        while process.poll() is None and not self._end.wait(BEAT_S):
            if self._alive_at > told:
                told = self._alive_at
                process.stdin.write(b"\n")
                process.stdin.flush()


def _began(process: "subprocess.Popen[bytes]") -> Began:
    """What the process says of its start; a fault where it says nothing in time."""
    found: list[bytes] = []
    assert process.stdout is not None
    reader = threading.Thread(target=lambda out=process.stdout: found.append(out.readline()), daemon=True)
    reader.start()
    reader.join(BEGIN_S)
    if not found:
        process.kill()
        return Began(fault=f"its process did not begin within {BEGIN_S:.0f} s")
    try:
        return msgspec.json.decode(found[0], type=Began)
    except msgspec.MsgspecError:
        return Began(fault="its process ended at its start")
