"""What was accepted is kept for each host, and known again for as long as nothing has changed."""

import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from runtime import acceptance
from runtime.acceptance import ACCEPTED_FILE, Acceptance, accept, accepted_here, bundle_identity
from runtime.bundle import Bundle
from runtime.errors import InflamapError
from runtime.machine import this_machine


def entry(bundle: Bundle, engine: str = "onnxruntime-int8") -> Acceptance:
    return Acceptance(
        engine=engine,
        bundle=bundle_identity(bundle),
        machine=this_machine(),
        runs_on={"onnxruntime": "1.0", "gpu": "A"},
        threads=1,
        budget_ms=111.0,
        frames="synthetic",
        figures={"p50_ms": 30.0, "p95_ms": 38.2},
        version="0.1.0",
        accepted=datetime(2026, 11, 24, 12, tzinfo=UTC),
    )


def test_what_was_accepted_is_found_again(bundle_with: Callable[..., Bundle]) -> None:
    bundle = bundle_with()
    assert accepted_here(bundle) is None
    path = accept(bundle, entry(bundle), pytest.fail)
    assert path == bundle.folder / ACCEPTED_FILE
    assert accepted_here(bundle) == entry(bundle)
    accept(bundle, entry(bundle, "openvino-fp32"), pytest.fail)
    found = accepted_here(bundle)
    assert found is not None
    assert found.engine == "openvino-fp32"
    assert found.changes(bundle) == ()
    assert found.changes_below({"gpu": "A", "onnxruntime": "1.0"}) == ()


def test_each_host_has_its_own_entry_and_keeps_it(
    bundle_with: Callable[..., Bundle], monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = bundle_with()
    monkeypatch.setattr(acceptance, "this_host", lambda: "north")
    accept(bundle, entry(bundle), pytest.fail)
    # as a newer version might write it
    path = bundle.folder / ACCEPTED_FILE
    document = json.loads(path.read_text())
    document["hosts"]["east"] = {"engine": "from the future", "more": [1, {"a": None}]}
    path.write_text(json.dumps(document))
    monkeypatch.setattr(acceptance, "this_host", lambda: "south")
    assert accepted_here(bundle) is None
    accept(bundle, entry(bundle, "openvino-int8"), pytest.fail)
    kept = json.loads(path.read_text())
    assert kept["hosts"]["east"] == document["hosts"]["east"]
    assert kept["hosts"]["north"] == document["hosts"]["north"]
    assert set(kept["hosts"]) == {"north", "east", "south"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"processor": "another one"}, "processor was another one, is "),
        ({"architecture": "arm64"}, "architecture was arm64, is "),
        ({"cpus": 1000}, "cpus was 1000, is "),
        ({"system": "Plan 9"}, "system was Plan 9, is "),
    ],
)
def test_another_machine_is_noticed_with_both_values(
    change: dict[str, object], said: str, bundle_with: Callable[..., Bundle]
) -> None:
    bundle = bundle_with()
    found = replace(entry(bundle), machine=replace(this_machine(), **change))
    (difference,) = found.changes(bundle)
    assert difference.startswith(said)


def test_other_libraries_gpu_and_driver_are_noticed(bundle_with: Callable[..., Bundle]) -> None:
    found = entry(bundle_with())
    assert found.changes_below({"onnxruntime": "1.1", "gpu": "A"}) == ("onnxruntime was 1.0, is 1.1",)
    assert found.changes_below({"onnxruntime": "1.0", "driver": "7"}) == (
        "gpu was A, is not there",
        "driver was not there, is 7",
    )


def test_another_bundle_is_noticed(bundle_with: Callable[..., Bundle], strict_golden: dict[str, object]) -> None:
    bundle = bundle_with()
    found = entry(bundle)
    manifest = bundle.manifest
    others = [
        replace(bundle, manifest=replace(manifest, files=manifest.files | {"model.fp32.onnx": "0"})),
        replace(bundle, facts=bundle.facts.replace("phantom-texture", "other")),
        replace(bundle, facts=json.dumps(json.loads(bundle.facts) | {"golden": strict_golden})),
    ]
    assert [found.changes(other) for other in others] == [("the bundle is another one",)] * 3
    # a copy in another folder is the same
    assert found.changes(replace(bundle, folder=Path("elsewhere"))) == ()


DAMAGE = {
    "empty": b"",
    "no JSON": b"{",
    "no text": b"\xff\xfe",
    "another shape": b'{"format": "inflamap.accepted/1", "hosts": []}',
    "another format": b'{"format": "inflamap.accepted/9", "hosts": {}}',
    "deep": b'{"format": "inflamap.accepted/1", "hosts": ' + b"[" * 100_000,
    "large": b" " * (2**20 + 1),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damaged_file_is_said_and_replaced(damage: bytes, bundle_with: Callable[..., Bundle]) -> None:
    bundle = bundle_with()
    (bundle.folder / ACCEPTED_FILE).write_bytes(damage)
    with pytest.raises(InflamapError, match=r"accepted\.json: damaged; seen: .*next: accept an engine again"):
        accepted_here(bundle)
    said: list[str] = []
    accept(bundle, entry(bundle), said.append)
    assert len(said) == 1
    assert "replaced" in said[0]
    assert accepted_here(bundle) == entry(bundle)


@pytest.mark.parametrize(
    "change", [{"engine": 3}, {"threads": "many"}, {"accepted": "yesterday"}, {"machine": None}, {"runs_on": {"a": 1}}]
)
def test_damaged_entry_is_said(change: dict[str, object], bundle_with: Callable[..., Bundle]) -> None:
    bundle = bundle_with()
    path = accept(bundle, entry(bundle), pytest.fail)
    document = json.loads(path.read_text())
    for host in document["hosts"].values():
        host.update(change)
    path.write_text(json.dumps(document))
    with pytest.raises(InflamapError, match="damaged"):
        accepted_here(bundle)


def test_what_leads_elsewhere_is_not_read(bundle_with: Callable[..., Bundle], tmp_path: Path) -> None:
    bundle = bundle_with()
    path = bundle.folder / ACCEPTED_FILE
    path.mkdir()
    with pytest.raises(InflamapError, match="no plain file"):
        accepted_here(bundle)
    if sys.platform != "win32":
        path.rmdir()
        (tmp_path / "other.json").write_text("{}")
        path.symlink_to(tmp_path / "other.json")
        with pytest.raises(InflamapError, match="no plain file"):
            accepted_here(bundle)


def test_folder_that_cannot_be_written_to_is_one_line_with_a_way_out(
    bundle_with: Callable[..., Bundle], monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = bundle_with()

    def refuse(*_arguments: object) -> None:
        raise PermissionError(13, "Permission denied", str(bundle.folder))

    # permissions do not keep root out
    monkeypatch.setattr(os, "replace", refuse)
    monkeypatch.setattr("runtime.outputs.PATIENCE_S", 0.0)
    with pytest.raises(InflamapError, match=r"the choice cannot be stored; seen: Permission denied; .*next: copy the"):
        accept(bundle, entry(bundle), pytest.fail)
    assert sorted(path.name for path in bundle.folder.iterdir()) == sorted([*bundle.manifest.files, "bundle.json"])
