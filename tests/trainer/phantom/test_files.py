"""What `inflamap phantom` leaves on disk."""

import csv
import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from trainer.phantom import GENERATOR_VERSION, files, write_phantom
from trainer.phantom.raters import RATERS


@pytest.fixture(scope="module")
def phantom(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("phantom")
    write_phantom(out, patches=12, frames=2, seed=5)
    return out


def hashes(out: Path) -> dict[str, str]:
    return {
        p.relative_to(out).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in out.rglob("*") if p.is_file()
    }


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_patch_has_a_score_from_every_rater(phantom):
    scores = rows(phantom / "scores.csv")
    assert list(scores[0]) == ["path", "score", "subject", "rater", "um_per_px"]
    assert len(scores) == 12 * len(RATERS)
    for row in scores:
        assert int(row["score"]) in range(5)
        assert float(row["um_per_px"]) == 0.5
        patch = cv2.imread(str(phantom / row["path"]), cv2.IMREAD_UNCHANGED)
        assert patch.shape == (128, 128)
        assert patch.dtype == np.uint8
    assert {(r["path"], r["rater"]) for r in scores} == {
        (f"patches/p{i:05d}.png", rater.name) for i in range(12) for rater in RATERS
    }


def test_the_truth_is_kept_apart(phantom):
    truth = rows(phantom / "truth.csv")
    assert list(truth[0]) == ["path", "severity", "grade"]
    assert len(truth) == 12
    assert all(abs(float(r["severity"]) - int(r["grade"])) <= 0.5 for r in truth)


def test_it_says_that_it_is_synthetic(phantom):
    about = json.loads((phantom / "phantom.json").read_text("utf-8"))
    assert about["synthetic"] is True
    assert about["generator"] == GENERATOR_VERSION
    assert about["seed"] == 5
    assert "ours" in about["mapping"]
    assert len(about["subjects"]) >= 20
    assert len(about["raters"]) == 3
    assert 0.8 < about["oracle_accuracy"] < 1.0


def test_frames_are_what_a_vivascope_writes(phantom):
    assert sorted(p.name for p in (phantom / "frames").iterdir()) == [
        "v0000000.bmp", "v0000000.severity.npy", "v0000001.bmp", "v0000001.severity.npy",
    ]  # fmt: skip
    raw = (phantom / "frames" / "v0000000.bmp").read_bytes()
    assert len(raw) == 1_001_078
    image = cv2.imread(str(phantom / "frames" / "v0000000.bmp"), cv2.IMREAD_UNCHANGED)
    assert image.shape == (1000, 1000)
    assert image.dtype == np.uint8
    same = cv2.imencode(".bmp", image)[1].tobytes()
    assert raw[1078:] == same[1078:]
    assert raw[:30] == same[:30]


def test_a_frames_severity_varies_smoothly_within_the_scale(phantom):
    severity = np.load(phantom / "frames" / "v0000001.severity.npy")
    assert severity.shape == (1000, 1000)
    assert severity.dtype == np.float32
    assert severity.min() >= 0.0
    assert severity.max() <= 4.0
    assert np.ptp(severity) > 1.0
    assert np.abs(np.diff(severity, axis=0)).max() < 0.1


def test_the_same_seed_gives_the_same_bytes_however_it_is_spread(phantom, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_WORTH_A_POOL", 0)
    write_phantom(tmp_path / "again", patches=12, frames=2, seed=5)
    assert hashes(tmp_path / "again") == hashes(phantom)


def test_an_item_does_not_depend_on_how_many_are_asked_for(phantom, tmp_path):
    write_phantom(tmp_path, patches=5, frames=0, seed=5)
    fewer, more = hashes(tmp_path / "patches"), hashes(phantom / "patches")
    assert fewer == {name: more[name] for name in fewer}
    assert len(fewer) == 5
    assert rows(tmp_path / "scores.csv") == rows(phantom / "scores.csv")[: 5 * 3]


def test_another_seed_gives_other_skin(phantom, tmp_path):
    write_phantom(tmp_path, patches=1, frames=0, seed=6)
    assert hashes(tmp_path)["patches/p00000.png"] != hashes(phantom)["patches/p00000.png"]


def test_an_earlier_phantom_is_replaced_and_anything_else_refused(tmp_path):
    write_phantom(tmp_path / "p", patches=3, frames=0)
    write_phantom(tmp_path / "p", patches=2, frames=0)
    assert len(list((tmp_path / "p" / "patches").iterdir())) == 2
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.txt").write_text("years of work")
    with pytest.raises(ValueError, match=r"chapter1\.txt.*empty folder"):
        write_phantom(tmp_path / "thesis", patches=1, frames=0)
    assert [p.name for p in (tmp_path / "thesis").iterdir()] == ["chapter1.txt"]
    with pytest.raises(ValueError, match="chapter1"):
        write_phantom(tmp_path / "thesis" / "chapter1.txt", patches=1, frames=0)


def test_progress_counts_up_to_the_end(tmp_path):
    told = []
    write_phantom(tmp_path, patches=3, frames=1, progress=lambda *step: told.append(step))
    assert told == [("patches", 1, 3), ("patches", 2, 3), ("patches", 3, 3), ("frames", 1, 1)]
