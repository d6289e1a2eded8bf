"""The options of a command, written down so that it can be repeated."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

# words of `--split` that are no file
SPLITS = frozenset({"random", "subject"})


def given_options(context: click.Context, effective: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return every option of a command but its required ones, by flag, with the value that was used.

    Args:
        context: of the command that runs.
        effective: values that replace those given, by parameter; None leaves the option out.

    Returns:
        text, numbers and true, which JSON can hold. Options without a value are left out, files are absolute.
    """
    values = {**context.params, **(effective or {})}
    return {
        parameter.opts[-1]: _plain(parameter, values[parameter.name])
        for parameter in context.command.params
        if isinstance(parameter, click.Option) and not parameter.required and parameter.name is not None
        if not (values[parameter.name] is None or values[parameter.name] is False or values[parameter.name] == ())
    }


def _plain(parameter: click.Option, value: Any) -> Any:
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, tuple | list):
        return [_plain(parameter, each) for each in value]
    if isinstance(value, Path) or (parameter.name == "split" and value not in SPLITS):
        return str(Path(value).resolve())
    return str(value)
