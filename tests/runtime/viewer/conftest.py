"""A browser for tests of the page; they skip with the reason where there is none."""

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium."""
    support = pytest.importorskip("benchmarks.browser", reason="needs playwright")
    if support.CHROMIUM is None:
        pytest.skip("needs a Chromium: apt-get install chromium")
    with support.chromium() as found:
        yield found
