"""The settings of a watch: which of four places holds, all faults said at once, and a file that reads back the same."""

import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from runtime import configuration
from runtime.bundle import DEFAULT_BUNDLE
from runtime.configuration import Configured, WatchConfiguration, configure, to_toml
from runtime.engines.registry import ENGINE_NAMES
from runtime.errors import InflamapError
from runtime.watch_configuration import FIELDS

Given = dict[str, object]


@pytest.fixture
def places(tmp_path: Path) -> Given:
    """A command line that alone is enough."""
    (tmp_path / "in").mkdir()
    return {"folder": tmp_path / "in", "out": tmp_path / "out"}


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a file with what is given in its table."""

    def write(table: str) -> Path:
        (tmp_path / "settings").mkdir(exist_ok=True)
        file = tmp_path / "settings" / "inflamap.toml"
        file.write_text(f"[watch]\n{table}\n", encoding="utf-8")
        return file

    return write


def faults(command_line: Given, file: Path | None, environ: dict[str, str], **more: Any) -> list[str]:
    """Every fault that is said."""
    with pytest.raises(InflamapError) as caught:
        configure(command_line, file, environ, **more)
    return list(caught.value.details) or [str(caught.value)]


def test_command_line_outdoes_environment_outdoes_file_outdoes_defaults(
    places: Given, written: Callable[[str], Path]
) -> None:
    file = written("threads = 1\nsettle_s = 1.5\nlog_files = 2")
    environ = {"INFLAMAP_WATCH_THREADS": "2", "INFLAMAP_WATCH_SETTLE_S": "2", "PATH": "/bin"}
    found = configure({**places, "threads": 3}, file, environ)
    values = found.values
    assert (values.threads, values.settle_s, values.log_files, values.priority) == (3, 2.0, 2, "low")
    assert {key: found.origins[key] for key in ("threads", "settle_s", "log_files", "priority")} == {
        "threads": "command line",
        "settle_s": "environment INFLAMAP_WATCH_SETTLE_S",
        "log_files": "inflamap.toml",
        "priority": "default",
    }
    assert list(found.origins) == list(FIELDS)


def test_the_command_line_alone_is_enough(places: Given) -> None:
    found = configure(places, None, {})
    assert found.values == WatchConfiguration(folder=places["folder"], out=places["out"])  # type: ignore[arg-type]
    assert found.values.bundle == DEFAULT_BUNDLE


def test_without_file_and_variables_no_validation_is_imported(tmp_path: Path) -> None:
    script = """
import sys
from pathlib import Path
from runtime.configuration import configure, to_toml
here = Path(sys.argv[1])
to_toml(configure({"folder": here, "out": here / "out", "threads": 2}, None, {"INFLAMAP_CACHE": "x"}))
assert "pydantic" not in sys.modules
configure({"folder": here, "out": here / "out"}, None, {"INFLAMAP_WATCH_THREADS": "2"})
assert "pydantic" in sys.modules
"""
    subprocess.run([sys.executable, "-W", "error", "-c", script, str(tmp_path)], check=True, timeout=60)


def test_every_key_can_be_set_in_the_file_and_in_the_environment(places: Given, written: Callable[[str], Path]) -> None:
    texts = {
        **{"folder": str(places["folder"]), "out": str(places["out"]), "bundle": str(places["folder"])},
        **{"engine": ENGINE_NAMES[1], "um_per_px": "0.5", "threads": "2", "settle_s": "0", "discovery": "polling"},
        **{"rescan_s": "5", "min_free_gb": "0", "priority": "normal", "keep_overlays_days": "1e2"},
        **{"keep_overlays_gb": "2.5", "log_file": str(places["out"]), "log_max_mb": "1", "log_files": "2"},
        **{"um_per_px_in": "HRT3*=1.04;Site 2=0.5", "grey_range": "0:1", "depth_um": "10:80", "stack_step_um": "5"},
        **{"viewer": "127.0.0.1:8765", "pseudonymise": "true"},
    }
    assert texts.keys() == FIELDS.keys()
    in_environment = configure({}, None, {f"INFLAMAP_WATCH_{key.upper()}": text for key, text in texts.items()})
    bare = {"um_per_px", "threads", "settle_s", "rescan_s", "min_free_gb", "keep_overlays_days", "keep_overlays_gb"}
    bare |= {"log_max_mb", "log_files", "pseudonymise", "stack_step_um"}
    lines = [f"{key} = {text}" if key in bare else f"{key} = '{text}'" for key, text in texts.items()]
    in_file = configure({}, written("\n".join(lines)), {})
    assert in_file.values == in_environment.values
    assert not {in_file.origins[key] for key in FIELDS} - {"inflamap.toml"}
    defaults = WatchConfiguration(folder=Path(), out=Path())
    assert not [key for key in FIELDS if getattr(in_file.values, key) == getattr(defaults, key)]
    assert {type(getattr(in_file.values, key)) for key in ("settle_s", "rescan_s", "min_free_gb")} == {float}


WRONG = [
    ('settle_s = "2"', 'settle_s; seen: "2"; wanted: a number from 0 to 86400 (seconds), without quotes'),
    ("settle_s = -1", "settle_s; seen: -1; wanted: a number from 0 to 86400 (seconds)"),
    ("settle_s = 86400.5", "settle_s; seen: 86400.5; wanted: a number from 0 to 86400 (seconds)"),
    ("um_per_px = 0", "um_per_px; seen: 0; wanted: a number above 0 (micrometres a pixel)"),
    ("um_per_px = nan", "um_per_px; seen: nan; wanted: a number above 0 (micrometres a pixel)"),
    ("rescan_s = inf", "rescan_s; seen: inf; wanted: a number above 0 (seconds)"),
    ("keep_overlays_days = 0.0", "keep_overlays_days; seen: 0.0; wanted: a number above 0 (days)"),
    ("min_free_gb = true", "min_free_gb; seen: true; wanted: a number of at least 0 (GB)"),
    ("threads = 2.0", "threads; seen: 2.0; wanted: a whole number from 1 to 9999"),
    ("threads = true", "threads; seen: true; wanted: a whole number from 1 to 9999"),
    ("threads = 0x" + "f" * 5000, "threads; seen: an endless number; wanted: a whole number from 1 to 9999"),
    ("log_files = 1", "log_files; seen: 1; wanted: a whole number from 2 to 9999"),
    ("log_max_mb = [1]", "log_max_mb; seen: [1]; wanted: a number above 0 (MB)"),
    ("pseudonymise = 1", "pseudonymise; seen: 1; wanted: true or false"),
    ('pseudonymise = "true"', 'pseudonymise; seen: "true"; wanted: true or false, without quotes'),
    ('priority = "high"', 'priority; seen: "high"; wanted: low or normal'),
    ("discovery = 2026-01-31", "discovery; seen: 2026-01-31; wanted: auto, events or polling, in quotes"),
    ('engine = "cpu"', f'engine; seen: "cpu"; wanted: auto, {", ".join(ENGINE_NAMES[:-1])} or {ENGINE_NAMES[-1]}'),
    ("out = 3", "out; seen: 3; wanted: a path, in quotes"),
    ('log_file = ""', 'log_file; seen: ""; wanted: a path; next: name one, or remove the setting'),
]


@pytest.mark.parametrize(("line", "said"), WRONG, ids=[line[:30] for line, _said in WRONG])
def test_a_wrong_value_is_named_with_what_is_wanted(
    line: str, said: str, places: Given, written: Callable[[str], Path]
) -> None:
    file = written(line)
    places.pop(line.split(maxsplit=1)[0], None)
    assert faults(places, file, {}) == [f"{file}: {said}"]


@pytest.mark.parametrize("text", ["fast", "", "nan", "inf", "-1", "1,5", "None", "9" * 5000])
def test_a_variable_that_is_no_such_number_is_refused(text: str, places: Given) -> None:
    (fault,) = faults(places, None, {"INFLAMAP_WATCH_SETTLE_S": text})
    assert fault.startswith(f'environment: INFLAMAP_WATCH_SETTLE_S; seen: "{text[:70]}')
    assert fault.endswith("; wanted: a number from 0 to 86400 (seconds)")
    assert len(fault) < 200


def test_all_faults_are_said_in_one_error(tmp_path: Path, written: Callable[[str], Path]) -> None:
    file = written('folder = "gone"\nbundle = "none"\nthreads = 0\nsettle = 2\n[viewer]\nport = 1\n[Watch]')
    with pytest.raises(InflamapError) as caught:
        configure({}, file, {"INFLAMAP_WATCH_RESCAN": "3", "INFLAMAP_WATCH_LOG_FILES": "some"})
    assert str(caught.value) == "9 faults in the settings of inflamap watch; next: correct what the lines above name"
    folder = tmp_path / "settings"
    assert list(caught.value.details) == [
        f"{file}: unknown table [viewer]; wanted: [watch] alone; next: remove it",
        f"{file}: unknown table [Watch]; wanted: [watch] alone; next: write [watch] if that is meant",
        f"{file}: unknown key settle; next: write settle_s if that is meant",
        f"{file}: threads; seen: 0; wanted: a whole number from 1 to 9999",
        "environment: unknown variable INFLAMAP_WATCH_RESCAN; next: write INFLAMAP_WATCH_RESCAN_S if that is meant",
        'environment: INFLAMAP_WATCH_LOG_FILES; seen: "some"; wanted: a whole number from 2 to 9999',
        "out is set nowhere (where the results go; made if it is not there); "
        "next: give --out DIR on the command line, or set out in inflamap.toml",
        f"{folder / 'gone'}: no such folder; wanted: where the microscope saves, only read; "
        "next: check folder, which is from: inflamap.toml",
        f"{folder / 'none'}: no such folder; wanted: the model: a folder that `inflamap export` wrote; "
        "next: check bundle, which is from: inflamap.toml",
    ]


def test_a_setting_above_the_table_is_told_where_it_belongs(places: Given, tmp_path: Path) -> None:
    file = tmp_path / "lab.toml"
    file.write_text("threads = 2\n")
    assert faults(places, file, {}) == [
        f"{file}: threads stands in no table; next: put it below a line [watch]",
    ]


@pytest.mark.parametrize("text", ["watch = 2", "[[watch]]\nthreads = 2"])
def test_watch_has_to_be_one_table(text: str, places: Given, tmp_path: Path) -> None:
    file = tmp_path / "lab.toml"
    file.write_text(text)
    (fault,) = faults(places, file, {})
    assert fault.startswith(f"{file}: watch; seen: ")
    assert fault.endswith("; wanted: one table [watch]")


def test_an_unreadable_file_does_not_hide_a_wrong_variable_nor_claim_that_keys_are_missing(tmp_path: Path) -> None:
    said = faults({}, tmp_path / "none.toml", {"INFLAMAP_WATCH_THREADS": "x"})
    assert len(said) == 2
    assert said[0].startswith(f"{tmp_path / 'none.toml'}: cannot be read; seen: ")
    assert said[1].startswith("environment: INFLAMAP_WATCH_THREADS; ")


def test_relative_paths_of_the_file_count_from_its_folder_and_others_from_here(
    written: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    file = written('folder = "../in"\nlog_file = "log/watch.log"').relative_to(tmp_path)
    values = configure({"out": Path("mine")}, file, {"INFLAMAP_WATCH_BUNDLE": "in"}).values
    assert values.folder.samefile(tmp_path / "in")
    assert values.log_file == Path("settings/log/watch.log")
    assert (values.bundle, values.out) == (Path("in"), Path("mine"))


def test_a_tilde_is_the_home_folder_in_file_and_environment(
    written: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    found = configure({"folder": tmp_path}, written('out = "~/results"'), {"INFLAMAP_WATCH_LOG_FILE": "~/a.log"})
    assert (found.values.out, found.values.log_file) == (tmp_path / "results", tmp_path / "a.log")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows guesses another user's home")
def test_a_home_that_nobody_has_is_refused(places: Given, written: Callable[[str], Path]) -> None:
    (fault,) = faults(places, written('log_file = "~no-such-user/a.log"'), {})
    assert fault.endswith("wanted: a user with a home folder after ~; next: write the whole path")


def test_a_folder_of_the_file_that_is_outdone_need_not_be_there(places: Given, written: Callable[[str], Path]) -> None:
    assert configure(places, written('folder = "gone"'), {}).values.folder == places["folder"]


def test_a_folder_that_is_awaited_may_be_missing(places: Given, tmp_path: Path) -> None:
    asked: list[tuple[Path, Path]] = []

    def awaited(out: Path, folder: Path) -> bool:
        asked.append((out, folder))
        return folder == tmp_path / "share"

    found = configure({**places, "folder": tmp_path / "share"}, None, {}, awaited=awaited)
    assert found.values.folder == tmp_path / "share"
    assert asked == [(tmp_path / "out", tmp_path / "share")]
    (fault,) = faults({**places, "folder": tmp_path / "other"}, None, {}, awaited=awaited)
    assert fault.startswith(f"{tmp_path / 'other'}: no such folder; ")
    # where nobody knows the results, nobody can be asked about them
    asked.clear()
    assert len(faults({"folder": tmp_path / "share"}, None, {}, awaited=awaited)) == 2
    assert not asked


def test_what_is_given_on_the_command_line_has_to_be_there(places: Given, tmp_path: Path) -> None:
    (fault,) = faults({**places, "bundle": tmp_path / "none"}, None, {})
    assert fault == (
        f"{tmp_path / 'none'}: no such folder; wanted: the model: a folder that `inflamap export` wrote; "
        "next: check bundle, which is from: command line"
    )


def test_a_windows_path_that_toml_made_control_characters_of_is_refused(
    places: Given, written: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    # as on Windows
    monkeypatch.setattr(configuration, "FORBIDDEN_IN_PATHS", "\t\n")
    (fault,) = faults(places, written('log_file = "C:\\temp\\new"'), {})
    assert fault.endswith("; next: write a Windows path in single quotes, as in folder = 'D:\\scans'")
    monkeypatch.undo()
    assert len(faults(places, written('log_file = "a\\u0000b"'), {})) == 1


ANCHOR = Path(Path.cwd().anchor)
SPECIAL = "\\:" if sys.platform == "win32" else ""
LETTERS = st.characters(exclude_categories=["Cs"], exclude_characters=f"/{SPECIAL}{configuration.FORBIDDEN_IN_PATHS}")
PATHS = st.lists(st.text(LETTERS, min_size=1, max_size=12), min_size=1, max_size=3).map(lambda a: ANCHOR.joinpath(*a))
POSITIVE = st.floats(min_value=0, exclude_min=True, allow_infinity=False)
CONFIGURATIONS = st.builds(
    WatchConfiguration,
    folder=PATHS,
    out=PATHS,
    bundle=st.sampled_from([DEFAULT_BUNDLE, DEFAULT_BUNDLE.parent]),
    engine=st.sampled_from(["auto", *ENGINE_NAMES]),
    um_per_px=st.none() | POSITIVE,
    threads=st.none() | st.integers(1, 64),
    settle_s=st.none() | st.floats(0, 86_400),
    discovery=st.sampled_from(["auto", "events", "polling"]),
    rescan_s=st.none() | POSITIVE,
    min_free_gb=st.floats(min_value=0, allow_infinity=False),
    priority=st.sampled_from(["low", "normal"]),
    keep_overlays_days=st.none() | POSITIVE,
    keep_overlays_gb=st.none() | POSITIVE,
    viewer=st.none() | st.just("127.0.0.1:8765"),
    log_file=st.none() | PATHS,
    log_max_mb=POSITIVE,
    log_files=st.integers(2, 99),
    pseudonymise=st.booleans(),
)


@settings(max_examples=40, deadline=None)
@given(values=CONFIGURATIONS, origin=st.text(max_size=20))
def test_what_is_printed_reads_back_the_same(
    values: WatchConfiguration, origin: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("read back") / "inflamap.toml"
    text = to_toml(Configured(values, dict.fromkeys(FIELDS, origin)))
    file.write_bytes(text.encode())
    # whatever is at those paths here
    assert configure({}, file, {}, awaited=lambda _out, _folder: True).values == values


def test_what_is_printed_names_every_key_with_meaning_and_origin(places: Given) -> None:
    configured = configure({**places, "threads": 2}, None, {"INFLAMAP_WATCH_SETTLE_S": "2"})
    text = to_toml(configured)
    assert "\n# threads: cores to use at most; if not set: half, 4 at most\n# from: command line\nthreads = 2\n" in text
    assert (
        "(seconds); if not set: 1 s on a local disk, 4 s on a share\n# from: environment INFLAMAP_WATCH_SETTLE_S\n"
        in text
    )
    for key in FIELDS:
        assert f"\n# {key}: " in text
    assert max(map(len, text.splitlines())) <= 120 + len(str(DEFAULT_BUNDLE))
    # a console's code page must not matter where no path needs more
    assert text.replace(str(places["out"]), "").replace(str(places["folder"]), "").isascii()


def test_each_line_commented_out_can_be_taken_as_it_is(places: Given, tmp_path: Path) -> None:
    text = to_toml(configure(places, None, {}))
    unset = [key for key in FIELDS if f"\n# {key} = " in text]
    assert unset == [
        *("bundle", "um_per_px", "um_per_px_in", "grey_range", "depth_um", "stack_step_um", "threads", "settle_s"),
        *("rescan_s", "keep_overlays_days", "keep_overlays_gb", "viewer", "log_file"),
    ]
    for key in unset:
        text = text.replace(f"\n# {key} = ", f"\n{key} = ")
    assert list(tomllib.loads(text)["watch"]) == list(FIELDS)
    file = tmp_path / "inflamap.toml"
    file.write_text(text, encoding="utf-8")
    values = configure({}, file, {}).values
    assert values.bundle == DEFAULT_BUNDLE
    assert not [key for key in FIELDS if getattr(values, key) is None]


def test_relative_paths_are_printed_as_absolute_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    configured = configure({"folder": Path("in"), "out": Path("~odd")}, None, {})
    (tmp_path / "elsewhere").mkdir()
    file = tmp_path / "elsewhere" / "inflamap.toml"
    file.write_text(to_toml(configured), encoding="utf-8")
    wanted = replace(configured.values, folder=tmp_path / "in", out=tmp_path / "~odd")
    assert configure({}, file, {}).values == wanted


@pytest.mark.skipif(sys.platform == "win32", reason="Windows' names are Unicode")
def test_a_path_that_is_no_utf8_is_named_in_a_comment(places: Given, tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"\xff\nout = 3")
    text = to_toml(configure({**places, "out": odd}, None, {}))
    assert tomllib.loads(text)["watch"].keys() >= {"folder", "engine"}
    assert "out" not in tomllib.loads(text)["watch"]
    assert f"\n# its path is no UTF-8, which cannot stand here: {tmp_path}/\\udcff out = 3\n" in text
