"""Changes are hinted at; looking is not a change."""

import queue
import time
from pathlib import Path

from runtime.folder_hints import folder_hints


def drained(hints: "queue.SimpleQueue[Path]", wanted: set[Path], seconds: float = 10.0) -> set[Path]:
    """What comes until all of `wanted` did."""
    found: set[Path] = set()
    deadline = time.monotonic() + seconds
    while not wanted <= found and time.monotonic() < deadline:
        try:
            found.add(hints.get(timeout=0.05))
        except queue.Empty:
            continue
    return found


def test_new_written_and_moved_files_are_hinted_at(tmp_path: Path) -> None:
    (tmp_path / "old.bmp").write_bytes(b"1")
    (tmp_path / "site #1").mkdir()
    with folder_hints(tmp_path) as hints:
        (tmp_path / "site #1" / "new.bmp").write_bytes(b"1")
        (tmp_path / "old.bmp").rename(tmp_path / "moved.bmp")
        wanted = {tmp_path / "site #1" / "new.bmp", tmp_path / "moved.bmp"}
        assert wanted <= drained(hints, wanted)


def test_reading_and_deleting_are_no_hints(tmp_path: Path) -> None:
    (tmp_path / "old.bmp").write_bytes(b"1")
    (tmp_path / "gone.bmp").write_bytes(b"1")
    with folder_hints(tmp_path) as hints:
        (tmp_path / "old.bmp").read_bytes()
        (tmp_path / "gone.bmp").unlink()
        (tmp_path / "last.bmp").write_bytes(b"1")
        assert drained(hints, {tmp_path / "last.bmp"}) == {tmp_path / "last.bmp"}
