"""Nothing of a bundle is used that is not what was exported."""

import hashlib
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export.package import EXPORT_VERSION
from runtime.bundle import DEFAULT_BUNDLE, Bundle, abbreviate, open_bundle
from runtime.bundle_arrays import GatePatches
from runtime.bundle_files import FP16_TENSORRT_MODEL, FP32_MODEL, INT8_MODEL, INT8_TENSORRT_MODEL
from runtime.errors import BundleError
from runtime.manifest import FORMAT
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
    quality, usual = open_bundle(DEFAULT_BUNDLE).manifest.quality, QualityLimits()
    assert quality.detail > usual.detail, "measured at export"
    assert quality.structure > usual.structure
    made = json.loads((DEFAULT_BUNDLE / "made_by.json").read_text())
    assert made["phantom"]["generator"] == GENERATOR_VERSION


def test_shipped_bundle_says_it_is_synthetic_and_holds_its_files() -> None:
    bundle = open_bundle(DEFAULT_BUNDLE)
    assert bundle.manifest.synthetic
    assert bundle.manifest.grades == ("0", "1", "2", "3", "4")
    assert bundle.manifest.format == FORMAT == "inflamap.bundle/3"
    assert set(bundle.manifest.model_files()) == {FP32_MODEL, INT8_MODEL, INT8_TENSORRT_MODEL, FP16_TENSORRT_MODEL}
    for name in bundle.manifest.files:
        assert bundle.read_file(name)
    bundle.verify_files()
    # of 3797, those of 19 subjects
    assert len(bundle.training_patches()) == 3005


def test_shipped_bundle_has_golden_frames_and_patches_of_its_geometry() -> None:
    bundle = open_bundle(DEFAULT_BUNDLE)
    geometry, grades = bundle.geometry, len(bundle.manifest.grades)
    golden, gate = bundle.golden_frames(), bundle.gate_patches()
    cells = tuple(map(geometry.cells, golden.frames.shape[-2:]))
    assert golden.probabilities.shape == (len(golden.frames), grades, *cells)
    assert golden.unfamiliarity.shape == (len(golden.frames), *cells)
    assert gate.patches.shape[1:] == (geometry.patch_px, geometry.patch_px)
    assert gate.probabilities.shape == (len(gate.patches), grades)
    assert bundle.manifest.gate.part == "test"
    for answers in (np.moveaxis(golden.probabilities, 1, -1), gate.probabilities):
        np.testing.assert_allclose(answers.sum(-1), 1, atol=1e-5)


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


@pytest.mark.parametrize("name", ["gate.npz", "training_patches.txt", INT8_TENSORRT_MODEL])
def test_every_file_is_verified_whether_it_is_needed_or_not(name: str, bundle_with: Callable[..., Bundle]) -> None:
    bundle = bundle_with()
    bundle.verify_files()
    (bundle.folder / name).write_bytes(b"changed")
    with pytest.raises(BundleError, match=f"{re.escape(name)}: not the file that was exported"):
        bundle.verify_files()


def test_files_that_are_not_of_their_kind_are_refused(bundle_with: Callable[..., Bundle]) -> None:
    bundle = bundle_with(contents={"gate.npz": b"junk", "training_patches.txt": b"\xff"})
    with pytest.raises(BundleError, match=r"gate\.npz: no patches for the gate; seen: File is not a zip file"):
        bundle.gate_patches()
    with pytest.raises(BundleError, match=r"training_patches\.txt: no list of patches"):
        bundle.training_patches()


def test_golden_file_that_is_no_archive_is_refused(bundle_with: Callable[..., Bundle]) -> None:
    folder = bundle_with().folder
    (folder / "golden.npz").write_bytes(b"junk")
    document = json.loads((folder / "bundle.json").read_text())
    document["files"]["golden.npz"] = hashlib.sha256(b"junk").hexdigest()
    (folder / "bundle.json").write_text(json.dumps(document))
    with pytest.raises(BundleError, match=r"golden\.npz: no golden frames; seen: File is not a zip file"):
        open_bundle(folder).golden_frames()


def test_gate_for_another_model_is_refused_with_both_sizes(bundle_with: Callable[..., Bundle]) -> None:
    gate = open_bundle(DEFAULT_BUNDLE).gate_patches()
    smaller = GatePatches(gate.patches[:, 1:, 1:], gate.medians, gate.probabilities, gate.unfamiliarity)
    with pytest.raises(
        BundleError, match=r"patches for another model; seen: .*\(127, 127, 5\); wanted: \(128, 128, 5\)"
    ):
        bundle_with(contents={"gate.npz": smaller.to_bytes()}).gate_patches()


def edited(bundle: Bundle, **changes: Any) -> Bundle:
    """The bundle with other keys in `bundle.json`, which nobody but its editor knows of."""
    path = bundle.folder / "bundle.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return open_bundle(bundle.folder)


def test_manifest_edited_after_the_export_is_known_by_the_golden_file(bundle_with: Callable[..., Bundle]) -> None:
    bundle = bundle_with(name="as exported")
    assert bundle.golden_frames().facts == bundle.facts
    with pytest.raises(
        BundleError,
        match=r"bundle\.json: changed after the export; seen: name 'another', synthetic False; "
        r"wanted: name 'as exported', synthetic True; next: copy the bundle again",
    ):
        edited(bundle, name="another", synthetic=False).golden_frames()


def test_manifest_written_in_another_way_is_the_same(bundle_with: Callable[..., Bundle]) -> None:
    bundle = bundle_with()
    document = json.loads((bundle.folder / "bundle.json").read_text())
    turned = {key: document[key] for key in reversed(document)} | {"newer_key": "of a later version"}
    (bundle.folder / "bundle.json").write_text(json.dumps(turned, indent=7))
    assert open_bundle(bundle.folder).facts == bundle.facts
    open_bundle(bundle.folder).golden_frames()


GOLDEN = json.loads((DEFAULT_BUNDLE / "bundle.json").read_text())["golden"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": "inflamap.bundle/9"}, "format 'inflamap.bundle/9', wanted 'inflamap.bundle/3'"),
        ({"format": "inflamap.bundle/2"}, "format 'inflamap.bundle/2', wanted .*; next: export the run again"),
        ({"format": "inflamap.bundle/1"}, "format 'inflamap.bundle/1', wanted 'inflamap.bundle/3'"),
        ({"grades": ["0"]}, r"length >= 2.*\$\.grades"),
        ({"grades": ["0", "1", "1"]}, "grades 0, 1, 1, wanted each name once"),
        ({"ordered": "yes"}, r"\$\.ordered"),
        ({"ordered": None}, r"\$\.ordered"),
        ({"quantity": ""}, "quantity '', wanted one line of 1 to 40 printable characters"),
        ({"quantity": "two\nlines"}, r"quantity 'two\\nlines'"),
        ({"quantity": "x" * 41}, "quantity 'x{41}'"),
        ({"patch_px": 0}, r"\$\.patch_px"),
        ({"um_per_px": -0.5}, r"\$\.um_per_px"),
        ({"um_per_px_range": [0.6, 0.7]}, "um_per_px_range 0.6 to 0.7 does not hold um_per_px 0.5"),
        ({"files": {"../model.fp32.onnx": "0" * 64}}, "regex.*`key` in"),
        ({"files": {"model.fp32.onnx": "0" * 64}}, r"files lacks training_patches\.txt"),
        ({"synthetic": "no"}, r"\$\.synthetic"),
        ({"quality": {"valid_share": 1.5}}, "valid_share 1.5, wanted 0 to 1"),
        ({"quality": {"dark_mean": "dim"}}, r"\$\.quality\.dark_mean"),
        ({"golden": GOLDEN | {"tolerance": {}}}, r"golden\.tolerance lacks model"),
        ({"golden": GOLDEN | {"unfamiliarity_tolerance": {}}}, r"golden\.unfamiliarity_tolerance lacks model"),
        ({"golden": {"file": "golden.npz", "tolerance": {}}}, "missing required field `unfamiliarity_tolerance`"),
        ({"golden": GOLDEN | {"tolerance": {"model.fp32.onnx": 0.6}}}, r"<= 0\.5.*\$\.golden\.tolerance"),
        ({"golden": GOLDEN | {"file": "other.npz"}}, r"files lacks other\.npz"),
        ({"gate": {"file": "other.npz", "part": "test"}}, r"files lacks other\.npz"),
        ({"gate": {"file": "gate.npz"}}, "missing required field `part`"),
    ],
)
def test_invalid_manifest_is_refused_and_named(
    changes: dict[str, object], said: str, bundle_with: Callable[..., Bundle]
) -> None:
    with pytest.raises(BundleError, match=f"bundle.json: not a valid bundle.*{said}"):
        edited(bundle_with(), **changes)


def test_bundle_of_an_earlier_format_is_to_be_exported_again(bundle_with: Callable[..., Bundle]) -> None:
    folder = bundle_with().folder
    document = json.loads((folder / "bundle.json").read_text()) | {"format": "inflamap.bundle/2"}
    del document["ordered"], document["quantity"]
    (folder / "bundle.json").write_text(json.dumps(document))
    with pytest.raises(
        BundleError,
        match=r"format 'inflamap\.bundle/2', wanted 'inflamap\.bundle/3'; next: export the run again",
    ):
        open_bundle(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b'{"format": "inflamap.bundle/3"}'])
def test_unreadable_manifest_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "bundle.json").write_bytes(content)
    with pytest.raises(BundleError, match="not a valid bundle"):
        open_bundle(tmp_path)


def test_folder_without_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=re.escape(f"{tmp_path / 'bundle.json'}: cannot be read")):
        open_bundle(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="a link needs rights on Windows")
def test_folder_may_be_reached_by_a_link_and_its_files_may_not(
    bundle_with: Callable[..., Bundle], tmp_path: Path
) -> None:
    bundle = bundle_with()
    (tmp_path / "current").symlink_to(bundle.folder)
    open_bundle(tmp_path / "current").verify_files()
    path = bundle.folder / FP32_MODEL
    path.rename(tmp_path / "moved.onnx")
    path.symlink_to(tmp_path / "moved.onnx")
    with pytest.raises(BundleError, match=r"model\.fp32\.onnx: refused; seen: a symbolic link; wanted: a plain file"):
        bundle.read_file(FP32_MODEL)


def test_abbreviated_hash_begins_the_hash() -> None:
    assert abbreviate("0123456789abcdef" * 4) == "0123456789abcdef"
