"""Every format and variant against the plain 8-bit frame, and docs/formats.md against what is found."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np
import pytest

from benchmarks.microscope_files.variants import Skin, Variant, variants
from runtime.acquisition import Acquisition
from runtime.errors import UnreadableImage
from runtime.images import plausible, read_frames
from runtime.model import Model
from runtime.result import Result
from runtime.scoring import score_file

WRITE = bool(os.environ.get("INFLAMAP_WRITE_DOCS"))
DOCUMENT = Path(__file__).parents[3] / "docs" / "formats.md"
# of the mean score, in grades, from that of the plain frame
MOST_SHIFT = 0.02
# processors round differently
REPEATS = 0.002

ALL = list(variants())

TEXT = """\
# Formats

What is read, by a file's first bytes and not by its name, and what is found in it. The table is made by a test, which
fails where it no longer holds; `INFLAMAP_WRITE_DOCS=1 pytest tests/runtime/images/test_formats.py` writes it. One frame
of **synthetic** skin (phantom, 1000x1000 px, severities from 0 to 4) is written in each way, scored by the shipped
model, and held against the plain 8-bit BMP: the mean score may differ by 0.02 grades.

TABLE

- **bits; levels kept**: how many bits of a grey level count, and what tells; *all*: every level comes out of the reader
  as it was written. It becomes the model's 8 bits as v · 255 / (2^bits - 1), never by the frame's own histogram.
- **µm/px**: `vivascope` is the instrument's 0.5 for frames of 1000x1000 px of which no file tells a scale.
- **z**: depth below the surface of the skin. A stack that tells only the step from slice to slice begins at 0.

## Which levels are black

- `--grey-range LOW:HIGH` gives the lowest and the highest level **as the file stores them**. Which of the two is black
  the file says: in a TIFF of which white is 0, and in a DICOM file of MONOCHROME1, LOW is white.
- A TIFF of which white is 0 is turned round by the level that is black. That is known where the file tells its
  significant bits (OME's SignificantBits, MaxSampleValue), in 8 bits, and in 16 bits of which the highest is used.
  Otherwise the image is withheld: *depth of grey unknown*.
- DICOM (PS3.3 C.7.6.3, C.11): MONOCHROME1 and Presentation LUT Shape INVERSE mean the same, that low values are bright,
  and a negative Rescale Slope turns the levels round before. A Modality LUT is applied. Rescale with a positive slope
  changes nothing, for grey counts by stored levels, and is noted. Pixels of Pixel Padding Value (and Range Limit) count
  as black, and that is noted. Windows and VOI LUTs are made for a screen; they are noted and not applied.
- Withheld, with a reason that begins with *grey*: MONOCHROME1 with Presentation LUT Shape IDENTITY, any other
  Presentation LUT, a VOI LUT or a window that turns the grey round, frames of different Rescale, and a slope that is 0
  or no number.

## Numbers that no image has

A number outside of its range counts as not told, and keeps the image from being scored: a guess in its place would be
wrong silently. The reason says the number and the range.

RANGES

An option outside of the same ranges is an error that names the option. `--um-per-px` lifts a reason that begins with
*scale*, `--grey-range` one that begins with *depth of grey unknown*. A TIFF's own resolution between 10 and
25,400 µm/px is a printer's (72 dpi are 353 µm/px), and tells nothing.

## How long a file may be

The first bytes of a file of more than 32 MiB are looked at before it is read. It may be at most twice as long as the
pixels that its header gives, before compression, and 32 MiB. A longer one, or one that begins with zeros, is refused
unread. Where its last bytes are zeros too it is tried again later, for some programs reserve room for a file before
they write it.
"""


RANGES = {
    "scale": plausible.UM_PER_PX,
    "depth, and position of the stage that stands for it": plausible.DEPTH_UM,
    "step from slice to slice": plausible.STEP_UM,
    "depth by a VivaScope caption": plausible.CAPTION_DEPTH_UM,
    "place of the stage by a VivaScope caption": plausible.CAPTION_PLACE_MM,
    "significant bits of a level": plausible.BITS,
}


@dataclass(frozen=True)
class Found:
    """What one variant came to, a row of the document."""

    read: str
    bits: str
    scale: str
    depth: str
    score: str
    shift: float | None


@pytest.fixture(scope="module")
def frame() -> Skin:
    """A phantom frame as a VivaScope saves it, with all severities; synthetic."""
    from trainer.phantom import draw_subjects, paint_frame

    severity = np.tile(np.linspace(0.0, 4.0, 1000, dtype=np.float32), (1000, 1))
    return Skin(paint_frame(draw_subjects(7)[0], severity, np.random.default_rng(7)))


@pytest.fixture(scope="module")
def plain(frame: Skin, model: Model, tmp_path_factory: pytest.TempPathFactory) -> float:
    """The mean score of the plain 8-bit frame."""
    return mean(scored(ALL[0], frame, model, tmp_path_factory.mktemp("plain")))


@pytest.fixture(scope="module")
def document() -> dict[tuple[str, str], list[str]]:
    """The committed document's rows by format and variant."""
    if WRITE:
        return {}
    lines = DOCUMENT.read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line[1:-1].split("|")] for line in lines if line.startswith("|")]
    # of the first table; that of ranges has two columns
    rows = [row for row in rows if len(row) == 7]
    return {(row[0], row[1]): row[2:] for row in rows[2:]}


@pytest.fixture(scope="module")
def rows() -> Iterator[list[tuple[Variant, Found]]]:
    """Takes up what was found, and writes it down at the end where that is wanted."""
    found: list[tuple[Variant, Found]] = []
    yield found
    if WRITE:
        assert len(found) == len(ALL), "some variant failed, or was not run"
        DOCUMENT.write_text(written(found), encoding="utf-8")


def written(found: list[tuple[Variant, Found]]) -> str:
    """The document with its table."""
    lines = [
        "| format | variant | read | bits; levels kept | µm/px | z, µm | score against plain, grades |",
        7 * "|---" + "|",
    ]
    for variant, row in found:
        score = row.score if row.shift is None else f"{row.shift:.4f}"
        cells = (variant.format, variant.name, row.read, row.bits, row.scale, row.depth, score)
        lines.append(f"| {' | '.join(cells)} |")
    ranges = [
        "| number | range |",
        "|---|---|",
        *(f"| {name} | {range_} |" for name, range_ in RANGES.items()),
    ]
    return TEXT.replace("TABLE", "\n".join(lines)).replace("RANGES", "\n".join(ranges))


def scored(variant: Variant, frame: Skin, model: Model, folder: Path) -> Result:
    path = folder / f"frame{variant.suffix}"
    path.write_bytes(variant.encode(frame))
    return score_file(path, PurePath(path.name), folder / "out", model, acquisition=Acquisition(**variant.said))


def mean(result: Result) -> float:
    assert result.score is not None, result.reasons
    return result.score.mean


@pytest.mark.parametrize("variant", ALL, ids=lambda variant: f"{variant.format}: {variant.name}")
def test_variant(
    variant: Variant,
    frame: Skin,
    plain: float,
    model: Model,
    tmp_path: Path,
    document: dict[tuple[str, str], list[str]],
    rows: list[tuple[Variant, Found]],
) -> None:
    found = look(variant, frame, plain, model, tmp_path)
    rows.append((variant, found))
    if WRITE:
        return
    read, bits, scale, depth, score = document[variant.format, variant.name]
    assert (read, bits, scale, depth) == (found.read, found.bits, found.scale, found.depth)
    if found.shift is None:
        assert score == found.score
    else:
        assert float(score) == pytest.approx(found.shift, abs=REPEATS)


def look(variant: Variant, frame: Skin, plain: float, model: Model, folder: Path) -> Found:
    """Reads and scores it, and holds it against what is wanted."""
    if variant.refused:
        with pytest.raises(UnreadableImage, match=variant.refused) as refused:
            scored(variant, frame, model, folder)
        return Found(f"no: {refused.value.what.rpartition(': ')[2]}", "", "", "", "", None)
    result = scored(variant, frame, model, folder)
    image = result.image
    kept = "lossy"
    if variant.levels is not None:
        levels = variant.levels(frame)
        planes = levels if levels.ndim == 3 else levels[None]
        for plane, read in zip(planes, read_frames(folder / f"frame{variant.suffix}"), strict=True):
            assert read.pixels.dtype == plane.dtype
            assert np.array_equal(read.pixels, plane)
        kept = "all"
    assert (image.bits, image.bits_from) == (variant.bits, variant.bits_from)
    assert (image.um_per_px, image.um_per_px_from) == (pytest.approx(variant.scale[0]), variant.scale[1])
    depths = (image.z_um,) if result.slices is None else tuple(each.z_um for each in result.slices)
    assert (depths, image.z_from) == (pytest.approx(variant.depth[0]), variant.depth[1])
    told = "unknown" if image.bits_from == "unknown" else f"{image.bits or 'range'}, by {image.bits_from}"
    where = "unknown" if variant.depth[1] == "unknown" else f"{', '.join(f'{z:g}' for z in depths)}, by {image.z_from}"
    scale = f"{image.um_per_px:g}, by {image.um_per_px_from}"
    if variant.withheld:
        assert any(reason.startswith(variant.withheld) for reason in result.reasons), result.reasons
        return Found("yes", f"{told}; {kept}", scale, where, f"withheld: {variant.withheld}", None)
    shift = abs(mean(result) - plain)
    assert shift <= MOST_SHIFT
    return Found("yes", f"{told}; {kept}", scale, where, "", shift)


@pytest.mark.skipif(WRITE, reason="it is being written")
def test_document_has_a_row_for_each_variant_and_no_other(document: dict[tuple[str, str], list[str]]) -> None:
    assert list(document) == [(variant.format, variant.name) for variant in ALL]


@pytest.mark.skipif(WRITE, reason="it is being written")
def test_document_says_what_is_written_of_it() -> None:
    committed = DOCUMENT.read_text(encoding="utf-8")
    parts = written([]).split("\n\n")
    missing = [part for part in parts if not part.startswith("| format") and part.strip() not in committed]
    assert missing == []
