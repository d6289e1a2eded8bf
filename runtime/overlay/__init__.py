"""The picture an operator looks at: the map over the image, colour bar, scale bar and words."""

from runtime.overlay.header import OverlayText
from runtime.overlay.lettering import prepare_lettering
from runtime.overlay.picture import Slice, draw_overlay, draw_slices, encode_jpeg

__all__ = ["OverlayText", "Slice", "draw_overlay", "draw_slices", "encode_jpeg", "prepare_lettering"]
