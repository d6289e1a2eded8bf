"""The RUN folder: begun, gone on with, finished, and never mistaken for something else."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from runtime.errors import InflamapError
from trainer.network import TextureNetwork, save_network
from trainer.run import finish_run, load_run, open_run, save_state

DOCUMENT: dict[str, Any] = {
    "settings": {"epochs": 3, "kernels": (4, 3)},
    "network": {"patch_px": 32},
    "data": {"sha256": "ab", "notes": ()},
    "versions": {"torch": "2"},
}


def test_a_new_run_begins_with_its_document_and_no_state(tmp_path):
    assert open_run(tmp_path / "runs" / "one", DOCUMENT) is None
    assert json.loads((tmp_path / "runs" / "one" / "run.json").read_text())["settings"]["epochs"] == 3


def test_an_unfinished_run_is_found_again_with_its_state(tmp_path):
    open_run(tmp_path, DOCUMENT)
    assert open_run(tmp_path, DOCUMENT) is None
    save_state(tmp_path, {"history": [{"val_loss": 0.5}], "best": {"weight": torch.arange(3)}})
    state = open_run(tmp_path, DOCUMENT | {"versions": {"torch": "3"}})
    assert state is not None
    assert state["history"] == [{"val_loss": 0.5}]
    assert state["best"]["weight"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("key", ["settings", "network", "data"])
def test_an_unfinished_run_of_something_else_is_refused(tmp_path, key):
    open_run(tmp_path, DOCUMENT)
    with pytest.raises(InflamapError, match="holds a different unfinished run; wanted: an empty or new folder"):
        open_run(tmp_path, DOCUMENT | {key: {"other": 1}})


def test_a_kill_while_the_state_is_written_leaves_the_earlier_one(tmp_path, monkeypatch):
    open_run(tmp_path, DOCUMENT)
    save_state(tmp_path, {"epoch": 1})

    def write_half(_state: object, path: Path) -> None:
        path.write_bytes(b"PK half of it")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", write_half)
        with pytest.raises(KeyboardInterrupt):
            save_state(tmp_path, {"epoch": 2})
    assert open_run(tmp_path, DOCUMENT) == {"epoch": 1}
    save_state(tmp_path, {"epoch": 2})
    assert open_run(tmp_path, DOCUMENT) == {"epoch": 2}


def test_a_finished_run_drops_its_state_and_is_refused(tmp_path):
    open_run(tmp_path, DOCUMENT)
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


def test_the_leavings_of_a_kill_at_the_very_start_are_not_in_the_way(tmp_path):
    (tmp_path / "run.json.tmp").write_text("{")
    assert open_run(tmp_path, DOCUMENT) is None


def test_a_finished_run_is_loaded(tmp_path, tiny):
    open_run(tmp_path, DOCUMENT)
    save_network(TextureNetwork(tiny), tmp_path)
    with pytest.raises(InflamapError, match="the run is not finished; next: run `inflamap train` again to go on"):
        load_run(tmp_path)
    finish_run(tmp_path, DOCUMENT)
    network, document = load_run(tmp_path)
    assert network.config == tiny
    assert document["data"]["sha256"] == "ab"


@pytest.mark.parametrize("spoiled", ["run.json", "network.json", "network.safetensors"])
def test_what_is_no_finished_run_is_refused(tmp_path, tiny, spoiled):
    open_run(tmp_path, DOCUMENT)
    save_network(TextureNetwork(tiny), tmp_path)
    finish_run(tmp_path, DOCUMENT)
    (tmp_path / spoiled).write_bytes((tmp_path / spoiled).read_bytes()[:-9])
    with pytest.raises(InflamapError, match=r"no finished run; seen: .*; wanted: a folder that `inflamap train` wrote"):
        load_run(tmp_path)
    (tmp_path / spoiled).unlink()
    with pytest.raises(InflamapError, match="no finished run"):
        load_run(tmp_path)
