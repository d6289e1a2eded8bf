"""`inflamap export`, as the engineer types it, and what the trainer's commands say of the bundle."""

import json

import pytest

from export import measurements, package
from runtime.bundle import open_bundle


def test_a_run_becomes_a_bundle(inflamap, finished, tmp_path):
    out = tmp_path / "bundle"
    code, said, err = inflamap("export", finished.folder, "--out", out, "--stride", 4, "--name", "arm-1")
    assert code == 0
    assert said == ""
    assert "torch against onnxruntime" in err
    assert err.endswith(f"bundle in {out}; next, on the microscope's PC: inflamap bench {out} --accept\n")
    assert open_bundle(out).manifest.name == "arm-1"
    assert open_bundle(out).geometry.stride_px == 4


# these images are larger than a patch, and the run's own stride is 4 px
@pytest.mark.usefixtures("_shared_graphs")
@pytest.mark.parametrize("stride_px", [4, 8, 16])
def test_a_bundle_is_evaluated_on_what_it_never_saw_just_like_its_run(inflamap, finished, tmp_path, stride_px):
    bundle = tmp_path / "bundle"
    package.export_bundle(finished.folder, bundle, stride_px=stride_px, say=lambda _line: None)
    code, by_bundle, err = inflamap("evaluate", bundle, finished.data, "--json")
    assert code == 0
    assert "120 of 150 patches left out" in err
    code, by_run, _err = inflamap("evaluate", finished.folder, finished.data, "--json")
    assert code == 0
    found, wanted = json.loads(by_bundle), json.loads(by_run)
    assert found["patches"] == 30
    assert found["accuracy"] == wanted["accuracy"]
    assert found["confusion"] == wanted["confusion"]
    for name in ("accuracy", "mad", "mad_normalised", "qwk", "ece"):
        assert found[name]["value"] == pytest.approx(wanted[name]["value"], abs=1e-5)


@pytest.mark.usefixtures("_shared_graphs")
def test_a_moved_data_set_is_given_by_option(inflamap, finished, tmp_path):
    moved = finished.data.rename(finished.data.with_name("moved"))
    try:
        code, _out, err = inflamap("export", finished.folder, "--out", tmp_path / "bundle", "--stride", 8)
        assert code == 2
        [line] = err.splitlines()
        assert line == (
            f"inflamap: {finished.data}: no such folder; wanted: the data set of the run; next: give --calibration DATA"
        )
        code, _out, _err = inflamap(
            "export", finished.folder, "--out", tmp_path / "bundle", "--stride", 8, "--calibration", moved
        )
        assert code == 0
    finally:
        moved.rename(finished.data)


@pytest.mark.usefixtures("_shared_graphs")
def test_a_failed_check_exits_with_one(inflamap, finished, graphs, tmp_path, monkeypatch):
    monkeypatch.setattr(measurements, "to_onnx", lambda _model: graphs[16])
    code, _out, err = inflamap("export", finished.folder, "--out", tmp_path / "bundle", "--stride", 8)
    assert code == 1
    line = err.splitlines()[-1]
    assert line.startswith("inflamap: the exported model does not score as the trained network does; seen: ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--stride", "6"], "--stride; seen: 6; wanted: a positive multiple of 4 px"),
        (["--stride", "wide"], "'wide' is not a valid integer"),
        (["--fast"], "No such option"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(inflamap, finished, tmp_path, arguments, said):
    code, _out, err = inflamap("export", finished.folder, "--out", tmp_path / "bundle", *arguments)
    assert code == 2
    [line] = err.splitlines()
    assert said in line
    assert not (tmp_path / "bundle").exists()


def test_what_is_no_run_is_refused(inflamap, tmp_path):
    code, _out, err = inflamap("export", tmp_path / "nowhere", "--out", tmp_path / "bundle")
    assert code == 2
    assert err.startswith(f"inflamap: {tmp_path / 'nowhere'}: no finished run; seen: ")


def test_a_place_where_no_bundle_can_be_is_refused_before_the_run_is_read(inflamap, tmp_path):
    (tmp_path / "file.txt").write_text("")
    code, _out, err = inflamap("export", tmp_path / "nowhere", "--out", tmp_path / "file.txt" / "bundle")
    assert code == 2
    [line] = err.splitlines()
    assert line.startswith(f"inflamap: output folder {tmp_path / 'file.txt' / 'bundle'}; seen: ")


def test_the_run_itself_is_not_written_over(inflamap, finished):
    code, _out, err = inflamap("export", finished.folder, "--out", finished.folder)
    assert code == 2
    assert "is in the way" in err
