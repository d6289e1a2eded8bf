"""The bundle: whole, proven and anonymous, or not there at all."""

import contextlib
import csv
import dataclasses
import hashlib
import json
import re
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest

from export import engines, int8_search, measurements, package
from export.package import calibration_images, export_bundle
from export.quantize import PROCESSOR
from export.run_files import read_run
from export.run_images import PartImages, in_orientations, read_part
from runtime import gate_set
from runtime.bundle import open_bundle
from runtime.engines.registry import check_golden_frames, open_engine
from runtime.errors import BundleError, CheckFailed, EngineMissing, InflamapError


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
    assert set(bundle.manifest.files) == {
        *("model.fp32.onnx", "model.fp16.trt.onnx", "model.int8.onnx", "model.int8.trt.onnx"),
        *("golden.npz", "gate.npz", "training_patches.txt"),
    }


def test_the_golden_frames_are_the_trained_networks_own_and_are_reproduced(bundle, models):
    golden = bundle.golden_frames()
    assert golden.frames.shape == (2, 1, 64, 64)
    assert golden.probabilities.shape == (2, 3, 5, 5)
    wanted = models[8].answers(golden.frames)
    np.testing.assert_array_equal(golden.probabilities, wanted[0])
    np.testing.assert_array_equal(golden.unfamiliarity, wanted[1])
    engine = open_engine(bundle, threads=1)
    assert check_golden_frames(engine, bundle, "model.fp32.onnx").probability < 1e-5
    # frames on which every engine says the same would prove nothing
    assert np.ptp(golden.probabilities.argmax(1)) > 0


def test_the_detectors_figures_are_in_the_manifest_without_any_path(bundle):
    figures = bundle.manifest.metrics["out_of_distribution"]
    assert figures["training_patches"] == 90
    assert figures["validation_patches"] == 30
    assert figures["refused_images"] == 0
    assert figures["auroc"] > 0.9
    assert figures["validation_withheld"] <= 0.1
    assert 0.2 <= bundle.manifest.quality.unfamiliar_share <= 0.5


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
    assert re.findall(r'"[^"]*[/\\][^"]*"', manifest) == ['"inflamap.bundle/3"']
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
    said: list[str] = []
    # whether so small a network keeps its grades in INT8 depends on the processor that it was trained on
    with contextlib.suppress(CheckFailed):
        export_bundle(run, tmp_path / "new" / "bundle", say=said.append, name="arm-1", stride_px=16, data=moved)
    bundle = open_bundle(tmp_path / "new" / "bundle")
    assert bundle.manifest.name == "arm-1"
    assert bundle.manifest.synthetic
    assert bundle.geometry.stride_px == 16
    assert bundle.golden_frames().probabilities.shape == (2, 3, 3, 3)
    assert said[0].startswith("out of distribution: ")
    assert said[1].startswith("torch against onnxruntime: probabilities differ by ")
    assert "scores hold from " in said[2]


@pytest.mark.usefixtures("_shared_graphs")
def test_the_gates_figures_are_in_the_manifest_and_on_the_terminal(finished, tmp_path):
    said = export_quietly(finished.folder, tmp_path / "bundle")
    document = json.loads((tmp_path / "bundle" / "bundle.json").read_text())
    metrics = document["metrics"]
    for file in ("model.fp32.onnx", "model.fp16.trt.onnx", "model.int8.onnx", "model.int8.trt.onnx"):
        gate = metrics[file]["gate"]
        assert gate["passed"] is True
        assert gate["patches"]["cells"] == 240
        assert gate["patches"]["unchanged"] >= 0.98
        assert gate["frames"]["cells"] > 30
        assert 0 < document["golden"]["tolerance"][file] < 0.2
        [row] = [line for line in said if line.startswith(f"{file} ")]
        assert row.endswith("passed")
    assert metrics["model.int8.onnx"]["gate"]["int8_share"] >= 0.8
    assert metrics["model.int8.onnx"]["calibrator"] == "percentile"
    assert metrics["calibration"] == {"part": "train", "patches": 90, "frames": 0, "images": 300}
    for which, part in (("chosen_by", "val"), ("gate", "test")):
        strangers = metrics[which].pop("strangers")
        assert metrics[which] == {"part": part, "patches": 30, "images": 240, "frames": 4, "mosaics": 0}
        assert 0 <= strangers <= 50
    assert "missed" not in metrics
    assert "held against FP32 on the test part, by which nothing was chosen:" in said
    assert document["gate"]["part"] == "test"
    here = {"onnxruntime-fp32", "onnxruntime-int8", "openvino-fp32", "openvino-int8"}
    assert here <= {line.split()[0] for line in said if line.endswith("passed")}
    assert here | {"machine"} == set(metrics["engines"])
    for name in here:
        assert metrics["engines"][name]["gate"]["passed"] is True
        assert metrics["engines"][name]["runs_on"]


def test_the_gates_patches_are_held_out_ones_with_the_trained_networks_answers(bundle, finished, models):
    gate = bundle.gate_patches()
    run = read_run(finished.folder)
    held_out = read_part(run, None, finished.geometry, "test", 400)
    # few, so shown in all orientations
    np.testing.assert_array_equal(gate.patches, in_orientations(held_out.patches, 400))
    np.testing.assert_array_equal(gate.medians, np.tile(held_out.medians, 8))
    probabilities, unfamiliarity = models[8].answers(gate.patches[:, None])
    np.testing.assert_array_equal(gate.probabilities, probabilities[:, :, 0, 0])
    np.testing.assert_array_equal(gate.unfamiliarity, unfamiliarity[:, 0, 0])


@pytest.mark.usefixtures("_shared_graphs")
def test_without_frames_mosaics_of_the_patches_take_their_place(finished, tmp_path, monkeypatch):
    read = package.read_part
    monkeypatch.setattr(package, "read_part", lambda *arguments: dataclasses.replace(read(*arguments), frames=()))
    monkeypatch.setattr(gate_set, "MOSAIC_PX", 128)
    # between two grades a network as small as this one may lose some to eight bits
    with contextlib.suppress(CheckFailed):
        export_quietly(finished.folder, tmp_path / "bundle")
    gate = json.loads((tmp_path / "bundle" / "bundle.json").read_text())["metrics"]["gate"]
    assert (gate["frames"], gate["mosaics"]) == (0, 4)


@pytest.mark.usefixtures("_shared_graphs")
def test_too_few_images_to_calibrate_on_are_told(finished, tmp_path, monkeypatch):
    read = package.read_part

    def few(*arguments):
        found = read(*arguments)
        return dataclasses.replace(found, patches=found.patches[::3]) if found.part == "train" else found

    monkeypatch.setattr(package, "read_part", few)
    said: list[str] = []
    with contextlib.suppress(CheckFailed):
        export_bundle(finished.folder, tmp_path / "bundle", stride_px=8, say=said.append)
    assert "calibrated on 240 images, 300 are wanted: the training part holds no more" in said


def test_calibration_shows_few_patches_in_several_orientations_and_frames_as_they_are():
    patches = np.random.default_rng(0).integers(0, 256, (100, 4, 4), np.uint8)
    frame = np.zeros((9, 8), np.uint8)
    shown, alone = calibration_images(PartImages("train", patches, np.zeros(100, np.int64), (frame,)))
    assert shown.shape == (300, 1, 4, 4)
    np.testing.assert_array_equal(shown[:100, 0], patches)
    np.testing.assert_array_equal(shown[100:200, 0], np.rot90(patches, 1, (1, 2)))
    assert alone.shape == (1, 1, 9, 8)
    enough = np.zeros((300, 4, 4), np.uint8)
    assert len(calibration_images(PartImages("train", enough, np.zeros(300, np.int64)))[0]) == 300


# a quantised model that does not keep the grades


def spoil(content: bytes) -> bytes:
    """The eight-bit weights of the last convolution that has some, upside down."""
    model = onnx.load_from_string(content)
    weight = [tensor for tensor in model.graph.initializer if tensor.name.endswith("weight_quantized")][-1]
    weight.CopyFrom(onnx.numpy_helper.from_array(-onnx.numpy_helper.to_array(weight), weight.name))
    return bytes(model.SerializeToString())


@pytest.mark.usefixtures("_shared_graphs")
def test_a_spoilt_int8_model_is_not_written_and_the_export_ends_with_1(finished, tmp_path, monkeypatch, inflamap):
    quantize = int8_search.quantize

    def spoiling(model, ranges, recipe, layers):
        content = quantize(model, ranges, recipe, layers)
        return spoil(content) if recipe is PROCESSOR else content

    monkeypatch.setattr(int8_search, "quantize", spoiling)
    out = tmp_path / "bundle"
    code, _out, err = inflamap("export", finished.folder, "--out", out, "--stride", 8)
    assert code == 1
    *_others, line = err.splitlines()
    assert line.startswith("inflamap: model.int8.onnx: not written; seen: model.int8.onnx: patches: ")
    assert "of the grades unchanged, wanted 0.98" in line
    written = open_bundle(out)
    assert "model.int8.onnx" not in {*written.manifest.files, *contents(out)}
    assert written.manifest.golden.tolerance.keys() == set(written.manifest.model_files())
    assert open_engine(written, threads=1).name == "onnxruntime-fp32"
    with pytest.raises(BundleError, match=r"model\.int8\.onnx: not in bundle\.json"):
        open_engine(written, "onnxruntime-int8", threads=1)
    # by the part that is chosen by, for nothing was found to be held against the other
    assert [row for row in err.splitlines() if row.startswith("model.int8.onnx (val) ") and row.endswith("MISSED")]
    missed = json.loads((out / "bundle.json").read_text())["metrics"]["missed"]["model.int8.onnx"]
    assert missed["gate"]["passed"] is missed["chosen"] is False
    assert len(missed["tried"]) >= 2
    assert missed["shift_of_one_layer_alone"]
    # what was tried is told, the sensitivity of each layer too
    for tried in ("percentile", "minmax", "entropy"):
        assert f"model.int8.onnx: {tried}: missed: " in err
    assert "shift of the expected grade with one layer alone in INT8:" in err


@pytest.mark.usefixtures("_shared_graphs")
def test_tensorrt_is_asked_for_before_the_work_where_there_is_none(finished, tmp_path, monkeypatch, inflamap):
    monkeypatch.setattr(package, "require_tensorrt", missing)
    code, _out, err = inflamap("export", finished.folder, "--out", tmp_path / "bundle", "--tensorrt")
    assert code == 2
    assert err == "inflamap: no GPU; next: buy one\n"
    assert list(tmp_path.iterdir()) == []


def missing() -> None:
    raise EngineMissing("no GPU", next_step="buy one")


# grades without an order


@pytest.fixture
def unordered(finished, tmp_path) -> Path:
    """The run as if it had been trained by cross-entropy."""
    run = tmp_path / "unordered"
    shutil.copytree(finished.folder, run)
    config = json.loads((run / "network.json").read_text())
    (run / "network.json").write_text(json.dumps(config | {"ordered": False}))
    return run


def test_run_without_order_makes_a_bundle_without_order(unordered, tmp_path, inflamap):
    out = tmp_path / "bundle"
    code, _out, err = inflamap("export", unordered, "--out", out, "--stride", 8)
    assert code == 0, err
    manifest = open_bundle(out).manifest
    assert (manifest.ordered, manifest.quantity) == (False, "Inflammation")
    assert "distance: of the class probabilities, mean" in err
    assert "expected grade" not in err
    document = json.loads((out / "bundle.json").read_text())
    assert (document["ordered"], document["quantity"]) == (False, "Inflammation")
    # nothing that was measured takes classes for numbers
    metrics = json.dumps(document["metrics"])
    for word in ("mean_abs_shift_grades", "error_grades", "shift_of_one_layer"):
        assert word not in metrics
    assert document["metrics"]["scale"]["mean_abs_shift_probability"]
    gate = document["metrics"]["model.int8.onnx"]["gate"]["patches"]
    assert gate["shift"] is None
    assert 0 <= gate["distance"] < 0.1
    # the copy of the facts that is sealed
    assert json.loads(open_bundle(out).golden_frames().facts)["ordered"] is False


def test_missed_file_of_a_run_without_order_tells_distances(unordered, tmp_path, monkeypatch, inflamap):
    write = int8_search.quantize
    monkeypatch.setattr(
        int8_search,
        "quantize",
        lambda graph, ranges, recipe, layers: (
            spoil(write(graph, ranges, recipe, layers)) if recipe is PROCESSOR else write(graph, ranges, recipe, layers)
        ),
    )
    code, _out, err = inflamap("export", unordered, "--out", tmp_path / "bundle", "--stride", 8)
    assert code == 1
    assert "distance of the class probabilities with one layer alone in INT8:" in err
    assert "expected grade" not in err
    missed = json.loads((tmp_path / "bundle" / "bundle.json").read_text())["metrics"]["missed"]["model.int8.onnx"]
    assert missed["distance_of_one_layer_alone"]


@pytest.mark.usefixtures("_shared_graphs")
def test_quantity_is_written_and_sealed(finished, tmp_path, inflamap):
    out = tmp_path / "bundle"
    code, _out, err = inflamap("export", finished.folder, "--out", out, "--stride", 8, "--quantity", "Spongiosis")
    assert code == 0, err
    assert open_bundle(out).manifest.quantity == "Spongiosis"
    assert open_bundle(out).manifest.ordered is True
    document = json.loads((out / "bundle.json").read_text())
    (out / "bundle.json").write_text(json.dumps(document | {"quantity": "Health"}))
    with pytest.raises(BundleError, match="quantity 'Health'; wanted: quantity 'Spongiosis'"):
        open_bundle(out).golden_frames()


@pytest.mark.parametrize("quantity", ["", "two\nlines", "x" * 41])
def test_quantity_that_fits_no_title_is_refused_before_the_work(finished, tmp_path, inflamap, quantity):
    code, _out, err = inflamap("export", finished.folder, "--out", tmp_path / "bundle", "--quantity", quantity)
    assert code == 2
    assert err.startswith("inflamap: --quantity: quantity ")
    assert "wanted one line of 1 to 40 printable characters" in err
    assert list(tmp_path.iterdir()) == []


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
    (out / "model.old.onnx").write_bytes(b"of an earlier export")
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


@pytest.mark.usefixtures("_shared_graphs")
def test_an_export_that_scores_otherwise_leaves_no_bundle(finished, graphs, tmp_path, monkeypatch):
    monkeypatch.setattr(measurements, "to_onnx", lambda _model: other_graph(graphs))
    with pytest.raises(CheckFailed, match="does not score as the trained network does"):
        export_quietly(finished.folder, tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("_shared_graphs")
def test_an_export_that_scores_otherwise_leaves_the_earlier_bundle(finished, graphs, earlier, monkeypatch):
    before = contents(earlier)
    monkeypatch.setattr(measurements, "to_onnx", lambda _model: other_graph(graphs))
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

    write = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        if path.is_relative_to(earlier.parent):
            raise OSError(28, "No space left on device")
        return write(path, content)

    rename = Path.rename

    def locked(path: Path, target: Path) -> Path:
        if target == earlier and not path.name.endswith("-earlier"):
            raise PermissionError(13, "in use")
        return rename(path, target)

    with monkeypatch.context() as patch:
        if failing == "the proof":
            patch.setattr(engines, "open_engine", refuse)
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


@pytest.mark.usefixtures("_shared_graphs")
def test_images_to_refuse_that_look_like_skin_fail_the_export_by_name(finished, tmp_path):
    refuse = tmp_path / "refuse"
    refuse.mkdir()
    skin = next(finished.data.glob("Visite/*-002.png"))
    shutil.copy(skin, refuse / "skin.png")
    with pytest.raises(CheckFailed, match=r"refused would be scored; seen: 1 of 1: .*skin\.png; wanted: none; next: "):
        export_quietly(finished.folder, tmp_path / "bundle", refuse=refuse)
    # nothing was written that would score them
    assert not (tmp_path / "bundle").exists()


@pytest.mark.usefixtures("_shared_graphs")
def test_images_to_refuse_of_the_training_that_are_gone_are_asked_for(finished, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(finished.folder, run)
    document = json.loads((run / "run.json").read_text())
    document["options"] = {"--refuse": str(tmp_path / "gone")}
    (run / "run.json").write_text(json.dumps(document))
    with pytest.raises(
        InflamapError, match=r"gone: the images to refuse are not there; .* next: give its new place as --refuse"
    ):
        export_quietly(run, tmp_path / "bundle")


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
