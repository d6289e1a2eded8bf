"""What somebody may try on the operator's page, and that each of it is refused; docs/security.md holds the table."""

import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from page_server import ANSWER_S, Served, served
from watch_bench import wait_for

from runtime.ledger import open_ledger
from runtime.viewer.address import Address
from runtime.viewer.connections import MAX_ACTIVE_PER_ADDRESS
from runtime.viewer.head_in_time import HEAD_S

TOKEN = "a-token-that-nobody-guesses"
SECRET = "TOP-SECRET-CONTENT"
DOCUMENT = Path(__file__).parents[2] / "docs" / "security.md"


class Attack(NamedTuple):
    """One attempt.

    Attributes:
        kind: of attack.
        what: is tried, in words.
        send: makes the bytes of a request.
        wanted: status codes that are a refusal; empty: the connection is closed without an answer.
        guarded: whether the server is one that others can reach, with a token.
    """

    kind: str
    what: str
    send: Callable[[Served], bytes]
    wanted: tuple[int, ...]
    guarded: bool = False


def request(line: str, *headers: str, host: str | None = "", body: bytes = b"") -> Callable[[Served], bytes]:
    """A request as it goes over the wire; PORT stands for the server's own, `host` "" for the right one."""

    def made(page: Served) -> bytes:
        lines = [f"{line} HTTP/1.1"]
        if host is not None:
            lines.append(f"Host: {host or page.address.authority}")
        text = "\r\n".join([*lines, *headers, "Connection: close", "", ""]).replace("PORT", str(page.address.port))
        return text.encode("latin-1") + body

    return made


SAME = "Origin: http://127.0.0.1:PORT"
EVIL = "Origin: http://evil.example"
NO = (403,)
RIGHT = f"Authorization: Bearer {TOKEN}"
EVIL_HOST = "evil.example:PORT"
# twice as much as any request holds, and more to come
CHUNKS = 2 * (b"400\r\n" + b"x" * 1024 + b"\r\n")
TWO_LENGTHS = ("Content-Length: 1", "Content-Length: 2")
RETRY = "POST /api/retry/0123456789abcdef"
ATTACKS = [
    Attack("path traversal", "`/../secret`", request("GET /../secret"), (404,)),
    Attack("path traversal", "`/page.css/../../secret`", request("GET /page.css/../../secret"), (404,)),
    Attack("path traversal", "`/%2e%2e/%2e%2e/secret`", request("GET /%2e%2e/%2e%2e/secret"), (404,)),
    Attack("path traversal", "`/..%5c..%5csecret`", request("GET /..%5c..%5csecret"), (404,)),
    Attack("path traversal", "an absolute path as an id", request("GET /api/images/%2fetc%2fpasswd/frame"), (404,)),
    Attack("path traversal", "a name as an id", request("GET /api/images/a.bmp/frame"), (404,)),
    Attack("path traversal", "`..` as an id", request("GET /api/images/..%2f..%2fsecret/overlay"), (404,)),
    Attack("path traversal", "a NUL in an id", request("GET /api/images/a%00b/map"), (404,)),
    Attack("DNS rebinding", "`Host: evil.example`", request("GET /api/session", host="evil.example:PORT"), (403,)),
    Attack("DNS rebinding", "the right name, no port", request("GET /api/session", host="127.0.0.1"), (403,)),
    Attack("DNS rebinding", "`Host: 127.0.0.1.evil.example`", request("GET /", host="127.0.0.1.evil.example:PORT"), NO),
    Attack("DNS rebinding", "`Host: localhost@evil.example`", request("GET /", host="localhost@evil.example:PORT"), NO),
    Attack("DNS rebinding", "no `Host`", request("GET /api/session", host=None), (400, 403)),
    Attack("DNS rebinding", "two `Host`s", request("GET /", "Host: evil.example"), (400, 403)),
    Attack("another site's page", "reads the session", request("GET /api/session", EVIL), NO),
    Attack("another site's page", "`Origin: null`, as of a file", request("GET /api/session", "Origin: null"), (403,)),
    Attack("another site's page", "listens to events", request("GET /api/events", EVIL), NO),
    Attack(
        "another site's page",
        "embeds a frame of skin (`Sec-Fetch-Site: cross-site`)",
        request("GET /api/images/0123456789abcdef/frame", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors"),
        (403,),
    ),
    Attack("request forgery", "Retry from another site", request(RETRY, EVIL), NO),
    Attack("request forgery", "Retry from another port", request(RETRY, "Origin: http://127.0.0.1:1"), (403,)),
    Attack("request forgery", "Retry by a form that hides where it is from", request(RETRY), (403,)),
    Attack("request forgery", "Retry as a link", request("GET /api/retry/0123456789abcdef"), (405,)),
    Attack("no token", "the page", request("GET /"), (401,), guarded=True),
    Attack("no token", "the session", request("GET /api/session"), (401,), guarded=True),
    Attack("no token", "metrics and health", request("GET /metrics"), (401,), guarded=True),
    Attack("no token", "a wrong one in the address", request("GET /?token=wrong"), (401,), guarded=True),
    Attack("no token", "an empty one", request("GET /?token="), (401,), guarded=True),
    Attack("no token", "a wrong cookie", request("GET /", "Cookie: inflamap-PORT=wrong"), (401,), guarded=True),
    Attack("no token", "one not of ASCII", request("GET /", "Authorization: Bearer \xe4"), (401,), guarded=True),
    Attack("no token", "in another page's address", request(f"GET /metrics?token={TOKEN}"), (401,), guarded=True),
    Attack("DNS rebinding", "with the right token", request("GET /", RIGHT, host=EVIL_HOST), NO, guarded=True),
    Attack("oversized", "a head of a megabyte", request("GET /", "X: " + "x" * 2**20), (400, 431)),
    Attack("oversized", "an address of 100,000 letters", request("GET /" + "x" * 100_000), (400, 404, 414)),
    Attack("oversized", "a body that says 10 GB", request(RETRY, SAME, "Content-Length: 10000000000"), (413,)),
    Attack(
        "oversized",
        "a body in chunks that never ends",
        request(RETRY, SAME, "Transfer-Encoding: chunked", body=CHUNKS),
        (413,),
    ),
    Attack("oversized", "a length that is no number", request(RETRY, SAME, "Content-Length: -1"), (400, 413)),
    Attack("smuggling", "two lengths", request(RETRY, SAME, *TWO_LENGTHS, body=b"xx"), (400,)),
    Attack("smuggling", "what is no HTTP", lambda _page: b"\x16\x03\x01\x02\x00 hello\r\n\r\n", (400,)),
    Attack("methods", "DELETE", request("DELETE /api/session"), (405,)),
    Attack("methods", "PUT of the page", request("PUT /page.js", SAME), (405,)),
    Attack("methods", "a web socket", request("GET /api/events", "Upgrade: websocket"), (400,)),
    Attack("slow", "a head that is never finished", lambda _page: b"GET / HT", ()),
    Attack("slow", "a connection that says nothing", lambda _page: b"", ()),
    Attack("slow", "a body that does not come", request(RETRY, SAME, "Content-Length: 100", body=b"x"), (408,)),
]  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with results beside a secret."""
    place = tmp_path_factory.mktemp("page")
    for name in ("in", "out"):
        (place / name).mkdir()
    (place / "secret").write_text(SECRET)
    with open_ledger(place / "out", create=True):
        pass
    return place


@pytest.fixture(scope="module")
def open_page(place: Path) -> Iterator[Served]:
    with served(place / "in", place / "out") as page:
        yield page


@pytest.fixture(scope="module")
def guarded_page(place: Path) -> Iterator[Served]:
    with served(place / "in", place / "out", address=Address("0.0.0.0", 0), token=TOKEN) as page:
        yield Served(Address("127.0.0.1", page.address.port), page.url, page.process)


def send(page: Served, data: bytes) -> bytes:
    """All that comes back until the server closes the connection."""
    answer = b""
    with socket.create_connection(("127.0.0.1", page.address.port), ANSWER_S) as connection:
        connection.settimeout(HEAD_S + ANSWER_S)
        try:
            connection.sendall(data)
            while part := connection.recv(65536):
                answer += part
        except (BrokenPipeError, ConnectionResetError):
            pass
    return answer


@pytest.mark.parametrize("attack", ATTACKS, ids=[f"{attack.kind}: {attack.what[:40]}" for attack in ATTACKS])
def test_attack_is_refused(attack: Attack, open_page: Served, guarded_page: Served) -> None:
    page = guarded_page if attack.guarded else open_page
    answer = send(page, attack.send(page))
    head, _, body = answer.partition(b"\r\n\r\n")
    status = int(head.split()[1]) if head else None
    assert status in (attack.wanted or (None,))
    assert SECRET.encode() not in answer
    if attack.guarded:
        assert TOKEN.encode() not in answer
    if status != 200:
        assert len(body) < 200
    # and the page still answers
    assert page.ask("/healthz", Authorization=f"Bearer {TOKEN}").status == 200


def test_table_in_the_document_is_what_was_tried() -> None:
    rows = ["| what | how | answer |", "|---|---|---|"]
    for attack in ATTACKS:
        answer = " or ".join(map(str, attack.wanted)) or "closed"
        rows.append(f"| {attack.kind} | {attack.what} | {answer} |")
    table = DOCUMENT.read_text(encoding="utf-8").partition("<!-- attacks -->\n")[2].partition("\n<!-- end -->")[0]
    assert table == "\n".join(rows)


def test_token_is_taken_once_from_the_address_and_then_by_cookie(guarded_page: Served) -> None:
    answer = guarded_page.ask(f"/?token={TOKEN}")
    assert (answer.status, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert "httponly" in cookie.lower()
    assert "samesite=strict" in cookie.lower()
    assert guarded_page.ask("/api/session", Cookie=cookie.partition(";")[0]).status == 200
    assert guarded_page.ask("/metrics", Authorization=f"bearer {TOKEN}").status == 200


@pytest.mark.parametrize("path", ["/", "/page.js", "/api/session", "/healthz", "/nothing", "/api/retry/x"])
def test_every_answer_has_the_strict_policy(open_page: Served, path: str) -> None:
    headers = open_page.ask(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "*" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "access-control-allow-origin" not in headers
    assert "server" not in headers


def test_a_page_that_reads_nothing_keeps_nobody_waiting(open_page: Served) -> None:
    with socket.create_connection(("127.0.0.1", open_page.address.port), ANSWER_S) as dead:
        dead.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        dead.sendall(request("GET /api/events")(open_page).replace(b"Connection: close\r\n", b""))
        for _ in range(20):
            dead.sendall(request("GET /page.js")(open_page).replace(b"Connection: close\r\n", b""))
        assert json.loads(open_page.ask("/api/session").body)["entries"] == []
        assert is_open(dead), "the others were answered while it was there"


def test_token_is_on_no_command_line(guarded_page: Served) -> None:
    process = Path(f"/proc/{guarded_page.process.pid}/cmdline")
    if not process.exists():
        pytest.skip("this system has no /proc")
    assert TOKEN.encode() not in process.read_bytes()
    assert not re.search(rb"--viewer|token", process.read_bytes())


IDLE = {
    "nothing": lambda _page: b"",
    "half a head": lambda _page: b"GET /healthz HTTP/1.1\r\nHost: 127.0",
    "a request and half another": lambda page: request("GET /metrics")(page).replace(b"close", b"keep-alive") + b"GET",
    "a body that nobody asked for": lambda page: request(
        "POST /", "Content-Length: 900", host="evil.example:1", body=b"x"
    )(page).replace(b"close", b"keep-alive"),
}


CROWDS = 5


def is_open(connection: socket.socket) -> bool:
    """Tell whether the server has not closed a connection; what it sent is read."""
    connection.settimeout(0.0)
    try:
        while connection.recv(65536):
            pass
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


@contextmanager
def crowd(page: Served, number: int, data: bytes) -> Iterator[list[socket.socket]]:
    """Connections that send some bytes and nothing more."""
    with ExitStack() as stack:
        found = []
        for _ in range(number):
            found.append(stack.enter_context(socket.create_connection(("127.0.0.1", page.address.port), ANSWER_S)))
            with suppress(OSError):
                found[-1].sendall(data)
        yield found


@pytest.mark.parametrize("number", [400, 900])
@pytest.mark.parametrize("sent", list(IDLE))
def test_idle_connections_keep_nobody_out(guarded_page: Served, sent: str, number: int) -> None:
    # on a busy machine a crowd may be closed for being slow before all of it is asked, which proves nothing
    for _ in range(CROWDS):
        with crowd(guarded_page, number, IDLE[sent](guarded_page)) as idle:
            for path in ("/healthz", "/", "/api/session", "/metrics"):
                assert guarded_page.ask(path, Authorization=f"Bearer {TOKEN}").status == 200, path
            with socket.create_connection(("127.0.0.1", guarded_page.address.port), ANSWER_S) as events:
                events.sendall(request("GET /api/events", RIGHT)(guarded_page))
                assert b"200 OK" in events.recv(1000)
            if any(map(is_open, idle)):
                break
    else:
        pytest.fail("no crowd was there until the last answer")
    assert np.isfinite(guarded_page.ask("/api/session", Authorization=f"Bearer {TOKEN}").json()["health"]["loop_age_s"])


def test_what_was_open_before_the_crowd_goes_on(guarded_page: Served) -> None:
    with socket.create_connection(("127.0.0.1", guarded_page.address.port), ANSWER_S) as events:
        events.sendall(request("GET /api/events", RIGHT)(guarded_page))
        events.recv(1000)
        with crowd(guarded_page, 700, b""):
            assert guarded_page.ask("/healthz", Authorization=f"Bearer {TOKEN}").status == 200
            events.settimeout(ANSWER_S)
            assert events.recv(1000)


def test_a_rest_that_trickles_in_after_the_refusal_keeps_no_connection_open(guarded_page: Served) -> None:
    with crowd(guarded_page, 1, IDLE["a body that nobody asked for"](guarded_page)) as (slow,):
        slow.settimeout(ANSWER_S)
        assert b"403" in slow.recv(1000)
        deadline = time.monotonic() + HEAD_S + ANSWER_S
        with suppress(ConnectionResetError, BrokenPipeError):
            while time.monotonic() < deadline:
                slow.sendall(b"x")
                time.sleep(0.5)
        assert time.monotonic() < deadline


def test_health_is_answered_where_all_other_requests_are_too_many(open_page: Served) -> None:
    # each is a request in progress until the server gives up waiting for the body
    waits = request(RETRY, SAME, "Content-Length: 100")(open_page)
    # on a busy machine it may give up on the first before the last was sent, which proves nothing
    for _ in range(CROWDS):
        with crowd(open_page, MAX_ACTIVE_PER_ADDRESS + 20, waits):
            found = [open_page.ask(path).status for path in ("/api/session", "/healthz", "/api/session")]
        assert found[1] == 200
        wait_for(lambda: open_page.ask("/api/session").status == 200, ANSWER_S)
        if found == [503, 200, 503]:
            break
    else:
        pytest.fail(f"there were never too many requests: {found}")
