"""Channels to grey: a confocal image has one, however many the file was saved with."""

import cv2
import numpy as np

from runtime.images.decoded import Channels
from runtime.images.frame import Grey

# 8-bit JPEG keeps brightness and two colours of 8 bits each. One level of rounding in a colour, which a grey
# image need not but may carry, moves a channel by at most 1.772 -> 2 levels from the brightness. OpenCV's and
# Pillow's encoders, and the 40 cornea frames we have, carry none at all (qualities 30 to 100).
TOLERANCE = 2


def to_grey(channels: Channels) -> tuple[Grey, bool]:
    """One grey channel, and whether the file's channels differed.

    Args:
        channels: [H, W] of any type, or uint8 or uint16 [H, W, 3 or 4] in BGR(A) order; alpha is ignored.

    Returns:
        [H, W], of the same type: the luminance, which for equal channels is their value exactly;
        True when any channel of any pixel is further from it than rounding can bring it
        (`TOLERANCE` levels in 8 bit; none in 16, which no lossy format here has).
    """
    if channels.ndim == 2:
        return channels, False
    bgr = np.ascontiguousarray(channels[:, :, :3])
    luminance: Grey = cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY)
    furthest = cv2.norm(bgr, cv2.cvtColor(luminance, cv2.COLOR_GRAY2BGR), cv2.NORM_INF)
    return luminance, furthest > (TOLERANCE if channels.dtype == np.uint8 else 0)
