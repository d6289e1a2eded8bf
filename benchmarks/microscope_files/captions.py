"""Captions as a workstation may burn them in: in several fonts and forms, on good and poor files."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.caption_glyphs import STRIP, Draw, in_rubik, matplotlibs, of_file, of_hershey


def in_aileron(text: str, size: int) -> npt.NDArray[np.uint8]:
    """Draws in the font that comes with Pillow."""
    import PIL.Image
    import PIL.ImageDraw
    import PIL.ImageFont

    image = PIL.Image.new("L", STRIP[::-1])
    PIL.ImageDraw.Draw(image).text((8, 4), text, 255, PIL.ImageFont.load_default(size))
    return np.array(image)


# of these there are templates ...
KNOWN_FONTS: dict[str, Draw] = {
    "DejaVu Sans": of_file(matplotlibs("DejaVuSans")),
    "DejaVu Sans Mono": of_file(matplotlibs("DejaVuSansMono")),
    "Rubik": in_rubik,
    "Hershey": of_hershey(cv2.FONT_HERSHEY_SIMPLEX),
}
# ... and of these none
OTHER_FONTS: dict[str, Draw] = {
    "Aileron": in_aileron,
    "DejaVu Serif": of_file(matplotlibs("DejaVuSerif")),
    "STIX": of_file(matplotlibs("STIXGeneral")),
    "Computer Modern Sans": of_file(matplotlibs("cmss10")),
    "Hershey Duplex": of_hershey(cv2.FONT_HERSHEY_DUPLEX),
}


@dataclass(frozen=True)
class Said:
    """A caption's text and what it says."""

    text: str
    x_mm: float
    y_mm: float
    z_um: float


def draw_said(rng: np.random.Generator) -> Said:
    """A stage position and a depth in one of several forms."""
    x, y, z = f"{rng.uniform(-30, 30):.2f}", f"{rng.uniform(-30, 30):.3f}", f"{rng.uniform(0, 250):.1f}"
    name = f"v{rng.integers(10**7):07d}"
    forms = (
        f"{name}.bmp  X: {x} mm  Y: {y} mm  Z: {z} um",
        f"{name}  X:{x} Y:{y} Z:{z}",
        f"X = {x} mm, Y = {y} mm, Z = {z} um",
        f"X {x} Y {y} Z {z}",
        f"{name}.bmp X: {x}mm Y: {y}mm Z: {z}um",
        f"X: {x} (mm)   Y: {y} (mm)   Z: {z} (um)",
        f"{name} X: {x} Y: {y} Z: {z}".replace(".", ","),
    )
    return Said(forms[rng.integers(len(forms))], float(x), float(y), float(z))


def photographed(strip: npt.NDArray[np.uint8], rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """A strip of 0 and 255 with other greys, dark on bright or bright on dark, with grain, as JPEG or not."""
    ends = rng.uniform(0, 60), rng.uniform(150, 255)
    low, high = ends if rng.random() < 0.5 else ends[::-1]
    shown = low + (high - low) * (strip / 255)
    if rng.random() < 0.3:
        shown += rng.normal(0, rng.uniform(0, 6), shown.shape)
    seen = np.clip(shown, 0, 255).astype(np.uint8)
    if rng.random() < 0.4:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(75, 98))]
        seen = np.asarray(cv2.imdecode(cv2.imencode(".jpg", seen, quality)[1], cv2.IMREAD_GRAYSCALE), np.uint8)
    return seen
