"""`inflamap service`."""

import functools
import shlex
import sys
from collections.abc import Callable
from pathlib import Path, PurePath, PureWindowsPath
from typing import TYPE_CHECKING, Any, Literal

import click

from runtime.console import print_result
from runtime.errors import InflamapError, one_line

if TYPE_CHECKING:
    from runtime.install.installation import Installation

Kind = Literal["systemd", "windows"]
HERE: Kind = "windows" if sys.platform == "win32" else "systemd"
_MORE = "inflamap.more"
# they end by themselves, which a service must not
_NOT_FOR_A_SERVICE = ("--once", "--print-config", "-h", "--help")


class _WithMore(click.Command):
    """A command that keeps what stands behind `--` for `watch`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--" in args:
            place = args.index("--")
            args, ctx.meta[_MORE] = args[:place], tuple(args[place + 1 :])
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return [*super().collect_usage_pieces(ctx), "[-- OPTIONS OF watch]"]


def _of_an_installation(command: Callable[..., Any]) -> Callable[..., Any]:
    """What says which watch is to run."""
    options = [
        click.argument("folder", required=False),
        click.option("--out", help="Folder for the results."),
        click.option("--config", help="A configuration of `watch`; it may name folder and results."),
        click.option("--bundle", help="BUNDLE folder. Default: the one that ships with inflamap."),
        _name_option,
        click.option("--user", default="inflamap", show_default=True, help="Account that the service runs as."),
        click.option("--gpu", is_flag=True, help="Give access to an NVIDIA GPU."),
    ]
    return functools.reduce(lambda wrapped, option: option(wrapped), reversed(options), command)


_name_option = click.option("--name", default="inflamap", show_default=True, help="Name of the service.")


@click.group()
def service() -> None:
    """Have `inflamap watch` run in the background, from the machine's start on."""


@service.command("print", cls=_WithMore)
@_of_an_installation
@click.option(
    "--for", "kind", type=click.Choice(["systemd", "windows"]), default=HERE, help="Default: the system this runs on."
)
@click.option("--python", help="On Windows: python.exe of the environment that inflamap is installed in.")
@click.option("--to", "file", type=click.Path(path_type=Path), help="Write a file instead of printing.")
@click.pass_context
def print_(context: click.Context, /, kind: Kind, python: str | None, file: Path | None, **given: Any) -> None:
    """Show what `install` would write: a systemd unit, or on Windows a task for the Task Scheduler."""
    if kind == "windows":
        _print_task(_installation(context, given, kind, python), file)
        return
    if HERE != "systemd":
        raise InflamapError("--for systemd", seen="Windows", next_step="make the unit on the Linux machine itself")
    if python is not None:
        raise InflamapError(
            "--python is for Windows", next_step="leave it out: a unit runs the Python that this runs on"
        )
    from runtime.install.installation import needs_of
    from runtime.install.systemd_unit import unit

    installation = _installation(context, given, kind, None)
    text = unit(installation, needs_of(installation), groups=_gpu_groups(installation))
    _hand_out(text, "utf-8", file)


@service.command(cls=_WithMore)
@_of_an_installation
@click.pass_context
def install(context: click.Context, /, **given: Any) -> None:
    """Write the systemd unit, start it now and with the machine. As root; on Windows see `print`."""
    _require_systemd("install")
    from runtime.install import systemctl
    from runtime.install.installation import needs_of
    from runtime.install.systemd_unit import unit

    installation = _installation(context, given, "systemd", None)
    needs = needs_of(installation)
    systemctl.check_account(installation.user)
    systemctl.check_results_folder(needs, installation.user)
    if not needs.folder.is_dir():
        _say(f"{needs.folder} is not there yet; the service is tried again every 10 s until it is")
    text = unit(installation, needs, groups=_gpu_groups(installation))
    systemctl.install(installation.name, text, systemctl.System(_say))
    _say(f"{installation.name} runs; next: inflamap status --out {shlex.quote(str(needs.out))}")


@service.command()
@_name_option
def uninstall(name: str) -> None:
    """Stop the service and remove its unit. Results, configuration and images stay."""
    _require_systemd("uninstall")
    from runtime.install import systemctl
    from runtime.install.installation import check_name

    check_name(name)
    systemctl.uninstall(name, systemctl.System(_say))
    _say("results, ledger and configuration stay where they are")


def _say(line: str) -> None:
    print_result(one_line(line))


def _require_systemd(what: str) -> None:
    if HERE == "systemd":
        return
    step = "inflamap service print FOLDER --out DIR --to inflamap.xml, which says what to run then"
    if what == "uninstall":
        step = "schtasks /End /TN inflamap, then schtasks /Delete /TN inflamap"
    raise InflamapError(f"service {what} is for Linux with systemd", seen="Windows", next_step=step)


def _installation(context: click.Context, given: dict[str, Any], kind: Kind, python: str | None) -> "Installation":
    """What was asked for, its options held against those that `watch` takes."""
    from runtime.install.installation import Installation, absolute, check_name

    check_name(given["name"])
    if not given["user"]:
        raise InflamapError("--user", seen="nothing", wanted="an account", next_step="leave it out, or name one")

    def path(text: str | None) -> PurePath | None:
        if text is None:
            return None
        # of another machine perhaps: nothing is made of it
        return PureWindowsPath(text) if kind == "windows" else absolute(text)

    if kind == "windows" and python is None and HERE != "windows":
        raise InflamapError(
            "--for windows is made on another machine",
            wanted=r"--python, such as C:\inflamap\venv\Scripts\python.exe",
            next_step="give it",
        )
    interpreter = path(python or sys.executable)
    assert interpreter is not None
    installation = Installation(
        name=given["name"],
        user=given["user"],
        python=interpreter,
        gpu=given["gpu"],
        more=context.meta.get(_MORE, ()),
        **{key: path(given[key]) for key in ("folder", "out", "config", "bundle")},
    )
    _check_options(installation)
    return installation


def _check_options(installation: "Installation") -> None:
    """Refuse now what `watch` would refuse at every start."""
    for word in installation.more:
        if word in _NOT_FOR_A_SERVICE:
            raise InflamapError(f"{word}: not for a service, which goes on for ever", next_step="leave it out")
    from runtime.commands.watch import watch

    words = installation.command()
    watch.make_context("inflamap watch", words[words.index("watch") + 1 :])


def _gpu_groups(installation: "Installation") -> list[str]:
    """Groups that own GPUs on this machine; one that is missing would keep the service from starting."""
    if not installation.gpu:
        return []
    import grp

    return sorted({group.gr_name for group in grp.getgrall()} & {"render", "video"})


def _print_task(installation: "Installation", file: Path | None) -> None:
    from runtime.install import windows_task

    text = windows_task.task(installation)
    notes = windows_task.next_steps(installation, str(file) if file else f"{installation.name}.xml")
    for drive in windows_task.drives(installation):
        windows_task.check_mapped(drive)
        if drive != "C:":
            notes.append(rf"{drive} must be a disk of that machine; for a mapped drive give \\SERVER\SHARE\... instead")
    if installation.gpu:
        notes.append("--gpu changes nothing on Windows: a task may use the GPU anyway")
    _hand_out(text, windows_task.ENCODING, file)
    for note in notes:
        click.echo(one_line(f"next: {note}" if note.startswith("schtasks") else note), err=True)


def _hand_out(text: str, encoding: str, file: Path | None) -> None:
    """To the file; else in the encoding that the system wants to read, but on a terminal in the terminal's own."""
    if file is not None:
        from runtime.outputs import write_atomically

        write_atomically(file, text.encode(encoding))
        click.echo(one_line(f"wrote {file}"), err=True)
    elif sys.stdout.isatty():
        print_result(text.rstrip("\n"))
    else:
        sys.stdout.buffer.write(text.encode(encoding))
        sys.stdout.buffer.flush()
