"""A plan is code: it is built anew whenever what it depends on changes, and run only where nobody else can write it."""

import hashlib
import json
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_tensorrt import model_file
from msgspec.structs import replace

from runtime.engines.tensorrt.plan import Profile
from runtime.engines.tensorrt.plan_cache import (
    MOST_PLANS,
    KernelsKey,
    PlanCache,
    PlanKey,
    cache_folder,
    plan_cache,
)
from runtime.engines.tensorrt.probe import Gpu

GPU = Gpu("Fake RTX", "600.01 (CUDA 13.0)", "8.9", 8 * 2**30)
PROFILE = Profile((1, 1, 8, 8), (1, 1, 20, 20), (2, 1, 20, 20))
KEY = PlanKey("0" * 64, "tensorrt_rtx", "1.7.0", "Fake RTX", "8.9", "600.01 (CUDA 13.0)", PROFILE, 1)
posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps a user's folders by lists of rights")


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def cache(tmp_path: Path, said: list[str]) -> PlanCache:
    return PlanCache(tmp_path / "plans", said.append)


def files(folder: Path, suffix: str = ".plan") -> list[Path]:
    return sorted(folder.glob(f"*{suffix}"))


def about(plan: Path) -> Path:
    return plan.with_name(f"{plan.name}.json")


def test_second_start_loads_the_plan_of_the_first(machine: Any) -> None:
    machine.open()
    machine.open()
    assert len(machine.trt.builds) == 1
    assert machine.said == ["tensorrt-fp16: building a plan with tensorrt_rtx 1.7.0 for Fake RTX"]


@pytest.mark.parametrize(
    "change",
    [
        lambda machine: setattr(machine.trt, "__version__", "1.7.1"),
        lambda machine: setattr(machine.trt, "__name__", "tensorrt"),
        lambda machine: setattr(machine, "gpu", replace(machine.gpu, name="Another RTX")),
        lambda machine: setattr(machine, "gpu", replace(machine.gpu, driver="601.00 (CUDA 13.0)")),
        lambda machine: setattr(machine, "gpu", replace(machine.gpu, compute_capability="12.0")),
    ],
    ids=["version", "module", "GPU", "driver", "compute capability"],
)
def test_plan_is_built_anew_when_the_machine_changes(machine: Any, change: Callable[[Any], None]) -> None:
    machine.open()
    change(machine)
    machine.open()
    assert len(machine.trt.builds) == 2


def test_plan_is_built_anew_for_another_model_or_profile(machine: Any) -> None:
    machine.open()
    machine.open(model_file(8, 3, comment="another"))
    assert len(machine.trt.builds) == 2
    assert KEY.name != replace(KEY, profile=replace(PROFILE, largest=(3, 1, 20, 20))).name
    assert KEY.name != replace(KEY, plan_version=2).name


@pytest.mark.parametrize(
    "spoil",
    [
        lambda plan: plan.write_bytes(plan.read_bytes()[:-5]),
        lambda plan: plan.write_bytes(plan.read_bytes().replace(b"stride", b"string")),
        lambda plan: plan.write_bytes(b""),
        lambda plan: about(plan).write_text("{"),
        lambda plan: about(plan).write_bytes(b"\xff\xfe"),
        lambda plan: about(plan).write_text(about(plan).read_text().replace("Fake RTX", "Other RTX")),
    ],
    ids=["truncated", "altered", "empty", "no JSON", "no text", "another key"],
)
def test_damaged_or_foreign_plan_is_built_anew_and_said(machine: Any, spoil: Callable[[Path], None]) -> None:
    machine.open()
    (plan,) = files(machine.cache)
    spoil(plan)
    machine.open()
    assert len(machine.trt.builds) == 2
    assert "is not used and built anew" in machine.said[1]
    machine.open()
    assert len(machine.trt.builds) == 2


def test_plan_without_its_description_is_built_anew(machine: Any) -> None:
    machine.open()
    files(machine.cache, ".json")[0].unlink()
    machine.open()
    assert len(machine.trt.builds) == 2


def test_kept_plan_that_the_library_does_not_load_is_built_anew_once(machine: Any) -> None:
    """Its bytes are what was written, and still the library refuses: say, after an update that kept its version."""
    machine.open()
    (plan,) = files(machine.cache)
    plan.write_bytes(b"of another build")
    description = json.loads(about(plan).read_text())
    about(plan).write_text(json.dumps(description | {"sha256": hashlib.sha256(b"of another build").hexdigest()}))
    machine.open()
    assert len(machine.trt.builds) == 2
    assert machine.said[1] == "tensorrt-fp16: the kept plan does not load and is built anew"


@posix
def test_folder_and_files_are_this_users_alone(machine: Any) -> None:
    before = os.umask(0o002)
    try:
        machine.open()
    finally:
        os.umask(before)
    assert stat.S_IMODE(machine.cache.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in machine.cache.iterdir()} == {0o600}


@posix
@pytest.mark.parametrize("mode", [0o770, 0o707])
def test_folder_that_others_can_write_to_is_not_used(machine: Any, mode: int) -> None:
    machine.open()
    machine.cache.chmod(mode)
    machine.open()
    machine.open()
    assert len(machine.trt.builds) == 3
    assert any("other users can write to it" in line for line in machine.said)


@posix
def test_folder_that_is_a_link_is_not_used(machine: Any, tmp_path: Path) -> None:
    machine.open()
    machine.cache.rename(tmp_path / "elsewhere")
    machine.cache.symlink_to(tmp_path / "elsewhere")
    machine.open()
    assert len(machine.trt.builds) == 2
    assert "it is a link" in machine.said[1]


@posix
def test_folder_of_another_user_is_not_used(machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.open()
    user = os.geteuid()
    monkeypatch.setattr("os.geteuid", lambda: user + 1)
    machine.open()
    assert len(machine.trt.builds) == 2
    assert "it belongs to another user" in machine.said[1]


@posix
@pytest.mark.parametrize("suffix", [".plan", ".json"])
def test_file_that_others_can_write_or_that_is_a_link_is_not_read(machine: Any, suffix: str, tmp_path: Path) -> None:
    machine.open()
    (file,) = files(machine.cache, suffix)
    file.chmod(0o666)
    machine.open()
    assert "other users can write to it" in machine.said[1]
    assert len(machine.trt.builds) == 2
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    machine.open()
    assert "it is a link" in machine.said[3]
    assert len(machine.trt.builds) == 3


@posix
def test_plan_that_is_a_pipe_does_not_stop_the_start(machine: Any) -> None:
    machine.open()
    (plan,) = files(machine.cache)
    plan.unlink()
    os.mkfifo(plan)
    machine.open()
    assert len(machine.trt.builds) == 2


def test_cache_that_cannot_be_made_is_said_and_done_without(machine: Any, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    machine.cache = tmp_path / "file" / "plans"
    machine.open()
    machine.open()
    assert len(machine.trt.builds) == 2
    assert "TensorRT plans are not kept in" in machine.said[0]


def test_plan_that_cannot_be_written_is_said_and_runs(machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("runtime.outputs.os.replace", full)
    machine.open()
    assert "the TensorRT plan is not kept" in machine.said[-1]
    assert "No space left" in machine.said[-1]
    assert list(machine.cache.iterdir()) == []


def test_plan_that_does_not_load_is_never_kept(machine: Any) -> None:
    machine.trt.fails.add("load")
    with pytest.raises(Exception, match="cannot load the plan it built"):
        machine.open()
    assert list(machine.cache.iterdir()) == []


def test_least_recently_used_plans_go_first(cache: PlanCache, tmp_path: Path) -> None:
    keys = [replace(KEY, driver=str(number)) for number in range(MOST_PLANS + 1)]
    folder = tmp_path / "plans"
    for age, key in enumerate(keys[:-1]):
        cache.write(key, b"plan %d" % age)
        cache.write(KernelsKey(key, "0" * 64), b"kernels")
        os.utime(folder / key.name, (1e9 + age, 1e9 + age))
    stale, fresh = folder / "a.plan.tmp-00000000", folder / "b.plan.tmp-00000000"
    stale.touch()
    fresh.touch()
    os.utime(stale, (1e9, 1e9))
    # the oldest is used again, so that the next goes
    assert cache.read(keys[0]) == b"plan 0"
    cache.write(keys[-1], b"new")
    assert cache.read(keys[0]) == b"plan 0"
    assert cache.read(keys[1]) is None
    assert cache.read(keys[-1]) == b"new"
    assert len(files(folder)) == len(files(folder, ".plan.json")) == MOST_PLANS
    # the new one has no kernels yet, and those of the plan that went went with it
    assert len(files(folder, ".kernels")) == len(files(folder, ".kernels.json")) == MOST_PLANS - 1
    assert cache.read(KernelsKey(keys[0], "0" * 64)) == b"kernels"
    assert cache.read(KernelsKey(keys[0], "1" * 64)) is None
    assert not stale.exists()
    assert fresh.exists()


def test_place_of_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("INFLAMAP_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"
    monkeypatch.delenv("INFLAMAP_CACHE")
    monkeypatch.setattr("sys.platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert cache_folder() == tmp_path / "local" / "inflamap" / "plans"
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "inflamap" / "plans"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setattr("pathlib.Path.home", lambda: tmp_path / "home")
    assert cache_folder() == tmp_path / "home" / ".cache" / "inflamap" / "plans"


def test_user_without_a_home_builds_at_every_start(monkeypatch: pytest.MonkeyPatch, said: list[str]) -> None:
    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("INFLAMAP_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setattr("pathlib.Path.home", nowhere)
    cache = plan_cache(GPU, said.append)
    cache.write(KEY, b"plan")
    assert cache.read(KEY) is None
    (line,) = said
    assert "INFLAMAP_CACHE names one" in line


def test_plans_for_a_driver_that_is_not_known_are_not_kept(
    monkeypatch: pytest.MonkeyPatch, said: list[str], tmp_path: Path
) -> None:
    """Another driver would look the same, and get this one's plan."""
    monkeypatch.setenv("INFLAMAP_CACHE", str(tmp_path / "plans"))
    known = plan_cache(GPU, said.append)
    known.write(KEY, b"plan")
    assert known.read(KEY) == b"plan"
    assert said == []
    unknown = plan_cache(replace(GPU, driver="unknown (CUDA 13.0)", driver_known=False), said.append)
    assert unknown.read(KEY) is None
    unknown.write(replace(KEY, driver="unknown (CUDA 13.0)"), b"plan")
    assert len(files(tmp_path / "plans")) == 1
    (line,) = said
    assert "not known (unknown (CUDA 13.0))" in line
