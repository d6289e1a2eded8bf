"""One watch an output folder: `inflamap.lock`, which the system lets go of when its holder ends, however it ends."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runtime.errors import InflamapError
from runtime.outputs import LOCK_FILE, said_plainly

# `is_held` takes the lock for an instant, which must not turn a starting watch away
PATIENCE_S = 2.0


@contextmanager
def held(out: Path) -> Iterator[None]:
    """Make the output folder and hold it as the only watch that writes there.

    Raises:
        InflamapError: another watch holds it, or it cannot be written to.
    """
    # some 70 ms, which only a start of the watch should pay
    from filelock import FileLock, Timeout

    path = out / LOCK_FILE
    with said_plainly(path):
        out.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, timeout=PATIENCE_S)
        try:
            lock.acquire()
        except Timeout as error:
            raise InflamapError(
                f"{out}: another inflamap watch writes its results there",
                seen=f"{path} is held",
                wanted="one watch an output folder",
                next_step=f"stop it (`inflamap status --out {out}` names its process), or choose another --out",
            ) from error
    try:
        yield
    finally:
        lock.release()


def is_held(out: Path) -> bool | None:
    """Whether a watch runs on this output folder now; None where this user may not ask."""
    from filelock import FileLock, Timeout

    path = out / LOCK_FILE
    if not path.exists():
        return False
    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True
    except OSError:
        return None
