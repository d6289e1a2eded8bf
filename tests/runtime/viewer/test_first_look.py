"""The server looks at the ledger first and answers then; where the look hangs, it says that it is starting."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from page_server import SHIPPED_SCALE

from runtime.ledger import open_ledger
from runtime.viewer import app
from runtime.viewer.address import Address
from runtime.viewer.keeping_up import KeepingUp
from runtime.viewer.setup import Setup

ADDRESS = Address("127.0.0.1", 8765)


class Server:
    """The application without a network, and a ledger whose first look waits until it is let go."""

    def __init__(self, out: Path) -> None:
        with open_ledger(out, create=True):
            pass
        setup = Setup(out, out, ADDRESS, None, 0.0, False, SHIPPED_SCALE)
        self.page = KeepingUp(setup)
        self.app = app.make_app(setup, ADDRESS, self.page)
        self.let_go = threading.Event()
        self.listens = asyncio.Event()
        look = self.page.reader.look
        self.page.reader.look = lambda: self.let_go.wait(60) and look()  # type: ignore[method-assign]

    @asynccontextmanager
    async def started(self) -> AsyncIterator[None]:
        """The server's lifespan; `listens` is set when it answers requests."""
        ending = asyncio.Event()
        asked = iter(["lifespan.startup", "lifespan.shutdown"])

        async def receive() -> dict[str, Any]:
            kind = next(asked)
            if kind == "lifespan.shutdown":
                await ending.wait()
            return {"type": kind}

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "lifespan.startup.complete":
                self.listens.set()

        running = asyncio.create_task(self.app({"type": "lifespan"}, receive, send))  # type: ignore[arg-type]
        try:
            yield
        finally:
            self.let_go.set()
            ending.set()
            await running

    async def healthz(self) -> tuple[int, Any]:
        """The status code and the document of one request."""
        sent: list[dict[str, Any]] = []
        scope = {"type": "http", "method": "GET", "path": "/healthz", "query_string": b"", "root_path": ""}
        scope |= {"headers": [(b"host", ADDRESS.authority.encode())], "client": ("127.0.0.1", 9)}

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await self.app(scope, receive, send)  # type: ignore[arg-type]
        return int(sent[0]["status"]), json.loads(b"".join(each.get("body", b"") for each in sent[1:]))


def test_no_request_is_answered_before_the_first_look_at_the_ledger(tmp_path: Path) -> None:
    async def start() -> None:
        server = Server(tmp_path)
        async with server.started():
            await asyncio.sleep(0.3)
            assert not server.listens.is_set()
            server.let_go.set()
            await asyncio.wait_for(server.listens.wait(), 60)
            status, found = await server.healthz()
            assert (status, found["status"], found["health"]["ok"]) == (200, "ok", True)

    asyncio.run(start())


def test_a_first_look_that_hangs_is_told_as_starting_until_it_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "FIRST_LOOK_S", 0.1)

    async def start() -> None:
        server = Server(tmp_path)
        async with server.started():
            await asyncio.wait_for(server.listens.wait(), 60)
            assert await server.healthz() == (503, {"status": "starting", "health": None})
            server.let_go.set()
            assert await server.page.first_look(60)
            assert (await server.healthz())[0] == 200

    asyncio.run(start())
