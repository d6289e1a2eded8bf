"""The sentences hold the figures that were measured."""

from dataclasses import replace

from benchmarks.demo.figures import DemoFigures


def test_every_line_holds_its_figures(figures: DemoFigures) -> None:
    lines = dict(figures.lines())
    assert "accuracy 0.80 (0.76 to 0.84), mean absolute deviation 0.21 grades" in lines["agreement"]
    assert lines["maps"].startswith("0.30 grades from the true severity")
    assert "2 frames" in lines["maps"]
    assert lines["engine"].startswith("onnxruntime-int8: fastest of 2 that keep the grades and 1000 ms; ")
    assert "difference 1e-02, tolerance 5e-02" in lines["engine"]
    assert "99.7% of 300 held-out patches" in lines["engine"]
    assert "p50 111 ms, p95 116 ms, 9.3 frames/s" in lines["a frame"]
    assert "90 frames saved at 9/s, 89 recorded; close to record p50 1.20 s, p95 1.29 s" in lines["watch"]


def test_without_order_no_deviation_is_told(figures: DemoFigures) -> None:
    classes = replace(figures, evaluation=figures.evaluation | {"mad": None})
    assert dict(classes.lines())["agreement"] == "accuracy 0.80 (0.76 to 0.84), on held-out patches"


def test_a_demo_in_which_nothing_was_scored_says_so(figures: DemoFigures) -> None:
    nothing = replace(figures, truths=[replace(truth, difference=None) for truth in figures.truths])
    assert dict(nothing.lines())["maps"] == "no frame was scored"
    assert nothing.to_json()["maps"]["mean_difference_grades"] is None
