"""The picture an operator looks at: the map over the image, colour bar, scale bar and words."""

from runtime.overlay.picture import OverlayText, draw_overlay, encode_overlay

__all__ = ["OverlayText", "draw_overlay", "encode_overlay"]
