"""`--grades` on the command line."""

from typing import Any

import click

from trainer.grade_scale import GradeScale


class GradeScaleParameter(click.ParamType[GradeScale]):
    """A `GradeScale`."""

    name = "RANGE|NAMES"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> GradeScale:
        """See `click.ParamType.convert`."""
        if isinstance(value, GradeScale):
            return value
        try:
            return GradeScale.parse(value)
        except ValueError as error:
            self.fail(f"{value!r}, wanted {error}", param, ctx)
