"""Draw procedural textures that are not skin, for the out-of-distribution detector to learn from.

Outlier exposure (Hendrycks et al. 2019, arXiv:1812.04606): a detector that has seen many kinds of other textures
refuses textures that it has never seen. Every kind is drawn at random scales and with random contrast, brightness,
blur, slow shading, gamma speckle and sensor noise, so that neither grain nor brightness alone separates it from skin.
"""

import math
from collections.abc import Callable, Mapping

import cv2
import numpy as np
import numpy.typing as npt

Texture = npt.NDArray[np.float32]
Patches = npt.NDArray[np.uint8]
Random = np.random.Generator

# share of the outliers of each kind that another texture is laid over
LAYERED_SHARE = 0.25
# share that keep their own sharpness and noise; the others are blurred or made noisy by the camera
CLEAN_SHARE = 0.3


def draw_outliers(number: int, side_px: int, rng: Random) -> Patches:
    """Draw textures, an equal number of each kind.

    Args:
        number: of textures.
        side_px: side of each.
        rng: the only source of chance.

    Returns:
        uint8 [number, side_px, side_px].
    """
    drawn = np.empty((number, side_px, side_px), np.uint8)
    kinds = tuple(KINDS.values())
    for place in range(number):
        texture = _standardised(kinds[place % len(kinds)](side_px, rng))
        if rng.random() < LAYERED_SHARE:
            other = _standardised(kinds[rng.integers(len(kinds))](side_px, rng))
            texture = _standardised(texture + rng.uniform(0.2, 1.0) * other)
        drawn[place] = photograph(texture, rng)
    return drawn


def scrambled(patches: Patches, rng: Random) -> Patches:
    """Return patches with the spectrum and brightness of the given ones, but without their structure.

    Each keeps the amplitudes of its Fourier transform and takes the phases of white noise.

    Args:
        patches: uint8 [N, P, P].
        rng: the only source of chance.

    Returns:
        uint8 [N, P, P].
    """
    found = np.empty_like(patches)
    for place, patch in enumerate(patches):
        amplitude = np.abs(np.fft.rfft2(patch))
        phase = np.angle(np.fft.rfft2(rng.standard_normal(patch.shape)))
        # the mean has no phase
        phase[0, 0] = 0.0
        pixels = np.fft.irfft2(amplitude * np.exp(1j * phase), s=patch.shape)
        found[place] = np.clip(np.rint(pixels), 0, 255)
    return found


def photograph(texture: Texture, rng: Random) -> Patches:
    """Return a texture of zero mean and unit spread as a camera might have taken it, uint8 [H, W]."""
    side = texture.shape[0]
    clean = rng.random() < CLEAN_SHARE
    if not clean and rng.random() < 0.6:
        texture = _standardised(cv2.GaussianBlur(texture, (0, 0), math.exp(rng.uniform(math.log(0.4), math.log(3)))))
    grey = rng.uniform(40, 190) + texture * math.exp(rng.uniform(math.log(8), math.log(70)))
    across, down = np.meshgrid(np.linspace(-1, 1, side), np.linspace(-1, 1, side))
    bend = rng.uniform(-0.3, 0.3) * (across**2 + down**2) if rng.random() < 0.5 else 0.0
    grey = grey * (1 + rng.uniform(-0.3, 0.3) * across + rng.uniform(-0.3, 0.3) * down + bend)
    if not clean and rng.random() < 0.5:
        # speckle of coherent light, correlated over about a pixel, as confocal images show it
        looks = math.exp(rng.uniform(math.log(3), math.log(60)))
        speckle = rng.gamma(looks, 1 / looks, texture.shape).astype(np.float32)
        grey = grey * (cv2.GaussianBlur(speckle, (0, 0), rng.uniform(0.4, 1.2)) if rng.random() < 0.6 else speckle)
    if not clean and rng.random() < 0.6:
        grey = grey + rng.normal(0, rng.uniform(1, 18), texture.shape)
    return np.clip(np.rint(grey), 0, 255).astype(np.uint8)


def _standardised(texture: Texture) -> Texture:
    spread = float(texture.std())
    return np.asarray((texture - texture.mean()) / (spread or 1.0), np.float32)


def _noise(side: int, rng: Random) -> Texture:
    return rng.standard_normal((side, side), dtype=np.float32)


def _scale(low_px: float, high_px: float, rng: Random) -> float:
    """A length, log-uniform."""
    return math.exp(rng.uniform(math.log(low_px), math.log(high_px)))


def _band_noise(side: int, rng: Random) -> Texture:
    """Noise of one scale, low-pass or band-pass."""
    sigma = _scale(0.4, 12, rng)
    noise = _noise(side, rng)
    low = np.asarray(cv2.GaussianBlur(noise, (0, 0), sigma), np.float32)
    if rng.random() < 0.5:
        return low
    return np.asarray(low - cv2.GaussianBlur(noise, (0, 0), sigma * rng.uniform(1.3, 4)), np.float32)


def _power_noise(side: int, rng: Random) -> Texture:
    """Noise with a power-law spectrum, as clouds, bark and natural scenes have it."""
    down, across = np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None]
    frequency = np.hypot(down, across)
    frequency[0, 0] = 1.0
    spectrum = np.fft.rfft2(_noise(side, rng)) / frequency ** rng.uniform(0.3, 2.2)
    found = np.fft.irfft2(spectrum, s=(side, side))
    return np.asarray(np.abs(found) if rng.random() < 0.3 else found, np.float32)


def _directed_noise(side: int, rng: Random) -> Texture:
    """Noise that is drawn out along one direction: wood, brushed metal, hair, muscle."""
    length, width = _scale(4, 60, rng), _scale(0.5, 4, rng)
    wide = side * 2
    drawn = cv2.GaussianBlur(_noise(wide, rng), (0, 0), sigmaX=length, sigmaY=width)
    turn = cv2.getRotationMatrix2D((wide / 2, wide / 2), rng.uniform(0, 180), 1.0)
    turned = cv2.warpAffine(drawn, turn, (wide, wide))
    start = side // 2
    return np.asarray(turned[start : start + side, start : start + side], np.float32)


def _cut_noise(side: int, rng: Random) -> Texture:
    """Noise of one scale, cut at one to four levels: blotches, islands, labyrinths."""
    texture = _standardised(_band_noise(side, rng))
    levels = np.sort(rng.normal(0, 0.8, rng.integers(1, 5)))
    return np.digitize(texture, levels).astype(np.float32)


def _grating(side: int, rng: Random) -> Texture:
    """One to three gratings, bent by slow noise: weave, mesh, ripples, print."""
    down, across = np.mgrid[:side, :side].astype(np.float32)
    total = np.zeros((side, side), np.float32)
    turn = rng.uniform(0, math.pi)
    for number in range(rng.integers(1, 4)):
        angle = turn + number * (math.pi / 2 if rng.random() < 0.5 else rng.uniform(0, math.pi))
        bend = rng.uniform(0, 6) * _standardised(cv2.GaussianBlur(_noise(side, rng), (0, 0), _scale(6, 30, rng)))
        phase = (across * math.cos(angle) + down * math.sin(angle) + bend) * (2 * math.pi / _scale(3, 40, rng))
        wave = np.sin(phase + rng.uniform(0, 2 * math.pi))
        total += np.sign(wave - rng.uniform(-0.7, 0.7)) if rng.random() < 0.4 else wave
    return total


def _leaves(side: int, rng: Random) -> Texture:
    """Shapes that cover each other ("dead leaves", Lee et al. 2001): the statistics of photographs."""
    canvas = np.zeros((side, side), np.float32)
    smallest = _scale(1, 6, rng)
    largest = smallest * rng.uniform(2, 15)
    shape = rng.integers(3)
    texture = rng.uniform(0, 0.5) * _noise(side, rng)
    area = 0.0
    while area < 4 * side * side:
        # sizes with a density of 1 / r^3: as many covered pixels by each octave
        radius = (smallest**-2 + rng.random() * (largest**-2 - smallest**-2)) ** -0.5
        at = rng.uniform(-radius, side + radius, 2)
        grey = float(rng.normal())
        area += 4 * radius * radius
        if shape == 0:
            cv2.circle(canvas, _point(at), round(radius), grey, -1, cv2.LINE_8)
        elif shape == 1:
            axes = (max(1, round(radius)), max(1, round(radius * rng.uniform(0.2, 0.6))))
            cv2.ellipse(canvas, _point(at), axes, rng.uniform(0, 180), 0, 360, grey, -1, cv2.LINE_8)
        else:
            corners = cv2.boxPoints((tuple(at), (2 * radius, radius * rng.uniform(0.3, 2)), rng.uniform(0, 90)))
            cv2.fillPoly(canvas, [np.rint(corners).astype(np.int32)], grey, cv2.LINE_8)
    return canvas + texture


def _fibres(side: int, rng: Random) -> Texture:
    """Lines and curves laid over each other: hair, grass, felt, scratches."""
    canvas = np.full((side, side), -1.0 if rng.random() < 0.7 else 1.0, np.float32)
    along = rng.uniform(0, math.pi)
    spread = rng.choice([0.1, 0.4, math.pi])
    length, thickness = _scale(8, 120, rng), _scale(1, 7, rng)
    for _ in range(int(_scale(20, 900, rng) * 8 / (thickness * 4 + 4))):
        angle = along + rng.uniform(-spread, spread)
        start, step = rng.uniform(-20, side + 20, 2), length / 6
        points = [start]
        for _ in range(6):
            angle += rng.normal(0, 0.15)
            points.append(points[-1] + step * np.array([math.cos(angle), math.sin(angle)]))
        line = [np.rint(points).astype(np.int32)]
        cv2.polylines(canvas, line, False, float(rng.normal()), max(1, round(thickness)), cv2.LINE_8)
    return canvas


def _stones(side: int, rng: Random) -> Texture:
    """Cells around random points, each of its own grey, with or without joints: gravel, pavement, crackle, foam."""
    spacing = _scale(4, 60, rng)
    count = max(3, round((side / spacing) ** 2))
    seeds = np.full((side, side), 255, np.uint8)
    rows, columns = rng.integers(0, side, (2, count))
    seeds[rows, columns] = 0
    distance, labels = cv2.distanceTransformWithLabels(seeds, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    grey = rng.normal(0, 1, int(labels.max()) + 1).astype(np.float32)[labels]
    texture = rng.uniform(0, 1) * grey + rng.uniform(-1.5, 1.5) * distance / spacing
    if rng.random() < 0.6:
        lines = (cv2.morphologyEx(labels.astype(np.float32), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0).astype(
            np.float32
        )
        texture = texture + rng.uniform(-3, 3) * cv2.GaussianBlur(lines, (0, 0), _scale(0.5, 3, rng))
    return np.asarray(texture, np.float32)


def _bricks(side: int, rng: Random) -> Texture:
    """Rows of rectangles with joints, turned: brickwork, tiles, planks, cloth."""
    height = _scale(6, 50, rng)
    width = height * rng.uniform(0.8, 4)
    joint = height * rng.uniform(0.04, 0.25)
    angle = rng.choice([0.0, math.pi / 2, rng.uniform(0, math.pi)])
    down, across = np.mgrid[:side, :side].astype(np.float32)
    along, beside = (
        across * math.cos(angle) + down * math.sin(angle) + 999.0,
        down * math.cos(angle) - across * math.sin(angle) + 999.0,
    )
    row = np.floor(beside / height).astype(int)
    shifted = along + (row % 2) * width * rng.choice([0.0, 0.5])
    column = np.floor(shifted / width).astype(int)
    grey = rng.normal(0, 1, 997)[(row * 131 + column * 37) % 997]
    in_joint = ((beside % height) < joint) | ((shifted % width) < joint)
    return np.where(in_joint, rng.normal(0, 2), grey * rng.uniform(0.1, 1)).astype(np.float32)


def _dots(side: int, rng: Random) -> Texture:
    """Blobs, rings or squares at random or on a grid: grains, pores, mesh, print."""
    canvas = np.zeros((side, side), np.float32)
    radius = _scale(1, 14, rng)
    spacing = radius * rng.uniform(1.6, 6)
    jitter = rng.choice([0.0, 0.15, 1.0])
    ring = rng.random() < 0.25
    for row in np.arange(-spacing, side + spacing, spacing):
        for column in np.arange(-spacing, side + spacing, spacing):
            at = np.array([column, row]) + rng.uniform(-1, 1, 2) * jitter * spacing
            size = max(1, round(radius * rng.uniform(0.6, 1.3)))
            cv2.circle(canvas, _point(at), size, 1.0 + 0.3 * float(rng.normal()), 1 if ring else -1, cv2.LINE_8)
    blurred = cv2.GaussianBlur(canvas, (0, 0), _scale(0.3, radius + 0.5, rng))
    return np.asarray(blurred if rng.random() < 0.5 else -blurred, np.float32)


def _edges(side: int, rng: Random) -> Texture:
    """Few large shapes with slow shading between sharp edges: objects, print, drawings."""
    canvas = _standardised(cv2.GaussianBlur(_noise(side, rng), (0, 0), _scale(15, 60, rng)))
    for _ in range(rng.integers(1, 9)):
        corners = rng.uniform(-0.2 * side, 1.2 * side, (rng.integers(3, 6), 2))
        mask = np.zeros((side, side), np.uint8)
        cv2.fillPoly(mask, [np.rint(corners).astype(np.int32)], 1, cv2.LINE_8)
        shade = rng.normal(0, 1) + rng.uniform(0, 1) * _standardised(
            cv2.GaussianBlur(_noise(side, rng), (0, 0), _scale(5, 60, rng))
        )
        canvas = np.where(mask > 0, shade, canvas)
    return np.asarray(canvas + rng.uniform(0, 0.25) * _noise(side, rng), np.float32)


def _point(at: npt.NDArray[np.float64]) -> tuple[int, int]:
    return round(float(at[0])), round(float(at[1]))


KINDS: Mapping[str, Callable[[int, Random], Texture]] = {
    "band noise": _band_noise,
    "power-law noise": _power_noise,
    "directed noise": _directed_noise,
    "cut noise": _cut_noise,
    "gratings": _grating,
    "dead leaves": _leaves,
    "fibres": _fibres,
    "stones": _stones,
    "bricks": _bricks,
    "dots": _dots,
    "edges": _edges,
}
