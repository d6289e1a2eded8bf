"""A page in a browser, before a server of results that a test makes."""

from typing import Any

from page_results import MODEL_SHA256
from page_server import Served

from runtime.viewer.setup import Scale

WAIT_MS = 20_000
GRADES = ("none", "mild", "severe")
SCALE = Scale(GRADES, True, "Dryness", (MODEL_SHA256,))
SIZES = {"desktop": (1280, 800), "tablet": (1024, 768), "tablet upright": (768, 1024), "phone": (390, 844)}


class OpenedPage:
    """A page in a browser, and its server."""

    def __init__(self, page: Any, server: Served) -> None:
        self.page, self.server = page, server

    def text(self, selector: str) -> str:
        return str(self.page.inner_text(selector))

    def wait(self, expression: str, argument: Any = None) -> None:
        self.page.wait_for_function(expression, arg=argument, timeout=WAIT_MS)

    def shown(self, name: str) -> None:
        """Wait until that image is said to be the one shown, with its picture or with none."""
        self.wait("name => document.getElementById('facts').innerText.includes(name)", name)
        self.page.wait_for_timeout(100)

    def image(self) -> str:
        """The name of the image that is shown."""
        return str(self.page.evaluate("document.querySelector('#facts dd').textContent"))

    def counts(self, said: str) -> None:
        """Wait until the page was told so."""
        self.wait("said => document.getElementById('standing').textContent.includes(said)", said)

    def size(self, name: str) -> tuple[int, int]:
        width, height = SIZES[name]
        self.page.set_viewport_size({"width": width, "height": height})
        self.page.wait_for_timeout(200)
        return width, height

    def strip(self) -> list[str]:
        """Names of the images in the strip, from left to right."""
        shots = self.page.evaluate(
            "() => [...document.querySelectorAll('.shot')].map((shot) => [parseFloat(shot.style.left), shot.title])"
        )
        return [title.partition("\n")[0] for _left, title in sorted(shots)]
