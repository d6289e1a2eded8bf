"""Decompression that rare TIFF and DICOM files need, from a library that the base install goes without."""

from collections.abc import Callable
from typing import Any

from runtime.errors import UnreadableImage


def codec(name: str) -> Callable[..., Any]:
    """imagecodecs' function that decompresses `name`, as in `lzw_decode`: `lzw`, `jpegls`, `jpeg2k`, `ljpeg`, ....

    Raises:
        UnreadableImage: imagecodecs is not installed here, or was built without this codec.
    """
    try:
        import imagecodecs

        return getattr(imagecodecs, f"{name}_decode")  # type: ignore[no-any-return]
    except (ImportError, AttributeError) as error:
        raise UnreadableImage(
            "nothing is installed that decompresses this image",
            seen=name,
            next_step='install it: pip install "inflamap[formats]"',
        ) from error
