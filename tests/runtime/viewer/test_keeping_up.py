"""What wakes the pages, and that nothing keeps them waiting for ever."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from page_server import SHIPPED_SCALE

from runtime.ledger import State, open_ledger
from runtime.viewer import keeping_up
from runtime.viewer.address import Address
from runtime.viewer.keeping_up import KeepingUp
from runtime.viewer.setup import Setup


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KeepingUp:
    monkeypatch.setattr(keeping_up, "LOOK_S", 0.01)
    with open_ledger(tmp_path, create=True):
        pass
    return KeepingUp(Setup(tmp_path, tmp_path, Address("127.0.0.1", 0), None, 0.0, False, SHIPPED_SCALE))


def during(page: KeepingUp, work: Callable[[], Any]) -> Any:
    """The outcome of some work while the page keeps up."""

    async def all_of_it() -> Any:
        looking = asyncio.create_task(page.keep_up())
        try:
            return await work()
        finally:
            page.end()
            await looking
            await page.close()

    return asyncio.run(all_of_it())


def test_whoever_waits_is_woken_by_what_is_new_and_by_nothing_else(page: KeepingUp, tmp_path: Path) -> None:
    async def wait() -> None:
        assert await page.news(0, 5)
        await asyncio.sleep(0.1)
        known = page.number
        assert not await page.news(known, 0.3)
        with open_ledger(tmp_path) as ledger:
            ledger.note("paused", "no room")
        assert await page.news(known, 5)
        assert page.health is not None
        assert page.health.faults == ("no room",)

    during(page, wait)


def test_the_end_wakes_everybody(page: KeepingUp) -> None:
    async def wait() -> bool:
        await page.news(0, 5)
        waiting = asyncio.create_task(page.news(page.number + 1000, 60))
        await asyncio.sleep(0.05)
        page.end()
        return await waiting

    assert during(page, wait) in (True, False)
    assert page.ending


def test_a_backlog_makes_it_busy(page: KeepingUp) -> None:
    async def look() -> None:
        await page.news(0, 5)

    during(page, look)
    assert page.health is not None
    assert not page.is_busy
    page.health = replace(page.health, counts={**page.health.counts, str(State.WAITING): keeping_up.BUSY})
    assert page.is_busy


def test_a_loop_that_is_not_seen_alive_grows_old(page: KeepingUp, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(page, "_clock", lambda: now)
    page.seen_alive()
    now = 130.5

    async def look() -> None:
        await page.news(0, 5)

    during(page, look)
    assert page.health is not None
    assert page.health.loop_age_s == pytest.approx(30.5)
    assert page.health.severe
