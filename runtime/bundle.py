"""The model as files: a folder with `bundle.json`, single-file ONNX models and golden frames, verified before use.

Every byte that reaches an engine has been hashed: files are read once, checked against `bundle.json` and handed on as
bytes, so nothing can be swapped between the check and the load.
"""

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from runtime.bundle_files import MANIFEST_FILE, TRAINING_PATCHES_FILE
from runtime.dense_map import Geometry
from runtime.errors import BundleError

if TYPE_CHECKING:
    from runtime.manifest import Manifest

DEFAULT_BUNDLE = Path(__file__).parent / "default_bundle"


@dataclass(frozen=True)
class GoldenFrames:
    """Golden inputs and outputs.

    Attributes:
        frames: uint8 [N, 1, H, W] at the model's scale.
        probabilities: float32 [N, K, h, w], as the trained network gave them.
        unfamiliarity: float32 [N, h, w].
    """

    frames: npt.NDArray[np.uint8]
    probabilities: npt.NDArray[np.float32]
    unfamiliarity: npt.NDArray[np.float32]

    def to_bytes(self) -> bytes:
        """The .npz of `GOLDEN_FILE`."""
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer, frames=self.frames, probabilities=self.probabilities, unfamiliarity=self.unfamiliarity
        )
        return buffer.getvalue()

    @staticmethod
    def from_bytes(data: bytes) -> "GoldenFrames":
        """Raises ValueError or KeyError where the bytes are no such archive; never unpickles."""
        from zipfile import BadZipFile

        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
                return GoldenFrames(arrays["frames"], arrays["probabilities"], arrays["unfamiliarity"])
        except (BadZipFile, EOFError, OSError) as error:
            raise ValueError(str(error)) from error


@dataclass(frozen=True)
class Bundle:
    """A bundle opened by `open_bundle`: its manifest is valid, its files are checked as they are read."""

    folder: Path
    manifest: "Manifest"

    @property
    def geometry(self) -> Geometry:
        manifest = self.manifest
        return Geometry(manifest.patch_px, manifest.stride_px, manifest.um_per_px)

    def read_file(self, name: str) -> bytes:
        """The bytes of one file of the bundle, after its sha256 was found right.

        Raises:
            BundleError: the bundle has no such file, it cannot be read, or it is not the one that was exported.
        """
        wanted = self.manifest.files.get(name)
        path = self.folder / name
        if wanted is None:
            raise BundleError(f"{path}: not in {MANIFEST_FILE}", next_step="export the run again")
        try:
            data = path.read_bytes()
        except OSError as error:
            raise BundleError(
                f"{path}: cannot be read", seen=error.strerror, next_step="copy the whole bundle again"
            ) from error
        seen = hashlib.sha256(data).hexdigest()
        if seen != wanted:
            raise BundleError(
                f"{path}: not the file that was exported (sha256)",
                seen=seen,
                wanted=wanted,
                next_step="copy the bundle again from where it was exported; do not use this one",
            )
        return data

    def training_patches(self) -> frozenset[str]:
        """Abbreviated content hashes of the patches it was trained or chosen by, see `abbreviate`."""
        return frozenset(self.read_file(TRAINING_PATCHES_FILE).decode().split())

    def golden_frames(self) -> GoldenFrames:
        """The golden frames, checked like every file."""
        name = self.manifest.golden.file
        try:
            return GoldenFrames.from_bytes(self.read_file(name))
        except (ValueError, KeyError) as error:
            raise BundleError(f"{self.folder / name}: no golden frames", seen=error) from error


def abbreviate(sha256: str) -> str:
    """The first 16 digits: enough to know a patch by, a quarter of the bytes."""
    return sha256[:16]


def open_bundle(folder: Path) -> Bundle:
    """Open a bundle and check its manifest.

    Raises:
        BundleError: no such folder, no `bundle.json`, or one that breaks the contract.
    """
    path = folder / MANIFEST_FILE
    try:
        text = path.read_bytes()
    except OSError as error:
        raise BundleError(
            f"{path}: cannot be read",
            seen=error.strerror,
            wanted="the folder that `inflamap export` wrote",
            next_step="check the path; without one the bundle that ships is taken",
        ) from error
    # a command that opens no bundle does not wait for the validation's library
    from runtime.manifest import decode_manifest

    try:
        return Bundle(folder, decode_manifest(text))
    except ValueError as error:
        raise BundleError(f"{path}: not a valid bundle", seen=error, next_step="export the run again") from error
