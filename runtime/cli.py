"""The `inflamap` command.

Each package declares its commands as entry points (`inflamap.commands`); one is imported only when it is asked for, so
that `inflamap score` never touches torch and `inflamap --version` touches nothing.
"""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runtime.errors import InflamapError, Terminated
from runtime.garbage import uncollected
from runtime.python_child import safe_path_for_children
from runtime.version import NOTICE, __version__

if TYPE_CHECKING:
    from importlib.metadata import EntryPoints

# which extra brings what a command imports
EXTRAS = {"train": "train", "evaluate": "train", "export": "export"}
_OWN = Path(__file__).parent / "commands"
_OUR_PACKAGES = frozenset({"runtime", "trainer", "export", "benchmarks"})


class CommandsByName(click.Group):
    """A group whose commands are looked up among the entry points."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return sorted(_entry_points().names)

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        if name.isidentifier() and (_OWN / f"{name}.py").is_file():
            return _own_command(name)
        found = _entry_points().select(name=name)
        if not found:
            return None
        try:
            command: click.Command = next(iter(found)).load()
        except ModuleNotFoundError as error:
            missing = error.name
            extra = EXTRAS.get(name)
            if extra is None or missing is None or missing.partition(".")[0] in _OUR_PACKAGES:
                raise
            return _command_without(name, missing, extra)
        return command


def _own_command(name: str) -> click.Command | None:
    """A command of this package, which is found without asking every package here for its entry points."""
    with _one_thread_for_numpy(), uncollected():
        command = getattr(import_module(f"runtime.commands.{name}"), name, None)
    return command if isinstance(command, click.Command) else None


@contextmanager
def _one_thread_for_numpy() -> Iterator[None]:
    """numpy, imported within, starts no thread a core for products that are too small to share: a tenth of a start.

    What is in the environment holds, and stays as it was for the processes that a command starts.
    """
    name = "OPENBLAS_NUM_THREADS"
    if name in os.environ:
        yield
        return
    os.environ[name] = "1"
    try:
        yield
    finally:
        del os.environ[name]


def _entry_points() -> "EntryPoints":
    """All that packages here declare as commands."""
    # two dozen modules of the standard library, which importing this one should not cost
    from importlib.metadata import entry_points

    return entry_points(group="inflamap.commands")


def _command_without(name: str, missing: str, extra: str) -> click.Command:
    """Stands for a command whose extra is not installed: listed, and clear about what to install when called."""

    @click.command(
        name,
        help=f"(needs the extra: pip install 'inflamap[{extra}]')",
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )
    def stand_in() -> None:
        raise InflamapError(
            f"inflamap {name} is not installed here",
            seen=f"no module {missing}",
            next_step=f"pip install 'inflamap[{extra}]'",
        )

    return stand_in


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """SIGTERM ends a command as an error does: temporary folders go, and processes that it started end with it.

    Raises:
        Terminated: SIGTERM came.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, _frame: object) -> None:
        raise Terminated(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@click.group(
    cls=CommandsByName,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help=f"Inflammation maps of in vivo confocal skin images.\n\n{NOTICE}",
)
@click.version_option(__version__, message=f"inflamap %(version)s\n{NOTICE}")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def inflamap(debug: bool) -> None:
    """The group itself does nothing: `main` reads --debug from the arguments."""


def main(arguments: list[str] | None = None) -> None:
    """Run a command and turn what went wrong into one line and an exit code: 1 a check failed, 2 bad input or usage.

    Where an error has details, each stands on a line of its own before it.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    # accepted anywhere on the line: it is added to a command that just failed
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    # names of any encoding must be printable on any terminal
    for stream in (sys.stdout, sys.stderr):
        reconfigure: Any = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
    try:
        with ended_by_sigterm(), safe_path_for_children():
            exit_code = inflamap(arguments, standalone_mode=False)
        sys.exit(exit_code if isinstance(exit_code, int) else 0)
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        sys.exit(130)
    except Terminated:
        click.echo("stopped", err=True)
        raise
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(2)
    except click.ClickException as error:
        hint = f"; next: {error.ctx.command_path} --help" if isinstance(error, click.UsageError) and error.ctx else ""
        click.echo(f"inflamap: {error.format_message().rstrip('.')}{hint}", err=True)
        sys.exit(2)
    except InflamapError as error:
        for detail in error.details:
            click.echo(detail, err=True)
        if debug:
            raise
        click.echo(f"inflamap: {error}", err=True)
        sys.exit(error.exit_code)
    except Exception as error:
        if debug:
            raise
        click.echo(
            f"inflamap: unexpected {type(error).__name__}: {' '.join(str(error).split())}; "
            "next: run it again with --debug and report what it prints",
            err=True,
        )
        sys.exit(2)


if __name__ == "__main__":
    main()
