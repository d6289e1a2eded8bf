"""The page's server as a process of its own, as a watch starts it, and plain requests to it."""

import http.client
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.child_process import child_process
from runtime.bundle import DEFAULT_BUNDLE, open_bundle
from runtime.viewer.address import Address, parse_address
from runtime.viewer.setup import Began, Scale, Setup, to_line

# of an answer, and of the process's end, on a busy machine; no promise
ANSWER_S = END_S = 60.0
LOOPBACK = Address("127.0.0.1", 0)
SHIPPED_SCALE = Scale.of(open_bundle(DEFAULT_BUNDLE).manifest)


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body's document."""
        return json.loads(self.body)


@dataclass
class Served:
    """A page that is served."""

    address: Address
    url: str
    process: "subprocess.Popen[bytes]"

    def wait_for_first_look(self, token: str | None) -> None:
        """Wait until the page tells how the watch stands."""
        own = replace(self, address=Address("127.0.0.1", self.address.port))
        deadline = time.monotonic() + ANSWER_S
        while own.ask("/healthz", Authorization=f"Bearer {token}").json()["status"] == "starting":
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def ask(
        self, path: str, *, method: str = "GET", body: bytes | None = None, host: str | None = None, **headers: str
    ) -> Answer:
        """One request, as the page would make it unless told otherwise; `_` stands for `-` in names of headers."""
        said = {"Host": self.address.authority if host is None else host}
        if method == "POST":
            said["Origin"] = f"http://{self.address.authority}"
        said |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.address.port, timeout=ANSWER_S)
        try:
            connection.request(method, path, body, {name: value for name, value in said.items() if value})
            answer = connection.getresponse()
            return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        finally:
            connection.close()


@contextmanager
def served(
    folder: Path,
    out: Path,
    *,
    address: Address = LOOPBACK,
    token: str | None = None,
    min_free_gb: float = 0.0,
    pseudonymise: bool = False,
    beats: bool = True,
    scale: Scale = SHIPPED_SCALE,
) -> Iterator[Served]:
    """Serve the page of a results' folder.

    Args:
        folder: the watched folder.
        out: the results' folder.
        address, token, min_free_gb, pseudonymise, scale: see `Setup`.
        beats: whether the watch's loop is seen alive.
    """
    # at the lowest priority it would not run at all beside other work, and no test is about that
    setup = Setup(folder, out, address, token, min_free_gb, pseudonymise, scale, niceness=0)
    command = [sys.executable, "-P", "-m", "runtime.viewer"]
    with child_process(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(to_line(setup))
        process.stdin.flush()
        began = msgspec.json.decode(process.stdout.readline(), type=Began)
        assert began.url, began.fault
        end = threading.Event()

        def beat() -> None:
            assert process.stdin is not None
            # a test may kill the process
            with suppress(BrokenPipeError):
                while not end.wait(0.5):
                    process.stdin.write(b"\n")
                    process.stdin.flush()

        beating = threading.Thread(target=beat if beats else end.wait)
        beating.start()
        try:
            listening = parse_address(began.url.removeprefix("http://").rstrip("/"))
            page = Served(listening, began.url, process)
            page.wait_for_first_look(token)
            yield page
        finally:
            end.set()
            beating.join()
            with suppress(BrokenPipeError):
                process.stdin.close()
            process.wait(END_S)
