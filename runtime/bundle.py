"""The model as files: a folder with `bundle.json`, single-file ONNX models and golden frames, verified before use.

Every byte that reaches an engine has been hashed: files are read once, checked against `bundle.json` and handed on as
bytes, so nothing can be swapped between the check and the load.
"""

import hashlib
import json
import stat
from pathlib import Path

import msgspec

from runtime.bundle_arrays import GatePatches, GoldenFrames
from runtime.bundle_files import MANIFEST_FILE, TRAINING_PATCHES_FILE
from runtime.dense_map import Geometry
from runtime.errors import BundleError
from runtime.manifest import Manifest, decode_document, decode_manifest, facts_of

# several times the largest model and gate file that an export writes
MOST_FILE_BYTES = 512 * 2**20
# hundreds of times what an export writes; as JSON a byte may become fifty
MOST_MANIFEST_BYTES = 2**20
# of a model that the bundle does not have: the gate left it out
LEFT_OUT = "use another engine; or train longer or on more patches, so that it keeps the grades, and export again"
DEFAULT_BUNDLE = Path(__file__).parent / "default_bundle"


class Bundle(msgspec.Struct, frozen=True):
    """A bundle opened by `open_bundle`: its manifest is valid, its files are checked as they are read."""

    folder: Path
    manifest: Manifest
    # what the manifest says of the scores and their tolerance, see `runtime.manifest.facts_of`
    facts: str

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
            raise BundleError(f"{path}: not in {MANIFEST_FILE}", next_step=LEFT_OUT)
        data = _read_plain_file(path)
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
        try:
            return frozenset(self.read_file(TRAINING_PATCHES_FILE).decode().split())
        except UnicodeDecodeError as error:
            raise BundleError(f"{self.folder / TRAINING_PATCHES_FILE}: no list of patches", seen=error) from error

    def golden_frames(self) -> GoldenFrames:
        """The golden frames, checked like every file, and the manifest checked against what they know of it.

        Raises:
            BundleError: as `read_file`, or the manifest was changed after the export.
        """
        name = self.manifest.golden.file
        try:
            golden = GoldenFrames.from_bytes(self.read_file(name))
            seen, wanted = json.loads(self.facts), json.loads(golden.facts)
            changed = [
                (f"{key} {value!r}", f"{key} {wanted[key]!r}") for key, value in seen.items() if wanted[key] != value
            ]
        # a RecursionError for brackets without end
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise BundleError(f"{self.folder / name}: no golden frames", seen=error) from error
        if changed:
            raise BundleError(
                f"{self.folder / MANIFEST_FILE}: changed after the export",
                seen=", ".join(here for here, _sealed in changed)[:200],
                wanted=", ".join(sealed for _here, sealed in changed)[:200],
                next_step="copy the bundle again from where it was exported; do not use this one",
            )
        return golden

    def gate_patches(self) -> GatePatches:
        """The patches that the gate asks every engine about, checked like every file."""
        manifest, name = self.manifest, self.manifest.gate.file
        try:
            gate = GatePatches.from_bytes(self.read_file(name))
        except ValueError as error:
            raise BundleError(f"{self.folder / name}: no patches for the gate", seen=error) from error
        seen = (*gate.patches.shape[1:], *gate.probabilities.shape[1:])
        wanted = (manifest.patch_px, manifest.patch_px, len(manifest.grades))
        if seen != wanted:
            raise BundleError(
                f"{self.folder / name}: patches for another model",
                seen=f"height, width and grades {seen}",
                wanted=str(wanted),
                next_step="export the run again",
            )
        return gate

    def verify_files(self) -> None:
        """Read every file of the manifest, so that a changed one is found whichever engine is asked for, and so is a
        changed manifest.

        Raises:
            BundleError: as `read_file` and `golden_frames`, for the first that is not as it was exported.
        """
        for name in self.manifest.files:
            self.read_file(name)
        self.golden_frames()


def abbreviate(sha256: str) -> str:
    """The first 16 digits: enough to know a patch by, a quarter of the bytes."""
    return sha256[:16]


def open_bundle(folder: Path) -> Bundle:
    """Open a bundle and check its manifest.

    Raises:
        BundleError: no such folder, no `bundle.json`, or one that breaks the contract.
    """
    path = folder / MANIFEST_FILE
    text = _read_plain_file(
        path,
        most=MOST_MANIFEST_BYTES,
        wanted="the folder that `inflamap export` wrote",
        next_step="check the path; without one the bundle that ships is taken",
    )
    try:
        return Bundle(folder, decode_manifest(text), facts_of(decode_document(text)))
    except ValueError as error:
        raise BundleError(f"{path}: not a valid bundle", seen=error, next_step="export the run again") from error


def _read_plain_file(
    path: Path,
    *,
    most: int = MOST_FILE_BYTES,
    wanted: str = "",
    next_step: str = "copy the whole bundle again",
) -> bytes:
    """The bytes of a plain file: no link, which would lead out of the bundle, and nothing that never ends."""
    try:
        found = path.lstat()
        if stat.S_ISLNK(found.st_mode) or (not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode)):
            kind = "a symbolic link" if stat.S_ISLNK(found.st_mode) else "no plain file"
            raise BundleError(f"{path}: refused", seen=kind, wanted="a plain file", next_step=next_step)
        if found.st_size > most:
            raise BundleError(
                f"{path}: refused",
                seen=f"{found.st_size} bytes",
                wanted=f"at most {most}",
                next_step=next_step,
            )
        return path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path}: cannot be read", seen=error.strerror, wanted=wanted, next_step=next_step) from error
