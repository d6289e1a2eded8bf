"""The page's own files: nothing comes from elsewhere, nothing stands in the way of the strict policy."""

import re
from importlib.resources import files

import cv2
import numpy as np
import pytest

from runtime.overlay import palette
from runtime.overlay.tint import COLOUR_MAP

STATIC = files("runtime.viewer") / "static"
TEXTS = {file.name: file.read_text(encoding="utf-8") for file in STATIC.iterdir()}


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_nothing_is_fetched_from_elsewhere(name: str) -> None:
    addresses = set(re.findall(r"https?:[^\"'\s)]*|(?<=[\"'(])//[^\"'\s)]*", TEXTS[name]))
    assert addresses <= {"http://www.w3.org/2000/svg"}


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_no_text_becomes_html_or_code(name: str) -> None:
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", TEXTS[name])
    if name.endswith(".html"):
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=", TEXTS[name])


def test_colours_are_those_of_the_overlay() -> None:
    found = "".join(re.findall(r'"([0-9a-f]+)"', TEXTS["colours.js"]))
    wanted = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[None], COLOUR_MAP)[0, :, ::-1]
    assert bytes.fromhex(found) == wanted.tobytes()


def test_colours_of_classes_are_those_of_the_overlay() -> None:
    assert tuple(re.findall(r'"(#[0-9A-F]{6})"', TEXTS["scale.js"])) == palette.CLASS_COLOURS
    assert f"const LIGHTENING = {palette.LIGHTENING};" in TEXTS["scale.js"]


def test_every_module_is_fetched_at_once() -> None:
    # one after the other they would take a round trip for each import
    modules = {name for name in TEXTS if name.endswith(".js")}
    assert set(re.findall(r'(?:modulepreload" href|module" src)="/([^"]+)"', TEXTS["index.html"])) == modules


def test_every_element_that_is_asked_for_is_there() -> None:
    page = TEXTS["index.html"]
    ids = set(re.findall(r'\sid="([^"]+)"', page))
    for name, text in TEXTS.items():
        asked = re.findall(r'(?:getElementById|\bat)\("([^"`]+)"\)', text) if name.endswith(".js") else ()
        assert not set(asked) - ids, name
