"""The map's colours over the grey picture."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from runtime.dense_map import Geometry

# Viridis is ordered in lightness and told apart by the colour-blind. Cividis is too, but passes through grey
# in its middle: over grey tissue a middling grade would look like no grade at all.
COLOUR_MAP = cv2.COLORMAP_VIRIDIS
# Together more than 1: tissue is mostly dark, and a plain mixture would dim the low grades into it.
COLOUR_SHARE, TISSUE_SHARE = 0.5, 0.7


@dataclass(frozen=True)
class Area:
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
    size = (area.right - area.left, area.bottom - area.top)
    # where the map has more cells than the picture pixels (large mosaics), cells are averaged
    smooth = cv2.INTER_AREA if size[0] < expected.shape[1] else cv2.INTER_LINEAR
    valid = ~np.isnan(expected)
    # Weighted interpolation: a withheld cell weighs nothing, so that it neither takes colour from its
    # neighbours nor pales theirs; the edge between them is cut along the cells.
    weight = cv2.resize(valid.astype(np.float32), size, interpolation=smooth)
    grade = cv2.resize(np.where(valid, expected, np.float32(0)), size, interpolation=smooth)
    scored = cv2.resize(valid.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST_EXACT)
    # a pixel is written in place where it can be: fresh memory costs more than the arithmetic
    np.maximum(weight, 1e-6, out=weight)
    level = cv2.convertScaleAbs(cv2.divide(grade, weight, dst=grade), alpha=255 / highest)

    height, width = picture.shape[:2]
    seen = np.s_[max(0, -area.top) : height - area.top, max(0, -area.left) : width - area.left]
    below = picture[max(0, area.top) : max(0, area.bottom), max(0, area.left) : max(0, area.right)]
    colours = cv2.applyColorMap(np.ascontiguousarray(level[seen]), COLOUR_MAP)
    blend(colours, below, colours)
    cv2.copyTo(colours, np.ascontiguousarray(scored[seen]), below)


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
