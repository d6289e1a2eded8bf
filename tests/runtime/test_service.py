"""Each image once, and again only when its content changes or somebody asks for it."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from msgspec.structs import replace
from watch_bench import Bench

from runtime.ledger import ImageRow, State
from runtime.ledger.row import Outcome
from runtime.model import Model
from runtime.scoring import Examined
from runtime.service import Tally


def test_image_is_scored_once_until_its_content_changes(
    bench: Bench, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str]
) -> None:
    save_image(bench.folder / "VivaStack #1" / "ä v1.bmp", patch_of_skin)
    save_image(bench.folder / "same.bmp", patch_of_skin)
    assert bench.once() == Tally(done=2)
    assert (bench.out / "VivaStack #1" / "ä v1.bmp.score.json").exists()
    assert bench.states() == {"VivaStack #1/ä v1.bmp": "scored", "same.bmp": "scored"}
    assert bench.once() == Tally()

    sha256 = save_image(bench.folder / "same.bmp", patch_of_skin[::-1].copy())
    assert bench.once() == Tally(done=1)
    assert bench.record("same.bmp")["image"]["sha256"] == sha256
    assert bench.rows()["same.bmp"].outcome.sha256 == sha256


def test_results_of_another_model_are_said_and_kept_until_a_retry_is_asked_for(
    bench: Bench, other_model: Model, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str]
) -> None:
    for name in ("a.bmp", "b.bmp"):
        save_image(bench.folder / name, patch_of_skin)
    assert bench.once() == Tally(done=2)
    assert not any("model" in line for line in bench.said)

    assert bench.once(other_model) == Tally()
    assert len(bench.said) == 1
    assert bench.said[0].startswith("2 earlier results are of another model; `inflamap retry --all")
    assert bench.record("a.bmp")["model"]["sha256"] == bench.model.sha256

    bench.retry_all()
    assert bench.once(other_model) == Tally(done=2)
    assert bench.record("a.bmp")["model"]["sha256"] == "f" * 64
    assert {row.outcome.model_sha256 for row in bench.rows().values()} == {"f" * 64}
    assert bench.once(other_model) == Tally()
    assert bench.said == []


def test_results_at_another_scale_are_said_and_kept_until_a_retry_is_asked_for(
    bench: Bench, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str]
) -> None:
    save_image(bench.folder / "a.bmp", patch_of_skin)
    assert bench.once() == Tally(done=1)
    assert bench.once(um_per_px=0.6) == Tally()
    assert len(bench.said) == 1
    assert bench.said[0].startswith("1 earlier results took another scale than 0.6 µm/px; `inflamap retry --all")
    assert bench.record("a.bmp")["image"]["um_per_px"] == 0.5

    bench.retry_all()
    assert bench.once(um_per_px=0.6) == Tally(done=1)
    assert bench.record("a.bmp")["image"]["um_per_px"] == 0.6
    assert bench.once(um_per_px=0.6) == Tally()
    assert bench.said == []


def test_image_without_a_scale_is_scored_once_the_scale_is_given(
    bench: Bench, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str]
) -> None:
    save_image(bench.folder / "v.bmp", patch_of_skin)
    assert bench.once(um_per_px=None) == Tally(done=1)
    assert "withheld: scale unknown" in bench.said[0]
    assert bench.states() == {"v.bmp": "withheld"}
    assert "scale unknown" in bench.rows()["v.bmp"].reason
    assert bench.once(um_per_px=None) == Tally()

    assert bench.once(um_per_px=0.5) == Tally(done=1)
    assert "withheld" not in bench.said[0]
    assert bench.states() == {"v.bmp": "scored"}
    assert bench.once(um_per_px=0.5) == Tally()
    assert bench.once(um_per_px=None) == Tally()


def test_touched_image_is_kept(
    bench: Bench, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    save_image(bench.folder / "v.bmp", patch_of_skin)
    bench.once()
    record = (bench.out / "v.bmp.score.json").stat()
    os.utime(bench.folder / "v.bmp", (1, 1))
    monkeypatch.setattr("runtime.in_hand.read_image", refuse_to_score)
    assert bench.once() == Tally(kept=1)
    assert bench.said == []
    assert bench.states() == {"v.bmp": "scored"}
    assert (bench.out / "v.bmp.score.json").stat().st_mtime_ns == record.st_mtime_ns
    assert bench.once() == Tally()


def refuse_to_score(path: Path, *_: object, **__: object) -> Examined:
    raise AssertionError(f"{path} was scored again")


def test_lost_ledger_is_made_again_from_the_records(
    bench: Bench,
    other_model: Model,
    patch_of_skin: npt.NDArray[np.uint8],
    save_image: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    save_image(bench.folder / "scored.bmp", patch_of_skin)
    save_image(bench.folder / "dark.bmp", np.zeros((150, 150), np.uint8))
    assert bench.once() == Tally(done=2)
    before = bench.rows()
    assert bench.states() == {"dark.bmp": "withheld", "scored.bmp": "scored"}

    monkeypatch.setattr("runtime.in_hand.read_image", refuse_to_score)
    for model in (bench.model, other_model):
        bench.lose_ledger()
        assert bench.once(model) == Tally(kept=2)
        assert {name: said_of(row) for name, row in bench.rows().items()} == {
            name: said_of(row) for name, row in before.items()
        }


def said_of(row: ImageRow) -> tuple[State, str, Outcome]:
    """All that a record tells of an image but its times, which it rounds."""
    return row.state, row.reason, replace(row.outcome, read_ms=None, infer_ms=None, write_ms=None, total_ms=None)


@pytest.mark.parametrize("missing", ["overlay.jpg", "map.ome.tif", "score.json"])
def test_result_that_is_not_whole_is_made_anew(
    bench: Bench, missing: str, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str]
) -> None:
    for name in ("a.bmp", "whole.bmp"):
        save_image(bench.folder / name, patch_of_skin)
    bench.once()
    (bench.out / f"a.bmp.{missing}").unlink()
    bench.lose_ledger()
    assert bench.once() == Tally(done=1, kept=1)
    assert (bench.out / f"a.bmp.{missing}").is_file()


@pytest.mark.parametrize(
    "damage",
    [
        "",
        "{}",
        "[]",
        '{"image": null}',
        '{"image": {"sha256": 3}, "model": [], "score": null}',
        {"status": "bogus"},
        {"status": "waiting"},
        {"status": None},
        {"reasons": [3]},
        {"reasons": None},
        {"score": [1]},
        {"score": None},
        {"timing_ms": {}},
        {"image": {"sha256": "0" * 64, "um_per_px": 0.5}},
    ],
    ids=str,
)
def test_damaged_record_is_made_anew(
    bench: Bench, damage: str | dict[str, Any], patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str]
) -> None:
    save_image(bench.folder / "v.bmp", patch_of_skin)
    bench.once()
    path, whole = bench.out / "v.bmp.score.json", bench.record("v.bmp")
    path.write_text(damage if isinstance(damage, str) else json.dumps(whole | damage))
    bench.lose_ledger()
    assert bench.once() == Tally(done=1)
    assert bench.states() == {"v.bmp": "scored"}
    anew = bench.record("v.bmp")
    assert {name: anew[name] for name in anew if name != "timing_ms"} == {
        name: whole[name] for name in whole if name != "timing_ms"
    }
