"""What is shown while work goes on never mixes with results on stdout."""

import io
import sys

import pytest

from runtime import console
from runtime.console import reporter


def test_without_a_terminal_lines_are_plain_and_seldom(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    with reporter() as report:
        for step in range(1, 101):
            now[0] += 0.5
            report.progress("scoring", step, 100)
        report.say("done [red]here[/red]")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        *(f"scoring: {step} of 100" for step in (20, 40, 60, 80, 100)),
        "done [red]here[/red]",
    ]


def test_on_a_terminal_a_bar_is_drawn_and_messages_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    monkeypatch.setenv("TERM", "xterm")
    with reporter() as report:
        report.progress("epoch 1/2", 1, 4)
        report.say("done [red]here[/red]")
        report.progress("epoch 2/2", 4, 4)
    shown = terminal.getvalue()
    assert "epoch 1/2" in shown
    assert "4/4" in shown
    assert "done [red]here[/red]" in shown


def test_a_log_that_has_gone_does_not_end_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(io.StringIO):
        def write(self, _text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Gone())
    with reporter() as report:
        report.say("scored")
        report.progress("scoring", 1, 1)
