import cv2
import numpy as np
import pytest

from runtime.errors import NeverAnImage, UnreadableImage
from runtime.images.opencv import decode_with_opencv


def test_a_failed_decode_is_an_error_and_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    image = bytes(cv2.imencode(".bmp", np.zeros((50, 50), np.uint8))[1])
    for data in (image[:500], image[:20], b"", b"nothing known"):
        with pytest.raises(UnreadableImage, match="cannot be decoded") as caught:
            decode_with_opencv(data, 50, 50)
        assert not isinstance(caught.value, NeverAnImage)
    assert capfd.readouterr() == ("", "")


def test_an_image_beyond_what_opencv_takes_is_refused_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    image = bytes(cv2.imencode(".bmp", np.zeros((50, 40), np.uint8))[1])
    with pytest.raises(NeverAnImage, match="too long; seen: 40 x 1000001"):
        decode_with_opencv(image, 40, 1_000_001)
    monkeypatch.setattr("runtime.images.opencv.MAX_BYTES", len(image))
    assert decode_with_opencv(image, 40, 50).shape == (50, 40)
    monkeypatch.setattr("runtime.images.opencv.MAX_BYTES", len(image) - 1)
    with pytest.raises(NeverAnImage, match="too many bytes"):
        decode_with_opencv(image, 40, 50)


def test_an_image_of_another_size_than_announced_is_refused() -> None:
    image = bytes(cv2.imencode(".bmp", np.zeros((50, 40), np.uint8))[1])
    with pytest.raises(NeverAnImage, match="seen: 40 x 50 uint8; wanted: 50 x 40"):
        decode_with_opencv(image, 50, 40)
