"""The bundle: whole, proven and anonymous, or not there at all."""

import csv
import hashlib
import json
import re
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from export import package
from export.calibration import read_calibration_patches, read_run
from export.package import export_bundle, golden_images
from runtime.bundle import open_bundle
from runtime.engines.registry import check_golden_frames, open_engine
from runtime.errors import CheckFailed, InflamapError
from trainer.network import MapNetwork


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def export_quietly(run: Path, out: Path, **options) -> list[str]:
    said: list[str] = []
    export_bundle(run, out, say=said.append, **{"stride_px": 8, **options})
    return said


# what is written


def test_the_manifest_has_the_keys_of_the_contract(bundle, finished):
    document = json.loads((bundle.folder / "bundle.json").read_text())
    assert {
        "format", "name", "grades", "patch_px", "stride_px", "um_per_px", "um_per_px_range", "files", "training",
        "metrics", "golden", "synthetic",
    } <= set(document)  # fmt: skip
    assert document["name"] == "tiny-run"
    assert document["grades"] == ["0", "1", "2"]
    assert (document["patch_px"], document["stride_px"], document["um_per_px"]) == (32, 8, 0.5)
    low, high = document["um_per_px_range"]
    assert 0.1 < low <= 0.5 <= high < 2
    run = json.loads((finished.folder / "run.json").read_text())
    training = document["training"]
    assert training["data_sha256"] == run["data"]["sha256"]
    assert training["parts"] == {"train": 90, "val": 30, "test": 30}
    assert training["seed"] == 7
    assert training["temperature"] == run["temperature"]
    assert {"inflamap", "network", "export", "quality", "torch", "onnx", "onnxruntime"} <= set(training["versions"])
    assert document["metrics"]["model.fp32.onnx"]["parity"]["patches"] <= 1e-4
    assert document["golden"]["tolerance"]["model.fp32.onnx"] > 0
    assert document["synthetic"] is False


def test_every_file_is_there_with_its_hash_and_no_other(bundle):
    files = contents(bundle.folder)
    assert set(files) == {"bundle.json", *bundle.manifest.files}
    for name, sha256 in bundle.manifest.files.items():
        assert hashlib.sha256(files[name]).hexdigest() == sha256
    assert {"model.fp32.onnx", "golden.npz", "training_patches.txt"} <= set(files)


def test_the_golden_frames_are_the_trained_networks_own_and_are_reproduced(bundle, finished):
    golden = bundle.golden_frames()
    assert golden.frames.shape == (2, 1, 64, 64)
    assert golden.probabilities.shape == (2, 3, 5, 5)
    with torch.inference_mode():
        wanted = MapNetwork(finished.network, 8).eval()(torch.from_numpy(golden.frames))
    np.testing.assert_array_equal(golden.probabilities, wanted[0].numpy())
    np.testing.assert_array_equal(golden.unfamiliarity, wanted[1].numpy())
    engine = open_engine(bundle, threads=1)
    assert check_golden_frames(engine, bundle, "model.fp32.onnx") < 1e-5
    # frames on which every engine says the same would prove nothing
    assert np.ptp(golden.probabilities.argmax(1)) > 0


def test_golden_images_hold_whole_patches_of_the_validation_part(finished):
    patches = read_calibration_patches(read_run(finished.folder), None, finished.geometry)
    frames = golden_images(patches, finished.geometry)
    assert frames.shape == (2, 1, 64, 64)
    np.testing.assert_array_equal(frames[0, 0, :32, :32], patches[0, 0])
    np.testing.assert_array_equal(frames[1, 0, 32:, 32:], patches[-1, 0])
    assert golden_images(patches[:1], finished.geometry).shape == (2, 1, 64, 64)


def test_it_knows_what_it_was_trained_and_chosen_by_and_not_what_was_held_out(bundle, finished):
    with (finished.folder / "split.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    seen = bundle.training_patches()
    assert seen == {row["sha256"][:16] for row in rows if row["split"] != "test"}
    assert len(seen) == 120


def test_no_name_of_a_person_or_folder_leaves_the_run(bundle, finished):
    for name, content in contents(bundle.folder).items():
        for trace in (b"Mustermann", b"Erika", b"Patient", b"Dr-Who", b"Visite", b"who.csv", b"scores.csv"):
            assert trace not in content, (name, trace)
        for folder in (finished.folder, finished.data, Path.cwd()):
            assert str(folder).encode() not in content, (name, folder)
    manifest = (bundle.folder / "bundle.json").read_text()
    assert re.findall(r'"[^"]*[/\\][^"]*"', manifest) == ['"inflamap.bundle/1"']
    assert bundle.manifest.training["split"] == bundle.manifest.training["settings"]["split"] == "file"


def test_other_ways_to_split_are_told_by_name(finished, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(finished.folder, run)
    document = json.loads((run / "run.json").read_text())
    document["settings"]["split"] = "subject"
    (run / "run.json").write_text(json.dumps(document))
    assert package._training(read_run(run))["split"] == "subject"


@pytest.mark.usefixtures("_shared_graphs")
def test_name_stride_data_folder_and_origin_are_taken_over(finished, tmp_path):
    run, moved = tmp_path / "run", tmp_path / "moved"
    shutil.copytree(finished.folder, run)
    shutil.copytree(finished.data, moved)
    document = json.loads((run / "run.json").read_text())
    document["data"] |= {"synthetic": True, "folder": str(tmp_path / "gone")}
    (run / "run.json").write_text(json.dumps(document))
    said = export_quietly(run, tmp_path / "new" / "bundle", name="arm-1", stride_px=16, data=moved)
    bundle = open_bundle(tmp_path / "new" / "bundle")
    assert bundle.manifest.name == "arm-1"
    assert bundle.manifest.synthetic
    assert bundle.geometry.stride_px == 16
    assert bundle.golden_frames().probabilities.shape == (2, 3, 3, 3)
    assert said[0].startswith("torch against onnxruntime: probabilities differ by ")
    assert "scores hold from " in said[1]


# what is in the way


def test_a_folder_that_is_no_bundle_is_refused_and_left_alone(finished, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.txt").write_text("years of work")
    (tmp_path / "file").write_text("also work")
    for out in (tmp_path / "thesis", tmp_path / "file", finished.folder):
        with pytest.raises(
            InflamapError, match=r"is in the way; wanted: a new or empty folder, or a bundle to replace"
        ):
            export_quietly(finished.folder, out)
    assert contents(tmp_path / "thesis") == {"chapter1.txt": b"years of work"}
    assert (tmp_path / "file").read_text() == "also work"


@pytest.fixture
def earlier(bundle, tmp_path) -> Path:
    """A bundle from before, with a file of its own."""
    out = tmp_path / "bundle"
    shutil.copytree(bundle.folder, out)
    (out / "model.int8.onnx").write_bytes(b"of an earlier export")
    return out


@pytest.mark.usefixtures("_shared_graphs")
def test_an_earlier_bundle_is_replaced_as_a_whole(finished, bundle, earlier):
    export_quietly(finished.folder, earlier, name="newer")
    assert open_bundle(earlier).manifest.name == "newer"
    assert set(contents(earlier)) == set(contents(bundle.folder))
    assert [path.name for path in earlier.parent.iterdir()] == ["bundle"]


@pytest.mark.usefixtures("_shared_graphs")
def test_an_empty_folder_is_filled(finished, tmp_path):
    (tmp_path / "bundle").mkdir()
    export_quietly(finished.folder, tmp_path / "bundle")
    assert open_bundle(tmp_path / "bundle").manifest.name == "tiny-run"


# what fails


def other_graph(graphs: dict[int, bytes]) -> bytes:
    """A graph whose head says something else."""
    model = onnx.load_from_string(graphs[8])
    weight = next(tensor for tensor in model.graph.initializer if tensor.name == "network.head.2.weight")
    weight.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(weight) * 1.5, weight.name))
    return bytes(model.SerializeToString())


def test_an_export_that_scores_otherwise_leaves_no_bundle(finished, graphs, tmp_path, monkeypatch):
    monkeypatch.setattr(package, "to_onnx", lambda *_anything: other_graph(graphs))
    with pytest.raises(CheckFailed, match="does not score as the trained network does"):
        export_quietly(finished.folder, tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


def test_an_export_that_scores_otherwise_leaves_the_earlier_bundle(finished, graphs, earlier, monkeypatch):
    before = contents(earlier)
    monkeypatch.setattr(package, "to_onnx", lambda *_anything: other_graph(graphs))
    with pytest.raises(CheckFailed):
        export_quietly(finished.folder, earlier)
    assert contents(earlier) == before


@pytest.mark.usefixtures("_shared_graphs")
@pytest.mark.parametrize("failing", ["the proof", "the disk", "the renaming"])
def test_a_failure_at_the_last_moment_leaves_the_earlier_bundle_and_no_temporaries(
    finished, earlier, monkeypatch, failing
):
    before = contents(earlier)

    def refuse(*_arguments: object, **_options: object) -> None:
        raise CheckFailed("does not reproduce")

    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    rename = Path.rename

    def locked(path: Path, target: Path) -> Path:
        if target == earlier and not path.name.endswith("-earlier"):
            raise PermissionError(13, "in use")
        return rename(path, target)

    with monkeypatch.context() as patch:
        if failing == "the proof":
            patch.setattr(package, "open_engine", refuse)
        if failing == "the disk":
            patch.setattr(Path, "write_bytes", full)
        if failing == "the renaming":
            patch.setattr(Path, "rename", locked)
        said = {
            "the disk": "bundle cannot be written; seen: No space left",
            "the renaming": "bundle cannot be written; ",
        }
        with pytest.raises(InflamapError, match=said.get(failing, "does not reproduce")):
            export_quietly(finished.folder, earlier)
    assert contents(earlier) == before
    assert [path.name for path in earlier.parent.iterdir()] == ["bundle"]


@pytest.mark.parametrize("stride_px", [0, -8, 6, 10])
def test_a_stride_between_the_features_is_refused(finished, tmp_path, stride_px):
    with pytest.raises(InflamapError, match=f"--stride; seen: {stride_px}; wanted: a positive multiple of 4 px"):
        export_quietly(finished.folder, tmp_path / "bundle", stride_px=stride_px)
    assert list(tmp_path.iterdir()) == []


def test_a_data_set_that_is_gone_is_asked_for(finished, tmp_path):
    with pytest.raises(InflamapError, match=r"gone: no such folder; .* next: give --calibration DATA"):
        export_quietly(finished.folder, tmp_path / "bundle", data=tmp_path / "gone")
    assert list(tmp_path.iterdir()) == []


def test_a_run_without_its_network_is_refused(finished, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(finished.folder, run)
    (run / "network.safetensors").unlink()
    with pytest.raises(InflamapError, match=r"run: no network; seen: .*; next: train again"):
        export_quietly(run, tmp_path / "bundle")
