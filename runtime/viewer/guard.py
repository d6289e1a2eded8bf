"""Who may ask for what: refuses every request that does not come from the page itself."""

import ipaddress
import socket
from hmac import compare_digest
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runtime.viewer.address import Address
from runtime.viewer.connections import ActiveRequests, address_key

# nothing the page sends is longer
MOST_BODY_BYTES = 1024
COOKIE = "inflamap"
# no script, style, picture or connection but this server's own, in nobody's frame
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "x-frame-options": "DENY",
}


class Guard:
    """Stands before the application.

    - `Host` must name this server by an address of its own: a name that somebody else's DNS answers for (rebinding) is
      refused.
    - A request that another site's page makes is refused by `Origin` or `Sec-Fetch-Site`, whatever it asks for; one
      that changes anything has to bring the right `Origin`.
    - Of one address, and in all, only so many requests are answered at a time; `/healthz` always is.
    - Where others than this machine can ask, a request has to bring the token: in the address once, from then on in a
      cookie, or as `Authorization: Bearer`.

    Args:
        app: what is guarded.
        address: where it listens, with the port that it was given.
        token: see `Setup`.
    """

    def __init__(self, app: ASGIApp, address: Address, token: str | None) -> None:
        self._app, self._address, self._token = app, address, token
        self._active = ActiveRequests()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                # frames of patients are not to be left in a browser's cache
                headers.setdefault("cache-control", "no-store")
            await send(message)

        refusal = self._refusal(scope)
        if refusal is not None or scope["path"] == "/healthz":
            await (refusal or self._app)(scope, receive, send_with_headers)
            return
        client = address_key(scope["client"])
        if not self._active.begin(client):
            await PlainTextResponse("too many requests at a time", 503)(scope, receive, send_with_headers)
            return
        try:
            await self._app(scope, receive, send_with_headers)
        finally:
            self._active.end(client)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        if why := self._foreign(scope["method"], headers):
            return PlainTextResponse(f"refused: {why}", 403)
        if scope["method"] not in ("GET", "HEAD", "POST"):
            return PlainTextResponse("no such method", 405, {"allow": "GET, HEAD, POST"})
        if "upgrade" in headers:
            return PlainTextResponse("no other protocol is spoken", 400)
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit() and len(length) < 10 and int(length) <= MOST_BODY_BYTES):
            return PlainTextResponse("too long", 413)
        return self._without_token(scope, headers)

    def _foreign(self, method: str, headers: Headers) -> str:
        """Why a request is not the page's own; empty where it is."""
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        if len(hosts) != 1 or not self._is_ours(hosts[0]):
            return "this address is not the page's own"
        opens_it = headers.get("sec-fetch-mode") == "navigate" and method == "GET"
        foreign = headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none") and not opens_it
        if foreign or any(origin != f"http://{hosts[0]}" for origin in origins):
            return "another site's page asks"
        return "nothing tells which page asks" if method == "POST" and not origins else ""

    def _without_token(self, scope: Scope, headers: Headers) -> Response | None:
        if self._token is None:
            return None
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
        if scope["path"] == "/" and any(self._is_right(token) for token in given):
            # out of the address, lest it be read over a shoulder or left in a history
            answer = RedirectResponse("/", 303)
            answer.set_cookie(self._cookie, self._token, httponly=True, samesite="strict")
            return answer
        bearer = headers.get("authorization", "").partition(" ")
        if bearer[0].lower() == "bearer" and self._is_right(bearer[2].strip()):
            return None
        if any(self._is_right(token) for token in self._cookies(headers)):
            return None
        return PlainTextResponse(
            "This page needs its token: open the address that `inflamap watch` printed.",
            401,
            {"www-authenticate": "Bearer"},
        )

    @property
    def _cookie(self) -> str:
        # cookies know no ports, and two microscopes may share a machine
        return f"{COOKIE}-{self._address.port}"

    def _cookies(self, headers: Headers) -> list[str]:
        found = []
        for header in headers.getlist("cookie"):
            try:
                morsel = SimpleCookie(header).get(self._cookie)
            except CookieError:
                continue
            if morsel is not None:
                found.append(morsel.value)
        return found

    def _is_right(self, token: str) -> bool:
        return compare_digest(token.encode(), (self._token or "").encode())

    def _is_ours(self, host: str) -> bool:
        name, port = _split(host)
        if port != self._address.port:
            return False
        if self._address.is_loopback:
            return name == "localhost" or _is_loopback(name)
        if name in (self._address.host, "localhost"):
            return True
        # an IP address is nobody's name to give away
        return self._address.is_everywhere and (_is_ip(name) or name == socket.gethostname().lower())


def _split(host: str) -> tuple[str, int]:
    """Name and port of a `Host`; the port is -1 where it is none."""
    name, colon, port = host.rpartition(":")
    if not colon or "]" in port:
        name, port = host, "80"
    return name.strip("[]").lower(), int(port) if port.isascii() and port.isdigit() and len(port) < 6 else -1


def _is_ip(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback(name: str) -> bool:
    return _is_ip(name) and ipaddress.ip_address(name).is_loopback
