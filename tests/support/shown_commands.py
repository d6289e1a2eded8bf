"""Commands that a document shows its readers."""

import shlex

import click

from runtime.cli import inflamap


def require_understood(line: str) -> None:
    """Fails where a line that begins with `inflamap` names a command, option or argument that does not exist."""
    name, *arguments = shlex.split(line)[1:]
    command = inflamap.get_command(click.Context(inflamap), name)
    assert command is not None
    command.make_context(name, arguments)
