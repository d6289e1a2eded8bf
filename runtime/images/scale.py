"""From the file's scale and depth to the model's: µm per pixel and 8 bits, whole or one window at a time."""

import math
from collections.abc import Iterator

import cv2
import msgspec
import numpy as np
import numpy.typing as npt
from msgspec.structs import replace

from runtime.errors import InflamapError
from runtime.images.depth import EIGHT_BIT, GreyDepth
from runtime.images.frame import Frame, Grey
from runtime.images.limits import MAX_PIXELS

# a screen's worth; a mosaic of 256 Mpx is for the map file
LONGEST_SHOWN = 2000
# of the frame looked at together: as floats they stay in a processor's cache, and of a mosaic they are a small part
_BAND_PIXELS = 1 << 18


class FrameOnGrid(msgspec.Struct, frozen=True):
    """A frame at another scale, sampled where it is asked for.

    All output pixels lie on one grid: output pixel x is sampled at (x + 0.5) / f - 0.5 of the frame, with f the factor
    exactly and not the ratio of the rounded sizes, so that a position in µm is the same before and after (to the last
    pixel of a mosaic), and windows that overlap agree to the last bit.

    Shrinking averages over the area of an output pixel, so that fine texture does not alias into coarse. Enlarging is
    cubic (Keys 1981, a = -0.75, https://doi.org/10.1109/TASSP.1981.1163711): on band-limited texture (1.5 µm detail,
    brought from 0.7 to 0.5 µm/px) it keeps the contrast within 1 %, where linear loses 8 % and the texture would read
    as smoother skin than it is.

    Attributes:
        frame: pixels with a known depth.
        factor: output pixels per pixel of the frame, along either side.
    """

    frame: Frame
    factor: float

    @property
    def shape(self) -> tuple[int, int]:
        """Output rows and columns: round(H f) and round(W f), each at least 1."""
        return max(1, round(self.frame.height * self.factor)), max(1, round(self.frame.width * self.factor))

    def whole(self) -> npt.NDArray[np.uint8]:
        """All output pixels, see `window`."""
        return self.window(np.s_[: self.shape[0]], np.s_[: self.shape[1]])

    def window(self, rows: slice, columns: slice) -> npt.NDArray[np.uint8]:
        """Some of the output pixels.

        Args:
            rows, columns: which; with a stop within `shape`, and without a step.

        Returns:
            uint8 [rows, columns], contiguous. At f = 1 an 8-bit frame's own pixels come back, where they lie together.
        """
        pixels, depth = self.frame.pixels, self.frame.depth
        if self.factor == 1 and pixels.dtype == np.uint8 and depth == EIGHT_BIT:
            return np.ascontiguousarray(pixels[rows, columns], dtype=np.uint8)
        assert depth is not None
        found = np.empty((rows.stop - (rows.start or 0), columns.stop - (columns.start or 0)), np.uint8)
        if self.factor == 1:
            for band in _bands(found.shape[0], found.shape[1]):
                levels = _grey_levels(pixels[rows, columns][band], depth)
                cv2.add(levels, 0.0, dst=found[band], dtype=cv2.CV_8U)
            return found
        cubic = self.factor > 1 or self.shape == pixels.shape
        across = _Taps.along(columns, pixels.shape[1], self.factor, cubic=cubic)
        for band in _bands(found.shape[0], math.ceil(found.shape[1] / self.factor**2)):
            first = rows.start or 0
            down = _Taps.along(np.s_[first + band.start : first + band.stop], pixels.shape[0], self.factor, cubic=cubic)
            levels = down.sample(_grey_levels(pixels[down.span, across.span], depth))
            levels = cv2.transpose(across.sample(cv2.transpose(levels)))
            # rounds, and cuts what cubic overshoots at edges
            cv2.add(levels, 0.0, dst=found[band], dtype=cv2.CV_8U)
        return found


class _Taps(msgspec.Struct, frozen=True):
    """What each output pixel along one side is made of.

    Attributes:
        span: the frame's pixels that are needed.
        places: intp [taps, n], counted from the beginning of `span`.
        weights: float32 [taps, n], 1 in all for each of n output pixels.
    """

    span: slice
    places: npt.NDArray[np.intp]
    weights: npt.NDArray[np.float32]

    @staticmethod
    def along(wanted: slice, length: int, factor: float, *, cubic: bool) -> "_Taps":
        """Of output pixels along a side that the frame has `length` pixels of."""
        if round(length * factor) == 0:
            # one that would vanish keeps its mean
            factor, cubic = 1 / length, False
        outputs = np.arange(wanted.start or 0, wanted.stop)
        if cubic:
            at = (outputs + 0.5) / factor - 0.5
            first = np.floor(at).astype(np.intp)
            taps = np.arange(-1, 3)[:, None]
            weights = _keys(np.abs(at - first - taps))
        else:
            begin, end = outputs / factor, np.minimum((outputs + 1) / factor, length)
            first = np.floor(begin).astype(np.intp)
            taps = np.arange(math.ceil(1 / factor) + 1)[:, None]
            weights = np.minimum(end, first + taps + 1) - np.maximum(begin, first + taps)
            weights = np.maximum(weights, 0) / (end - begin)
        # beyond an edge lies what is at the edge
        places = np.clip(first + taps, 0, length - 1)
        span = np.s_[int(places.min()) : int(places.max()) + 1]
        return _Taps(span, places - span.start, weights.astype(np.float32))

    def sample(self, levels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Rows made of the rows of `span`: float32 [n, W]. Always in the same order, so that windows agree."""
        made: npt.NDArray[np.float32] = levels.take(self.places[0], axis=0)
        made *= self.weights[0][:, None]
        for places, weights in zip(self.places[1:], self.weights[1:], strict=True):
            part = levels.take(places, axis=0)
            part *= weights[:, None]
            made += part
        return made


def _keys(apart: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Weights of the cubic, of pixels so far from the place that is sampled."""
    near = (1.25 * apart - 2.25) * apart**2 + 1
    far = ((-0.75 * apart + 3.75) * apart - 6) * apart + 3
    weights: npt.NDArray[np.float64] = np.where(apart <= 1, near, np.where(apart < 2, far, 0.0))
    return weights


def on_grid(frame: Frame, model_um_per_px: float) -> FrameOnGrid:
    """The frame as the model sees it.

    Args:
        frame: pixels with a known scale and depth.
        model_um_per_px: µm per pixel of the model.

    Raises:
        InflamapError: the frame's scale or depth is unknown, or the result would exceed `limits.MAX_PIXELS`.
    """
    if frame.um_per_px is None:
        raise InflamapError("the frame's scale is unknown", wanted="µm per pixel", next_step="give it with --um-per-px")
    if frame.depth is None:
        raise InflamapError("the frame's depth of grey is unknown", wanted="the levels that are black and white")
    factor = frame.um_per_px / model_um_per_px
    if factor != 1 and frame.width * factor * frame.height * factor > MAX_PIXELS:
        raise InflamapError(
            "the frame would be too large at the model's scale",
            seen=f"{frame.width} x {frame.height} px; {frame.um_per_px} µm/px to {model_um_per_px}",
            wanted=f"at most {MAX_PIXELS} px",
            next_step="check --um-per-px",
        )
    return FrameOnGrid(frame, factor)


def to_model_scale(frame: Frame, model_um_per_px: float) -> npt.NDArray[np.uint8]:
    """All of the frame as the model sees it: uint8 [round(H f), round(W f)]; errors as of `on_grid`."""
    return on_grid(frame, model_um_per_px).whole()


def picture(frame: Frame) -> npt.NDArray[np.uint8]:
    """The frame to look at: uint8 [H, W], contiguous, at the file's own scale; if 8-bit, its own pixels.

    Where nothing tells the depth, so that there is no score, it is as bright as its own levels allow.
    """
    return reduced_picture(frame, max(frame.width, frame.height))[0]


def reduced_picture(frame: Frame, longest: int) -> tuple[npt.NDArray[np.uint8], float]:
    """The same with no more than so many pixels along its longer side; and the factor by which it is reduced."""
    if frame.depth is None:
        depth = EIGHT_BIT if frame.pixels.dtype == np.uint8 else _as_bright_as_may_be(frame.pixels)
        frame = replace(frame, depth=depth)
    factor = min(1.0, longest / max(frame.width, frame.height))
    return FrameOnGrid(frame, factor).whole(), factor


def _bands(rows: int, columns: int) -> Iterator[slice]:
    """Slices of so many rows, each of a bounded number of pixels."""
    each = max(1, _BAND_PIXELS // max(1, columns))
    return (np.s_[top : min(top + each, rows)] for top in range(0, rows, each))


def _as_bright_as_may_be(pixels: Grey) -> GreyDepth:
    low, high = math.inf, -math.inf
    for band in _bands(*pixels.shape):
        finite = pixels[band][np.isfinite(pixels[band])]
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    if low > high:
        low, high = 0.0, 1.0
    return GreyDepth(low, high if high > low else low + 1.0, None, "unknown")


def _grey_levels(pixels: Grey, depth: GreyDepth) -> npt.NDArray[np.float32]:
    """float32 [H, W] in 0 to 255, with the file's depth still in the decimals; what is no number is black."""
    levels = pixels.astype(np.float32)
    # floating point may hold anything, and what overflows is black or white below
    with np.errstate(over="ignore", invalid="ignore"):
        if depth.black:
            levels -= np.float32(depth.black)
        if depth.white - depth.black != 255:
            levels *= np.float32(255 / (depth.white - depth.black))
    if pixels.dtype == np.float32 or depth.bits != 8 * pixels.dtype.itemsize:
        np.nan_to_num(levels, copy=False, nan=0.0)
        np.clip(levels, 0, 255, out=levels)
    return levels
