"""Many image files one after the other: while one is examined, the result of the one before is drawn and written."""

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path, PurePath

from runtime.acquisition import Acquisition
from runtime.errors import InflamapError, as_value
from runtime.inputs import Input
from runtime.model import Model
from runtime.overlay import prepare_lettering
from runtime.result import Result
from runtime.scoring import NOTHING_SAID, Examined, examine, write_examined


class ResultWriter:
    """Writes results in a thread of its own, one after the other, while the next image is examined.

    The thread begins by fetching what the first result is drawn and written with: the font, which OpenCV unpacks for
    each thread anew, and the library of the map's format take as long as loading a model.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "writing")
        self._thread.submit(_fetch_writers)

    def write(
        self, examined: Examined, relative: PurePath, out: Path, model: Model
    ) -> "Future[Result | InflamapError]":
        """Write as `write_examined`, some time soon; an error is given as a value."""
        return self._thread.submit(_write, examined, relative, out, model)

    def __enter__(self) -> "ResultWriter":
        return self

    def __exit__(self, *_error: object) -> None:
        self._thread.shutdown()


def score_files(
    images: Iterable[Input],
    out: Path,
    model: Model,
    writer: ResultWriter,
    acquisition: Acquisition = NOTHING_SAID,
) -> Iterator[Result | InflamapError]:
    """Score image files: of each its result or what keeps it from having one, in their order.

    Args:
        images: the files.
        out: the results' folder.
        model: what scores them.
        writer: writes one while the next is examined.
        acquisition: what the user says of them.
    """
    before: Future[Result | InflamapError] | InflamapError | None = None
    for image in images:
        begun = _begin(image, out, model, writer, acquisition)
        if before is not None:
            yield _outcome(before)
        before = begun
    if before is not None:
        yield _outcome(before)


def _begin(
    image: Input, out: Path, model: Model, writer: ResultWriter, acquisition: Acquisition
) -> "Future[Result | InflamapError] | InflamapError":
    try:
        examined = examine(image.path, image.relative, model, acquisition=acquisition, inside=image.inside)
        return writer.write(examined, image.relative, out, model)
    except Exception as error:  # the seam: whatever one image raises, the others are done
        return as_value(error, image.path)


def _outcome(begun: "Future[Result | InflamapError] | InflamapError") -> Result | InflamapError:
    return begun if isinstance(begun, InflamapError) else begun.result()


def _write(examined: Examined, relative: PurePath, out: Path, model: Model) -> Result | InflamapError:
    try:
        return write_examined(examined, relative, out, model)
    except Exception as error:  # the seam, as above
        return as_value(error, examined.path)


def _fetch_writers() -> None:
    prepare_lettering()
    import tifffile  # noqa: F401
