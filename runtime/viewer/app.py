"""What the page's server answers."""

import asyncio
import os
import time
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from html import escape
from importlib.resources import files
from pathlib import PurePosixPath
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from runtime.errors import InflamapError
from runtime.ledger import ImageRow
from runtime.version import NOTICE, SYNTHETIC_WARNING, __version__
from runtime.viewer.address import Address
from runtime.viewer.guard import MOST_BODY_BYTES, Guard
from runtime.viewer.keeping_up import KeepingUp
from runtime.viewer.metrics import CONTENT_TYPE, Metrics
from runtime.viewer.pictures import NotThere
from runtime.viewer.scales import scale_of_record
from runtime.viewer.session import MOST
from runtime.viewer.setup import Setup

# pages that are told of changes at once; each costs a connection
MOST_PAGES = 32
# between two words to one page, so that a burst is one redrawing
PAUSE_S = 0.4
BUSY_PAUSE_S = 10.0
# a word now and then tells a page that it is still connected
SILENCE_S = 10.0
BODY_S = 5.0
# The first look at the ledger takes some tens of milliseconds. Where the disk hangs, the page then says "starting".
FIRST_LOOK_S = 10.0
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


def make_app(setup: Setup, address: Address, page: KeepingUp) -> Guard:
    """The application, guarded.

    Args:
        setup: see there.
        address: where it listens, with the port that it was given.
        page: what it tells of.
    """
    answers = _Answers(page)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        looking = asyncio.create_task(page.keep_up())
        looking.add_done_callback(_end_where_it_failed)
        try:
            # connections wait until the server has something to tell
            await page.first_look(FIRST_LOOK_S)
            yield
        finally:
            page.end()
            await looking
            await page.close()

    routes = [
        Route("/", answers.file("index.html")),
        *(Route(f"/{name}", answers.file(name)) for name in answers.names if name != "index.html"),
        Route("/api/session", answers.session),
        Route("/api/events", answers.events),
        Route("/api/folders", answers.folders),
        Route("/api/images/{id}", answers.record),
        Route("/api/images/{id}/{kind}", answers.picture),
        Route("/api/retry/{id}", answers.retry, methods=["POST"]),
        Route("/healthz", answers.healthz),
        Route("/metrics", answers.metrics),
    ]
    return Guard(Starlette(routes=routes, lifespan=lifespan), address, setup.token)


class _Answers:
    """One method a route."""

    def __init__(self, page: KeepingUp) -> None:
        self._page = page
        self._pages = 0
        self._metrics = Metrics(lambda: page.health, lambda: self._pages)
        # read once: no address that a browser sends comes near the disk
        static = files("runtime.viewer") / "static"
        self._files = {file.name: file.read_bytes() for file in static.iterdir() if file.is_file()}
        # stands there before, and without, any answer of the watch
        self._files["index.html"] = self._files["index.html"].replace(b"<!-- notice -->", escape(NOTICE).encode())
        self.names = sorted(name for name in self._files if PurePosixPath(name).suffix in _TYPES)

    def file(self, name: str) -> Callable[[Request], Any]:
        """One of the page's own files."""
        content, kind = self._files[name], _TYPES[PurePosixPath(name).suffix]

        async def answer(_request: Request) -> Response:
            return Response(content, media_type=kind)

        return answer

    async def session(self, _request: Request) -> Response:
        """Everything the page starts with."""
        session = self._page.reader.session
        found = {
            "run": self._page.run_id,
            "version": session.version,
            "entries": session.entries(),
            "most": MOST,
            "grades": session.scale.grades,
            "ordered": session.scale.ordered,
            "quantity": session.scale.quantity,
            "models": session.scale.models,
            "health": self._page.health,
            "notice": NOTICE,
            "synthetic_warning": SYNTHETIC_WARNING,
            "software": __version__,
        }
        return _json(found)

    async def events(self, request: Request) -> Response:
        """What changes, as server-sent events; a page that reads slowly is told less often."""
        if self._pages >= MOST_PAGES:
            return PlainTextResponse(f"{MOST_PAGES} pages are open already", 503)
        same = request.query_params.get("run") == self._page.run_id
        since = request.query_params.get("since", "")
        known = int(since) if same and since.isascii() and since.isdigit() and len(since) < 16 else None
        return StreamingResponse(self._stream(known), media_type="text/event-stream")

    async def _stream(self, known: int | None) -> AsyncIterator[bytes]:
        page, session = self._page, self._page.reader.session
        self._pages += 1
        try:
            yield b"retry: 1000\n\n"
            number = -1
            while not page.ending:
                if not await page.news(number, SILENCE_S):
                    yield b": nothing new\n\n"
                    continue
                number = page.number
                if page.ending:
                    return
                if known is None or known < session.dropped:
                    # it knows of what is there no more
                    yield b"event: reload\ndata: {}\n\n"
                    known = session.version
                    continue
                # the version first: what is taken meanwhile is told the next time
                version = session.version
                entries, known = session.entries(known), version
                told = {"version": known, "entries": entries, "health": page.health}
                yield b"event: update\ndata: " + msgspec.json.encode(told) + b"\n\n"
                await self._pause()
        finally:
            self._pages -= 1

    async def _pause(self) -> None:
        """Until a page is told again: soon, but while a backlog is worked off."""
        until = time.monotonic() + BUSY_PAUSE_S
        await asyncio.sleep(PAUSE_S)
        while self._page.is_busy and not self._page.ending and time.monotonic() < until:
            await asyncio.sleep(PAUSE_S)

    async def folders(self, _request: Request) -> Response:
        """One entry a folder."""
        return _json(await self._page.reading(self._page.reader.folders))

    async def record(self, request: Request) -> Response:
        """What score.json says and the `scale` of it; its path is the page's name, and other files are not named."""
        row = self._row(request)
        found = await self._made(self._page.pictures.record, row)
        found["image"] = {**found.get("image", {}), "path": self._page.reader.name(row.path)}
        found["scale"] = scale_of_record(found, self._page.reader.session.scale)
        # names of files, which the page has no use for
        found["overlay"] = None
        if isinstance(found.get("map"), dict):
            found["map"].pop("file", None)
        return _json(found)

    async def picture(self, request: Request) -> Response:
        """A picture of an image, or its map."""
        row, pictures, kind = self._row(request), self._page.pictures, request.path_params["kind"]
        if kind == "overlay":
            return Response(await self._made(pictures.overlay, row), media_type="image/jpeg")
        if kind == "thumbnail":
            return Response(await self._made(pictures.thumbnail, row), media_type="image/jpeg")
        number = request.query_params.get("slice", "0")
        if kind not in ("frame", "map") or not (number.isascii() and number.isdigit() and len(number) < 6):
            raise HTTPException(404)
        if kind == "frame":
            return Response(await self._made(pictures.frame, row, int(number)), media_type="image/jpeg")
        return Response(await self._made(pictures.map, row, int(number)), media_type="application/octet-stream")

    async def retry(self, request: Request) -> Response:
        """Have an image scored anew."""
        await _require_no_body(request)
        row = self._row(request)
        try:
            await self._page.reading(self._page.reader.retry, row)
        except InflamapError as error:
            return PlainTextResponse(str(error), 503)
        return _json({})

    async def healthz(self, _request: Request) -> Response:
        """For a supervisor: 503 where somebody has to come."""
        found = self._page.health
        status = "starting" if found is None else "fault" if found.severe else "ok"
        return Response(
            msgspec.json.encode({"status": status, "health": found}),
            200 if status == "ok" else 503,
            media_type="application/json",
        )

    async def metrics(self, _request: Request) -> Response:
        """For Prometheus."""
        return Response(self._metrics.text(), headers={"content-type": CONTENT_TYPE})

    def _row(self, request: Request) -> ImageRow:
        row = self._page.reader.session.row(request.path_params["id"])
        if row is None:
            raise HTTPException(404, "no such image")
        return row

    async def _made(self, make: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return await self._page.drawing(make, *arguments)
        except NotThere as error:
            raise HTTPException(404, str(error)) from error
        except InflamapError as error:
            # its words may hold a path of this machine
            raise HTTPException(404, "the image cannot be read now") from error


def _end_where_it_failed(looking: "asyncio.Task[None]") -> None:
    """A page that looks alive and tells nothing new is worse than none; the watch says so and starts it again."""
    error = None if looking.cancelled() else looking.exception()
    if error is not None:
        traceback.print_exception(error)
        os._exit(1)


async def _require_no_body(request: Request) -> None:
    """Whatever is sent beside the address is not wanted; and not waited for long."""
    received = 0
    try:
        async with asyncio.timeout(BODY_S):
            async for chunk in request.stream():
                received += len(chunk)
                if received > MOST_BODY_BYTES:
                    raise HTTPException(413)
    except TimeoutError as error:
        raise HTTPException(408) from error
    except ClientDisconnect as error:
        raise HTTPException(400) from error


def _json(found: object) -> Response:
    return Response(msgspec.json.encode(found), media_type="application/json")
