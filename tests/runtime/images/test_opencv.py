import cv2
import numpy as np
import pytest

from runtime.errors import UnreadableImage
from runtime.images.opencv import decode_with_opencv


def test_a_failed_decode_is_an_error_and_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    image = bytes(cv2.imencode(".bmp", np.zeros((50, 50), np.uint8))[1])
    for data in (image[:500], image[:20], b"", b"nothing known"):
        with pytest.raises(UnreadableImage, match="cannot be decoded"):
            decode_with_opencv(data, 50, 50)
    assert capfd.readouterr() == ("", "")


def test_an_image_of_another_size_than_announced_is_refused() -> None:
    image = bytes(cv2.imencode(".bmp", np.zeros((50, 40), np.uint8))[1])
    with pytest.raises(UnreadableImage, match="seen: 40 x 50 uint8; wanted: 50 x 40"):
        decode_with_opencv(image, 50, 40)
