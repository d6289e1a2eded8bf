"""A training killed at random steps, by the system and not by an exception, ends with the weights of one left alone."""

import random
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from trainer.phantom import write_phantom

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is not to be had there")

# of the epochs, those after whose line a kill comes; the last kill leaves some to go on with
KILLED_AFTER = (1, 3)
EPOCHS = 5


def command(data: Path, run: Path) -> Sequence[str]:
    inflamap = [sys.executable, "-m", "runtime.cli"]
    return [*inflamap, "train", str(data), "--out", str(run), "--epochs", str(EPOCHS), "--seed", "3"]


def kill_within(data: Path, run: Path, epoch: int, rng: random.Random) -> None:
    """Kill a training at a random step of the epoch after `epoch`."""
    with subprocess.Popen(command(data, run), stderr=subprocess.PIPE, text=True) as training:
        assert training.stderr is not None
        before = time.monotonic()
        for line in training.stderr:
            if line.startswith("epoch") and "train loss" in line:
                seconds, before = time.monotonic() - before, time.monotonic()
                if line.split()[1] == f"{epoch + 1}/{EPOCHS}":
                    time.sleep(rng.uniform(0, 0.8) * min(seconds, 2.0))
                    break
        training.kill()
        assert training.wait() == -9


@pytest.mark.timeout(300)
def test_a_training_killed_at_random_steps_ends_with_the_same_weights(tmp_path):
    data = tmp_path / "data"
    write_phantom(data, patches=60, frames=0, seed=4)
    subprocess.run(command(data, tmp_path / "whole"), check=True, capture_output=True)

    seed = random.randrange(2**32)
    for epoch in KILLED_AFTER:
        kill_within(data, tmp_path / "killed", epoch, random.Random(seed + epoch))
        assert not (tmp_path / "killed" / "network.safetensors").exists()
    said = subprocess.run(command(data, tmp_path / "killed"), check=True, capture_output=True, text=True).stderr
    assert f"of {EPOCHS}" in said
    assert "going on after epoch" in said
    whole, killed = ((tmp_path / run / "network.safetensors").read_bytes() for run in ("whole", "killed"))
    assert killed == whole, f"seed {seed}"
