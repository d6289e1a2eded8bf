"""What tests of commands share."""

import pytest


@pytest.fixture(autouse=True)
def _priority_of_the_tests_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """A watch that runs in this very process would slow down all tests after it."""
    monkeypatch.setattr("runtime.commands.watch.lower_priority", lambda: None)
