"""The map as a file other programs read: OME-TIFF, in micrometres on the frame."""

import re
from collections.abc import Sequence
from hashlib import sha256
from io import BytesIO

import numpy as np
import numpy.typing as npt

from runtime.dense_map import InflammationMap
from runtime.grading import Grading
from runtime.version import NOTICE, __version__

CHANNELS = ("grade", "confidence")
# lone surrogates (bytes of a name that is not UTF-8) and control characters, which XML cannot hold
_NOT_IN_XML = "[^\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"


def encode_map(
    maps: Sequence[tuple[InflammationMap, npt.NDArray[np.bool_]]], frame_name: str, grading: Grading
) -> bytes:
    """The map as an OME-TIFF; equal input gives equal bytes.

    Two channels, float32 [2, h, w], of a stack [slices, 2, h, w]: `grade`, the expected grade counted from
    `Grading.lowest`, and `confidence`, the probability of the most probable grade; NaN where not valid. Where the
    grades have no order, `grade` is the index of the most probable class, a whole number. The image's description tells
    which, and names the grades. A pixel's physical size is a cell's, the position of each plane is that of cell
    [0, 0]'s centre on the frame, all in µm. Uncompressed: a frame's map is some 25 kB, and every reader opens it.

    Args:
        maps: of the frame, or of each slice: its map; bool [h, w], False where the score is withheld.
        frame_name: name of the frame's file; folders before it are dropped, as they may name a patient.
        grading: how the grades are read.
    """
    # here, because a command that writes no map should not wait for them
    from uuid import UUID

    import tifffile

    slices = np.stack([_channels(map, valid, grading) for map, valid in maps])
    planes = slices if len(slices) > 1 else slices[0]
    name = _in_xml(re.split(r"[/\\]", frame_name)[-1])
    geometry = maps[0][0].geometry
    metadata = {
        "axes": "CYX" if planes.ndim == 3 else "ZCYX",
        "Name": name,
        "Description": f"inflamap {__version__}. {_in_xml(_about_channels(grading))} {NOTICE}",
        "Channel": {"Name": list(CHANNELS)},
        "PhysicalSizeX": float(geometry.cell_um),
        "PhysicalSizeXUnit": "µm",
        "PhysicalSizeY": float(geometry.cell_um),
        "PhysicalSizeYUnit": "µm",
        "Plane": {
            "PositionX": [float(geometry.origin_um)] * (len(CHANNELS) * len(slices)),
            "PositionXUnit": ["µm"] * (len(CHANNELS) * len(slices)),
            "PositionY": [float(geometry.origin_um)] * (len(CHANNELS) * len(slices)),
            "PositionYUnit": ["µm"] * (len(CHANNELS) * len(slices)),
        },
    }
    # tifffile's own would be made of this computer's network address and the time
    content = sha256(repr((metadata, planes.shape)).encode() + planes.tobytes()).digest()
    metadata["UUID"] = f"urn:uuid:{UUID(bytes=content[:16], version=5)}"

    file = BytesIO()
    tifffile.imwrite(
        file, planes, ome=True, photometric="minisblack", metadata=metadata, software=f"inflamap {__version__}"
    )
    return file.getvalue()


def _about_channels(grading: Grading) -> str:
    names = ", ".join(f"{number} = {name}" for number, name in enumerate(grading.names, grading.lowest))
    if grading.ordered:
        return (
            f"Channel grade: expected grade ({grading.quantity}; {names}); channel confidence: probability of the most "
            "probable grade."
        )
    return (
        f"Channel grade: index of the most probable class ({names}); the classes have no order, so indices must not be "
        "averaged or interpolated; channel confidence: probability of that class."
    )


def _in_xml(text: str) -> str:
    return re.sub(_NOT_IN_XML, "\ufffd", text)


def _channels(map: InflammationMap, valid: npt.NDArray[np.bool_], grading: Grading) -> npt.NDArray[np.float32]:
    planes: npt.NDArray[np.float32] = np.stack([grading.cell_values(map), map.confidence()]).astype(
        np.float32, copy=False
    )
    planes[:, ~valid] = np.nan
    return planes
