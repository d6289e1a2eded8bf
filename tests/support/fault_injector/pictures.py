"""Image files that trials save: small, each with another score, one that is withheld and one that is none."""

import cv2
import numpy as np
import numpy.typing as npt


def pictures_of(skin: npt.NDArray[np.uint8]) -> dict[str, bytes]:
    """Files in BMP by their name, of a phantom frame, uint8 [400, 400]."""
    parts = {name: np.ascontiguousarray(skin[at : at + 160, at : at + 160]) for name, at in _PLACES.items()}
    parts["blank"] = np.zeros((160, 160), np.uint8)
    files = {name: cv2.imencode(".bmp", part)[1].tobytes() for name, part in parts.items()}
    return files | {"broken": files["one"][: len(files["one"]) // 2]}


_PLACES = {"one": 0, "two": 60, "three": 120, "four": 180, "other": 240}
