"""A forger's tools: a bundle whose files, their hashes in the manifest, and the seal on the manifest can be changed."""

import hashlib
import io
import json
import shutil
import struct
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import onnx
from msgspec.structs import replace

from runtime.bundle import DEFAULT_BUNDLE
from runtime.bundle_arrays import GoldenFrames
from runtime.bundle_files import FP32_MODEL, GOLDEN_FILE, MANIFEST_FILE
from runtime.manifest import facts_of


class Forgery:
    """The shipped bundle in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        for name in (MANIFEST_FILE, *json.loads((DEFAULT_BUNDLE / MANIFEST_FILE).read_text())["files"]):
            shutil.copyfile(DEFAULT_BUNDLE / name, folder / name)

    @property
    def manifest(self) -> Path:
        return self.folder / MANIFEST_FILE

    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.manifest.read_text())
        return document

    def read(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()

    def put(self, name: str, data: bytes) -> "Forgery":
        """Other contents and nothing more: who does this does not know of the hashes."""
        (self.folder / name).write_bytes(data)
        return self

    def put_listed(self, name: str, data: bytes) -> "Forgery":
        """Other contents, and their hash in `bundle.json`: the stronger forger."""
        self.put(name, data)
        return self.edit(files=self.document()["files"] | {name: hashlib.sha256(data).hexdigest()})

    def edit(self, **changes: Any) -> "Forgery":
        """Other keys in `bundle.json`."""
        self.manifest.write_text(json.dumps(self.document() | changes))
        return self

    def reseal(self) -> "Forgery":
        """The golden file's copy of the manifest's facts brought up to date: the strongest forger."""
        golden = GoldenFrames.from_bytes(self.read(GOLDEN_FILE))
        return self.put_listed(GOLDEN_FILE, replace(golden, facts=facts_of(self.document())).to_bytes())

    def change_model(self, change: Callable[[onnx.ModelProto], None], name: str = FP32_MODEL) -> "Forgery":
        """One of the models changed, and listed as changed."""
        return self.put_listed(name, changed_model(self.read(name), change))


def changed_model(data: bytes, change: Callable[[onnx.ModelProto], None]) -> bytes:
    """An ONNX file with something changed in it."""
    model = onnx.ModelProto.FromString(data)
    change(model)
    return bytes(model.SerializeToString())


def members(npz: bytes) -> dict[str, bytes]:
    """What an .npz holds: the .npy files by their names."""
    with ZipFile(io.BytesIO(npz)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(files: Mapping[str, bytes] | list[tuple[str, bytes]], method: int = ZIP_DEFLATED) -> bytes:
    """A zip archive; a list may name a member twice."""
    buffer = io.BytesIO()
    with ZipFile(buffer, "w", method, compresslevel=1) as archive, warnings.catch_warnings():
        # of the second of one name
        warnings.simplefilter("ignore")
        for name, data in files.items() if isinstance(files, Mapping) else files:
            archive.writestr(name, data)
    return buffer.getvalue()


def npy(header: str, content: bytes = b"", version: tuple[int, int] = (1, 0)) -> bytes:
    """An .npy file with a header of one's own."""
    text = header.encode() + b"\n"
    return b"\x93NUMPY" + bytes(version) + struct.pack("<H", len(text)) + text + content


def told_size(archive: bytes, size: int) -> bytes:
    """An archive whose last member tells another size than it has, in the directory and before the member."""
    told = bytearray(archive)
    entry = told.rindex(b"PK\x01\x02")
    struct.pack_into("<I", told, entry + 24, size)
    (start,) = struct.unpack_from("<I", told, entry + 42)
    struct.pack_into("<I", told, start + 22, size)
    return bytes(told)
