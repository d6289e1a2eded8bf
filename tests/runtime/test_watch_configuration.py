"""Every setting is described, and docs/configuration.md says of each what the program does."""

import re
from pathlib import Path

import pytest
from msgspec import NODEFAULT

from runtime import configuration
from runtime.bundle import DEFAULT_BUNDLE
from runtime.configuration import configure
from runtime.errors import InflamapError
from runtime.toml_text import as_toml
from runtime.watch_configuration import FIELDS, key_of, kind_of, wanted_of

TEXT = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")


def row_of(name: str) -> tuple[str, ...]:
    """What the table must say of a key."""
    key, default = key_of(name), FIELDS[name].default
    if default is NODEFAULT:
        otherwise = "required"
    else:
        otherwise = key.unset if default in (None, DEFAULT_BUNDLE) else f"`{as_toml(default)}`"
    return f"`{name}`", key.meaning, wanted_of(name), otherwise


def test_documented_table_is_what_the_program_does() -> None:
    table = TEXT.partition("## Keys\n")[2].partition("\n\nGB are")[0].strip().splitlines()[2:]
    assert [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in table] == list(map(row_of, FIELDS))


def test_documented_file_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # its folders are another machine's
    monkeypatch.setattr(configuration, "is_folder", lambda _path: True)
    (block,) = re.findall(r"```toml\n(.*?)```", TEXT, flags=re.DOTALL)
    file = tmp_path / "inflamap.toml"
    file.write_text(block, encoding="utf-8")
    found = configure({}, file, {})
    assert str(found.values.folder).endswith(r"\\fileserver\confocal\scans")
    assert (found.values.settle_s, found.values.rescan_s, found.values.discovery) == (5.0, 10.0, "polling")


def test_documented_faults_are_what_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("inflamap.toml").write_text('[watch]\nsettle = 2\nthreads = "2"\n', encoding="utf-8")
    with pytest.raises(InflamapError) as caught:
        configure({"folder": tmp_path, "out": tmp_path / "out"}, Path("inflamap.toml"), {})
    said = "\n".join([*caught.value.details, f"inflamap: {caught.value}"])
    assert f"```\n{said}\n```\n" in TEXT


@pytest.mark.parametrize("name", FIELDS)
def test_every_key_tells_what_a_person_should_know(name: str) -> None:
    key, default = key_of(name), FIELDS[name].default
    assert key.meaning
    # a line of an error is cut at semicolons, one of the table at bars
    assert not set(key.meaning + key.unset) & set("|\n")
    assert (key.example is not None) == (default is None)
    assert bool(key.unset) == (default in (None, DEFAULT_BUNDLE))
    assert kind_of(name) not in (int, float) or "number" in wanted_of(name)
