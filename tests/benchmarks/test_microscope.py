"""The stand-in saves what it is given, at the rate it is given."""

import itertools
from pathlib import Path

from benchmarks.microscope import PAUSE_S, STACK, Microscope


def test_frames_are_saved_in_turn_under_the_instruments_names(tmp_path: Path) -> None:
    microscope = Microscope([b"first", b"second"], tmp_path, per_second=50.0, count=3)
    microscope.start()
    microscope.join(10)
    assert [frame.path for frame in microscope.saved] == [STACK / f"v{number:07d}.bmp" for number in range(3)]
    assert [(tmp_path / frame.path).read_bytes() for frame in microscope.saved] == [b"first", b"second", b"first"]


def test_frames_keep_to_the_rate(tmp_path: Path) -> None:
    microscope = Microscope([b"frame"], tmp_path, per_second=10.0, count=6)
    microscope.start()
    microscope.join(10)
    closed = [frame.closed for frame in microscope.saved]
    # a machine that is busy saves later, and never earlier; half of the gaps are not much longer
    gaps = sorted(later - earlier for earlier, later in itertools.pairwise(closed))
    assert closed[-1] - closed[0] > 5 / 10.0 - 2 * PAUSE_S
    assert gaps[len(gaps) // 2] < 0.2
