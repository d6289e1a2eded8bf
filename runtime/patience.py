"""How patient a watch is with a folder, and what suits the disk that the folder lies on."""

from pathlib import Path
from typing import Literal

import msgspec

from runtime.disk import is_network_folder, kept_by_disk_of
from runtime.errors import InflamapError
from runtime.file_state import Kept

Discovery = Literal["auto", "events", "polling"]

LONGEST_SETTLE_S = 86_400
LOCAL_SETTLE_S = 1.0
# a client of NFS may show a file's size as it was three seconds ago (acregmin of nfs(5))
SHARE_SETTLE_S = 4.0
RESCAN_S = 30.0
# of what another machine writes to a share no event tells (watchdog issue 409)
POLLING_RESCAN_S = 5.0


class WatchSettings(msgspec.Struct, frozen=True):
    """How patient the watch is, in seconds.

    Attributes:
        settle_s: a file is taken when its size and time of change have rested this long.
        rescan_s: the whole folder is listed anew this often.
        poll_s: files that have not come to rest are looked at this often.
        events: whether the file system's events are listened to.
        kept: which marks of a file tell that it is the same as before.
    """

    settle_s: float = LOCAL_SETTLE_S
    rescan_s: float = RESCAN_S
    poll_s: float = 0.1
    events: bool = True
    kept: Kept = Kept()

    def __post_init__(self) -> None:
        # a NaN would wait for ever
        if not 0 <= self.settle_s <= LONGEST_SETTLE_S:
            raise InflamapError("--settle", seen=self.settle_s, wanted=f"0 to {LONGEST_SETTLE_S} seconds")


def settings_for(
    folder: Path, *, discovery: Discovery = "auto", settle_s: float | None = None, rescan_s: float | None = None
) -> WatchSettings:
    """What suits the disk of `folder`, where the user did not say otherwise.

    Args:
        folder: is watched.
        discovery: by the system's events and a listing now and then, or by listing it often; `auto` polls shares.
        settle_s, rescan_s: as in `WatchSettings`; None for what suits.
    """
    share = is_network_folder(folder)
    polling = discovery == "polling" or (discovery == "auto" and share)
    return WatchSettings(
        settle_s=settle_s if settle_s is not None else SHARE_SETTLE_S if share else LOCAL_SETTLE_S,
        rescan_s=rescan_s if rescan_s is not None else POLLING_RESCAN_S if polling else RESCAN_S,
        events=not polling,
        kept=kept_by_disk_of(folder),
    )
