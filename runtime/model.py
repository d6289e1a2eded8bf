"""The model that scores: a bundle and the engine that runs it here."""

from collections.abc import Callable

import cv2
import msgspec

from runtime.bundle import Bundle
from runtime.engines import DeployedEngine
from runtime.engines.choice import open_chosen
from runtime.engines.registry import REFERENCE_ENGINE, default_threads, model_sha256
from runtime.garbage import uncollected
from runtime.result import ModelRecord


class Model(msgspec.Struct, frozen=True):
    """A bundle and the engine that runs it here."""

    bundle: Bundle
    engine: DeployedEngine

    @staticmethod
    def load(
        bundle: Bundle,
        engine: str = REFERENCE_ENGINE,
        *,
        threads: int | None = None,
        say: Callable[[str], None] = lambda _line: None,
    ) -> "Model":
        """Open the engine, or the one that `auto` stands for, and prove it on the golden frames.

        Arguments and errors as of `open_chosen`. `threads` bounds the engine and OpenCV, which keeps a pool of its own.
        """
        threads = threads or default_threads()
        cv2.setNumThreads(threads)
        # the engine's library is imported with it
        with uncollected():
            return Model(bundle, open_chosen(bundle, engine, threads=threads, say=say))

    @property
    def sha256(self) -> str:
        """Hash of the model file that runs."""
        return model_sha256(self.bundle, self.engine)

    def record(self) -> ModelRecord:
        manifest = self.bundle.manifest
        return ModelRecord(
            manifest.name,
            self.sha256,
            self.engine.name,
            self.engine.precision,
            manifest.synthetic,
            manifest.ordered,
            manifest.quantity,
        )
