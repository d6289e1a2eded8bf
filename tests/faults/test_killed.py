"""The watch is killed again and again while images are copied in, and loses none, doubles none, mixes none up; not
either when, besides, the disk is full, rights are missing, the folder goes, or the ledger is damaged.

    pytest -m slow tests/faults/test_killed.py        # the full form: 400 images and 200 kills for each trouble
"""

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from kill_trial import CHECKOUT, Trial, interleaved, synthetic, undergo
from troubles import TROUBLES, FullDisk, NoTrouble, Trouble, can_mount
from unprivileged import own, place_for_all

from runtime.ledger import open_ledger
from runtime.ledger.ledger import MOST_INTERRUPTIONS

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is not to be had there")


@pytest.fixture
def place() -> Iterator[Path]:
    with place_for_all() as path:
        own(path)
        (path / "in").mkdir()
        yield path


def frames(count: int, real: list[Path], skin: npt.NDArray[np.uint8]) -> dict[str, bytes]:
    """Five real ones to each synthetic one where they are at hand; each file another content."""
    made = count if not real else max(1, count // 6)
    # a comment in the file makes another content of the same picture
    photos = [real[number % len(real)].read_bytes() for number in range(count - made)] if real else []
    photos = [
        data[:2] + b"\xff\xfe\x00\x06" + number.to_bytes(4, "big") + data[2:] for number, data in enumerate(photos)
    ]
    return interleaved(photos, [synthetic(skin, number) for number in range(made)])


def real_ones(request: pytest.FixtureRequest) -> list[Path]:
    found: list[Path] = request.getfixturevalue("real_frames") if "INFLAMAP_REAL_FRAMES" in os.environ else []
    return found


def run_trial(
    place: Path, trouble: Trouble, sources: dict[str, bytes], kills: int, capsys: pytest.CaptureFixture[str]
) -> Trial:
    if isinstance(trouble, FullDisk) and not can_mount():
        pytest.skip("needs the right to mount a small disk")
    trial = Trial(place, sources, kills, random.Random(2), trouble)
    with trouble.prepared(trial.out):
        line = undergo(trial)
    with capsys.disabled():
        print(f"\n{line}")
    return trial


@pytest.mark.timeout(240)
@pytest.mark.parametrize("kind", [NoTrouble, *TROUBLES])
def test_killed_at_any_instant_it_loses_nothing(
    kind: type[Trouble],
    place: Path,
    skin: npt.NDArray[np.uint8],
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
) -> None:
    trial = run_trial(place, kind(), frames(12, real_ones(request), skin), 6, capsys)
    assert trial.kills.all >= 6
    assert kind is NoTrouble or trial.trouble.count >= 1


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", [NoTrouble, *TROUBLES])
def test_killed_two_hundred_times_it_loses_nothing(
    kind: type[Trouble],
    place: Path,
    skin: npt.NDArray[np.uint8],
    real_frames: list[Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    trial = run_trial(place, kind(), frames(400, real_frames, skin), 200, capsys)
    assert trial.kills.all >= 200
    assert trial.kills.in_hand >= 20
    assert trial.kills.writing >= 5
    assert kind is NoTrouble or trial.trouble.count >= 10


# the decoder or the engine ends the process, as a fault in native code does
_DEADLY = """
import os, signal, sys
from runtime import in_hand
from runtime.cli import main

score_image = in_hand.score_image

def deadly(image, model):
    if image.path.name == "deadly.bmp":
        os.kill(os.getpid(), signal.SIGKILL)
    return score_image(image, model)

in_hand.score_image = deadly
main(sys.argv[1:])
"""


def test_image_that_ends_the_program_is_given_up_and_no_other(tmp_path: Path, skin: npt.NDArray[np.uint8]) -> None:
    made = synthetic(skin, 1)
    trial = Trial(tmp_path, dict.fromkeys(["a.bmp", "b.bmp", "deadly.bmp", "z.bmp"], made), 0, random.Random(3))
    trial.folder.mkdir()
    for name, data in trial.sources.items():
        (trial.folder / name).write_bytes(data)
    watch = trial.command("--once")
    arguments = [sys.executable, "-c", _DEADLY, *watch[watch.index("watch") :]]
    deaths = 0
    while (
        ended := subprocess.run(arguments, capture_output=True, check=False, timeout=60, cwd=CHECKOUT)
    ).returncode < 0:
        deaths += 1
        assert deaths <= MOST_INTERRUPTIONS
    assert deaths == MOST_INTERRUPTIONS
    assert b"deadly.bmp: given up" in ended.stderr
    with open_ledger(trial.out) as ledger:
        states = {row.path.as_posix(): str(row.state) for row in ledger.rows()}
    assert states == {"a.bmp": "scored", "b.bmp": "scored", "deadly.bmp": "failed", "z.bmp": "scored"}
