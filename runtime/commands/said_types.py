"""Types of options that hold more than one number."""

from typing import Any

import click

from runtime.said_values import read_pattern, read_range


class RangeType(click.ParamType[tuple[float, float]]):
    """Two numbers, `LOW:HIGH`."""

    name = "LOW:HIGH"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, float]:
        try:
            return read_range(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class PatternType(click.ParamType[tuple[str, float]]):
    """A pattern and its number, `PATTERN=NUMBER`."""

    name = "PATTERN=NUMBER"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, float]:
        try:
            return value if isinstance(value, tuple) else read_pattern(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
