"""The page's process: `python -m runtime.viewer`, with its `Setup` on standard input. Started by the watch alone."""

import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import uvicorn

from runtime.viewer.address import Address
from runtime.viewer.app import make_app
from runtime.viewer.head_in_time import HeadInTime
from runtime.viewer.keeping_up import KeepingUp
from runtime.viewer.setup import Began, from_line

MOST_HEAD_BYTES = 16 << 10


class _Server(uvicorn.Server):
    """Leaves signals alone."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def main() -> None:
    """Serve until standard input ends, which it does when the watch does, however that ends."""
    # Ctrl-C and a service manager speak to both processes at once; the watch ends its image first, and then this
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    setup = from_line(sys.stdin.buffer.readline())
    if hasattr(os, "nice"):
        os.nice(setup.niceness)
    try:
        listening = _listen(setup.address)
    except OSError as error:
        _say(Began(fault=f"{setup.address.authority} cannot be listened on: {error.strerror or error}"))
        return
    address = Address(setup.address.host, listening.getsockname()[1])
    page = KeepingUp(setup)
    config = uvicorn.Config(
        make_app(setup, address, page),
        http=HeadInTime,
        ws="none",
        log_level="critical",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=1,
        h11_max_incomplete_event_size=MOST_HEAD_BYTES,
    )
    server = _Server(config)

    def mind() -> None:
        while sys.stdin.buffer.readline():
            page.seen_alive()
        server.should_exit = True

    threading.Thread(target=mind, name="watch", daemon=True).start()
    # of all addresses of this machine, the one that others know it by
    shown = Address(socket.gethostname(), address.port) if address.is_everywhere else address
    _say(Began(url=f"http://{shown.authority}/"))
    server.run([listening])


def _listen(address: Address) -> socket.socket:
    family, _kind, _protocol, _name, place = socket.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listening = socket.socket(family, socket.SOCK_STREAM)
    # on Windows the option would let two programs share a port
    if sys.platform != "win32":
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(place)
        listening.listen(128)
    except OSError:
        listening.close()
        raise
    return listening


def _say(began: Began) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(began) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
