"""A browser for tests of the page; they skip with the reason where there is none."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from opened_page import SCALE, WAIT_MS, OpenedPage
from page_results import PageResults
from page_server import served

from runtime.viewer.setup import Scale


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium."""
    support = pytest.importorskip("benchmarks.browser", reason="needs playwright")
    if support.CHROMIUM is None:
        pytest.skip("needs a Chromium: apt-get install chromium")
    with support.chromium() as found:
        yield found


@pytest.fixture
def results(tmp_path: Path) -> PageResults:
    """A watched folder and its results, both empty."""
    return PageResults(tmp_path)


@pytest.fixture
def open_page(results: PageResults, browser: Any) -> Callable[..., AbstractContextManager[OpenedPage]]:
    @contextmanager
    def opened(scale: Scale = SCALE, **options: Any) -> Iterator[OpenedPage]:
        with served(results.folder, results.out, scale=scale, **options) as server:
            context = browser.new_context(viewport={"width": 1280, "height": 800})
            page = context.new_page()
            page.set_default_timeout(WAIT_MS)
            errors: list[str] = []
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.goto(server.url)
            page.wait_for_function("() => document.getElementById('standing').dataset.state === 'live'")
            yield OpenedPage(page, server)
            context.close()
            assert errors == []

    return opened
