"""The one place where OpenCV decodes, after a format's own checks have passed."""

import cv2
import numpy as np
import numpy.typing as npt

from runtime.errors import NeverAnImage, UnreadableImage

# what OpenCV finds wrong is said in our error, once, and not on stderr as well
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

# libpng as built into OpenCV reads no image that is wider or higher, OpenCV itself none beyond 2^20
MAX_SIDE = 1_000_000
# its buffers have 32-bit lengths
MAX_BYTES = (1 << 31) - 1


def decode_with_opencv(
    data: bytes | bytearray, width: int, height: int
) -> npt.NDArray[np.uint8] | npt.NDArray[np.uint16]:
    """Decodes one BMP, PNG or JPEG as stored: no orientation applied, no depth or channel changed.

    Returns:
        uint8 or uint16 [height, width] or [height, width, 3 or 4] in BGR(A) order.

    Raises:
        UnreadableImage: OpenCV cannot decode it.
        NeverAnImage: it is longer than OpenCV reads, or of another size or depth than its header gives.
    """
    if max(width, height) > MAX_SIDE:
        raise NeverAnImage("the image is too long", seen=f"{width} x {height} pixels", wanted=f"at most {MAX_SIDE}")
    if len(data) > MAX_BYTES:
        raise NeverAnImage("the image has too many bytes", seen=f"{len(data)}", wanted=f"at most {MAX_BYTES}")
    try:
        image = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise UnreadableImage("the image data cannot be decoded", seen=str(error)) from None
    if image is None:
        raise UnreadableImage("the image data cannot be decoded", next_step="export the image again")
    if image.shape[:2] != (height, width) or image.dtype not in (np.uint8, np.uint16):
        raise NeverAnImage(
            "the decoded image is not what its header says",
            seen=f"{image.shape[1]} x {image.shape[0]} {image.dtype}",
            wanted=f"{width} x {height}, 8 or 16 bit",
        )
    decoded: npt.NDArray[np.uint8] | npt.NDArray[np.uint16] = image
    return decoded
