"""What is made of one image of a watched folder: its earlier result where that still holds, else a new one.

While one image is scored, the next is read, each in a thread of its own.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path, PurePath
from threading import Event
from types import TracebackType

import msgspec

from runtime.acquisition import Acquisition
from runtime.earlier_result import earlier_result
from runtime.engines.registry import MODEL_FILES, check_golden_frames
from runtime.errors import InflamapError, UnreadableImage, as_value
from runtime.file_state import is_gone
from runtime.folder_scan import OutputFolders
from runtime.ledger import ImageRow
from runtime.model import Model
from runtime.outputs import is_named_as_result, require_own_folder
from runtime.place import PlaceForbids, require_inside
from runtime.result import Result
from runtime.scoring import Examined, ReadImage, read_image, score_image

# the largest mosaic takes a minute or two; what takes longer is stuck, and the service manager is to know
STUCK_S = 900.0
# a larger file is not read before it is its turn: of mosaics no two should be in memory
READ_AHEAD_BYTES = 32 << 20
# between two looks at an image in hand; more is a machine that slept, or a wait for the ledger
LONGEST_LOOK_S = 10.0


class Earlier(msgspec.Struct, frozen=True):
    """An image's earlier result that still holds; `gone`: because the image itself is there no more."""

    result: Result
    gone: bool


# an error that travelled as an exception would hold frames that hold the future that holds the error, and so keep the
# file in memory until Python looks for garbage
Outcome = Earlier | Examined | InflamapError | None


class InHand(msgspec.Struct):
    """An image taken from the ledger, and what the scoring thread makes of it.

    Attributes:
        row: the image.
        examined: what comes of it, or the error that kept it from being scored, as a value; None where it was let go,
            for a stop came before it was scored.
        seen: when the loop saw it last, seconds on a steady clock.
        lasts_s: for how long, a machine's sleep and the loop's own waits left out.
        told: whether it was said to be stuck.
    """

    row: ImageRow
    examined: "Future[Outcome]"
    seen: float = msgspec.field(default_factory=time.monotonic)
    lasts_s: float = 0.0
    told: bool = False

    def is_stuck(self) -> bool:
        """Whether the thread does not come back from it."""
        now = time.monotonic()
        self.lasts_s += min(now - self.seen, LONGEST_LOOK_S)
        self.seen = now
        return self.lasts_s > STUCK_S and not self.examined.done()


class EngineFailed(InflamapError):
    """The engine does not work any more, whatever the image: a fresh start may help."""


class Examiner:
    """Knows the two folders and the model; may be asked in any thread, for it changes nothing."""

    def __init__(self, folder: Path, out: Path, model: Model, acquisition: Acquisition) -> None:
        self._folder, self._out, self._model, self._acquisition = folder, out, model, acquisition
        self._real_folder, self._real_out = folder.resolve(), out.resolve()
        self._outputs = OutputFolders(str(folder))

    def read(self, row: ImageRow) -> Earlier | ReadImage:
        """The image's earlier result, or what it holds now.

        Raises:
            UnreadableImage: it cannot become a frame.
            PlaceForbids: it must not be read, or its results must not be written, where they are.
            LinkedFolder: the folder of its results is a link.
        """
        path = self._folder / row.path
        self._require_its_place(path, row.path)
        gone = self.is_gone(path)
        if gone or not row.redo:
            earlier = earlier_result(self._folder, row.path, self._out, self._acquisition, gone=gone)
            if earlier is not None:
                return Earlier(earlier, gone)
        return read_image(path, row.path, self._acquisition, inside=self._folder)

    def score(self, found: Earlier | ReadImage) -> Earlier | Examined:
        """What an image comes to that was read.

        Raises:
            EngineFailed: the engine does not reproduce its golden frames any more.
        """
        if isinstance(found, Earlier):
            return found
        try:
            return score_image(found, self._model)
        except InflamapError:
            raise
        except Exception as error:
            self._require_engine(error)
            raise

    def is_gone(self, path: Path) -> bool:
        """Whether the image was deleted or moved; not when the whole folder cannot be reached."""
        return is_gone(self._folder, path)

    def would_write_into_folder(self, relative: PurePath) -> bool:
        """Whether its results would lie in the watched folder."""
        return (self._real_out / relative).is_relative_to(self._real_folder)

    def _require_engine(self, error: Exception) -> None:
        """A device that was lost or a library that broke must not be taken for bad images, one after the other."""
        engine, bundle = self._model.engine, self._model.bundle
        try:
            check_golden_frames(engine, bundle, MODEL_FILES[engine.name])
        except InflamapError as problem:
            raise EngineFailed(
                f"{engine.name} does not work any more: {problem}",
                seen=error,
                next_step="start the watch again; if it stays so, look with `inflamap doctor`",
            ) from error

    def _require_its_place(self, path: Path, relative: PurePath) -> None:
        if self.would_write_into_folder(relative):
            raise PlaceForbids(
                f"{path}: its results would lie in the watched folder, which is only read",
                next_step="choose an --out that does not hold the watched folder",
            )
        # found out before the work, and before a result that lies elsewhere is taken for the image's own
        require_own_folder(self._out, (self._out / relative).parent)
        # a ledger of an earlier version may hold such
        if is_named_as_result(relative.name) or self._outputs.holds(str(relative)):
            raise PlaceForbids(f"{path}: a result of inflamap, which is no image to score")
        require_inside(self._folder, relative)
        # one that leads in a circle, or that may not be looked at, is told of when it is read
        with suppress(OSError, RuntimeError):
            if path.is_symlink() and not path.resolve().exists():
                raise UnreadableImage(f"{path}: a link to nothing", next_step="put its file back, or remove the link")


class Stages:
    """Reads and scores images, one after the other, in the order in which they are begun."""

    def __init__(self, examiner: Examiner, stop: Event) -> None:
        self._examiner, self._stop = examiner, stop
        self._threads = ExitStack()

    def __enter__(self) -> "Stages":
        self._reading, self._scoring = (
            self._threads.enter_context(ThreadPoolExecutor(1, name)) for name in ("reading", "scoring")
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._threads.__exit__(kind, error, trace)

    def begin(self, row: ImageRow) -> InHand:
        """Take an image in hand."""
        read: Callable[[], Earlier | ReadImage | InflamapError] = partial(self._read, row)
        if row.file.size <= READ_AHEAD_BYTES:
            read = self._reading.submit(read).result
        return InHand(row, self._scoring.submit(self._score, read))

    def _read(self, row: ImageRow) -> Earlier | ReadImage | InflamapError:
        try:
            return self._examiner.read(row)
        except Exception as error:  # the seam: whatever one image raises, the others are done
            return as_value(error)

    def _score(self, read: Callable[[], Earlier | ReadImage | InflamapError]) -> Outcome:
        if self._stop.is_set():
            return None
        try:
            found = read()
            return found if isinstance(found, InflamapError) else self._examiner.score(found)
        except Exception as error:  # the seam, as above
            return as_value(error)
