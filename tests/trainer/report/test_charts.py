"""The charts: what they say, and that they can stand in a page beside others."""

import os
import re
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest

from trainer.figures import reliability
from trainer.report.charts import accuracy_chart, loss_chart, reliability_chart, subjects_chart

CHARTS = {
    "loss": lambda: loss_chart([1.0, 0.5, 0.25], [1.1, 0.6, 0.7], 2),
    "accuracy": lambda: accuracy_chart([0.5, 0.75, 0.7], 2),
    "reliability": lambda: reliability_chart(reliability(np.array([[0.9, 0.1], [0.3, 0.7]]), np.array([0, 0]))),
    "subjects": lambda: subjects_chart([-0.5, 0.25], [3, 30], "mean error in grades"),
}


def texts(svg):
    return re.findall(r"<text [^>]*>([^<]*)</text>", svg)


def label(svg):
    return re.search(r'aria-label="([^"]*)"', svg)[1]


@pytest.fixture(params=CHARTS)
def chart(request):
    return CHARTS[request.param]


def test_a_chart_draws_the_same_bytes_again(chart):
    assert chart() == chart()


def test_a_chart_stands_in_a_page_alone(chart):
    svg = chart()
    assert svg.startswith("<svg viewBox=")
    assert svg.rstrip().endswith("</svg>")
    assert not re.search(r"https?:|<metadata|<script|<image", svg)
    assert svg.count("<title>") == 1
    assert re.search(r"<title>([^<]*)</title>", svg)[1] == label(svg)
    assert 'role="img"' in svg


def test_a_charts_letters_are_text_in_the_pages_font(chart):
    svg = chart()
    assert len(texts(svg)) > 6
    assert "font-family" not in svg


def test_charts_do_not_share_ids():
    drawn = [draw() for draw in CHARTS.values()]
    ids = [found for svg in drawn for found in re.findall(r'\bid="([^"]+)"', svg)]
    assert len(ids) == len(set(ids))
    for svg in drawn:
        assert set(re.findall(r'(?:href="|url\()#([^")]+)', svg)) <= set(re.findall(r'\bid="([^"]+)"', svg))


def test_a_users_settings_change_nothing():
    chart = CHARTS["loss"]
    before = chart()
    with matplotlib.rc_context({"font.size": 33, "svg.fonttype": "path", "axes.grid": False, "lines.linewidth": 9}):
        assert chart() == before
        assert matplotlib.rcParams["font.size"] == 33


def test_the_kept_epoch_is_marked():
    for name in ("loss", "accuracy"):
        assert "kept: epoch 2" in texts(CHARTS[name]())
    assert label(CHARTS["loss"]()) == "Loss by epoch. The kept epoch is 2 of 3: validation loss 0.600."
    assert "At the kept epoch, 2, it is 75.0 %" in label(CHARTS["accuracy"]())


def test_one_epoch_is_a_chart_too():
    svg = loss_chart([1.0], [1.1], 1)
    assert "kept: epoch 1" in texts(svg)
    assert "1" in texts(svg)
    assert "1.0" not in texts(svg)[: texts(svg).index("epoch")]


def test_each_filled_bin_shows_its_patches():
    confidence = np.repeat([0.55, 0.95], [7, 23])
    truth = np.r_[np.zeros(4), np.ones(3), np.zeros(23)].astype(int)
    svg = reliability_chart(reliability(np.stack([confidence, 1 - confidence], 1), truth))
    assert {"7", "23"} <= set(texts(svg))
    assert "7 patches at 55 % confidence, 57 % agree; 23 patches at 95 % confidence, 100 % agree" in label(svg)


def test_every_subject_has_a_dot_while_they_can_be_told_apart():
    few = subjects_chart([0.1 * number for number in range(50)], list(range(1, 51)), "mean error")
    assert few.count("fill: #21618c") == 50
    assert "mean error of 50 subjects, from 0.00 to 4.90" in label(few)
    many = subjects_chart(list(np.linspace(-1, 1, 5000)), [1] * 5000, "mean error")
    assert len(many) < 40_000


def test_a_label_cannot_leave_its_attribute():
    assert 'aria-label="a&#34;&lt;b&gt;' in subjects_chart([0.0], [1], 'a"<b>')


@pytest.mark.slow
def test_a_first_drawing_is_quiet(tmp_path):
    """No cache folder can be made: matplotlib would tell of it."""
    (tmp_path / "file").write_text("")
    found = subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            "-c",
            "from trainer.report.charts import loss_chart; loss_chart([1.0], [1.0], 1)",
        ],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
        env={**os.environ, "MPLCONFIGDIR": str(tmp_path / "file" / "below"), "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert found.stdout + found.stderr == ""
