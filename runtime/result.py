"""What is said about one image: the record behind score.json."""

import json
import math
from typing import Any, Literal

import msgspec
from msgspec import to_builtins

from runtime.errors import one_line
from runtime.grade_names import lowest_grade
from runtime.version import NOTICE, __version__

SCHEMA = "inflamap.score/1"
# what an ordered score is called where nothing else is asked for
DEFAULT_QUANTITY = "Inflammation"


class ImageRecord(msgspec.Struct, frozen=True):
    """The file scored.

    Attributes:
        path: as found below the watched folder (or as given), never absolute.
        sha256: of its content.
        width, height: of its frame, in px, without a VivaScope caption's rows.
        um_per_px: lateral sampling, None when unknown.
        um_per_px_from: what tells it, see `Frame`.
        bits: significant bits of a grey level; None for floating point and where nothing tells.
        bits_from: what tells which levels are black and white, see `GreyDepth`; `unknown`.
        z_um: depth below the surface of the skin, None when unknown, and for a stack, whose slices have their own.
        z_from: what tells it, see `Frame`.
        x_mm, y_mm: where the stage stood, by a VivaScope caption; None otherwise.
        slices: how many images the file holds.
        folder: what it is by its VivaScope folder: `confocal`, `stack`, `block`, `macroscopic`; None below none.
    """

    path: str
    sha256: str
    width: int
    height: int
    um_per_px: float | None
    um_per_px_from: str
    bits: int | None = None
    bits_from: str = "unknown"
    z_um: float | None = None
    z_from: str = "unknown"
    x_mm: float | None = None
    y_mm: float | None = None
    slices: int = 1
    folder: str | None = None


class ModelRecord(msgspec.Struct, frozen=True):
    """The model and engine that scored it.

    Attributes:
        name, synthetic: of its bundle.
        sha256: of the model file the engine ran.
        engine, precision: what ran it.
        ordered, quantity: see `Grading`; records of earlier versions lack them, whose grades all had an order.
    """

    name: str
    sha256: str
    engine: str
    precision: str
    synthetic: bool
    ordered: bool = True
    quantity: str = DEFAULT_QUANTITY


class WorstRegion(msgspec.Struct, frozen=True):
    """The square of a map with the highest mean grade.

    Attributes:
        mean: mean expected grade over its valid cells.
        x_um, y_um: position of its centre on the frame.
        size_um: its side.
        slice: of a stack, counted from 0; None otherwise.
    """

    mean: float
    x_um: float
    y_um: float
    size_um: float
    slice: int | None = None


class Score(msgspec.Struct, frozen=True):
    """The image's score over its valid cells, of a stack those of all slices.

    Attributes:
        mean: mean expected grade, counted from `lowest`; None where the grades have no order.
        grade: `mean` rounded to the nearest grade; without order the class with the most area, as an index.
        area_fraction: share of the valid cells whose most probable grade is the key (the grade's name).
        withheld_fraction: share of all cells left out, those of withheld slices among them.
        worst_region: where the mean grade is highest; None where the grades have no order, and in records of earlier
            versions.
    """

    mean: float | None
    grade: int
    area_fraction: dict[str, float]
    withheld_fraction: float
    worst_region: WorstRegion | None = None

    @property
    def lowest(self) -> int:
        """The number of the lowest grade, see `Grading.lowest`."""
        return 0 if self.mean is None else lowest_grade(self.area_fraction)

    @property
    def grade_name(self) -> str:
        """The grade's name."""
        return list(self.area_fraction)[self.grade - self.lowest]

    def headline(self, quantity: str) -> str:
        """The score in a few words, such as "Inflammation 2.4 · grade mild" or "psoriatic · 56 % of the area".

        Args:
            quantity: what an ordered score is called.
        """
        if self.mean is None:
            return f"{self.grade_name} · {share_in_words(self.area_fraction[self.grade_name])} of the area"
        return f"{quantity} {self.mean:.1f} · grade {self.grade_name}"


class SliceRecord(msgspec.Struct, frozen=True):
    """One image of a stack.

    Attributes:
        slice: its number, counted from 0.
        z_um: depth below the surface of the skin, None when unknown.
        status: `scored` or `withheld`.
        reasons: why it, or some of its cells, was withheld.
        score: None when withheld.
    """

    slice: int
    z_um: float | None
    status: Literal["scored", "withheld"]
    reasons: tuple[str, ...]
    score: Score | None


class MapRecord(msgspec.Struct, frozen=True):
    """The map file. `origin_um` is the [x, y] position of cell [0, 0]'s centre on the frame; `shape` is a slice's."""

    file: str
    patch_px: int
    stride_px: int
    shape: tuple[int, int]
    origin_um: tuple[float, float]


class Timing(msgspec.Struct, frozen=True):
    """Milliseconds spent on one image, as far as can be known before its record is written.

    Attributes:
        read: reading, decoding and hashing the file.
        infer: rescaling, mapping and judging it.
        write: drawing and encoding the results; the disk's part comes after.
        total: the sum.
    """

    read: float
    infer: float
    write: float
    total: float


class Result(msgspec.Struct, frozen=True):
    """Everything said about one image; `to_json` is the whole of score.json.

    `status` is `scored` or `withheld`; a withheld image has `score` None and at least one reason. A scored one may
    carry reasons too: why some of its cells were left out. `map` is None when withheld, `overlay` once it was removed
    to make room. `notes` are what a person should know beside; `slices` those of a stack, None of a single image.
    """

    image: ImageRecord
    model: ModelRecord
    status: Literal["scored", "withheld"]
    reasons: tuple[str, ...]
    score: Score | None
    map: MapRecord | None
    overlay: str | None
    timing_ms: Timing
    notes: tuple[str, ...] = ()
    slices: tuple[SliceRecord, ...] | None = None

    def to_json(self) -> dict[str, Any]:
        """The document of score.json, keys in the contract's order."""
        return {
            "schema": SCHEMA,
            "image": to_builtins(self.image),
            "model": to_builtins(self.model),
            "status": self.status,
            "reasons": list(self.reasons),
            "notes": list(self.notes),
            "score": to_builtins(self.score),
            "map": to_builtins(self.map),
            "overlay": {"file": self.overlay},
            "slices": to_builtins(self.slices),
            "timing_ms": {name: round(ms, 2) for name, ms in to_builtins(self.timing_ms).items()},
            "version": __version__,
            "notice": NOTICE,
        }

    @staticmethod
    def from_json(document: Any) -> "Result":
        """Read the document of a score.json.

        Raises:
            ValueError: it is not one of ours; the message says where.
        """
        try:
            schema = document["schema"]
            result = msgspec.convert({**document, "overlay": document["overlay"]["file"]}, Result)
            words = [result.model.name, result.model.engine, result.model.precision, *result.reasons]
            # where they are kept, text is UTF-8
            json.dumps([words, result.score and result.score.area_fraction], ensure_ascii=False).encode()
        except (KeyError, TypeError, RecursionError, UnicodeEncodeError, msgspec.ValidationError) as error:
            raise ValueError(f"not a record of inflamap: {type(error).__name__} {error}") from error
        score = result.score
        if schema != SCHEMA or (score is None) != (result.status == "withheld"):
            raise ValueError(f"not a record of inflamap: schema {schema!r}, status {result.status!r}")
        if score is not None and not (
            (math.isfinite(score.mean) if score.mean is not None else not result.model.ordered)
            and 0 <= score.grade - score.lowest < len(score.area_fraction)
            and all(map(math.isfinite, [score.withheld_fraction, *score.area_fraction.values()]))
        ):
            raise ValueError(f"not a record of inflamap: score {score}")
        return result


def summary_line(result: Result, name: str | None = None) -> str:
    """One line for a person. `name`: what the image is called in it, unless by its path."""
    name = one_line(name or result.image.path)
    if result.score is None:
        return f"{name}: withheld: {'; '.join(result.reasons)}"
    score = result.score
    said = one_line(score.headline("")) if score.mean is None else f"{score.mean:.2f} (grade {score.grade})"
    share = score.withheld_fraction
    return f"{name}: {said}" + (f"; {share_in_words(share)} of the cells withheld" if share else "")


def share_in_words(share: float) -> str:
    """A share above 0, never rounded to nothing or to all."""
    if share < 0.01:
        return "under 1 %"
    return "over 99 %" if 0.995 <= share < 1 else f"{100 * share:.0f} %"
