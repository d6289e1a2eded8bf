"""The settings of `inflamap watch`, from the command line, the environment, `inflamap.toml` and the defaults."""

import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from msgspec import NODEFAULT

from runtime.bundle import DEFAULT_BUNDLE
from runtime.errors import InflamapError, one_line
from runtime.file_state import is_folder
from runtime.said_values import read_patterns, read_range
from runtime.toml_text import SINGLE_QUOTES, as_toml, load_toml, shown
from runtime.watch_configuration import (
    FIELDS,
    VARIABLE_PREFIX,
    Configured,
    Key,
    Limits,
    WatchConfiguration,
    key_of,
    kind_of,
    variable_of,
    wanted_of,
)

__all__ = ["Configured", "WatchConfiguration", "configure", "to_toml"]

TABLE = "watch"
# what no path can hold; on Windows they come from "C:\temp\new", where \t and \n are TOML's tab and line end
FORBIDDEN_IN_PATHS = "".join(map(chr, range(32))) if sys.platform == "win32" else "\0"


def configure(
    command_line: Mapping[str, object],
    file: Path | None,
    environ: Mapping[str, str],
    *,
    awaited: Callable[[Path, Path], bool] = lambda _out, _folder: False,
) -> Configured:
    """The settings of a watch; the command line outdoes the environment, that the file, and that the defaults.

    Args:
        command_line: what was given there, already of the right type.
        file: the `inflamap.toml`; relative paths in it count from its own folder.
        environ: the environment; of it the variables that begin with INFLAMAP_WATCH_.
        awaited: asked with (`out`, `folder`) where there is no such `folder`: whether it will come, as a share does
            whose results are in `out` already.

    Raises:
        InflamapError: the first fault; or, with several, their number, and in `details` each of them.
    """
    faults: list[InflamapError] = []
    in_file = {} if file is None else _read_file(file, faults)
    in_environment = _read_environment(environ, faults)
    found = {**(in_file or {}), **in_environment, **command_line}
    origins = (
        dict.fromkeys(FIELDS, "default")
        | dict.fromkeys(in_file or {}, file.name if file else "")
        | {key: f"environment {variable_of(key)}" for key in in_environment}
        | dict.fromkeys(command_line, "command line")
    )
    if in_file is not None:
        faults += _missing_keys(found, file)
    faults += _missing_folders(found, origins, awaited)
    if len(faults) == 1:
        raise faults[0]
    if faults:
        raise InflamapError(
            f"{len(faults)} faults in the settings of inflamap watch",
            next_step="correct what the lines above name",
            details=map(str, faults),
        )
    return Configured(WatchConfiguration(**found), origins)


def to_toml(configured: Configured) -> str:
    """The settings as an `inflamap.toml` that `configure` reads back to the same values, its paths absolute.

    A path that is no UTF-8 cannot stand in TOML; a comment says so in its place. What is not set, and the shipped
    bundle, which moves with the installation, stand as comments too.
    """
    lines = [
        "# Settings of `inflamap watch`; the command line and the environment outdo this file.",
        r"# Relative paths count from this file's folder. Windows paths go in single quotes: 'D:\scans'.",
        "",
        f"[{TABLE}]",
    ]
    for name in FIELDS:
        key, value = key_of(name), getattr(configured.values, name)
        unit = f" ({key.unit})" if key.unit else ""
        unset = f"; if not set: {key.unset}" if key.unset else ""
        lines += ["", f"# {name}: {key.meaning}{unit}{unset}", f"# from: {one_line(configured.origins[name])}"]
        if value is None:
            lines.append(f"# {name} = {as_toml(key.example)}")
        elif isinstance(value, Path) and not _is_unicode(value):
            lines.append(f"# its path is no UTF-8, which cannot stand here: {one_line(str(value.absolute()))}")
        else:
            lines.append(f"{'# ' * (value == DEFAULT_BUNDLE)}{name} = {as_toml(value)}")
    return "\n".join([*lines, ""])


def _read_file(file: Path, faults: list[InflamapError]) -> dict[str, Any] | None:
    """Values by key, None for a wrong one; None in all where the file says nothing, so that all may be in it."""
    try:
        document = load_toml(file)
    except InflamapError as error:
        faults.append(error)
        return None
    faults += [_outside(file, name, value) for name, value in document.items() if name != TABLE]
    table = document.get(TABLE, {})
    if not isinstance(table, dict):
        faults.append(InflamapError(f"{file}: {TABLE}", seen=shown(table), wanted=f"one table [{TABLE}]"))
        return None
    faults += [_unknown(f"{file}: unknown key", name, FIELDS) for name in table if name not in FIELDS]
    return {
        name: _value(name, raw, f"{file}: {name}", file.parent, faults) for name, raw in table.items() if name in FIELDS
    }


def _read_environment(environ: Mapping[str, str], faults: list[InflamapError]) -> dict[str, Any]:
    """Values by key, None for a wrong one."""
    keys = {variable_of(name): name for name in FIELDS}
    ours = sorted(name for name in environ if name.startswith(VARIABLE_PREFIX))
    faults += [_unknown("environment: unknown variable", name, keys) for name in ours if name not in keys]
    return {
        keys[name]: _value(keys[name], environ[name], f"environment: {name}", None, faults)
        for name in ours
        if name in keys
    }


def _value(name: str, raw: object, where: str, base: Path | None, faults: list[InflamapError]) -> Any:
    """The setting's value; None, and a fault more, where it is a wrong one.

    Args:
        name: its key.
        raw: as TOML or the environment holds it.
        where: it stands, for the message.
        base: what relative paths of a file count from; None for the environment, where all is text.
        faults: takes the fault.
    """
    kind, wanted, next_step = kind_of(name), wanted_of(name), ""
    try:
        if kind is Path and isinstance(raw, str):
            return _path(raw, base)
        if get_origin(kind) is tuple:
            return read_range(raw)
        if get_origin(kind) is dict:
            return read_patterns(raw)
        return _validated(name, raw, strict=base is not None)
    except _NoPath as error:
        wanted, next_step = error.args
    except ValueError:
        wants_text = kind not in (bool, int, float) and get_origin(kind) not in (tuple, dict)
        if base is not None and isinstance(raw, str) != wants_text:
            wanted += ", in quotes" if wants_text else ", without quotes" if isinstance(raw, str) else ""
    faults.append(InflamapError(where, seen=shown(raw), wanted=wanted, next_step=next_step))
    return None


def _validated(name: str, raw: object, *, strict: bool) -> Any:
    """Raises ValueError; not `strict` takes text for numbers and truth values."""
    # a tenth of a second, which only a start with something to check should pay
    from pydantic import ConfigDict, TypeAdapter

    adapter: TypeAdapter[Any] = TypeAdapter(_for_pydantic(FIELDS[name].type), config=ConfigDict(allow_inf_nan=False))
    return adapter.validate_python(raw, strict=strict)


def _for_pydantic(hint: Any) -> Any:
    """A setting's type, with limits and choices as pydantic reads them; a watch without a file imports none of it."""
    from annotated_types import Ge, Gt, Le, Predicate

    if get_origin(hint) in (Union, UnionType):
        return Union[tuple(map(_for_pydantic, get_args(hint)))]  # noqa: UP007 - made of parts
    if get_origin(hint) is not Annotated:
        return hint
    inner, *notes = get_args(hint)
    kept: list[Any] = []
    for note in notes:
        if isinstance(note, Limits):
            limits = ((Gt, note.above), (Ge, note.least), (Le, note.most))
            kept += [limit(value) for limit, value in limits if value is not None]
        elif isinstance(note, Key) and note.choices:
            kept.append(Predicate(note.choices.__contains__))
    return Annotated[(_for_pydantic(inner), *kept)] if kept else _for_pydantic(inner)


class _NoPath(ValueError):
    """A text that is no path: what is wanted, the next step."""


def _path(raw: str, base: Path | None) -> Path:
    if not raw:
        raise _NoPath("a path", "name one, or remove the setting")
    if any(letter in FORBIDDEN_IN_PATHS for letter in raw):
        raise _NoPath("a path without control characters", SINGLE_QUOTES)
    path = Path(raw)
    if raw.startswith("~"):
        try:
            path = path.expanduser()
        except RuntimeError:
            raise _NoPath("a user with a home folder after ~", "write the whole path") from None
    return path if base is None else base / path


def _outside(file: Path, name: str, value: object) -> InflamapError:
    """Of what stands beside the one table there is."""
    if not isinstance(value, dict | list):
        return InflamapError(f"{file}: {name} stands in no table", next_step=f"put it below a line [{TABLE}]")
    near = f"write [{TABLE}] if that is meant" if _nearest(name, [TABLE]) else "remove it"
    return InflamapError(f"{file}: unknown table [{name}]", wanted=f"[{TABLE}] alone", next_step=near)


def _unknown(what: str, name: str, known: Iterable[str]) -> InflamapError:
    asked = {letters.lower(): letters for letters in known}
    near = _nearest(name.lower().replace("-", "_"), asked)
    if near:
        return InflamapError(f"{what} {name}", next_step=f"write {asked[near]} if that is meant")
    return InflamapError(f"{what} {name}", wanted=f"one of {', '.join(known)}")


def _nearest(name: str, known: Iterable[str]) -> str | None:
    # only a mistake should wait for it
    from difflib import get_close_matches

    return next(iter(get_close_matches(name, list(known), n=1)), None)


def _missing_keys(found: Mapping[str, object], file: Path | None) -> list[InflamapError]:
    arguments = {"folder": "FOLDER", "out": "--out DIR"}
    place = file.name if file else "the file of --config"
    return [
        InflamapError(
            f"{name} is set nowhere ({key_of(name).meaning})",
            next_step=f"give {arguments[name]} on the command line, or set {name} in {place}",
        )
        for name, field in FIELDS.items()
        if field.default is NODEFAULT and name not in found
    ]


def _missing_folders(
    found: Mapping[str, Any], origins: Mapping[str, str], awaited: Callable[[Path, Path], bool]
) -> list[InflamapError]:
    missing = [name for name in ("folder", "bundle") if found.get(name) is not None and not is_folder(found[name])]
    if "folder" in missing and found.get("out") is not None and awaited(found["out"], found["folder"]):
        missing.remove("folder")
    return [
        InflamapError(
            f"{found[name]}: no such folder",
            wanted=key_of(name).meaning,
            next_step=f"check {name}, which is from: {origins[name]}",
        )
        for name in missing
    ]


def _is_unicode(path: Path) -> bool:
    try:
        str(path.absolute()).encode()
    except UnicodeEncodeError:
        return False
    return True
