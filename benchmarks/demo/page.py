"""The demo's page: one HTML file with its pictures inside, to be opened, sent or kept."""

import base64
import string
from collections.abc import Sequence
from html import escape

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.demo.figures import DemoFigures
from benchmarks.demo.truth import AgainstTruth
from benchmarks.rehearsal import Rehearsal
from runtime.version import NOTICE, __version__

MOST_FRAMES_SHOWN = 3
PICTURE_PX = 640
JPEG_QUALITY = 82
CHART_WIDTH, CHART_HEIGHT, CHART_MARGIN = 960, 220, 44

_PAGE = string.Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>inflamap demo</title>
<style>
body { font: 16px/1.5 system-ui, "Segoe UI", sans-serif; color: #1c1c1c; background: #fff; margin: 0 auto;
       max-width: 1040px; padding: 24px; }
h1 { font-size: 28px; margin: 0 0 4px; } h2 { font-size: 19px; margin: 36px 0 8px; }
.notice { background: #ffbf00; padding: 8px 12px; border-radius: 4px; }
.frames { display: grid; grid-template-columns: repeat(3, 1fr); gap: 20px 10px; align-items: end; }
figure { margin: 0; } figure img { width: 100%; display: block; }
figcaption, .quiet { color: #5a5a5a; font-size: 14px; }
table { border-collapse: collapse; } th { text-align: left; font-weight: 600; white-space: nowrap; }
th, td { padding: 5px 18px 5px 0; vertical-align: top; border-bottom: 1px solid #e4e4e4; }
pre { background: #f5f5f5; padding: 12px; overflow-x: auto; font-size: 14px; } svg { width: 100%; height: auto; }
</style>
</head>
<body>
<h1>inflamap demo</h1>
<p class="quiet">$subtitle</p>
<p class="notice">Everything here is synthetic: skin, raters and severity are drawn by inflamap itself. $notice</p>
<h2>Frame, true severity, map</h2>
<div class="frames">
$frames
</div>
<h2>Figures</h2>
<table>
$figures
</table>
<h2>From the closing of each file to its record</h2>
$chart
<h2>Where to look</h2>
<table>
$places
</table>
<h2>What was run</h2>
<pre>$commands</pre>
</body>
</html>
""")


def demo_page(found: DemoFigures, places: Sequence[tuple[str, str]], commands: Sequence[str]) -> bytes:
    """The page.

    Args:
        found: the figures and pictures.
        places: (name, where and what) of what the demo left.
        commands: as a user would type them.
    """
    frames = "\n".join(_frame(truth) for truth in found.truths[:MOST_FRAMES_SHOWN])
    page = _PAGE.substitute(
        subtitle=escape(f"inflamap {__version__}; trained from scratch and run in {found.seconds:.0f} s"),
        notice=escape(NOTICE),
        frames=frames,
        figures=_table(found.lines()),
        chart=_latency_chart(found.rehearsal),
        places=_table(places),
        commands=escape("\n".join(commands)),
    )
    return page.encode("utf-8", errors="replace")


def _table(lines: Sequence[tuple[str, str]]) -> str:
    return "\n".join(f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in lines)


def _frame(truth: AgainstTruth) -> str:
    difference = "withheld" if truth.difference is None else f"{truth.difference:.2f} grades off on average"
    return "\n".join(
        _figure(image, caption)
        for image, caption in (
            (truth.frame, truth.name),
            (truth.truth, "as it was drawn"),
            (truth.overlay, f"as scored: {difference}"),
        )
    )


def _figure(image: npt.NDArray[np.uint8], caption: str) -> str:
    words = escape(caption)
    return f'<figure><img src="{_embedded(image)}" alt="{words}"><figcaption>{words}</figcaption></figure>'


def _embedded(image: npt.NDArray[np.uint8]) -> str:
    """A picture as an address of its own, reduced to what a page shows."""
    height, width = image.shape[:2]
    scale = min(1.0, PICTURE_PX / width)
    reduced = cv2.resize(image, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
    data = cv2.imencode(".jpg", reduced, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
    return f"data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode()}"


def _latency_chart(found: Rehearsal) -> str:
    """One dot a frame, in the order of saving; the line is the time every file has to rest."""
    highest = max(1.25 * max(found.latency_s, default=1.0), 1.5 * found.settle_s)
    inner_width, inner_height = CHART_WIDTH - 2 * CHART_MARGIN, CHART_HEIGHT - 2 * CHART_MARGIN

    def x(index: int) -> float:
        return CHART_MARGIN + inner_width * (index + 0.5) / max(1, len(found.latency_s))

    def y(seconds: float) -> float:
        return CHART_MARGIN + inner_height * (1 - seconds / highest)

    dots = "".join(
        f'<circle cx="{x(index):.1f}" cy="{y(seconds):.1f}" r="3" fill="#21618c"/>'
        for index, seconds in enumerate(found.latency_s)
    )
    left, right = CHART_MARGIN, CHART_WIDTH - CHART_MARGIN
    lines = "".join(
        f'<line x1="{left}" x2="{right}" y1="{y(seconds):.1f}" y2="{y(seconds):.1f}" stroke="{colour}"/>'
        f'<text x="{left - 6}" y="{y(seconds) + 4:.1f}" text-anchor="end">{seconds:g} s</text>'
        for seconds, colour in ((0.0, "#888"), (found.settle_s, "#c77700"))
    )
    return (
        f'<svg viewBox="0 0 {CHART_WIDTH} {CHART_HEIGHT}" font-size="13" fill="#444" role="img" '
        f'aria-label="seconds from close to record of each frame">{lines}'
        f'<text x="{right}" y="{y(found.settle_s) + 16:.1f}" text-anchor="end" fill="#c77700">rest of the file</text>'
        f'<text x="{left}" y="{CHART_HEIGHT - 12}">{len(found.latency_s)} frames, in the order of saving</text>'
        f"{dots}</svg>"
    )
