"""Plans kept between starts, and kernels compiled of them. Both are code: only what this user built here, and nobody
else can touch, is run.

Each lies beside a small file that says what it was built from and what its bytes hash to. One without it, or of other
bytes, is built anew, as is one whose key no longer holds: that one has another name.
"""

import json
import os
import stat
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import msgspec
from msgspec import to_builtins

from runtime.engines.tensorrt.plan import Profile
from runtime.engines.tensorrt.probe import Gpu
from runtime.errors import InflamapError
from runtime.outputs import said_plainly, write_atomically

FOLDER = "INFLAMAP_CACHE"
# a bundle has two; some bundles and a change of driver are kept
MOST_PLANS = 8
# what a kill left of a write
STALE_S = 3600.0


class PlanKey(msgspec.Struct, frozen=True):
    """All that a plan depends on: when one of it changes, the plan is built anew.

    Attributes:
        onnx_sha256: of the model file.
        module, version: the library.
        gpu, compute_capability, driver: see `Gpu`.
        profile: the shapes that the plan takes.
        plan_version: `runtime.engines.tensorrt.plan.PLAN_VERSION`.
    """

    onnx_sha256: str
    module: str
    version: str
    gpu: str
    compute_capability: str
    driver: str
    profile: Profile
    plan_version: int

    @property
    def name(self) -> str:
        """Name of the plan's file."""
        return sha256(_document(self).encode()).hexdigest() + ".plan"


class KernelsKey(msgspec.Struct, frozen=True):
    """What compiled kernels depend on.

    Attributes:
        plan: the key of the plan that they are of.
        plan_sha256: of its bytes: a plan built anew begins without kernels.
    """

    plan: PlanKey
    plan_sha256: str

    @property
    def name(self) -> str:
        """Name of the kernels' file, beside the plan's."""
        return str(_kernels_of(Path(self.plan.name)))


def plan_cache(gpu: Gpu, say: Callable[[str], None]) -> "PlanCache":
    """This user's cache on a machine with such a GPU.

    Args:
        gpu: see `probe_gpu`.
        say: takes a line for the person at the keyboard.
    """
    if not gpu.driver_known:
        say(f"TensorRT plans are built at every start: which driver they would be for is not known ({gpu.driver})")
        return PlanCache(None, say)
    folder = cache_folder()
    if folder is None:
        say(f"there is no folder to keep TensorRT plans in: they are built at every start; {FOLDER} names one")
    return PlanCache(folder, say)


def cache_folder() -> Path | None:
    """Where plans are kept; None where this user has no place for such.

    `INFLAMAP_CACHE` names it, else it is `inflamap/plans` in the user's cache folder: XDG_CACHE_HOME or ~/.cache, on
    Windows %LOCALAPPDATA%.
    """
    if chosen := os.environ.get(FOLDER):
        return Path(chosen)
    place = os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME", "")
    # a relative one is to be ignored (XDG Base Directory Specification)
    if Path(place).is_absolute():
        return Path(place, "inflamap", "plans")
    with suppress(RuntimeError):
        return Path.home() / ".cache" / "inflamap" / "plans"
    return None


class PlanCache:
    """A folder of plans and kernels. Where it cannot be trusted or written to, that is said once, and each is built
    every time.
    """

    def __init__(self, folder: Path | None, say: Callable[[str], None]) -> None:
        """Make the folder, for this user alone.

        Args:
            folder: where; None to keep nothing.
            say: takes a line for the person at the keyboard.
        """
        self._say = say
        self._folder = folder
        if folder is None:
            return
        try:
            with said_plainly(folder):
                if not folder.is_symlink():
                    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                fault = _fault(folder.lstat(), stat.S_ISDIR)
        except InflamapError as error:
            fault = error.what if error.seen is None else f"{error.what} ({error.seen})"
        if fault:
            self._folder = None
            say(f"TensorRT plans are not kept in {folder}: {fault}; they are built at every start")

    def read(self, key: PlanKey | KernelsKey) -> bytes | None:
        """What was kept under this key; None where there is none that can be trusted, and a line where there is
        another.
        """
        if self._folder is None:
            return None
        path = self._folder / key.name
        try:
            kept, about = _read(path), json.loads(_read(_about(path)))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            return self._say(f"{path} is not used and built anew: {error}")
        if about != _description(key, kept):
            return self._say(f"{path} is not used and built anew: it is damaged, or not what was written")
        # the least recently used go first
        with suppress(OSError):
            os.utime(path)
        return kept

    def write(self, key: PlanKey | KernelsKey, data: bytes) -> None:
        """Keep a plan, or its kernels, and let go of the least recently used plans beyond `MOST_PLANS`. A line says
        where that fails.
        """
        if self._folder is None:
            return
        path = self._folder / key.name
        try:
            for file, content in ((path, data), (_about(path), json.dumps(_description(key, data)).encode())):
                write_atomically(file, content)
                with said_plainly(file):
                    # some systems let the group write by default
                    file.chmod(0o600)
            with said_plainly(self._folder):
                _prune(self._folder)
        except InflamapError as error:
            self._say(f"the TensorRT plan is not kept: {error}")


def _document(key: PlanKey | KernelsKey) -> str:
    """The key as JSON, the same for the same key."""
    return json.dumps(to_builtins(key), sort_keys=True)


def _about(kept: Path) -> Path:
    return kept.with_name(f"{kept.name}.json")


def _kernels_of(plan: Path) -> Path:
    return plan.with_suffix(".kernels")


def _description(key: PlanKey | KernelsKey, data: bytes) -> dict[str, object]:
    """What lies beside a plan, or beside its kernels."""
    return {"key": json.loads(_document(key)), "sha256": sha256(data).hexdigest()}


def _read(path: Path) -> bytes:
    """The content of a file that only this user can have written.

    Raises:
        OSError: it cannot be read.
        ValueError: somebody else can have written it.
    """
    # the file that was judged is the one that is read; a link is refused on opening
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
    if path.is_symlink():
        raise ValueError("it is a link")
    with os.fdopen(os.open(path, flags), "rb") as file:
        if fault := _fault(os.fstat(file.fileno()), stat.S_ISREG):
            raise ValueError(fault)
        return file.read()


def _fault(status: os.stat_result, is_right_kind: Callable[[int], bool]) -> str:
    """Why a file or folder is not this user's alone to write; empty where it is."""
    if stat.S_ISLNK(status.st_mode):
        return "it is a link"
    if not is_right_kind(status.st_mode):
        return "it is not what it should be, a folder of plain files"
    # Windows keeps %LOCALAPPDATA% to its user, by lists of rights that these figures do not show
    if sys.platform == "win32":
        return ""
    if status.st_uid != os.geteuid():
        return "it belongs to another user"
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return "other users can write to it"
    return ""


def _prune(folder: Path) -> None:
    plans = sorted(folder.glob("*.plan"), key=lambda plan: plan.stat().st_mtime, reverse=True)
    for plan in plans[MOST_PLANS:]:
        for kept in (plan, _kernels_of(plan)):
            kept.unlink(missing_ok=True)
            _about(kept).unlink(missing_ok=True)
    for left in folder.glob("*.tmp-*"):
        if time.time() - left.stat().st_mtime > STALE_S:
            left.unlink(missing_ok=True)
