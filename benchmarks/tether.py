"""A Python program that ends with the process that started it, however that one ended.

    python -P -m benchmarks.tether PARENT MODULE [ARGUMENTS...]

runs MODULE as `python -m` does. Ctrl-C is left to the parent, which ends this process by SIGTERM; once the process
PARENT is gone, this one gets SIGTERM too, and is ended the hard way where it does not obey.
"""

import os
import runpy
import signal
import sys
import threading
import time
from collections.abc import Callable

LOOK_S = 0.5
# time to finish the current image and remove temporary files
OBEY_S = 10.0
# the exit code of a program that SIGTERM ended and that printed `stopped`
TERMINATED = 128 + signal.SIGTERM


def main() -> None:
    parent, module = int(sys.argv[1]), sys.argv[2]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _interrupt)
    if sys.platform != "win32":
        # the parent held Ctrl-C back until here, see `benchmarks.child_process`
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    sys.argv = sys.argv[2:]
    try:
        threading.Thread(target=_follow, args=(_lives(parent),), name="parent", daemon=True).start()
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except KeyboardInterrupt:
        # the parent takes this code to mean that the line is written, and writes none itself
        print("stopped", file=sys.stderr)
        sys.exit(TERMINATED)


def _interrupt(_number: int, _frame: object) -> None:
    # unlike SystemExit it also ends a pytest run
    raise KeyboardInterrupt


def _lives(parent: int) -> Callable[[], bool]:
    """Tell whether the parent lives; on POSIX an orphan is given another parent at once."""
    if sys.platform == "win32":
        import psutil

        return lambda: bool(psutil.pid_exists(parent))
    return lambda: os.getppid() == parent


def _follow(parent_lives: Callable[[], bool]) -> None:
    while parent_lives():
        time.sleep(LOOK_S)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(OBEY_S)
    os._exit(TERMINATED)


if __name__ == "__main__":
    main()
