"""The page stands alone, shows every picture, and says what it is."""

import re

from benchmarks.demo.figures import DemoFigures
from benchmarks.demo.page import demo_page
from runtime.version import NOTICE


def test_page_stands_alone(figures: DemoFigures) -> None:
    page = demo_page(figures, [("report", "a/report.html")], ["inflamap phantom 'a b'"]).decode()
    assert page.count("<img ") == 9
    assert all(source.startswith("data:image/jpeg;base64,") for source in re.findall(r'src="([^"]*)"', page))
    assert not re.search(r"https?://", page)
    assert page.count("<circle ") == len(figures.rehearsal.latency_s)
    assert "Everything here is synthetic" in page
    assert NOTICE in page
    for _name, sentence in figures.lines():
        assert sentence in page


def test_names_are_escaped(figures: DemoFigures) -> None:
    page = demo_page(figures, [("<b>", "a&b")], ["inflamap <x>"]).decode()
    for written in ("v&lt;0&gt;.bmp", "&lt;b&gt;", "a&amp;b", "inflamap &lt;x&gt;"):
        assert written in page
    assert "v<0>" not in page
