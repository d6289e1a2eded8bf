"""The microscope's program comes first: the watch runs when nothing else wants the processor or the disk."""

import sys
from contextlib import suppress

# of 19, the lowest: what the machine does for its own sake still comes after
NICENESS = 10


def lower_priority() -> None:
    """Lower this process's priority for processor and disk; where the system refuses, it stays."""
    # some 40 ms, which only a start of the watch should pay
    import psutil

    process = psutil.Process()
    with suppress(psutil.Error, OSError):
        if sys.platform == "win32":
            process.nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
        # a priority that was lowered already can only be kept
        elif process.nice() < NICENESS:
            process.nice(NICENESS)
    with suppress(psutil.Error, OSError, AttributeError):
        if sys.platform == "win32":
            process.ionice(psutil.IOPRIO_LOW)
        elif process.ionice().ioclass not in (psutil.IOPRIO_CLASS_IDLE,):
            process.ionice(psutil.IOPRIO_CLASS_BE, 7)
