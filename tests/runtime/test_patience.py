"""What suits the disk is chosen, and what the user says is taken."""

from pathlib import Path

import pytest

from runtime.errors import InflamapError
from runtime.patience import WatchSettings, settings_for


@pytest.mark.parametrize(
    ("share", "discovery", "wanted"),
    [
        (False, "auto", WatchSettings(settle_s=1.0, rescan_s=30.0, events=True)),
        (True, "auto", WatchSettings(settle_s=4.0, rescan_s=5.0, events=False)),
        (True, "events", WatchSettings(settle_s=4.0, rescan_s=30.0, events=True)),
        (False, "polling", WatchSettings(settle_s=1.0, rescan_s=5.0, events=False)),
    ],
)
def test_shares_are_polled_and_given_longer(
    tmp_path: Path, share: bool, discovery: str, wanted: WatchSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.patience.is_network_folder", lambda _folder: share)
    assert settings_for(tmp_path, discovery=discovery) == wanted  # type: ignore[arg-type]
    told = settings_for(tmp_path, discovery=discovery, settle_s=2.5, rescan_s=60.0)  # type: ignore[arg-type]
    assert (told.settle_s, told.rescan_s, told.events) == (2.5, 60.0, wanted.events)


@pytest.mark.parametrize("settle_s", [-1.0, float("nan"), float("inf")])
def test_settle_time_that_never_ends_is_refused(settle_s: float) -> None:
    with pytest.raises(InflamapError, match=r"--settle; seen: .*; wanted: 0 to 86400 seconds"):
        WatchSettings(settle_s=settle_s)
