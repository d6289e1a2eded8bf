"""The map's colours over the grey picture."""

import cv2
import msgspec
import numpy as np
import numpy.typing as npt

from runtime.dense_map import Geometry
from runtime.overlay.palette import class_colour

# Viridis is ordered in lightness and told apart by the colour-blind. Cividis is too, but passes through grey
# in its middle: over grey tissue a middling grade would look like no grade at all.
COLOUR_MAP = cv2.COLORMAP_VIRIDIS
# Together more than 1: tissue is mostly dark, and a plain mixture would dim the low grades into it.
COLOUR_SHARE, TISSUE_SHARE = 0.5, 0.7
# rows coloured together: their dozen buffers stay in a processor's cache, and fresh memory costs more than the
# arithmetic
_BAND = 32
_COLOURS = cv2.split(cv2.applyColorMap(np.arange(256, dtype=np.uint8)[None], COLOUR_MAP))


class Area(msgspec.Struct, frozen=True):
    """The part of a picture that a map covers, in whole pixels; it may reach beyond the picture's edges.

    Cell [i, j] is drawn as the stride x stride square around its patch's centre.
    """

    top: int
    left: int
    bottom: int
    right: int


def mapped_area(cells: tuple[int, int], geometry: Geometry, px_per_model_px: tuple[float, float]) -> Area:
    """Where a map of `cells` (rows, columns) lies on a picture.

    Args:
        cells: rows and columns of the map.
        geometry: the map's geometry.
        px_per_model_px: picture pixels per pixel of the model's scale, down and across.
    """
    border = (geometry.patch_px - geometry.stride_px) / 2
    (rows, columns), (down, across) = cells, px_per_model_px
    top, left = round(border * down), round(border * across)
    bottom = round((border + rows * geometry.stride_px) * down)
    right = round((border + columns * geometry.stride_px) * across)
    # a strip much reduced keeps at least a line of its map
    return Area(top, left, max(bottom, top + 1), max(right, left + 1))


def tint(picture: npt.NDArray[np.uint8], expected: npt.NDArray[np.float32], highest: int, area: Area) -> None:
    """Colour the scored cells of `picture` in place; withheld cells and what is around the map stay grey.

    Args:
        picture: uint8 [H, W, 3], grey as BGR.
        expected: float32 [h, w], 0 to `highest`, NaN where withheld.
        highest: the highest grade, K - 1.
        area: where the map lies.
    """
    rows, columns = area.bottom - area.top, area.right - area.left
    # Weighted interpolation: a withheld cell weighs nothing, so that it neither takes colour from its
    # neighbours nor pales theirs; the edge between them is cut along the cells.
    valid = ~np.isnan(expected)
    weight, grade = (
        _no_finer_than(values, rows, columns) for values in (valid.astype(np.float32), np.where(valid, expected, 0))
    )
    # along the rows as a whole, for the map has few of them; down the columns band by band
    both = np.hstack(
        [cv2.resize(values, (columns, len(values)), interpolation=cv2.INTER_LINEAR) for values in (weight, grade)]
    )
    scored = cv2.resize(valid.astype(np.uint8), (columns, len(valid)), interpolation=cv2.INTER_NEAREST_EXACT)
    # of most rows no cell is withheld: there nothing has to be weighed
    certain = both[:, :columns].min(axis=1) == 1
    between = np.clip((np.arange(rows) + 0.5) * len(both) / rows - 0.5, 0, len(both) - 1)
    nearest = ((np.arange(rows) + 0.5) * len(scored) / rows).astype(np.intp)

    height, width = picture.shape[:2]
    seen = np.s_[max(0, -area.left) : width - area.left]
    for first in range(max(0, -area.top), min(rows, height - area.top), _BAND):
        band = np.s_[first : min(first + _BAND, rows, height - area.top)]
        if certain[int(between[band][0]) : int(between[band][-1]) + 2].all():
            grades = _rows_at(both[:, columns:], between[band])
        else:
            blended = _rows_at(both, between[band])
            grades = cv2.divide(blended[:, columns:], cv2.max(blended[:, :columns], 1e-6))
        level = cv2.convertScaleAbs(grades, alpha=255 / highest)
        below = picture[area.top + band.start : area.top + band.stop, max(0, area.left) : max(0, area.right)]
        level = np.ascontiguousarray(level[:, seen])
        # half the time of one look-up of three channels
        colours = cv2.merge([cv2.LUT(level, channel) for channel in _COLOURS])
        blend(colours, below, colours)
        cv2.copyTo(colours, np.ascontiguousarray(scored[nearest[band], seen]), below)


def tint_classes(picture: npt.NDArray[np.uint8], classes: npt.NDArray[np.float32], area: Area) -> None:
    """Colour each scored cell of `picture` by its class, in place; withheld cells and what is around the map stay grey.

    Nothing is interpolated: between two classes without an order there is no third. Where the picture has fewer pixels
    than the map cells, a pixel shows the cell at its centre.

    Args:
        picture: uint8 [H, W, 3], grey as BGR.
        classes: float32 [h, w], index of each cell's class, NaN where withheld.
        area: where the map lies.
    """
    height, width = picture.shape[:2]
    rows, columns = area.bottom - area.top, area.right - area.left
    scored = ~np.isnan(classes)
    indices = np.where(scored, classes, 0).astype(np.intp)
    table = np.array([class_colour(index)[::-1] for index in range(int(indices.max()) + 1)], np.uint8)
    # along the rows as a whole, for the map has few of them; down the columns band by band
    wide, wide_scored = (
        cv2.resize(cells, (columns, len(cells)), interpolation=cv2.INTER_NEAREST_EXACT)
        for cells in (table[indices], scored.astype(np.uint8))
    )
    nearest = ((np.arange(rows) + 0.5) * (len(classes) / rows)).astype(np.intp)
    seen = np.s_[max(0, -area.left) : width - area.left]
    for first in range(max(0, -area.top), min(rows, height - area.top), _BAND):
        band = np.s_[first : min(first + _BAND, rows, height - area.top)]
        below = picture[area.top + band.start : area.top + band.stop, max(0, area.left) : max(0, area.right)]
        colours = np.ascontiguousarray(wide[nearest[band], seen])
        blend(colours, below, colours)
        cv2.copyTo(colours, np.ascontiguousarray(wide_scored[nearest[band], seen]), below)


def _no_finer_than(cells: npt.NDArray[np.float32], rows: int, columns: int) -> npt.NDArray[np.float32]:
    """Cells averaged where the picture has fewer pixels than the map cells, as of a large mosaic."""
    size = min(columns, cells.shape[1]), min(rows, cells.shape[0])
    averaged: npt.NDArray[np.float32] = cv2.resize(cells, size, interpolation=cv2.INTER_AREA)
    return averaged


def _rows_at(values: npt.NDArray[np.float32], places: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Rows of `values` (float32 [h, w]) at places between them: float32 [places, w]."""
    above = places.astype(np.intp)
    found, below = values.take(above, axis=0), values.take(np.minimum(above + 1, len(values) - 1), axis=0)
    below -= found
    below *= (places - above).astype(np.float32)[:, None]
    found += below
    return found


def blend(
    colours: npt.NDArray[np.uint8], tissue: npt.NDArray[np.uint8], into: npt.NDArray[np.uint8] | None = None
) -> npt.NDArray[np.uint8]:
    """The colours over the tissue, both uint8 [H, W, 3]; written to `into` when given."""
    blended: npt.NDArray[np.uint8] = cv2.addWeighted(colours, COLOUR_SHARE, tissue, TISSUE_SHARE, 0, dst=into)
    return blended


def outline(picture: npt.NDArray[np.uint8], area: Area, width: int) -> None:
    """Draw the frame of the mapped area just outside it, `width` pixels wide."""
    # line by line: a thick line of OpenCV's is centred, and would cover a part of the outermost cells
    for grow in range(1, width + 1):
        upper_left = (area.left - grow, area.top - grow)
        lower_right = (area.right - 1 + grow, area.bottom - 1 + grow)
        cv2.rectangle(picture, upper_left, lower_right, (235, 235, 235), 1)
