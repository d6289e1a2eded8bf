"""`bundle.json` edited after the export, so that true scores would be read as something else, or nothing works."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from forgery import Forgery

from runtime.bundle import DEFAULT_BUNDLE, MOST_MANIFEST_BYTES, open_bundle
from runtime.bundle_files import FP32_MODEL, GOLDEN_FILE, INT8_MODEL
from runtime.engines.registry import open_engine

Refusal = Callable[..., str]
RefusalByScore = Callable[[Forgery], tuple[int, str]]
Edit = Callable[[dict[str, Any]], object]

# each is valid by itself; what an edit changes it changes in the document it is given
EDITS: dict[str, tuple[str, Edit]] = {
    "synthetic made real": ("synthetic", lambda found: found.update(synthetic=False)),
    "renamed": ("name", lambda found: found.update(name="validated on a thousand patients")),
    "grades in reverse": ("grades", lambda found: found.update(grades=found["grades"][::-1])),
    "one grade renamed": ("grades", lambda found: found["grades"].__setitem__(4, "healthy")),
    "another scale": ("um_per_px", lambda found: found.update(um_per_px=found["um_per_px"] * 1.1)),
    "more scales than were measured": ("um_per_px_range", lambda found: found.update(um_per_px_range=[1e-9, 1e9])),
    "cells closer together": ("stride_px", lambda found: found.update(stride_px=found["stride_px"] - 1)),
    "smaller patches": ("patch_px", lambda found: found.update(patch_px=found["patch_px"] - 1)),
    "nothing is unfamiliar": ("quality", lambda found: found["quality"].update(unfamiliar=1e9)),
    "one valid cell is enough": ("quality", lambda found: found["quality"].update(valid_share=0.0)),
    "limits left out": ("quality", lambda found: found["quality"].clear()),
    "other training data": ("training", lambda found: found["training"].update(data_sha256="0" * 64)),
    "no training told": ("training", lambda found: found["training"].clear()),
    "more tolerance": ("golden", lambda found: found["golden"]["tolerance"].update({INT8_MODEL: 0.5})),
    "more tolerance of what is no skin": (
        "golden",
        lambda found: found["golden"]["unfamiliarity_tolerance"].update({INT8_MODEL: 0.5}),
    ),
    "held out where it was not": ("gate", lambda found: found["gate"].update(part="another")),
}


def edited(forgery: Forgery, edit: Edit) -> Forgery:
    document = forgery.document()
    edit(document)
    forgery.manifest.write_text(json.dumps(document))
    return forgery


@pytest.mark.parametrize("what", EDITS)
def test_meaning_changed(what: str, forgery: Forgery, refusal: Refusal) -> None:
    key, edit = EDITS[what]
    open_bundle(edited(forgery, edit).folder)
    assert f"bundle.json: changed after the export; seen: {key} " in refusal(forgery)


def test_meaning_changed_ends_the_command(forgery: Forgery, refusal_by_score: RefusalByScore) -> None:
    code, line = refusal_by_score(edited(forgery, EDITS["synthetic made real"][1]))
    assert code == 2
    assert "seen: synthetic False; wanted: synthetic True" in line


def test_long_edits_are_told_in_short(forgery: Forgery, refusal: Refusal) -> None:
    forgery.edit(name="\x1b[2J" + "x" * 100_000, training={"a": ["y" * 100_000]})
    assert "seen: name '\\x1b[2Jxxx" in refusal(forgery)


@pytest.mark.parametrize("key", sorted(json.loads((DEFAULT_BUNDLE / "bundle.json").read_text())))
def test_key_left_out(key: str, forgery: Forgery, refusal: Refusal) -> None:
    assert "bundle.json: not a valid bundle" in refusal(edited(forgery, lambda found: found.pop(key)))


def tolerance(value: object, key: str = "tolerance") -> Edit:
    return lambda found: found["golden"][key].update({FP32_MODEL: value})


def named(name: str) -> Edit:
    """Another file listed; what is listed is read when the bundle is checked."""
    return lambda found: found["files"].update({name: "0" * 64})


INVALID: dict[str, Edit] = {
    "tolerance of everything": tolerance(1.0),
    "tolerance a little too large": tolerance(0.51),
    "tolerance of nothing": tolerance(0.0),
    "tolerance below nothing": tolerance(-1e-4),
    "tolerance in words": tolerance("any"),
    "tolerance of all unfamiliarity": tolerance(1.0, "unfamiliarity_tolerance"),
    "tolerance of a model left out": lambda found: found["golden"]["tolerance"].pop(INT8_MODEL),
    "file above the folder": named("../secret"),
    "file at the root": named("/etc/passwd"),
    "file in a folder": named("sub/model.onnx"),
    "file behind a backslash": named("..\\secret"),
    "file on another drive": named("C:secret"),
    "file that is the folder above": named(".."),
    "hidden file": named(".profile"),
    "file without a name": named(""),
    "file with a line break": named("model.int8.onnx\n"),
    "file with a zero": named("model\0.txt"),
    "file that looks like an option": named("-rf"),
    "golden frames from elsewhere": lambda found: found["golden"].update(file="../golden.npz"),
    "golden frames that are not listed": lambda found: found["golden"].update(file="other.npz"),
    "gate from elsewhere": lambda found: found["gate"].update(file="/etc/passwd"),
    "hash in capitals": lambda found: found["files"].update({GOLDEN_FILE: "F" * 64}),
    "hash cut off": lambda found: found["files"].update({GOLDEN_FILE: "0" * 63}),
    "hash with a line break": lambda found: found["files"].update({GOLDEN_FILE: "0" * 64 + "\n"}),
    "hash left out": lambda found: found["files"].update({GOLDEN_FILE: None}),
    "no models": lambda found: found["files"].pop(FP32_MODEL),
    "files in a list": lambda found: found.update(files=list(found["files"])),
    "scale that is no number": lambda found: found.update(um_per_px=float("nan")),
    "scale without end": lambda found: found.update(um_per_px=float("inf")),
    "scale below zero": lambda found: found.update(um_per_px=-0.5),
    "scale of zero": lambda found: found.update(um_per_px=0),
    "scale of a thousand digits": lambda found: found.update(um_per_px=10**1000),
    "scale outside its own range": lambda found: found.update(um_per_px=99.0),
    "range the wrong way round": lambda found: found.update(um_per_px_range=found["um_per_px_range"][::-1]),
    "range of one": lambda found: found.update(um_per_px_range=[0.5]),
    "patches of zero": lambda found: found.update(patch_px=0),
    "patches below zero": lambda found: found.update(patch_px=-128),
    "patches and a half": lambda found: found.update(patch_px=128.5),
    "stride of zero": lambda found: found.update(stride_px=0),
    "one grade": lambda found: found.update(grades=["0"]),
    "two grades of one name": lambda found: found.update(grades=["0", "1", "2", "3", "3"]),
    "grades that are numbers": lambda found: found.update(grades=[0, 1, 2, 3, 4]),
    "no name": lambda found: found.update(name=""),
    "order in words": lambda found: found.update(ordered="no"),
    "score that is called two lines": lambda found: found.update(quantity="Inflammation\n9"),
    "score that is called nothing": lambda found: found.update(quantity=""),
    "synthetic in words": lambda found: found.update(synthetic="no"),
    "synthetic as a number": lambda found: found.update(synthetic=0),
    "share above one": lambda found: found["quality"].update(valid_share=1.5),
    "limit that is no number": lambda found: found["quality"].update(unfamiliar=float("nan")),
    "limit without end": lambda found: found["quality"].update(unfamiliar=float("inf")),
    "another format": lambda found: found.update(format="inflamap.bundle/1"),
    "training that is a list": lambda found: found.update(training=[]),
}


@pytest.mark.parametrize("what", INVALID)
def test_value_that_none_may_have(what: str, forgery: Forgery, refusal: Refusal) -> None:
    assert "bundle.json: not a valid bundle; seen: " in refusal(edited(forgery, INVALID[what]))


def test_value_that_none_may_have_ends_the_command(forgery: Forgery, refusal_by_score: RefusalByScore) -> None:
    code, line = refusal_by_score(edited(forgery, INVALID["file above the folder"]))
    assert code == 2
    assert "not a valid bundle" in line


def inserted(text: bytes) -> Callable[[bytes], bytes]:
    """The manifest with more at its beginning."""
    return lambda whole: whole.replace(b"{", b"{" + text + b", ", 1)


NESTED = b"[" * 100_000 + b"]" * 100_000
TEXTS: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _whole: b"",
    "cut off": lambda whole: whole[:-10],
    "a list": lambda whole: b"[" + whole + b"]",
    "two documents": lambda whole: whole + whole,
    "no text": lambda _whole: bytes(range(256)),
    "another encoding": lambda whole: whole.decode().encode("utf-16"),
    "a mark before it": lambda whole: b"\xef\xbb\xbf" + whole,
    "brackets without end": inserted(b'"more": ' + NESTED),
    "brackets without end in the training": lambda whole: whole.replace(
        b'"training": {', b'"training": {"more": ' + NESTED + b", "
    ),
    "braces without end": inserted(b'"more": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "a key twice": inserted(b'"synthetic": false'),
    "a key twice, once in other letters": inserted(b'"synth\\u0065tic": false'),
    "a key twice, further in": lambda whole: whole.replace(b'"quality": {', b'"quality": {"unfamiliar": 9.0, '),
    "an unknown key twice": inserted(b'"more": 1, "more": 2'),
    "a number of 5000 digits": inserted(b'"more": ' + b"9" * 5000),
    "no number": inserted(b'"more": NaN'),
    "half a letter": inserted(b'"more": "\\ud800"'),
    "a byte that is no letter": inserted(b'"more": "\xff"'),
    "a byte that is no letter in the training": lambda whole: whole.replace(
        b'"training": {', b'"training": {"more": "\xff", '
    ),
}


@pytest.mark.parametrize("what", TEXTS)
def test_text_that_is_read_in_two_ways_or_in_none(what: str, forgery: Forgery, refusal: Refusal) -> None:
    forgery.manifest.write_bytes(TEXTS[what](forgery.manifest.read_bytes()))
    assert "bundle.json: not a valid bundle; seen: " in refusal(forgery)


def test_brackets_without_end_end_the_command(forgery: Forgery, refusal_by_score: RefusalByScore) -> None:
    forgery.manifest.write_bytes(TEXTS["brackets without end"](forgery.manifest.read_bytes()))
    assert refusal_by_score(forgery)[0] == 2


def test_text_that_would_fill_the_memory(forgery: Forgery, refusal: Refusal) -> None:
    forgery.edit(more=[[] for _ in range(MOST_MANIFEST_BYTES // 4)])
    assert f"bundle.json: refused; seen: {forgery.manifest.stat().st_size} bytes; wanted: at most" in refusal(forgery)


@pytest.mark.parametrize("levels", [100, 400, 800, 900, 950, 1000])
def test_brackets_just_deep_enough_for_one_of_the_steps(levels: int, forgery: Forgery, refusal: Refusal) -> None:
    nested = b"[" * levels + b"]" * levels
    forgery.manifest.write_bytes(
        forgery.manifest.read_bytes().replace(b'"training": {', b'"training": {"more": ' + nested + b", ")
    )
    assert refusal(forgery)


def test_what_no_hash_and_no_seal_can_prevent(forgery: Forgery) -> None:
    """Nothing is signed: who may write all of a bundle's files has made another bundle, which is taken for what it is.

    Likewise of the manifest alone: what was measured, and hashes, for golden frames and gate judge whatever model there
    is by what it does.
    """
    golden = forgery.document()["golden"]
    golden["tolerance"][FP32_MODEL] = 0.5
    forgery.edit(synthetic=False, name="another", golden=golden).reseal()
    forgery.edit(metrics={})
    bundle = open_bundle(forgery.folder)
    assert open_engine(bundle, threads=1)
    assert not bundle.manifest.synthetic
