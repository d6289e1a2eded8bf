"""Nothing of a bundle is used that is not what was exported."""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from export.package import EXPORT_VERSION
from runtime.bundle import DEFAULT_BUNDLE, Bundle, GoldenFrames, abbreviate, open_bundle
from runtime.errors import BundleError
from runtime.quality import QUALITY_VERSION, QualityLimits
from trainer.network import NETWORK_VERSION
from trainer.phantom import GENERATOR_VERSION


def test_shipped_bundle_is_of_these_versions() -> None:
    """When this fails: python -m benchmarks.default_bundle, and commit what it makes."""
    versions = open_bundle(DEFAULT_BUNDLE).manifest.training["versions"]
    assert {key: versions[key] for key in ("network", "export", "quality")} == {
        "network": NETWORK_VERSION,
        "export": EXPORT_VERSION,
        "quality": QUALITY_VERSION,
    }
    assert open_bundle(DEFAULT_BUNDLE).manifest.quality == QualityLimits()
    made = json.loads((DEFAULT_BUNDLE / "made_by.json").read_text())
    assert made["phantom"]["generator"] == GENERATOR_VERSION


def test_shipped_bundle_says_it_is_synthetic_and_holds_its_files() -> None:
    bundle = open_bundle(DEFAULT_BUNDLE)
    assert bundle.manifest.synthetic
    assert bundle.manifest.grades == ("0", "1", "2", "3", "4")
    for name in bundle.manifest.files:
        assert bundle.read_file(name)
    assert len(bundle.training_patches()) == 3000


def test_changed_file_is_refused_with_both_hashes(bundle_with: Callable[..., Bundle]) -> None:
    bundle = bundle_with()
    path = bundle.folder / "model.fp32.onnx"
    path.write_bytes(path.read_bytes()[:-1] + b"\x00")
    with pytest.raises(BundleError, match=r"model\.fp32\.onnx.*sha256.*seen: [0-9a-f]{64}; wanted: [0-9a-f]{64}"):
        bundle.read_file("model.fp32.onnx")


def test_missing_file_and_unlisted_file_are_refused(bundle_with: Callable[..., Bundle]) -> None:
    bundle = bundle_with()
    (bundle.folder / "golden.npz").unlink()
    with pytest.raises(BundleError, match=r"golden\.npz: cannot be read"):
        bundle.golden_frames()
    (bundle.folder / "extra.onnx").write_bytes(b"x")
    with pytest.raises(BundleError, match=r"extra\.onnx: not in bundle\.json"):
        bundle.read_file("extra.onnx")


def test_golden_file_that_is_no_archive_is_refused(bundle_with: Callable[..., Bundle]) -> None:
    files = dict(open_bundle(DEFAULT_BUNDLE).manifest.files)
    files["golden.npz"] = hashlib.sha256(b"junk").hexdigest()
    bundle = bundle_with(files=files)
    (bundle.folder / "golden.npz").write_bytes(b"junk")
    with pytest.raises(BundleError, match="no golden frames"):
        bundle.golden_frames()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": "inflamap.bundle/9"}, "format 'inflamap.bundle/9', wanted 'inflamap.bundle/1'"),
        ({"grades": ["0"]}, r"length >= 2.*\$\.grades"),
        ({"patch_px": 0}, r"\$\.patch_px"),
        ({"um_per_px": -0.5}, r"\$\.um_per_px"),
        ({"um_per_px_range": [0.6, 0.7]}, "um_per_px_range 0.6 to 0.7 does not hold um_per_px 0.5"),
        ({"files": {"../model.fp32.onnx": "0" * 64}}, "regex.*`key` in"),
        ({"files": {"model.fp32.onnx": "0" * 64}}, "files lacks"),
        ({"synthetic": "no"}, r"\$\.synthetic"),
        ({"quality": {"valid_share": 1.5}}, "valid_share 1.5, wanted 0 to 1"),
        ({"quality": {"dark_mean": "dim"}}, r"\$\.quality\.dark_mean"),
        ({"golden": {"file": "golden.npz", "tolerance": {}}}, "golden.tolerance lacks"),
    ],
)
def test_invalid_manifest_is_refused_and_named(
    changes: dict[str, object], said: str, bundle_with: Callable[..., Bundle]
) -> None:
    with pytest.raises(BundleError, match=f"bundle.json: not a valid bundle.*{said}"):
        bundle_with(**changes)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b'{"format": "inflamap.bundle/1"}'])
def test_unreadable_manifest_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "bundle.json").write_bytes(content)
    with pytest.raises(BundleError, match="not a valid bundle"):
        open_bundle(tmp_path)


def test_folder_without_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=re.escape(f"{tmp_path / 'bundle.json'}: cannot be read")):
        open_bundle(tmp_path)


def test_golden_frames_round_trip() -> None:
    rng = np.random.default_rng(0)
    golden = GoldenFrames(
        rng.integers(0, 256, (2, 1, 9, 9), dtype=np.uint8),
        rng.random((2, 5, 1, 1), np.float32),
        rng.random((2, 1, 1), np.float32),
    )
    back = GoldenFrames.from_bytes(golden.to_bytes())
    np.testing.assert_array_equal(back.frames, golden.frames)
    np.testing.assert_array_equal(back.probabilities, golden.probabilities)


def test_abbreviated_hash_begins_the_hash() -> None:
    assert abbreviate("0123456789abcdef" * 4) == "0123456789abcdef"
