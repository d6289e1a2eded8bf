"""What a service needs of the disk, by its options and its configuration."""

import codecs
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from runtime.errors import InflamapError
from runtime.install.installation import Installation, check_name, needs_of

linux = pytest.mark.skipif(sys.platform == "win32", reason="paths of Linux are meant")
Make = Callable[..., Installation]


def test_command_runs_watch_with_what_was_given(make: Make) -> None:
    words = make(config=Path("/etc/i.toml"), bundle=Path("/opt/b"), more=("--settle", "2")).command()
    folder, out = str(Path("/srv/microscope")), str(Path("/srv/results"))
    assert words[:5] == [sys.executable, "-P", "-m", "runtime.cli", "watch"]
    assert words[5:8] == [folder, "--out", out]
    assert words[8:] == ["--config", str(Path("/etc/i.toml")), "--bundle", str(Path("/opt/b")), "--settle", "2"]


def test_what_was_left_out_is_left_to_the_configuration(make: Make) -> None:
    words = make(folder=None, out=None, config=Path("/etc/i.toml")).command()
    assert words[5:] == ["--config", str(Path("/etc/i.toml"))]


@linux
def test_configuration_names_folders_relative_to_itself(tmp_path: Path, make: Make) -> None:
    config = tmp_path / "inflamap.toml"
    config.write_text(
        '[watch]\nfolder = "in"\nout = "../out"\nbundle = "b"\nlog_file = "log/i.log"\nengine = "onnxruntime-int8"\n'
    )
    needs = needs_of(make(folder=None, out=None, config=config))
    assert needs.folder == tmp_path / "in"
    assert needs.out == tmp_path.parent / "out"
    assert needs.log_folder == tmp_path / "log"
    assert needs.engine == "onnxruntime-int8"
    assert {tmp_path / "b", config} <= set(needs.read)


@linux
def test_command_line_outdoes_the_configuration(tmp_path: Path, make: Make) -> None:
    config = tmp_path / "inflamap.toml"
    config.write_text('[watch]\nfolder = "in"\nout = "out"\nengine = "openvino-int8"\n')
    more = ("--engine=onnxruntime-fp32", "--log-file", "/var/log/i/x.log")
    needs = needs_of(make(out=None, config=config, more=more))
    assert (needs.folder, needs.out) == (Path("/srv/microscope"), tmp_path / "out")
    assert needs.engine == "onnxruntime-fp32"
    assert needs.log_folder == Path("/var/log/i")


def test_python_and_program_are_read(make: Make) -> None:
    import runtime

    read = needs_of(make()).read
    assert {Path(sys.prefix), Path(sys.base_prefix), Path(runtime.__file__).parents[1]} <= set(read)


@pytest.mark.parametrize("missing", ["folder", "out"])
def test_folder_that_is_named_nowhere_is_asked_for(missing: str, make: Make) -> None:
    with pytest.raises(InflamapError, match=rf"^{missing}: named neither .* next: give"):
        needs_of(make(**{missing: None}))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[watch\n", "no valid TOML"),
        ("[watch]\nfolder = 3\n", "seen: 3; wanted: a text"),
        ('[watch]\nfolder = "~/in"\n', "another home"),
        ("watch = 3\n", "folder: named neither"),
        (b'[watch]\nfolder = "\xff"\n', "no UTF-8"),
        ("[watch]\n".encode("utf-16"), "no UTF-8; .* save it as UTF-8"),
        (None, "cannot be read"),
    ],
)
def test_faults_of_a_configuration_are_one_line(
    text: str | bytes | None, said: str, tmp_path: Path, make: Make
) -> None:
    config = tmp_path / "inflamap.toml"
    if text is not None:
        config.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InflamapError, match=said) as error:
        needs_of(make(folder=None, config=config))
    assert "\n" not in str(error.value)


@linux
def test_a_byte_order_mark_does_not_matter(tmp_path: Path, make: Make) -> None:
    config = tmp_path / "inflamap.toml"
    config.write_bytes(codecs.BOM_UTF8 + b"[watch]\r\nfolder = '/srv/in'\r\n")
    assert needs_of(make(folder=None, config=config)).folder == Path("/srv/in")


@linux
@pytest.mark.parametrize("name", [os.fsdecode(b"caf\xe9"), "two\nlines", "a\x7f"])
def test_path_that_a_unit_cannot_hold_is_refused(name: str, make: Make) -> None:
    with pytest.raises(InflamapError, match="a systemd unit cannot hold"):
        needs_of(make(folder=Path("/srv", name)))


@linux
@pytest.mark.parametrize("name", ["it's", 'a"b', "back\\slash"])
def test_python_of_a_name_that_systemd_refuses_is_refused_before(name: str, make: Make) -> None:
    installation = make()
    with pytest.raises(InflamapError, match="that systemd does not take"):
        needs_of(replace(installation, python=Path("/opt", name, "bin/python")))


def test_relative_log_file_is_refused(make: Make) -> None:
    with pytest.raises(InflamapError, match=r"--log-file: a service has no working directory; seen: i\.log"):
        needs_of(make(more=("--log-file", "i.log")))


@pytest.mark.parametrize("name", ["inflamap", "site-2", "a_b.c", "A1"])
def test_names_that_commands_can_hold_are_taken(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize("name", ["", "-x", "a--b", "a/b", "../a", "a b", "ä", "a\n", "x" * 65, "a@b", "%h"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(InflamapError, match="--name"):
        check_name(name)
