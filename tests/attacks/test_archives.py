"""Golden frames and patches of the gate that unpack to more than there is memory, run code, or prove nothing.

Whoever makes them has brought the hashes in `bundle.json` up to date.
"""

import io
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZIP_BZIP2, ZIP_LZMA, ZIP_STORED

import numpy as np
import numpy.typing as npt
import pytest
from forgery import Forgery, members, npy, packed, told_size
from msgspec.structs import asdict

from runtime.archive import MOST_BYTES
from runtime.bundle import open_bundle
from runtime.bundle_arrays import MOST_FACTS_BYTES, MOST_GOLDEN_PIXELS, GatePatches, GoldenFrames
from runtime.bundle_files import GATE_FILE, GOLDEN_FILE
from runtime.errors import BundleError

Refusal = Callable[..., str]
RefusalByScore = Callable[[Forgery], tuple[int, str]]
Forge = Callable[[dict[str, bytes]], bytes]

# an array that both files hold
ARRAY = "unfamiliarity.npy"
HEADER = "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }"


@pytest.fixture(scope="module")
def bomb() -> bytes:
    """An .npy of some hundred megabytes of zeros; packed it is a thousandth."""
    return npy(HEADER % ("|u1", False, (MOST_BYTES,)), bytes(MOST_BYTES))


def replaced(content: bytes) -> Forge:
    return lambda files: packed(files | {ARRAY: content})


def last(files: dict[str, bytes]) -> list[tuple[str, bytes]]:
    """The members, ours at the end."""
    return [*((name, data) for name, data in files.items() if name != ARRAY), (ARRAY, files[ARRAY])]


def saved(array: npt.NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=array.dtype == object)
    return buffer.getvalue()


def encrypted(files: dict[str, bytes]) -> bytes:
    whole = bytearray(packed(last(files)))
    whole[whole.rindex(b"PK\x01\x02") + 8] |= 1
    return bytes(whole)


# how, and a word of the line
FORGED: dict[str, tuple[Forge, str]] = {
    "tells more than is allowed": (
        lambda files: told_size(packed(last(files)), MOST_BYTES + 1),
        f"wanted at most {MOST_BYTES}",
    ),
    "tells more than there is": (
        lambda files: told_size(packed(last(files)), len(files[ARRAY]) + 1),
        "that its entry tells",
    ),
    "tells less than there is": (lambda files: told_size(packed(last(files)), len(files[ARRAY]) - 1), "Bad CRC-32"),
    "tells nothing of what there is": (lambda files: told_size(packed(last(files)), 0), "no header"),
    "packed with bzip2": (lambda files: packed(files, ZIP_BZIP2), "packed by method 12"),
    "packed with LZMA": (lambda files: packed(files, ZIP_LZMA), "packed by method 14"),
    "encrypted": (encrypted, "encrypted"),
    "one member twice": (lambda files: packed([*files.items(), (ARRAY, files[ARRAY])]), "two members of one name"),
    "one member missing": (lambda files: packed(last(files)[:-1]), f"no item named '{ARRAY}'"),
    "no members": (lambda _files: packed({}), "no item named"),
    "no archive": (lambda _files: b"junk" * 999, "not a zip file"),
    "empty": (lambda _files: b"", "not a zip file"),
    "cut off": (lambda files: packed(files)[:-30], "not a zip file"),
    "damaged": (lambda files: packed(files)[:200] + bytes(64) + packed(files)[264:], ""),
    "a member of nothing": (replaced(b""), "no header"),
    "a member of a header's beginning": (replaced(b"\x93NUMPY\x01"), "no header"),
    "a huge shape": (replaced(npy(HEADER % ("<f4", False, (2**40, 2**40, 1)), bytes(64))), "unfamiliarity "),
    "a shape that overflows to nothing": (
        replaced(npy(HEADER % ("<f4", False, (2**32, 2**32, 1)))),
        "",
    ),
    "a huge shape of nothing": (replaced(npy(HEADER % ("<f4", False, (0, 10**30, 10**30)))), ""),
    "a shape below zero": (replaced(npy(HEADER % ("<f4", False, (-2, -2, 1)), bytes(16))), "no header"),
    "a shape of five thousand digits": (
        replaced(npy(HEADER % ("<f4", False, f"({'9' * 5000}, 1, 1)"))),
        "no header",
    ),
    "Fortran's order": (replaced(saved(np.zeros((2, 3, 3), np.float32, order="F"))), "in Fortran's order"),
    "double precision": (replaced(saved(np.zeros((2, 3, 3)))), "'<f8'"),
    "the other byte order": (replaced(saved(np.zeros((2, 3, 3), ">f4"))), "'>f4'"),
    "records": (replaced(saved(np.zeros((2, 3, 3), [("a", "f4")]))), "[('a', '<f4')]"),
    "text": (replaced(saved(np.array(["a"]))), "'<U1'"),
    "more dimensions": (replaced(saved(np.zeros((1, 1, 1, 1, 1), np.float32))), "with 5 dimensions"),
    "one number": (replaced(saved(np.array(1, np.float32))), "with 0 dimensions"),
    "a header that is code": (replaced(npy("__import__('os')._exit(7)")), "no header"),
    "a header of brackets": (replaced(npy("(" * 5000 + ")" * 5000)), "no header"),
    "a header that ends in the middle": (replaced(npy("{'descr': '''")), "no header"),
    "a header of a later version": (
        replaced(npy(HEADER % ("<f4", False, (1, 1, 1)), bytes(4), version=(9, 9))),
        "no header",
    ),
    "a header of numpy for Python 2": (replaced(npy(HEADER % ("<f4", False, "(1L, 1L, 1L)"), bytes(4))), "no header"),
}


@pytest.mark.parametrize("what", FORGED)
def test_forged_golden_frames(what: str, forgery: Forgery, refusal: Refusal) -> None:
    forge, said = FORGED[what]
    line = refusal(forgery.put_listed(GOLDEN_FILE, forge(members(forgery.read(GOLDEN_FILE)))))
    assert f"{GOLDEN_FILE}: no golden frames; seen: " in line
    assert said in line


def gate_refusal(forgery: Forgery) -> str:
    with pytest.raises(BundleError) as caught:
        open_bundle(forgery.folder).gate_patches()
    line = str(caught.value)
    assert line.isprintable()
    return line


@pytest.mark.parametrize("what", FORGED)
def test_forged_patches_of_the_gate(what: str, forgery: Forgery) -> None:
    forge, said = FORGED[what]
    # a few patches are as good as some hundred
    gate = GatePatches.from_bytes(forgery.read(GATE_FILE))
    few = GatePatches(*(array[:3] for array in asdict(gate).values()))
    line = gate_refusal(forgery.put_listed(GATE_FILE, forge(members(few.to_bytes()))))
    assert f"{GATE_FILE}: no patches for the gate; seen: " in line
    assert said in line


def test_forged_golden_frames_end_the_command(forgery: Forgery, refusal_by_score: RefusalByScore) -> None:
    forge, said = FORGED["packed with bzip2"]
    forgery.put_listed(GOLDEN_FILE, forge(members(forgery.read(GOLDEN_FILE))))
    code, line = refusal_by_score(forgery)
    assert code == 2
    assert said in line


@pytest.mark.parametrize("name", [GOLDEN_FILE, GATE_FILE])
def test_zip_bomb(name: str, bomb: bytes, forgery: Forgery, refusal: Refusal) -> None:
    archive = packed([("a.npy", b""), (ARRAY, bomb)])
    assert len(archive) < MOST_BYTES / 200
    forgery.put_listed(name, archive)
    line = refusal(forgery) if name == GOLDEN_FILE else gate_refusal(forgery)
    assert f"{name}: no " in line
    assert f"bytes when unpacked, wanted at most {MOST_BYTES}" in line


def test_zip_bomb_that_tells_a_small_size_is_not_unpacked(bomb: bytes, forgery: Forgery) -> None:
    forgery.put_listed(GATE_FILE, told_size(packed({ARRAY: bomb}), 4096))
    tracemalloc.start()
    try:
        gate_refusal(forgery)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < MOST_BYTES / 20


class Unpickled:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self._path,)


@pytest.mark.parametrize("name", [GOLDEN_FILE, GATE_FILE])
def test_pickled_objects_are_not_unpickled(name: str, forgery: Forgery, tmp_path: Path, refusal: Refusal) -> None:
    content = saved(np.array([[[Unpickled(tmp_path / "trace")]]], object))
    np.load(io.BytesIO(content), allow_pickle=True)
    (tmp_path / "trace").unlink()
    forgery.put_listed(name, packed(members(forgery.read(name)) | {ARRAY: content}))
    line = refusal(forgery) if name == GOLDEN_FILE else gate_refusal(forgery)
    assert "is '|O' with" in line
    assert not (tmp_path / "trace").exists()


def frames(count: int, height: int, width: int) -> dict[str, Any]:
    return {"frames": np.zeros((count, 1, height, width), np.uint8)}


SIDE = int(MOST_GOLDEN_PIXELS**0.5) + 1
PROVING_NOTHING: dict[str, tuple[Callable[[GoldenFrames], dict[str, Any]], str]] = {
    "no frames": (
        lambda golden: {name: getattr(golden, name)[:0] for name in ("frames", "probabilities", "unfamiliarity")},
        "wanted none without a value",
    ),
    "no pixels": (lambda _golden: frames(2, 0, 0), "wanted none without a value"),
    "no cells": (
        lambda golden: {
            "probabilities": golden.probabilities[:, :, :0],
            "unfamiliarity": golden.unfamiliarity[:, :0],
            "frames": golden.frames[:, :, :9],
        },
        "wanted none without a value",
    ),
    "fewer answers than frames": (lambda golden: {"probabilities": golden.probabilities[:1]}, "lengths [2, 1, 2]"),
    "frames that no memory could hold once they run": (lambda _golden: frames(2, SIDE, SIDE), "frames of "),
    "frames too small for a patch": (lambda _golden: frames(2, 9, 9), "seen: "),
    "frames of another size": (lambda golden: {"frames": golden.frames[:, :, :, 16:]}, "seen: difference inf"),
    "answers that are no numbers": (
        lambda golden: {"probabilities": np.full_like(golden.probabilities, np.nan)},
        "seen: difference nan",
    ),
    "answers without end": (
        lambda golden: {"unfamiliarity": np.full_like(golden.unfamiliarity, np.inf)},
        "seen: difference inf",
    ),
    "a seal of brackets": (lambda _golden: {"facts": "[" * 100_000 + "]" * 100_000}, "no golden frames"),
    "a seal that would fill the memory": (
        lambda _golden: {"facts": "[" + "[]," * (MOST_FACTS_BYTES // 3) + "[]]"},
        "facts of ",
    ),
    "no seal": (lambda _golden: {"facts": ""}, "no golden frames"),
    "a seal on nothing": (lambda _golden: {"facts": "{}"}, "no golden frames"),
    "a seal that is a list": (lambda _golden: {"facts": "[]"}, "no golden frames"),
}


@pytest.mark.parametrize("what", PROVING_NOTHING)
def test_golden_frames_that_prove_nothing(what: str, forgery: Forgery, refusal: Refusal) -> None:
    change, said = PROVING_NOTHING[what]
    golden = GoldenFrames.from_bytes(forgery.read(GOLDEN_FILE))
    forged = GoldenFrames(**(asdict(golden) | change(golden)))
    assert said in refusal(forgery.put_listed(GOLDEN_FILE, forged.to_bytes()))


def test_seal_that_is_no_text(forgery: Forgery, refusal: Refusal) -> None:
    facts = saved(np.full(9, 255, np.uint8))
    forgery.put_listed(GOLDEN_FILE, packed(members(forgery.read(GOLDEN_FILE)) | {"facts.npy": facts}))
    assert "no golden frames; seen: 'utf-8' codec can't decode" in refusal(forgery)


ANOTHER_GATE: dict[str, tuple[Callable[[GatePatches], dict[str, Any]], str]] = {
    "more patches than answers": (lambda gate: {"medians": gate.medians[1:]}, "wanted one and the same"),
    "no patches": (
        lambda gate: {name: array[:0] for name, array in asdict(gate).items()},
        "wanted none without a value",
    ),
    "patches of another size": (lambda gate: {"patches": gate.patches[:, 1:, 1:]}, "patches for another model"),
    "answers for other grades": (
        lambda gate: {"probabilities": gate.probabilities[:, 1:]},
        "patches for another model",
    ),
}


@pytest.mark.parametrize("what", ANOTHER_GATE)
def test_gate_that_fits_no_model(what: str, forgery: Forgery) -> None:
    change, said = ANOTHER_GATE[what]
    gate = GatePatches.from_bytes(forgery.read(GATE_FILE))
    few = GatePatches(*(array[:3] for array in asdict(gate).values()))
    forged = GatePatches(**(asdict(few) | change(few)))
    assert said in gate_refusal(forgery.put_listed(GATE_FILE, forged.to_bytes()))


def test_archive_that_is_not_packed_is_as_good(forgery: Forgery) -> None:
    """So that the refusals above are those of what was forged, and not of how."""
    forgery.put_listed(GOLDEN_FILE, packed(members(forgery.read(GOLDEN_FILE)), ZIP_STORED))
    assert open_bundle(forgery.folder).golden_frames().frames.any()
