"""The shape of `bundle.json`, and its validation."""

import json
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from runtime.bundle_files import FP32_MODEL, TRAINING_PATCHES_FILE
from runtime.quality import QualityLimits

FORMAT = "inflamap.bundle/2"
MODEL_SUFFIX = ".onnx"
FACTS = (
    *("format", "name", "grades", "patch_px", "stride_px", "um_per_px", "um_per_px_range"),
    *("training", "quality", "golden", "gate", "synthetic"),
)

Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
# a bare file name: nothing in a bundle points outside it
FileName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.\-]*\Z")]
Positive = Annotated[float, msgspec.Meta(gt=0)]
# beyond it a probability says something else, and so does an unfamiliarity, of which 1 is the limit
MOST_TOLERANCE = 0.5
Tolerance = Annotated[float, msgspec.Meta(gt=0, le=MOST_TOLERANCE)]
PositivePx = Annotated[int, msgspec.Meta(gt=0)]


class Golden(msgspec.Struct, frozen=True):
    """Frames with the outputs every engine must reproduce here.

    Attributes:
        file: the .npz that holds `frames`, `probabilities`, `unfamiliarity` and a copy of the manifest's facts.
        tolerance: for each model file the largest difference allowed in `probabilities`, set by the gate at export.
        unfamiliarity_tolerance: for each model file the largest difference allowed in `unfamiliarity`.
    """

    file: FileName
    tolerance: dict[FileName, Tolerance]
    unfamiliarity_tolerance: dict[FileName, Tolerance]


class Gate(msgspec.Struct, frozen=True):
    """Patches that no engine may grade otherwise.

    Attributes:
        file: the .npz that holds `patches`, `medians`, `probabilities` and `unfamiliarity`.
        part: of the data set they are from: `test` where there is a held-out part, else `val`.
    """

    file: FileName
    part: str


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
    gate: Gate
    quality: QualityLimits
    synthetic: bool
    ordered: bool = True
    quantity: str = "Inflammation"

    def __post_init__(self) -> None:
        if self.format != FORMAT:
            raise ValueError(f"format {self.format!r}, wanted {FORMAT!r}")
        for needed in (FP32_MODEL, TRAINING_PATCHES_FILE, self.golden.file, self.gate.file):
            if needed not in self.files:
                raise ValueError(f"files lacks {needed}")
        for model in self.model_files():
            for key in ("tolerance", "unfamiliarity_tolerance"):
                if model not in getattr(self.golden, key):
                    raise ValueError(f"golden.{key} lacks {model}")
        if len(set(self.grades)) < len(self.grades):
            raise ValueError(f"grades {', '.join(self.grades)}, wanted each name once")
        low, high = self.um_per_px_range
        if not low <= self.um_per_px <= high:
            raise ValueError(f"um_per_px_range {low} to {high} does not hold um_per_px {self.um_per_px}")

    def model_files(self) -> tuple[str, ...]:
        """Names of the models among the files."""
        return tuple(name for name in self.files if name.endswith(MODEL_SUFFIX))


def facts_of(document: Mapping[str, Any]) -> str:
    """The keys that say what the scores mean and what engines are allowed, as one canonical JSON text.

    The golden file, whose hash the manifest holds, keeps a copy, so that a manifest edited afterwards is known by it.
    """
    return json.dumps({key: document.get(key) for key in FACTS}, sort_keys=True)


def decode_manifest(text: bytes) -> Manifest:
    """Read `bundle.json`.

    Raises:
        ValueError: it is no JSON, or breaks the contract; the message names the key, what it holds and what it must.
    """
    try:
        return msgspec.json.decode(text, type=Manifest)
    # a RecursionError for brackets without end
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(str(error)) from error


def decode_document(text: bytes) -> dict[str, Any]:
    """`bundle.json` as it stands, for `facts_of`.

    Raises:
        ValueError: it is no JSON object, or a key stands in it twice, so that it says two things.
    """
    try:
        document = json.loads(text, object_pairs_hook=_each_key_once)
    except RecursionError as error:
        raise ValueError(str(error)) from error
    if not isinstance(document, dict):
        raise ValueError("no JSON object")  # noqa: TRY004 - a fault of the file, not of the caller
    return document


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _value in pairs]
        raise ValueError(f"twice in one object: {next(name for name in names if names.count(name) > 1)!r}")
    return found
