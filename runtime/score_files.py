"""Many image files one after the other: while one is examined, the result of the one before is drawn and written."""

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path, PurePath

from runtime.acquisition import Acquisition
from runtime.errors import InflamapError
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

    def write(self, examined: Examined, relative: PurePath, out: Path, model: Model) -> "Future[Result]":
        """As `write_examined`, some time soon."""
        return self._thread.submit(write_examined, examined, relative, out, model)

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
    before: Future[Result] | InflamapError | None = None
    for image in images:
        begun: Future[Result] | InflamapError
        try:
            examined = examine(image.path, image.relative, model, acquisition=acquisition, inside=image.inside)
            begun = writer.write(examined, image.relative, out, model)
        except InflamapError as error:
            begun = error
        if before is not None:
            yield _outcome(before)
        before = begun
    if before is not None:
        yield _outcome(before)


def _outcome(begun: "Future[Result] | InflamapError") -> Result | InflamapError:
    if isinstance(begun, InflamapError):
        return begun
    try:
        return begun.result()
    except InflamapError as error:
        return error


def _fetch_writers() -> None:
    prepare_lettering()
    import tifffile  # noqa: F401
