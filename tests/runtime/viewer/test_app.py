"""What the server answers, asked over HTTP, from a process of its own."""

import json
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from page_server import Served, served
from watch_bench import Bench

from runtime.version import NOTICE, SYNTHETIC_WARNING
from runtime.viewer.app import MOST_PAGES


@pytest.fixture
def scored(bench: Bench, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str]) -> Bench:
    save_image(bench.folder / "P1" / "a#b <script>.bmp", patch_of_skin)
    (bench.folder / "broken.bmp").write_bytes(b"BM")
    bench.once()
    return bench


@pytest.fixture
def page(scored: Bench) -> Iterator[Served]:
    with served(scored.folder, scored.out) as found:
        yield found


def entries(page: Served) -> dict[str, Any]:
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        found = {entry["name"]: entry for entry in page.ask("/api/session").json()["entries"]}
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("no entries")


class Events:
    """A stream of server-sent events, as a browser reads it."""

    def __init__(self, page: Served, query: str = "") -> None:
        self._socket = socket.create_connection(("127.0.0.1", page.address.port), 15)
        request = f"GET /api/events{query} HTTP/1.1\r\nHost: {page.address.authority}\r\n\r\n"
        self._socket.sendall(request.encode())
        self._file = self._socket.makefile("rb")
        self.status = int(self._file.readline().split()[1])

    def next(self) -> tuple[str, Any]:
        name = ""
        while True:
            line = self._file.readline().decode().strip()
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                return name, json.loads(line.removeprefix("data: "))

    def close(self) -> None:
        self._file.close()
        self._socket.close()


def test_session_tells_all_that_a_page_begins_with(page: Served) -> None:
    found = entries(page)
    assert set(found) == {"P1/a#b <script>.bmp", "broken.bmp"}
    assert (found["broken.bmp"]["state"], found["broken.bmp"]["score"]) == ("failed", None)
    told = page.ask("/api/session").json()
    assert (told["notice"], told["synthetic_warning"]) == (NOTICE, SYNTHETIC_WARNING)
    assert len(told["grades"]) == 5
    assert told["health"]["counts"] == {"waiting": 0, "scored": 1, "withheld": 0, "failed": 1}


def test_notice_stands_on_the_page_itself(page: Served) -> None:
    assert NOTICE in page.ask("/").body.decode()


def test_pictures_record_and_map_by_id(page: Served) -> None:
    entry = entries(page)["P1/a#b <script>.bmp"]
    address = f"/api/images/{entry['id']}"
    record = page.ask(address).json()
    assert record["image"]["path"] == "P1/a#b <script>.bmp"
    for kind, media in (("frame", "image/jpeg"), ("overlay", "image/jpeg"), ("thumbnail", "image/jpeg")):
        answer = page.ask(f"{address}/{kind}")
        assert (answer.status, answer.headers["content-type"]) == (200, media)
        assert answer.body.startswith(b"\xff\xd8")
        assert answer.headers["cache-control"] == "no-store"
    assert page.ask(f"{address}/map").headers["content-type"] == "application/octet-stream"
    for wrong in ("/other", "/frame?slice=-1", "/frame?slice=9", "/frame?slice=x", "/frame/more"):
        assert page.ask(address + wrong).status == 404


def test_an_image_that_is_gone_is_not_found_and_no_path_is_told(page: Served, scored: Bench) -> None:
    entry = entries(page)["P1/a#b <script>.bmp"]
    (scored.folder / entry["name"]).unlink()
    answer = page.ask(f"/api/images/{entry['id']}/frame")
    assert answer.status == 404
    assert str(scored.folder).encode() not in answer.body


def test_a_frame_that_the_watch_refused_for_its_link_is_not_served(
    scored: Bench, tmp_path: Path, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str]
) -> None:
    save_image(tmp_path / "outside.bmp", patch_of_skin)
    try:
        (scored.folder / "link.bmp").symlink_to(tmp_path / "outside.bmp")
    except OSError:
        pytest.skip("this account may make no links")
    scored.once()
    with served(scored.folder, scored.out) as page:
        entry = entries(page)["link.bmp"]
        assert "leads out of the watched folder" in entry["reason"]
        answer = page.ask(f"/api/images/{entry['id']}/frame")
    assert answer.status == 404
    assert not answer.body.startswith(b"\xff\xd8")
    assert b"outside" not in answer.body


def test_a_new_result_is_told_to_open_pages_and_a_new_page_is_told_to_ask(
    page: Served, scored: Bench, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str]
) -> None:
    entries(page)
    told = page.ask("/api/session").json()
    events = Events(page, f"?run={told['run']}&since={told['version']}")
    assert events.next()[0] == "update"
    save_image(scored.folder / "new.bmp", patch_of_skin)
    scored.once()
    seen: set[str] = set()
    while "new.bmp" not in seen:
        name, found = events.next()
        assert name == "update"
        seen |= {entry["name"] for entry in found["entries"]}
    # what did not change is not told again
    assert "P1/a#b <script>.bmp" not in seen
    assert found["version"] > told["version"]
    events.close()
    for query in ("", "?run=another&since=1", f"?run={told['run']}&since=x"):
        events = Events(page, query)
        assert events.next()[0] == "reload"
        events.close()


def test_only_so_many_pages_and_those_that_leave_make_room(page: Served) -> None:
    pages = [Events(page) for _ in range(MOST_PAGES)]
    for each in pages:
        each.next()
    late = Events(page)
    assert late.status == 503
    for each in [*pages, late]:
        each.close()
    deadline = time.monotonic() + 15
    status = 503
    while status != 200:
        assert time.monotonic() < deadline
        time.sleep(0.2)
        again = Events(page)
        status = again.status
        again.close()


def test_retry_has_an_image_scored_anew(page: Served, scored: Bench) -> None:
    broken = entries(page)["broken.bmp"]
    assert page.ask(f"/api/retry/{broken['id']}").status == 405
    assert page.ask(f"/api/retry/{broken['id']}", method="POST").status == 200
    assert scored.rows()["broken.bmp"].redo
    assert page.ask("/api/retry/0123456789abcdef", method="POST").status == 404


def test_folders_have_a_row_each_whose_worst_image_can_be_opened(page: Served) -> None:
    entry = entries(page)["P1/a#b <script>.bmp"]
    whole, patient = page.ask("/api/folders").json()
    assert (whole["name"], patient["name"], patient["level"]) == ("all", "P1", 1)
    assert patient["mean"] == pytest.approx(entry["score"])
    assert (patient["worst"]["id"], patient["worst"]["name"]) == (entry["id"], entry["name"])


def test_healthz_and_metrics(page: Served) -> None:
    entries(page)
    answer = page.ask("/healthz")
    assert (answer.status, answer.json()["status"]) == (200, "ok")
    metrics = page.ask("/metrics")
    assert metrics.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert b'inflamap_images{state="scored"} 1.0' in metrics.body


def test_healthz_asked_at_the_very_start_is_no_fault(scored: Bench) -> None:
    with served(scored.folder, scored.out) as page:
        assert page.ask("/healthz").status == 200


def test_healthz_says_503_where_the_disk_is_full(scored: Bench) -> None:
    with served(scored.folder, scored.out, min_free_gb=1e9) as page:
        entries(page)
        answer = page.ask("/healthz")
    assert (answer.status, answer.json()["status"]) == (503, "fault")


def test_page_ends_with_the_watch(scored: Bench) -> None:
    with served(scored.folder, scored.out) as page:
        events = Events(page)
        events.next()
        process = page.process
    assert process.returncode == 0
    events.close()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows delivers no signals to a process")
def test_a_signal_to_all_leaves_the_page_until_the_watch_ends(page: Served) -> None:
    entries(page)
    for number in (signal.SIGINT, signal.SIGTERM):
        page.process.send_signal(number)
    time.sleep(0.5)
    assert page.ask("/healthz").status == 200


def test_pseudonyms_stand_everywhere(scored: Bench) -> None:
    with served(scored.folder, scored.out, pseudonymise=True) as page:
        found = entries(page)
        texts = [page.ask("/api/session").body, page.ask("/api/folders").body]
        texts += [page.ask(f"/api/images/{entry['id']}").body for entry in found.values()]
    for text in texts:
        assert b"P1" not in text
        assert b"broken" not in text
        assert b"script" not in text
