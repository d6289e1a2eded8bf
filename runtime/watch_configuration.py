"""Every setting of `inflamap watch`: its name, type, limits, default, and what a person should know of it."""

from collections.abc import Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
from msgspec.structs import FieldInfo, fields

from runtime.bundle import DEFAULT_BUNDLE
from runtime.engines.choice import AUTO
from runtime.engines.registry import ENGINE_NAMES
from runtime.patience import LONGEST_SETTLE_S, Discovery
from runtime.said_values import PATTERNS, RANGE, Range

VARIABLE_PREFIX = "INFLAMAP_WATCH_"


class Key(msgspec.Struct, frozen=True):
    """What a person should know of a setting.

    Attributes:
        meaning: what it does.
        unit: of a number; empty where it has none.
        unset: what holds where an optional key is not set.
        example: a value for an optional key, as a start.
        choices: the texts allowed, where the type does not tell.
    """

    meaning: str
    unit: str = ""
    unset: str = ""
    example: object = None
    choices: tuple[str, ...] = ()


class Limits(msgspec.Struct, frozen=True):
    """What a number must keep to; None where there is no such limit."""

    above: float | None = None
    least: float | None = None
    most: float | None = None


Positive = Annotated[float, Limits(above=0)]
NotNegative = Annotated[float, Limits(least=0)]
# more is a slip, and would be no number to a library
Count = Annotated[int, Limits(least=1, most=9999)]
Settle = Annotated[float, Limits(least=0, most=LONGEST_SETTLE_S)]
_ENGINES = (AUTO, *ENGINE_NAMES)


class WatchConfiguration(msgspec.Struct, frozen=True, kw_only=True):
    """Every setting of a watch; beside each stand its limits, its meaning and its unit. GB are 10^9, MB 10^6 bytes."""

    folder: Annotated[Path, Key("where the microscope saves, only read")]
    out: Annotated[Path, Key("where the results go; made if it is not there")]
    bundle: Annotated[Path, Key("the model: a folder that `inflamap export` wrote", unset="the one shipped")] = (
        DEFAULT_BUNDLE
    )
    engine: Annotated[
        str,
        Key("what runs the model; auto is the one that `inflamap bench --accept` chose", choices=_ENGINES),
    ] = AUTO
    um_per_px: Annotated[
        Positive | None, Key("sampling of the images", "micrometres a pixel", unset="what each file tells", example=0.5)
    ] = None
    um_per_px_in: Annotated[
        dict[str, float] | None,
        Key(
            "sampling by pattern of the path below the folder; the first that holds",
            "micrometres a pixel",
            unset="what each file tells",
            example={"HRT3*": 1.0417},
        ),
    ] = None
    grey_range: Annotated[
        Range | None,
        Key(
            "values of black and white where a file does not tell, as in floating point",
            unset="such images are withheld",
            example=(0.0, 1.0),
        ),
    ] = None
    depth_um: Annotated[
        Range | None,
        Key(
            "depths below the surface that are scored, where the depth is known",
            "micrometres",
            unset="all",
            example=(10.0, 100.0),
        ),
    ] = None
    stack_step_um: Annotated[
        Positive | None,
        Key(
            "from one slice of a VivaStack folder to the next, of which number 0 is the surface",
            "micrometres",
            unset="the depth is unknown",
            example=5.0,
        ),
    ] = None
    threads: Annotated[Count | None, Key("cores to use at most", unset="half, 4 at most", example=2)] = None
    settle_s: Annotated[
        Settle | None,
        Key(
            "a file is read when it has rested this long",
            "seconds",
            unset="1 s on a local disk, 4 s on a share",
            example=2.0,
        ),
    ] = None
    discovery: Annotated[
        Discovery,
        Key("how new files are found: the system tells, or the folder is listed again and again"),
    ] = "auto"
    rescan_s: Annotated[
        Positive | None,
        Key(
            "the whole folder is listed anew this often",
            "seconds",
            unset="30 s with events, 5 s by polling",
            example=30.0,
        ),
    ] = None
    min_free_gb: Annotated[NotNegative, Key("scoring pauses while the results' disk has less than this free", "GB")] = (
        10.0
    )
    priority: Annotated[Literal["low", "normal"], Key("low leaves the processor to the microscope's software")] = "low"
    keep_overlays_days: Annotated[
        Positive | None, Key("overlays older than this are deleted", "days", unset="kept for ever", example=90.0)
    ] = None
    keep_overlays_gb: Annotated[
        Positive | None, Key("the oldest overlays beyond this are deleted", "GB", unset="no limit", example=100.0)
    ] = None
    viewer: Annotated[
        str | None,
        Key("where the operator's page is served", "HOST:PORT", unset="no page", example="127.0.0.1:8765"),
    ] = None
    log_file: Annotated[Path | None, Key("lines are also written here", unset="no file", example="inflamap.log")] = None
    log_max_mb: Annotated[Positive, Key("a log file of this size is closed, and a new one begun", "MB")] = 10.0
    log_files: Annotated[
        Annotated[int, Limits(least=2, most=9999)], Key("log files kept, the current one included")
    ] = 5
    pseudonymise: Annotated[
        bool, Key("folder and file names, which may identify patients, are replaced in logs, overlays and maps")
    ] = False


FIELDS: dict[str, FieldInfo] = {field.name: field for field in fields(WatchConfiguration)}


class Configured(msgspec.Struct, frozen=True):
    """The settings that hold, and where each comes from: `command line`, `environment VARIABLE`, the file's name or
    `default`."""

    values: WatchConfiguration
    origins: Mapping[str, str]


def variable_of(key: str) -> str:
    """The environment variable that sets a key."""
    return VARIABLE_PREFIX + key.upper()


def key_of(name: str) -> Key:
    """What a person should know of the setting of this name."""
    key: Key = _parts(FIELDS[name].type)[1][-1]
    return key


def kind_of(name: str) -> Any:
    """The type of a setting without its None: Path, str, a Literal, bool, int, float, a range or patterns."""
    return _parts(FIELDS[name].type)[0]


def wanted_of(name: str) -> str:
    """The values that a setting takes, in words."""
    kind, notes = _parts(FIELDS[name].type)
    choices = key_of(name).choices or (get_args(kind) if get_origin(kind) is Literal else ())
    if choices:
        return f"{', '.join(choices[:-1])} or {choices[-1]}"
    unit = key_of(name).unit
    of_unit = f" ({unit})" if unit else ""
    if get_origin(kind) in (tuple, dict):
        return (RANGE if get_origin(kind) is tuple else PATTERNS) + of_unit
    if kind in (Path, bool):
        return "a path" if kind is Path else "true or false"
    if kind is str:
        return f"a text{of_unit}"
    limits = next((note for note in notes if isinstance(note, Limits)), Limits())
    if limits.above is not None:
        bounds = f"above {limits.above}"
    elif limits.least is not None and limits.most is not None:
        bounds = f"from {limits.least} to {limits.most}"
    else:
        bounds = "" if limits.least is None else f"of at least {limits.least}"
    return f"a {'whole ' * (kind is int)}number {bounds}{of_unit}"


def _parts(hint: Any) -> tuple[Any, list[Any]]:
    """A type without its None, and what is annotated to it."""
    if get_origin(hint) is Annotated:
        inner, *notes = get_args(hint)
        kind, more = _parts(inner)
        return kind, [*more, *notes]
    if get_origin(hint) in (Union, UnionType):
        return _parts(next(part for part in get_args(hint) if part is not NoneType))
    return hint, []
