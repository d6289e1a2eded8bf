"""A range of numbers as an option's type."""

import math
from typing import Any

import click


class FiniteRange(click.FloatRange):
    """A range of numbers; a NaN is in every range of click's, and infinity in most."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{number} is no number", param, ctx)
        return number
