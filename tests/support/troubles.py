"""What goes wrong around a watch and is mended again: disk, rights, folders, ledger."""

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from unprivileged import NOBODY, own

from runtime.ledger.damage import damage_of
from runtime.outputs import LEDGER_FILE

if TYPE_CHECKING:
    from kill_trial import Trial


class Trouble:
    """One kind of trouble.

    Attributes:
        name: for the report.
        may_end_it: whether a watch may end by itself, with a reason, because of it.
        count: how often it began.
    """

    name = "nothing else goes wrong"
    may_end_it = False

    def __init__(self) -> None:
        self.count = 0
        self.rng = random.Random(17)

    @contextmanager
    def prepared(self, out: Path) -> Iterator[None]:
        """The results' folder, made for it."""
        out.mkdir()
        own(out)
        yield

    def before_start(self, trial: "Trial") -> None:
        """Called while no watch runs."""

    def begin(self, trial: "Trial") -> None:
        """Called at any time, and `end` after it."""

    def end(self, trial: "Trial") -> None: ...


class NoTrouble(Trouble):
    """Kills alone."""


class FullDisk(Trouble):
    """The results lie on a small disk of their own, which runs full to the last byte."""

    name = "the results' disk (a tmpfs of 256 MB) full to the last byte"
    may_end_it = True
    # four hundred results take some seventy
    megabytes = 256

    @contextmanager
    def prepared(self, out: Path) -> Iterator[None]:
        out.mkdir()
        options = f"size={self.megabytes}m,uid={NOBODY},gid={NOBODY}"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(out)], check=True, capture_output=True)
        try:
            yield
        finally:
            subprocess.run(["umount", "-l", str(out)], check=True)

    def begin(self, trial: "Trial") -> None:
        self.count += 1
        with suppress(OSError), (trial.out / "inflamap.ballast").open("wb") as file:
            for size in (1 << 20, 1 << 12, 1):
                with suppress(OSError):
                    while True:
                        file.write(bytes(size))
                        file.flush()

    def end(self, trial: "Trial") -> None:
        (trial.out / "inflamap.ballast").unlink(missing_ok=True)


class ReadOnlyResults(Trouble):
    """Nothing can be written to the results' folder, or to any below it, by the watch's user."""

    name = "the results' folder read-only"
    may_end_it = True

    def begin(self, trial: "Trial") -> None:
        self.count += 1
        _set_rights(trial.out, folders=0o555, files=0o444)

    def end(self, trial: "Trial") -> None:
        _set_rights(trial.out, folders=0o755, files=0o644)


class FolderRemoved(Trouble):
    """The watched folder is removed with all that it holds, and comes back with the same."""

    name = "the watched folder removed and made anew"
    may_end_it = True

    def begin(self, trial: "Trial") -> None:
        trial.folder_lock.acquire()
        self.count += 1
        shutil.rmtree(trial.folder)

    def end(self, trial: "Trial") -> None:
        try:
            for name in trial.copied:
                path = trial.folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(trial.sources[name])
            trial.folder.mkdir(exist_ok=True)
        finally:
            trial.folder_lock.release()


class Denied(Trouble):
    """The watch's user may not read some images, a folder of them, or the whole watched folder."""

    name = "reading denied, then granted"

    def begin(self, trial: "Trial") -> None:
        self.count += 1
        what = self.rng.choice(["files", "folder", "all"])
        if what == "all":
            trial.folder.chmod(0)
        elif what == "folder":
            for path in [path for path in trial.folder.iterdir() if path.is_dir()][:1]:
                path.chmod(0)
        else:
            files = [path for path in trial.folder.rglob("*") if path.is_file()]
            for path in self.rng.sample(files, min(5, len(files))):
                path.chmod(0)

    def end(self, trial: "Trial") -> None:
        _set_rights(trial.folder, folders=0o755, files=0o644)


class DamagedLedger(Trouble):
    """The ledger's file is overwritten in places, cut, or is something else."""

    name = "the ledger damaged"

    def before_start(self, trial: "Trial") -> None:
        path = trial.out / LEDGER_FILE
        # the first that is there for certain
        if not path.exists() or (self.count and self.rng.random() > 0.2):
            return
        size = path.stat().st_size
        kind = self.rng.choice(["page", "cut", "head"])
        if kind == "cut":
            os.truncate(path, size // 2)
        else:
            with path.open("r+b") as file:
                file.seek(0 if kind == "head" else self.rng.randrange(max(1, size // 4096)) * 4096)
                file.write(self.rng.randbytes(4096))
        # what its log still holds may have mended it
        self.count += damage_of(path) is not None


TROUBLES = (FullDisk, ReadOnlyResults, FolderRemoved, Denied, DamagedLedger)


def can_mount() -> bool:
    """Whether this user may mount a small disk."""
    return sys.platform == "linux" and os.geteuid() == 0 and shutil.which("mount") is not None


def _set_rights(folder: Path, *, folders: int, files: int) -> None:
    """From the outside in, so that a folder is open before what it holds is reached."""
    # what is removed meanwhile needs no rights
    with suppress(FileNotFoundError):
        folder.chmod(folders)
    for place, names, others in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                Path(place, name).chmod(folders)
        for name in others:
            with suppress(FileNotFoundError):
                Path(place, name).chmod(files)
