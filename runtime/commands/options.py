"""Options that commands share."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from runtime.bundle import DEFAULT_BUNDLE
from runtime.commands.finite_range import FiniteRange
from runtime.commands.said_types import PatternType, RangeType
from runtime.engines.choice import AUTO
from runtime.engines.registry import ENGINE_NAMES


def scoring_options(*, out_required: bool = True) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The options of every command that scores images. `out_required`: no other place names the results' folder."""
    options = [
        click.option(
            "--bundle",
            "bundle_folder",
            type=click.Path(path_type=Path),
            default=DEFAULT_BUNDLE,
            help="BUNDLE folder. Default: the synthetic-trained one that ships with inflamap.",
        ),
        click.option("--out", type=click.Path(path_type=Path), required=out_required, help="Folder for the results."),
        click.option(
            "--engine",
            type=click.Choice([AUTO, *ENGINE_NAMES]),
            metavar="NAME",
            default=AUTO,
            show_default=True,
            help=f"auto (the one that `inflamap bench --accept` chose) or one of {', '.join(ENGINE_NAMES)}.",
        ),
        click.option("--um-per-px", type=FiniteRange(min=0, min_open=True), help="Sampling of the images."),
        click.option(
            "--um-per-px-in",
            type=PatternType(),
            multiple=True,
            help="Sampling by pattern of the path below the folder, as in 'HRT3*=1.04'. Repeatable.",
        ),
        click.option(
            "--grey-range", type=RangeType(), help="Values of black and white where a file does not tell, as in 0:1."
        ),
        click.option("--depth", "depth_um", type=RangeType(), help="µm below the surface to be scored, as in 10:80."),
        click.option(
            "--stack-step",
            "stack_step_um",
            type=FiniteRange(min=0, min_open=True),
            help="µm from slice to slice of a VivaStack folder, of which number 0 is the surface.",
        ),
        click.option("--threads", type=click.IntRange(min=1), help="Cores to use at most. Default: half, 4 at most."),
    ]
    return lambda command: functools.reduce(lambda wrapped, option: option(wrapped), reversed(options), command)
