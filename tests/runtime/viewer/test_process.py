"""The watch's side: the page's process is started, minded, started again, and never in the way."""

import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from page_server import SHIPPED_SCALE

from runtime.errors import InflamapError
from runtime.ledger import open_ledger
from runtime.service_log import ServiceLog
from runtime.viewer import process
from runtime.viewer.address import Address
from runtime.viewer.process import ViewerProcess, new_token, require_viewer
from runtime.viewer.setup import Setup


class Watch:
    """What a watch has at hand, and what was said."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.said: list[str] = []
        self.logged: list[dict[str, Any]] = []
        self.log = ServiceLog(self.said.append, self.logged.append)

    def page(self, address: Address = Address("127.0.0.1", 0), token: str | None = None) -> ViewerProcess:  # noqa: B008
        setup = Setup(self.out, self.out, address, token, 0.0, False, SHIPPED_SCALE)
        return ViewerProcess(setup, self.said.append, self.log)

    def until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30
        while not holds():
            assert time.monotonic() < deadline, self.said
            time.sleep(0.02)


@pytest.fixture
def watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watch:
    monkeypatch.setattr(process, "PAUSE_S", 0.2)
    with open_ledger(tmp_path, create=True):
        pass
    return Watch(tmp_path)


def lines(watch: Watch, begin: str) -> list[str]:
    return [line for line in watch.said if line.startswith(begin)]


def test_address_is_said_and_the_process_ends_with_the_watch(watch: Watch) -> None:
    with watch.page():
        watch.until(lambda: bool(watch.said))
        (line,) = watch.said
        address = line.removeprefix("page: http://").rstrip("/").split(":")
        socket.create_connection((address[0], int(address[1])), 5).close()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((address[0], int(address[1])), 5)
    assert not [thread for thread in threading.enumerate() if thread.name == "page"]


def test_token_is_said_and_not_logged(watch: Watch) -> None:
    token = new_token()
    with watch.page(Address("0.0.0.0", 0), token):
        watch.until(lambda: bool(watch.said))
    assert f"?token={token}" in watch.said[0]
    assert token not in str(watch.logged)
    assert new_token() != token


def test_a_process_that_ends_is_started_again(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    began: list[Any] = []
    popen = process.subprocess.Popen
    monkeypatch.setattr(
        process.subprocess,
        "Popen",
        lambda *arguments, **options: began.append(popen(*arguments, **options)) or began[-1],
    )
    with watch.page() as page:
        watch.until(lambda: len(lines(watch, "page: ")) == 1)
        began[0].kill()
        watch.until(lambda: len(lines(watch, "page: ")) == 2)
        page.tell_alive()
        began[1].kill()
        watch.until(lambda: len(lines(watch, "page: ")) == 3)
    assert [entry["event"] for entry in watch.logged] == ["viewer_fault", "viewer_fault"]
    assert "scoring goes on" in watch.logged[0]["line"]
    assert all(each.returncode is not None for each in began)


def test_a_port_that_is_taken_is_said_once_and_tried_until_it_is_free(watch: Watch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, watch.page(Address("127.0.0.1", taken.getsockname()[1])):
        watch.until(lambda: bool(watch.logged))
        time.sleep(1.5)
        assert len(watch.logged) == 1
        assert "cannot be listened on: Address already in use" in watch.said[0]
        taken.close()
        watch.until(lambda: bool(lines(watch, "page: ")))


def test_a_process_that_does_not_begin_is_said(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "BEGIN_S", 0.3)
    monkeypatch.setattr(process, "_COMMAND", (sys.executable, "-c", "import time; time.sleep(60)"))
    with watch.page():
        watch.until(lambda: bool(watch.said))
    assert "did not begin within" in watch.said[0]


def test_telling_that_the_loop_is_alive_takes_no_time_whatever_the_process_does(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    # it says that it began, and then reads nothing any more
    began = """import sys, time; print('{"url": "http://127.0.0.1:1/"}', flush=True); time.sleep(60)"""
    monkeypatch.setattr(process, "_COMMAND", (sys.executable, "-c", began))
    monkeypatch.setattr(process, "BEAT_S", 0.0)
    monkeypatch.setattr(process, "END_S", 0.5)
    with watch.page() as page:
        watch.until(lambda: bool(watch.said))
        before = time.monotonic()
        for _ in range(100_000):
            page.tell_alive()
        assert time.monotonic() - before < 2


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    require_viewer()
    monkeypatch.setattr(process, "find_spec", lambda name: None if name == "uvicorn" else name)
    with pytest.raises(InflamapError, match=r"no module uvicorn; next: pip install 'inflamap\[viewer\]'"):
        require_viewer()
