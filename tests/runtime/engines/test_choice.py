"""`auto` takes what was accepted here, says so, and says what is no longer as it was; a named engine is that engine."""

import json
import platform
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from runtime.acceptance import ACCEPTED_FILE, Acceptance, accept, bundle_identity
from runtime.bundle import DEFAULT_BUNDLE, Bundle, open_bundle
from runtime.engines import choice
from runtime.engines.choice import open_chosen
from runtime.engines.registry import open_engine
from runtime.errors import BundleError, CheckFailed, EngineMissing, InflamapError
from runtime.machine import this_machine

REFERENCE, OTHER = "onnxruntime-fp32", "onnxruntime-int8"


@pytest.fixture
def bundle(bundle_with: Callable[..., Bundle]) -> Bundle:
    return bundle_with()


def accepted(bundle: Bundle, *, of: str = "", **changes: Any) -> None:
    entry = Acceptance(
        engine=OTHER,
        bundle=of or bundle_identity(bundle),
        machine=this_machine(),
        runs_on=open_engine(bundle, OTHER, threads=1).runs_on,
        threads=1,
        budget_ms=111.0,
        frames="synthetic",
        figures={"p95_ms": 38.2},
        version="0.1.0",
        accepted=datetime(2026, 11, 24, 12, tzinfo=UTC),
    )
    accept(bundle, replace(entry, **changes), pytest.fail)


def auto(bundle: Bundle, threads: int = 1) -> tuple[str, str]:
    """The engine's name and the one line that was said."""
    said: list[str] = []
    engine = open_chosen(bundle, "auto", threads=threads, say=said.append)
    (line,) = said
    assert line.startswith(f"engine {engine.name}: ")
    return engine.name, line.partition(": ")[2]


def test_accepted_engine_runs_and_it_is_said_since_when(bundle: Bundle) -> None:
    accepted(bundle)
    assert auto(bundle) == (OTHER, "accepted on this machine on 2026-11-24 (p95 38 ms on synthetic frames)")


def test_other_threads_are_said(bundle: Bundle) -> None:
    accepted(bundle)
    name, why = auto(bundle, threads=2)
    assert name == OTHER
    assert why.endswith("(p95 38 ms on synthetic frames, measured with --threads 1, this is 2)")


def test_without_an_accepted_one_the_reference_runs_and_the_next_step_is_said(bundle: Bundle) -> None:
    name, why = auto(bundle)
    assert name == REFERENCE
    assert why == (
        f"none was chosen for this bundle on this machine yet; next: `inflamap bench {bundle.folder} --accept`"
    )
    assert "`inflamap bench --accept`" in auto_of_default_bundle()


def auto_of_default_bundle() -> str:
    said: list[str] = []
    # another host, whatever was accepted on this one
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("runtime.acceptance.this_host", lambda: "another host")
        open_chosen(open_bundle(DEFAULT_BUNDLE), "auto", threads=1, say=said.append)
    return said[0]


def test_another_machine_is_said_with_both_values(bundle: Bundle) -> None:
    accepted(bundle, machine=replace(this_machine(), processor="Z80", cpus=999))
    name, why = auto(bundle)
    assert name == REFERENCE
    assert why.startswith(f"NOT {OTHER}, which was accepted on 2026-11-24, but since then processor was Z80, is ")
    assert "cpus was 999, is " in why
    assert why.endswith(f"next: `inflamap bench {bundle.folder} --accept`")


def test_another_host_has_not_accepted(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    accepted(bundle)
    monkeypatch.setattr(platform, "node", lambda: "another host")
    assert auto(bundle)[0] == REFERENCE


def test_another_bundle_is_said(bundle: Bundle) -> None:
    accepted(bundle, of="0" * 64)
    name, why = auto(bundle)
    assert name == REFERENCE
    assert "but since then the bundle is another one; next: " in why


@pytest.mark.parametrize(
    ("was", "said"),
    [
        ({"onnxruntime": "0.9"}, "onnxruntime was 0.9, is "),
        ({"driver": "535"}, "driver was 535, is not there"),
    ],
)
def test_another_library_or_driver_is_said(was: dict[str, str], said: str, bundle: Bundle) -> None:
    runs_on = open_engine(bundle, OTHER, threads=1).runs_on
    accepted(bundle, runs_on=runs_on | was)
    name, why = auto(bundle)
    assert name == REFERENCE
    assert f"NOT {OTHER}, which was accepted on 2026-11-24, but since then {said}" in why


def test_what_changed_is_said_of_the_reference_too(bundle: Bundle) -> None:
    accepted(bundle, engine=REFERENCE, runs_on={"onnxruntime": "0.9"})
    name, why = auto(bundle)
    assert name == REFERENCE
    assert why.startswith("accepted on 2026-11-24, but since then onnxruntime was 0.9, is ")


@pytest.mark.parametrize(
    "error",
    [
        EngineMissing("OpenVINO is not installed", next_step="pip install it"),
        CheckFailed("does not reproduce the golden frames", seen="0.3"),
        BundleError("model.int8.onnx: not the file that was exported"),
    ],
)
def test_accepted_engine_that_does_not_run_now_is_said_with_the_reason(
    error: InflamapError, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted(bundle)

    def fail(of: Bundle, name: str, **options: Any) -> Any:
        if name == OTHER:
            raise error
        return open_engine(of, name, **options)

    monkeypatch.setattr(choice, "open_engine", fail)
    name, why = auto(bundle)
    assert name == REFERENCE
    assert why == f"NOT {OTHER}, which was accepted on 2026-11-24 and does not run now: {error}"


def test_engine_that_nobody_knows_is_not_run(bundle: Bundle) -> None:
    accepted(bundle, engine="gpu\nengine")
    name, why = auto(bundle)
    assert name == REFERENCE
    assert why.startswith("NOT gpu engine, which was accepted on 2026-11-24 and does not run now: no such engine")
    assert "\n" not in why


def test_damaged_file_is_said_and_the_reference_runs(bundle: Bundle) -> None:
    (bundle.folder / ACCEPTED_FILE).write_bytes(b"{")
    name, why = auto(bundle)
    assert name == REFERENCE
    assert "NOT the accepted one, for that cannot be told: " in why
    assert f"`inflamap bench {bundle.folder} --accept`" in why


def test_reference_that_fails_is_an_error_with_auto_too(
    bundle_with: Callable[..., Bundle], strict_golden: dict[str, Any]
) -> None:
    with pytest.raises(CheckFailed, match="does not reproduce the golden frames"):
        open_chosen(bundle_with(golden=strict_golden), "auto", threads=1, say=pytest.fail)


def test_named_engine_is_that_engine_whatever_was_accepted(bundle: Bundle) -> None:
    accepted(bundle)
    (bundle.folder / ACCEPTED_FILE).write_text(json.dumps("damaged"))
    for name in (REFERENCE, OTHER):
        assert open_chosen(bundle, name, threads=1, say=pytest.fail).name == name


def test_named_engine_never_falls_back(bundle: Bundle) -> None:
    accepted(bundle)
    (bundle.folder / "model.int8.onnx").write_bytes(b"another")
    with pytest.raises(BundleError, match="sha256"):
        open_chosen(bundle, OTHER, threads=1, say=pytest.fail)
    with pytest.raises(InflamapError, match="no such engine"):
        open_chosen(bundle, "gpu", threads=1, say=pytest.fail)
