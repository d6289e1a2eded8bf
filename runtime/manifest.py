"""The shape of `bundle.json`, and its validation."""

from typing import Annotated, Any

import msgspec

from runtime.bundle_files import FP32_MODEL, TRAINING_PATCHES_FILE
from runtime.quality import QualityLimits

FORMAT = "inflamap.bundle/1"

Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
# a bare file name: nothing in a bundle points outside it
FileName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.\-]*$")]
Positive = Annotated[float, msgspec.Meta(gt=0)]
PositivePx = Annotated[int, msgspec.Meta(gt=0)]


class Golden(msgspec.Struct, frozen=True):
    """Frames with the outputs every engine must reproduce here.

    Attributes:
        file: the .npz that holds `frames`, `probabilities` and `unfamiliarity`.
        tolerance: for each model file the largest difference allowed in `probabilities`.
    """

    file: FileName
    tolerance: dict[FileName, Positive]


class Manifest(msgspec.Struct, frozen=True):
    """`bundle.json`, key by key as in the contract; unknown keys are passed over, for newer versions may add some."""

    format: str
    name: Annotated[str, msgspec.Meta(min_length=1)]
    grades: Annotated[tuple[str, ...], msgspec.Meta(min_length=2)]
    patch_px: PositivePx
    stride_px: PositivePx
    um_per_px: Positive
    um_per_px_range: tuple[Positive, Positive]
    files: dict[FileName, Sha256]
    training: dict[str, Any]
    metrics: dict[str, Any]
    golden: Golden
    quality: QualityLimits
    synthetic: bool

    def __post_init__(self) -> None:
        if self.format != FORMAT:
            raise ValueError(f"format {self.format!r}, wanted {FORMAT!r}")
        for needed in (FP32_MODEL, TRAINING_PATCHES_FILE, self.golden.file):
            if needed not in self.files:
                raise ValueError(f"files lacks {needed}")
        if FP32_MODEL not in self.golden.tolerance:
            raise ValueError(f"golden.tolerance lacks {FP32_MODEL}")
        low, high = self.um_per_px_range
        if not low <= self.um_per_px <= high:
            raise ValueError(f"um_per_px_range {low} to {high} does not hold um_per_px {self.um_per_px}")


def decode_manifest(text: bytes) -> Manifest:
    """Read `bundle.json`.

    Raises:
        ValueError: it is no JSON, or breaks the contract; the message names the key, what it holds and what it must.
    """
    try:
        return msgspec.json.decode(text, type=Manifest)
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from error
