"""What attacks on a bundle share: a forged one, and the two ways in which each is refused."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from forgery import Forgery

from runtime.bundle import open_bundle
from runtime.cli import main
from runtime.engines.registry import REFERENCE_ENGINE, open_engine
from runtime.errors import BundleError, CheckFailed


@pytest.fixture
def forgery(tmp_path: Path) -> Iterator[Forgery]:
    """The shipped bundle in a folder of its own, to be forged."""
    forged = Forgery(tmp_path / "bundle")
    yield forged
    # some megabytes a test
    shutil.rmtree(forged.folder)


@pytest.fixture
def refusal() -> Callable[..., str]:
    """Opens an engine over a forged bundle; gives the one line with which it is refused."""

    def open_forged(forged: Forgery, engine: str = REFERENCE_ENGINE) -> str:
        with pytest.raises((BundleError, CheckFailed)) as caught:
            open_engine(open_bundle(forged.folder), engine, threads=1)
        line = str(caught.value)
        assert line.isprintable()
        assert len(line) < 2000
        return line

    return open_forged


@pytest.fixture
def refusal_by_score(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Callable[[Forgery], tuple[int, str]]:
    """Runs `inflamap score` with a forged bundle; gives the exit code and the one line, after nothing was written."""

    def score(forged: Forgery) -> tuple[int, str]:
        image, out = tmp_path / "image.png", tmp_path / "out"
        image.write_bytes(cv2.imencode(".png", np.full((150, 150), 90, np.uint8))[1].tobytes())
        capfd.readouterr()
        arguments = [str(image), "--bundle", str(forged.folder), "--out", str(out), "--um-per-px", "0.5"]
        with pytest.raises(SystemExit) as stop:
            main(["score", *arguments, "--threads", "1"])
        captured = capfd.readouterr()
        assert captured.out == ""
        assert captured.err.count("\n") == 1
        assert captured.err.startswith("inflamap: ")
        assert "unexpected" not in captured.err
        assert not out.exists()
        return int(stop.value.code or 0), captured.err.rstrip("\n")

    return score
