"""The unit: understood by systemd, closed as far as the engines allow, and open for just what the watch needs."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.install.installation import Installation, Needs, needs_of
from runtime.install.systemd_unit import MARK, unit

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="units are made on Linux")
Make = Callable[..., Installation]
DOCUMENT = Path(__file__).parents[3] / "docs" / "service.md"


def entries(text: str) -> list[tuple[str, str]]:
    """(setting, value) of a unit, in order."""
    lines = [line for line in text.splitlines() if "=" in line and not line.startswith("#")]
    return [(key, value) for key, _equals, value in (line.partition("=") for line in lines)]


def values(text: str, key: str) -> list[str]:
    return [value for name, value in entries(text) if name == key]


def needs(folder: str = "/srv/in", out: str = "/srv/out", read: tuple[str, ...] = (), engine: str = "auto") -> Needs:
    return Needs(folder=Path(folder), out=Path(out), read=tuple(map(Path, read)), engine=engine)


@pytest.mark.parametrize("gpu", [False, True])
def test_systemd_has_nothing_to_say(gpu: bool, tmp_path: Path, make: Make, analyze: str) -> None:
    installation = make(gpu=gpu, folder=Path("/srv/two words/100%/ä"))
    file = tmp_path / "inflamap.service"
    file.write_text(unit(installation, needs_of(installation), groups=("render", "video")), encoding="utf-8")
    done = subprocess.run([analyze, "verify", str(file)], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("row", "gpu", "engine", "most"),
    [
        ("processor, `--engine onnxruntime-...`", False, "onnxruntime-fp32", 1.0),
        ("processor", False, "auto", 1.1),
        ("`--gpu`", True, "auto", 1.4),
    ],
)
def test_exposure_is_what_the_document_says(
    row: str, gpu: bool, engine: str, most: float, tmp_path: Path, make: Make, analyze: str
) -> None:
    file = tmp_path / "inflamap.service"
    # folders as they should be: nothing of it below /home
    text = unit(make(gpu=gpu), needs(engine=engine), groups=("render", "video"))
    file.write_text(text, encoding="utf-8")
    command = [analyze, "security", "--offline=true", "--no-pager", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    found = re.search(r"exposure level for inflamap\.service: (\d+\.\d)", done.stdout)
    assert found, done.stdout + done.stderr
    assert float(found[1]) <= most
    said = re.search(rf"^\| {re.escape(row)} \| (\d\.\d) ", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    # other versions of systemd weigh in another way
    version = subprocess.run([analyze, "--version"], capture_output=True, text=True, check=True, timeout=60).stdout
    if version.startswith("systemd 252"):
        assert said
        assert said[1] == found[1]


def test_watched_folder_is_read_and_results_written(make: Make) -> None:
    text = unit(make(), needs())
    assert values(text, "ProtectSystem") == ["strict"]
    assert values(text, "ReadOnlyPaths") == ["-/srv/in"]
    assert values(text, "ReadWritePaths") == ["-/srv/out"]
    assert values(text, "ProtectHome") == ["yes"]
    assert not values(text, "BindPaths") + values(text, "BindReadOnlyPaths")


def test_of_a_home_only_what_is_needed_is_shown(make: Make) -> None:
    text = unit(make(), needs("/home/eng/in", "/home/eng/out", ("/home/eng/venv", "/home/eng/venv/lib", "/opt/b")))
    assert values(text, "ProtectHome") == ["tmpfs"]
    assert values(text, "BindPaths") == ["-/home/eng/out"]
    assert sorted(values(text, "BindReadOnlyPaths")) == ["-/home/eng/in", "-/home/eng/venv"]
    assert not values(text, "ReadOnlyPaths") + values(text, "ReadWritePaths")


def test_link_into_a_home_is_followed(tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    home, link = tmp_path / "home", tmp_path / "link"
    (home / "in").mkdir(parents=True)
    link.symlink_to(home / "in")
    monkeypatch.setattr("runtime.install.systemd_unit.HIDDEN_BY_HOME", (home,))
    monkeypatch.setattr("runtime.install.systemd_unit.HIDDEN_BY_TMP", ())
    text = unit(make(), needs(str(link)))
    assert values(text, "ProtectHome") == ["tmpfs"]
    assert values(text, "BindReadOnlyPaths") == [f"-{home / 'in'}"]
    assert values(text, "ReadOnlyPaths") == [f"-{link}"]


@pytest.mark.parametrize("place", ["/tmp", "/var/tmp"])
def test_paths_in_the_folder_for_temporary_files_are_shown(place: str, make: Make) -> None:
    text = unit(make(), needs(f"{place}/in", f"{place}/out"))
    assert values(text, "PrivateTmp") == ["yes"]
    assert values(text, "BindReadOnlyPaths") == [f"-{place}/in"]
    assert values(text, "BindPaths") == [f"-{place}/out"]


def test_log_outside_of_the_results_may_be_written(make: Make) -> None:
    more = ("--log-file", "/var/log/inflamap/watch.log")
    installation = make(more=more)
    assert "-/var/log/inflamap" in values(unit(installation, needs_of(installation)), "ReadWritePaths")


@pytest.mark.parametrize(
    ("engine", "gpu", "denied"),
    [
        ("onnxruntime-int8", False, "yes"),
        ("openvino-int8", False, "no"),
        ("auto", False, "no"),
        ("onnxruntime-int8", True, "no"),
    ],
)
def test_memory_for_code_is_denied_where_the_engine_writes_none(
    engine: str, gpu: bool, denied: str, make: Make
) -> None:
    assert values(unit(make(gpu=gpu), needs(engine=engine)), "MemoryDenyWriteExecute") == [denied]


def test_service_comes_back_for_ever_and_is_watched(make: Make) -> None:
    found = dict(entries(unit(make(name="site-2", user="lab"), needs())))
    assert found["Type"] == "notify"
    assert found["NotifyAccess"] == "main"
    assert found["WatchdogSec"] == "120"
    assert (found["Restart"], found["StartLimitIntervalSec"]) == ("always", "0")
    assert found["User"] == "lab"
    assert found["After"].split() == ["network-online.target", "remote-fs.target"]
    # a share that goes away must not take the service with it
    assert not {"RequiresMountsFor", "BindsTo", "Requires"} & set(found)
    assert found["IPAddressDeny"] == "any"
    assert found["IPAddressAllow"] == "localhost"


def test_gpu_gets_its_devices_and_a_cache_that_nobody_else_may_write(make: Make) -> None:
    processor = dict(entries(unit(make(name="m"), needs())))
    graphics = unit(make(name="m", gpu=True), needs(), groups=("render", "video"))
    assert "CacheDirectory" not in processor
    assert processor["PrivateDevices"] == "yes"
    assert values(graphics, "PrivateDevices") == ["no"]
    assert values(graphics, "DeviceAllow") == ["char-nvidia* rw", "char-drm rw"]
    assert values(graphics, "SupplementaryGroups") == ["render video"]
    assert (values(graphics, "CacheDirectory"), values(graphics, "CacheDirectoryMode")) == (["m"], ["0700"])
    assert "INFLAMAP_CACHE=/var/cache/m/plans" in values(graphics, "Environment")
    # groups that this machine does not have would keep the service from starting
    assert not values(unit(make(gpu=True), needs()), "SupplementaryGroups")


def test_first_line_says_whose_it_is(make: Make) -> None:
    assert unit(make(), needs()).startswith(MARK)
