"""What is to run in the background, as whom, and what of the disk it needs."""

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path, PurePath

import msgspec

from runtime.errors import InflamapError
from runtime.toml_text import load_toml

DEFAULT_NAME = DEFAULT_USER = "inflamap"
# part of a file's name, of a task's and of commands that are shown
_NAME = re.compile(r"[A-Za-z0-9]+(?:[_.-][A-Za-z0-9]+)*")
LONGEST_NAME = 64
# settings of `watch` that name something on the disk
PATH_SETTINGS = ("folder", "out", "bundle", "log_file")


class Installation(msgspec.Struct, frozen=True, kw_only=True):
    """One watch that runs in the background.

    Attributes:
        name: of the service.
        user: the account it runs as.
        python: the interpreter that inflamap is installed for, absolute.
        folder, out, config, bundle: as given to `watch`, absolute; None where left out.
        more: further options of `watch`.
        gpu: whether an engine on an NVIDIA GPU may be taken.
    """

    name: str = DEFAULT_NAME
    user: str = DEFAULT_USER
    python: PurePath
    folder: PurePath | None = None
    out: PurePath | None = None
    config: PurePath | None = None
    bundle: PurePath | None = None
    more: tuple[str, ...] = ()
    gpu: bool = False

    def command(self) -> list[str]:
        """The command line of the service, the interpreter first."""
        # -P: what lies in the working directory must not be taken for our modules
        words = [str(self.python), "-P", "-m", "runtime.cli", "watch"]
        words += [str(self.folder)] if self.folder is not None else []
        for option, value in (("--out", self.out), ("--config", self.config), ("--bundle", self.bundle)):
            words += [option, str(value)] if value is not None else []
        return [*words, *self.more]


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """What an installation on this machine reads and writes; all paths absolute.

    Attributes:
        folder: the watched folder, only read.
        out: the results' folder.
        read: what else must be seen: Python, inflamap, bundle and configuration.
        log_folder: where a log file is written, None without one.
        engine: as asked for, `auto` where nothing was.
    """

    folder: Path
    out: Path
    read: tuple[Path, ...]
    log_folder: Path | None = None
    engine: str = "auto"


def check_name(name: str) -> None:
    """Refuse a name of a service that commands and files could not hold as it is.

    Raises:
        InflamapError: it holds something else than letters, digits and single `-`, `_`, `.` between them.
    """
    if not _NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        raise InflamapError(
            f"name of the service {name!r}",
            wanted=f"at most {LONGEST_NAME} of A-Z a-z 0-9, and single - _ . between them",
            next_step="choose another --name",
        )


def needs_of(installation: Installation) -> Needs:
    """What it needs of this machine's disks, by its options and its configuration file.

    Raises:
        InflamapError: folder or results are named nowhere, the configuration cannot be read, or a path is one that a
            unit cannot hold.
    """
    given = {key: str(value) for key in PATH_SETTINGS if (value := getattr(installation, key, None)) is not None}
    settings = {**_configured(installation.config), **given, **_settings_of(installation.more)}
    for key, option in (("folder", "FOLDER"), ("out", "--out")):
        if key not in settings:
            where = f"[watch] of {installation.config}" if installation.config else "the command line"
            raise InflamapError(
                f"{key}: named neither on the command line nor in a configuration",
                seen=f"nothing in {where}",
                wanted="a folder",
                next_step=f"give {option}, or --config FILE with `{key}` in its table [watch]",
            )
    paths = {key: absolute(settings[key]) for key in PATH_SETTINGS if key in settings}
    package = Path(__file__).parents[2]
    places = (installation.python.parent.parent, sys.prefix, sys.base_prefix, package)
    read = [*map(absolute, map(str, places)), *(path for path in (paths.get("bundle"), installation.config) if path)]
    needs = Needs(
        folder=paths["folder"],
        out=paths["out"],
        read=tuple(dict.fromkeys(Path(path) for path in read)),
        log_folder=paths["log_file"].parent if "log_file" in paths else None,
        engine=settings.get("engine", "auto"),
    )
    if set(str(installation.python)) & set("\"'\\"):
        raise InflamapError(
            f"{installation.python}: a program's name that systemd does not take",
            wanted="no quotes and no backslash",
            next_step="install inflamap in another folder, such as /opt/inflamap",
        )
    for path in (needs.folder, needs.out, *needs.read, *([needs.log_folder] if needs.log_folder else [])):
        _require_expressible(path)
    return needs


def absolute(text: str) -> Path:
    """The path from the root on, without `..`; links are kept, for they may lead elsewhere later."""
    return Path(os.path.abspath(text))  # noqa: PTH100 - Path.absolute keeps `..`, Path.resolve follows links


def _settings_of(more: tuple[str, ...]) -> dict[str, str]:
    """Of further options, those that bear on what the service may do."""
    found: dict[str, str] = {}
    options = {"--log-file": "log_file", "--engine": "engine", "--bundle": "bundle"}
    for place, word in enumerate(more):
        option, equals, value = word.partition("=")
        if option not in options:
            continue
        if equals:
            found[options[option]] = value
        elif place + 1 < len(more):
            found[options[option]] = more[place + 1]
        if options[option] != "engine" and not PurePath(found.get(options[option], "/")).is_absolute():
            raise InflamapError(
                f"{option}: a service has no working directory",
                seen=found[options[option]],
                wanted="an absolute path",
                next_step="give it from the root on",
            )
    return found


def _configured(file: PurePath | None) -> dict[str, str]:
    """What a configuration file says of paths and engine; paths in it are relative to its folder."""
    if file is None:
        return {}
    path = Path(file)
    table = load_toml(path).get("watch", {})
    found: dict[str, str] = {}
    for key in (*PATH_SETTINGS, "engine"):
        value = table.get(key) if isinstance(table, Mapping) else None
        if value is None:
            continue
        if not isinstance(value, str) or not value:
            raise InflamapError(f"{path}: [watch] {key}", seen=repr(value), wanted="a text", next_step="mend the file")
        if key == "engine":
            found[key] = value
        elif value.startswith("~"):
            raise InflamapError(
                f"{path}: [watch] {key}: the service's account has another home",
                seen=value,
                wanted="an absolute path",
                next_step="mend the file",
            )
        else:
            found[key] = str(absolute(str(path.parent / value)))
    return found


def _require_expressible(path: Path) -> None:
    """systemd's lists of paths know no escape for bytes that are no UTF-8, nor for a line's end."""
    text = str(path)
    if not text.isprintable():
        # lone surrogates, which stand for bytes that are no text, are not printable either
        raise InflamapError(
            f"{os.fsencode(path)!r}: a path that a systemd unit cannot hold",
            wanted="printable UTF-8; names below it are free",
            next_step="rename it, or mount it under another name",
        )
