"""What is said of an engine, and what is not known of it."""

import dataclasses
import json

from made_up_reports import report_of

from benchmarks.engine_bench.report import EngineReport

KEYS = {
    *("engine", "available", "precision", "runs_on", "passed", "reason", "golden", "gate", "kept_budget"),
    *("timed", "frame_ms", "map_ms", "frames_per_second", "withheld", "unmapped", "withheld_reason"),
    *("repeatable", "score_difference"),
    *("peak_memory_mb", "cores_at_9_fps", "cpu_share_at_9_fps", "reached_fps"),
}


def test_every_report_has_every_key() -> None:
    for found in (
        EngineReport("a"),
        report_of(),
        report_of(golden=False),
        report_of(missing="no package"),
        report_of(unchanged=float("nan"), timed=False),
    ):
        document = found.to_json(111.0)
        assert set(document) == KEYS
        json.dumps(document, allow_nan=False)


def test_one_that_is_right_and_fast_passes() -> None:
    document = report_of(p95=110.0).to_json(111.0)
    assert (document["available"], document["passed"], document["kept_budget"], document["reason"]) == (
        *(True, True, True),
        None,
    )
    assert (document["gate"]["passed"], document["gate"]["mosaics"]) == (True, 0)
    assert report_of(mosaics=4).to_json(111.0)["gate"]["mosaics"] == 4
    assert document["runs_on"] == {"library": "1.0"}
    assert document["frame_ms"] == {"p50": 50.0, "p95": 110.0, "p99": 111.0}


def test_one_that_is_right_and_slow_does_not() -> None:
    document = report_of(p95=112.0).to_json(111.0)
    assert (document["passed"], document["kept_budget"], document["reason"]) == (False, False, None)


def test_every_miss_is_told() -> None:
    found = report_of(unchanged=0.5, on_frames=0.6, repeatable=False)
    assert found.misses() == (
        "patches: 0.5000 of the grades unchanged, wanted 0.98",
        "frames: 0.6000 of the grades unchanged, wanted 0.98",
        "the same frame scored twice got two scores",
    )
    assert found.to_json(111.0)["reason"] == "; ".join(found.misses())
    assert report_of(golden=False).to_json(111.0)["reason"] == "a differs"
    late = dataclasses.replace(report_of(timed=False), timing_fault="failed while it was timed: no memory")
    assert (late.keeps_grades, late.to_json(111.0)["reason"]) == (False, "failed while it was timed: no memory")
    assert report_of(judged=False).to_json(111.0)["reason"] == "there is no reference"


def test_one_that_is_not_here_has_its_reason_and_no_figures() -> None:
    document = report_of(missing="not installed; next: pip install it").to_json(111.0)
    assert (document["available"], document["passed"]) == (False, False)
    assert document["reason"] == "not installed; next: pip install it"
    assert all(document[key] is None for key in ("golden", "gate", "frame_ms", "kept_budget", "peak_memory_mb"))


def test_p95_of_exactly_the_budget_keeps_it() -> None:
    document = report_of(p95=111.0).to_json(111.0)
    assert (document["passed"], document["kept_budget"]) == (True, True)
    assert report_of(p95=111.0001).to_json(111.0)["kept_budget"] is False
