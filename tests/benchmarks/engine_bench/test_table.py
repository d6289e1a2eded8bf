"""A person reads it within the width of a terminal."""

from made_up_reports import report_of
from msgspec.structs import replace

from benchmarks.engine_bench.choice import choose
from benchmarks.engine_bench.proof import Judgement
from benchmarks.engine_bench.report import EngineReport
from benchmarks.engine_bench.table import notes, tables

NAMES = ("onnxruntime-fp32", "onnxruntime-int8", "openvino-fp32", "openvino-int8", "tensorrt-fp16", "tensorrt-int8")
WIDTH = 100


def noted(*reports: EngineReport) -> list[str]:
    return notes(reports, choose(reports, 111.0))


def test_six_engines_fit_and_the_fastest_comes_first() -> None:
    reports = [report_of(name, p50=1060.0 - number, int8_share=0.9) for number, name in enumerate(NAMES)]
    lines = tables(reports, "test")
    assert max(map(len, lines)) <= WIDTH
    grades, speed = lines[: lines.index("")], lines[lines.index("") + 1 :]
    assert [line.split()[0] for line in grades[2:]] == list(NAMES)
    assert [line.split()[0] for line in speed[2:]] == list(reversed(NAMES))
    # every figure stands below its heading
    assert {len(line) for line in grades[1:]} == {len(grades[1])}
    assert {len(line) for line in speed[1:]} == {len(speed[1])}


def test_one_that_fails_is_said_to_and_is_not_among_the_timed() -> None:
    wrong = report_of("wrong", unchanged=0.5, timed=False)
    lines = tables([report_of("right"), wrong, report_of("off", golden=False)], "test")
    words = {line.split()[0]: line.split()[1] for line in lines if line and not line.startswith(" ")}
    assert words["wrong"] == words["off"] == "FAILED"
    assert sum(line.startswith("right") for line in lines) == 2
    assert sum(line.startswith("wrong") for line in lines) == 1


def test_patches_that_were_chosen_by_are_not_called_held_out() -> None:
    assert "held-out patches" in tables([report_of()], "test")[0]
    assert "patches of val" in tables([report_of()], "val")[0]


def test_without_order_columns_are_of_probabilities_and_not_of_the_expected_grade() -> None:
    found = report_of()
    assert found.judgement is not None
    assert found.judgement.verdict is not None
    verdict = found.judgement.verdict
    assert verdict.frames is not None
    classes = replace(
        verdict,
        patches=replace(verdict.patches, shift=None, distance=0.0123),
        frames=replace(verdict.frames, shift=None, distance=0.0456),
    )
    report = EngineReport(**vars(found) | {"judgement": Judgement(classes)})
    lines = tables([report], "test")
    assert "shift" not in lines[1]
    assert lines[1].count("distance") == 2
    assert "0.0123" in lines[2]
    assert "0.0456" in lines[2]
    assert report.keeps_grades
    assert report.to_json(111.0)["gate"]["patches"]["shift"] is None


def test_without_a_timed_engine_there_is_no_table_of_times() -> None:
    assert not any("p95" in line for line in tables([report_of(golden=False)], "test"))
    assert tables([report_of(missing="no package")], "test") == []


def test_what_was_not_measured_is_a_dash() -> None:
    report = EngineReport(**vars(report_of("a")) | {"footprint": None})
    assert tables([report], "test")[-1].split()[-3:] == ["-", "-", "-"]


def test_last_line_names_the_choice() -> None:
    assert noted(report_of("a"), report_of("b", p50=40.0))[-1] == (
        "chosen: b: fastest of 2 that keep the grades and 111 ms"
    )
    assert noted(report_of("a", golden=False))[-1] == "chosen: none: no engine keeps the grades on this machine: a"


def test_every_miss_has_a_line() -> None:
    lines = noted(report_of("a"), report_of("b", unchanged=0.5, on_frames=0.25, timed=False))
    assert lines[:3] == [
        "b FAILED:",
        "  patches: 0.5000 of the grades unchanged, wanted 0.98",
        "  frames: 0.2500 of the grades unchanged, wanted 0.98",
    ]


def test_what_is_the_same_for_several_shares_a_line() -> None:
    lines = noted(
        report_of("a"),
        report_of("b-fp32", missing="no b; next: pip install b"),
        report_of("b-int8", missing="no b; next: pip install b"),
        report_of("c", missing="no GPU"),
    )
    assert lines[:2] == [
        "b-fp32 and b-int8: not here: no b; next: pip install b",
        "c: not here: no GPU",
    ]

    lines = noted(*(report_of(name, mosaics=4) for name in "abc"))
    assert "".join(lines[:2]) == (
        "a, b and c: judged on mosaics of the bundle's patches too, for FP32 shows too few cells of these    frames"
    )


def test_withheld_frames_are_told() -> None:
    assert noted(report_of("a", withheld=4, unmapped=2))[0] == (
        "a: 4 of 9 frames withheld, 2 of them before a map was computed: too dark"
    )
    assert noted(report_of("a", withheld=9, unmapped=9))[0] == (
        "a: EVERY frame was withheld before a map was computed, so that no time says anything: too dark"
    )
    assert max(map(len, noted(report_of("a", missing="word " * 100)))) <= WIDTH
    assert noted(report_of("a", mosaics=4))[0].startswith("a: judged on mosaics of the bundle's patches too, ")


def test_a_test_of_what_is_withheld_that_was_none_is_told() -> None:
    assert noted(report_of("a", strangers=0))[0].startswith("a: what it withholds was not put to the test, ")
    assert len(noted(report_of("a"))) == 1


def test_one_that_is_too_slow_for_the_microscope_is_said_to() -> None:
    assert "cores are at 5.5 frames/s" in noted(report_of("a", reached_fps=5.5))[0]
