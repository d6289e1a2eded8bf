"""The demo's steps: each is an `inflamap` command, shown as a user would type it, and run."""

import shlex
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import PIPE
from typing import Any

from benchmarks.child_process import OBEY_S, python_module, run_child
from runtime.errors import CheckFailed
from runtime.outputs import write_atomically


class Steps:
    """Says what is being done, runs it, and keeps the commands.

    Attributes:
        commands: those run so far, as a user would type them.
    """

    def __init__(self, total: int, say: Callable[[str], None]) -> None:
        self._total, self._say = total, say
        self._done = 0
        self._started = self._step_started = time.monotonic()
        self.commands: list[str] = []

    @property
    def seconds(self) -> float:
        """Since the first step."""
        return time.monotonic() - self._started

    def begin(self, title: str) -> None:
        """The next step begins."""
        self._done += 1
        self._step_started = time.monotonic()
        self._say("")
        self._say(f"{self._done}/{self._total}  {title}")

    def end(self, found: str = "") -> None:
        """The step is done; `found` is what came of it."""
        if found:
            self._say(found)
        self._say(f"done in {time.monotonic() - self._step_started:.0f} s")

    def show(self, command: str) -> None:
        """Show a command, and keep it."""
        self.commands.append(command)
        self._say(f"$ {command}")

    def inflamap(self, *arguments: Any, into: Path | None = None, left: Path | None = None) -> bytes:
        """Run a command, its messages on this terminal; what it printed.

        Args:
            arguments: after `inflamap`.
            into: file that keeps what it prints.
            left: a file that it leaves even where a check of it failed (exit code 1), and with which one can go on.

        Raises:
            CheckFailed: it failed; it said why.
        """
        words = [str(argument) for argument in arguments]
        self.show(shlex.join(["inflamap", *words]) + (f" > {shlex.quote(str(into))}" if into else ""))
        done = run_child(python_module("runtime.cli", *words), stdout=PIPE, obey_s=OBEY_S)
        if done.returncode == CheckFailed.exit_code and left is not None and left.exists():
            self._say("a check failed, see above; the demo goes on with what there is")
        elif done.returncode != 0:
            raise CheckFailed(
                f"inflamap {words[0]} failed in the demo",
                seen=f"exit code {done.returncode}",
                next_step="see its message above",
            )
        if into is not None:
            write_atomically(into, done.stdout)
        return done.stdout
