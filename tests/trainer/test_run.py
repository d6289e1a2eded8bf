"""The RUN folder: begun, gone on with, finished, and never mistaken for something else."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from runtime.errors import InflamapError
from trainer.network import TextureNetwork, save_network
from trainer.run import begin_run, check_run_folder, finish_run, load_run, open_run, save_state

DOCUMENT: dict[str, Any] = {
    "settings": {"epochs": 3, "kernels": (4, 3)},
    "network": {"patch_px": 32},
    "data": {"sha256": "ab", "notes": ()},
    "versions": {"torch": "2"},
}


def begin(run: Path) -> None:
    assert open_run(run, DOCUMENT) is None
    begin_run(run, DOCUMENT)


def test_a_new_run_begins_with_its_document_and_no_state(tmp_path):
    begin(tmp_path / "runs" / "one")
    assert json.loads((tmp_path / "runs" / "one" / "run.json").read_text())["settings"]["epochs"] == 3


def test_an_unfinished_run_is_found_again_with_its_state(tmp_path):
    begin(tmp_path)
    assert open_run(tmp_path, DOCUMENT) is None
    save_state(tmp_path, {"history": [{"val_loss": 0.5}], "best": {"weight": torch.arange(3)}})
    state = open_run(tmp_path, DOCUMENT | {"versions": {"torch": "3"}})
    assert state is not None
    assert state["history"] == [{"val_loss": 0.5}]
    assert state["best"]["weight"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("key", ["settings", "network", "data"])
def test_an_unfinished_run_of_something_else_is_refused(tmp_path, key):
    begin(tmp_path)
    with pytest.raises(InflamapError, match="holds a different unfinished run; wanted: an empty or new folder"):
        open_run(tmp_path, DOCUMENT | {key: {"other": 1}})


def test_a_kill_while_the_state_is_written_leaves_the_earlier_one(tmp_path, monkeypatch):
    begin(tmp_path)
    save_state(tmp_path, {"epoch": 1})

    def killed(_descriptor: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", killed)
        with pytest.raises(KeyboardInterrupt):
            save_state(tmp_path, {"epoch": 2})
    assert open_run(tmp_path, DOCUMENT) == {"epoch": 1}
    save_state(tmp_path, {"epoch": 2})
    assert open_run(tmp_path, DOCUMENT) == {"epoch": 2}


def test_a_finished_run_drops_its_state_and_is_refused(tmp_path):
    begin(tmp_path)
    save_state(tmp_path, {"epoch": 3})
    finish_run(tmp_path, DOCUMENT)
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]
    with pytest.raises(InflamapError, match="holds a finished run"):
        open_run(tmp_path, DOCUMENT)


def test_a_folder_of_other_files_is_not_written_into(tmp_path):
    (tmp_path / "split.csv").write_text("path,split\n")
    with pytest.raises(InflamapError, match=r"is in the way; wanted: an empty or new folder, or a run"):
        open_run(tmp_path, DOCUMENT)
    assert [path.name for path in tmp_path.iterdir()] == ["split.csv"]
    with pytest.raises(InflamapError, match="is in the way"):
        open_run(tmp_path / "split.csv", DOCUMENT)
    (tmp_path / "split.csv").rename(tmp_path / "split.tmp-old")
    with pytest.raises(InflamapError, match="is in the way"):
        open_run(tmp_path, DOCUMENT)


def test_the_leavings_of_a_kill_at_the_very_start_are_not_in_the_way(tmp_path):
    (tmp_path / "run.json.tmp-0a1b2c3d").write_text("{")
    begin(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_what_kills_left_half_written_is_removed_on_going_on(tmp_path):
    begin(tmp_path)
    (tmp_path / "state.pt.tmp-0a1b2c3d").write_bytes(b"PK")
    assert open_run(tmp_path, DOCUMENT) is None
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff"])
def test_a_damaged_run_is_refused_with_what_to_do(tmp_path, content):
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(InflamapError, match=r"run\.json: cannot be read; seen: .*; next: give another --out"):
        check_run_folder(tmp_path)
    with pytest.raises(InflamapError, match=r"no finished run; seen: .*; next: give such a folder, or train again"):
        load_run(tmp_path)


@pytest.mark.parametrize("spoil", [lambda whole: whole[:0], lambda whole: whole[:-1], lambda _whole: b"no state"])
def test_a_damaged_state_is_refused_with_what_to_do(tmp_path, spoil):
    begin(tmp_path)
    save_state(tmp_path, {"best": torch.zeros(9)})
    path = tmp_path / "state.pt"
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(InflamapError, match=r"state\.pt: cannot be read; seen: .*; next: remove state\.pt to begin"):
        open_run(tmp_path, DOCUMENT)


def test_a_network_that_is_no_json_object_is_refused(tmp_path, tiny):
    begin(tmp_path)
    save_network(TextureNetwork(tiny), tmp_path)
    finish_run(tmp_path, DOCUMENT)
    (tmp_path / "network.json").write_text("[]")
    with pytest.raises(InflamapError, match=r"no finished run; seen: network\.json holds no JSON object"):
        load_run(tmp_path)


@pytest.mark.parametrize(
    ("file", "write"),
    [
        ("run.json", lambda run, _network: finish_run(run, DOCUMENT)),
        ("state.pt", lambda run, network: save_state(run, network.state_dict())),
        ("network.safetensors", lambda run, network: save_network(network, run)),
    ],
)
def test_a_full_disk_is_said_with_the_file_and_what_to_do(tmp_path, tiny, monkeypatch, file, write):
    begin(tmp_path)
    network = TextureNetwork(tiny)

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InflamapError, match=f"{file} cannot be written; seen: No space left on device; next: free"):
        write(tmp_path, network)


def test_a_finished_run_is_loaded(tmp_path, tiny):
    begin(tmp_path)
    save_network(TextureNetwork(tiny), tmp_path)
    with pytest.raises(InflamapError, match="the run is not finished; next: run `inflamap train` again to go on"):
        load_run(tmp_path)
    finish_run(tmp_path, DOCUMENT)
    network, document = load_run(tmp_path)
    assert network.config == tiny
    assert document["data"]["sha256"] == "ab"


@pytest.mark.parametrize("spoiled", ["run.json", "network.json", "network.safetensors"])
def test_what_is_no_finished_run_is_refused(tmp_path, tiny, spoiled):
    begin(tmp_path)
    save_network(TextureNetwork(tiny), tmp_path)
    finish_run(tmp_path, DOCUMENT)
    (tmp_path / spoiled).write_bytes((tmp_path / spoiled).read_bytes()[:-9])
    with pytest.raises(InflamapError, match=r"no finished run; seen: .*; wanted: a folder that `inflamap train` wrote"):
        load_run(tmp_path)
    (tmp_path / spoiled).unlink()
    with pytest.raises(InflamapError, match="no finished run"):
        load_run(tmp_path)
