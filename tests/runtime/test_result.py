"""The line a person reads for each image."""

from runtime.result import ImageRecord, ModelRecord, Result, Score, Timing, summary_line

IMAGE = ImageRecord("a/b.bmp", "0" * 64, 1000, 1000, 0.5, "vivascope")
MODEL = ModelRecord("m", "0" * 64, "onnxruntime-fp32", "fp32", synthetic=True)
TIMING = Timing(1.234, 2.0, 3.0, 6.234)


def result(score: Score | None, *reasons: str) -> Result:
    status = "withheld" if score is None else "scored"
    return Result(IMAGE, MODEL, status, reasons, score, None, "b.bmp.overlay.jpg", TIMING)


def test_scored_image() -> None:
    score = Score(2.347, 2, {"0": 1.0}, 0.0)
    assert summary_line(result(score)) == "a/b.bmp: 2.35 (grade 2)"
    some = summary_line(result(Score(2.347, 2, {"0": 1.0}, 0.25), "dark: x"))
    assert some == "a/b.bmp: 2.35 (grade 2); 25% of the cells withheld"
    few = summary_line(result(Score(2.347, 2, {"0": 1.0}, 0.0003), "dark: x"))
    assert few == "a/b.bmp: 2.35 (grade 2); under 1% of the cells withheld"


def test_withheld_image_gives_every_reason() -> None:
    assert summary_line(result(None, "dark: x", "blank: y")) == "a/b.bmp: withheld: dark: x; blank: y"


def test_json_rounds_times_and_keeps_none() -> None:
    document = result(None, "dark: x").to_json()
    assert document["timing_ms"]["read"] == 1.23
    assert document["score"] is None
    assert document["map"] is None
    assert list(document) == [
        "schema", "image", "model", "status", "reasons", "score", "map", "overlay", "timing_ms", "version", "notice",
    ]  # fmt: skip
