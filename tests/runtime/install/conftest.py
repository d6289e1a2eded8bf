"""What tests of the installation share."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runtime.install.installation import Installation


@pytest.fixture
def make() -> Callable[..., Installation]:
    """An installation of this Python, with these changes."""

    def installation(**changes: Any) -> Installation:
        named: dict[str, Any] = {"folder": Path("/srv/microscope"), "out": Path("/srv/results")}
        return Installation(python=Path(sys.executable), **{**named, **changes})

    return installation


@pytest.fixture(scope="session")
def analyze() -> str:
    """systemd's own judge of units; the test skips where it is missing."""
    found = shutil.which("systemd-analyze")
    if found is None:
        pytest.skip("systemd-analyze is not installed here")
    return found
