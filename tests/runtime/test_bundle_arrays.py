"""Golden frames and the gate's patches come back as they were written, or not at all."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict

from runtime import bundle_arrays
from runtime.bundle_arrays import GatePatches, GoldenFrames

unhurried = settings(deadline=None)


@st.composite
def golden_frames(draw: st.DrawFn) -> GoldenFrames:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count, grades, height, width, rows, columns = (draw(st.integers(1, 5)) for _ in range(6))
    return GoldenFrames(
        rng.integers(0, 256, (count, 1, height, width), np.uint8),
        rng.random((count, grades, rows, columns), np.float32),
        rng.random((count, rows, columns), np.float32),
        draw(st.text(max_size=50)),
    )


@st.composite
def gate_patches(draw: st.DrawFn) -> GatePatches:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count, grades, side = (draw(st.integers(1, 5)) for _ in range(3))
    return GatePatches(
        rng.integers(0, 256, (count, side, side), np.uint8),
        rng.integers(0, grades, count),
        rng.random((count, grades), np.float32),
        rng.random(count, np.float32),
    )


def assert_same(found: object, wanted: object) -> None:
    for name, value in asdict(wanted).items():
        if isinstance(value, str):
            assert getattr(found, name) == value
        else:
            assert getattr(found, name).dtype == value.dtype
            np.testing.assert_array_equal(getattr(found, name), value)


@unhurried
@given(golden_frames())
def test_golden_frames_round_trip(golden: GoldenFrames) -> None:
    assert_same(GoldenFrames.from_bytes(golden.to_bytes()), golden)


@unhurried
@given(gate_patches())
def test_gate_patches_round_trip(gate: GatePatches) -> None:
    assert_same(GatePatches.from_bytes(gate.to_bytes()), gate)


GOLDEN = GoldenFrames(
    np.zeros((2, 1, 9, 9), np.uint8), np.zeros((2, 5, 1, 1), np.float32), np.zeros((2, 1, 1), np.float32), "{}"
)
GATE = GatePatches(
    np.zeros((3, 9, 9), np.uint8), np.zeros(3, np.int64), np.zeros((3, 5), np.float32), np.zeros(3, np.float32)
)


@unhurried
@given(st.binary(max_size=100))
def test_other_bytes_are_a_value_error(data: bytes) -> None:
    for kind in (GoldenFrames, GatePatches):
        with pytest.raises(ValueError, match=r"."):
            kind.from_bytes(data)


@unhurried
@given(st.data())
def test_damaged_bytes_are_a_value_error_or_whole_arrays(data: st.DataObject) -> None:
    damaged = bytearray(GOLDEN.to_bytes())
    for place in data.draw(st.lists(st.integers(0, len(damaged) - 1), max_size=3)):
        damaged[place] = data.draw(st.integers(0, 255))
    try:
        golden = GoldenFrames.from_bytes(bytes(damaged))
    except ValueError:
        return
    assert len(golden.frames) == len(golden.probabilities) == len(golden.unfamiliarity) > 0


@pytest.mark.parametrize("name", ["patches", "medians", "probabilities", "unfamiliarity"])
def test_lengths_of_the_gate_have_to_agree(name: str) -> None:
    shorter = GatePatches(**(asdict(GATE) | {name: getattr(GATE, name)[1:]}))
    with pytest.raises(ValueError, match=r"lengths \[.*2.*\], wanted one and the same"):
        GatePatches.from_bytes(shorter.to_bytes())


@pytest.mark.parametrize("name", ["frames", "probabilities", "unfamiliarity"])
def test_lengths_of_the_golden_frames_have_to_agree(name: str) -> None:
    shorter = GoldenFrames(**(asdict(GOLDEN) | {name: getattr(GOLDEN, name)[1:]}))
    with pytest.raises(ValueError, match=r"lengths \[.*1.*\], wanted one and the same"):
        GoldenFrames.from_bytes(shorter.to_bytes())


def test_nothing_to_compare_is_no_proof() -> None:
    none = {name: value[:0] for name, value in asdict(GATE).items()}
    with pytest.raises(ValueError, match="wanted none without a value"):
        GatePatches.from_bytes(GatePatches(**none).to_bytes())
    no_rows = GoldenFrames(GOLDEN.frames, GOLDEN.probabilities[:, :, :0], GOLDEN.unfamiliarity[:, :0], "{}")
    with pytest.raises(ValueError, match="wanted none without a value"):
        GoldenFrames.from_bytes(no_rows.to_bytes())


@pytest.mark.parametrize("wrong", [np.zeros((2, 1, 9, 9), np.float32), np.zeros((2, 9, 9), np.uint8)])
def test_frames_of_another_kind_are_refused(wrong: npt.NDArray[np.uint8]) -> None:
    forged = GoldenFrames(wrong, GOLDEN.probabilities, GOLDEN.unfamiliarity, "{}")
    with pytest.raises(ValueError, match=r"frames is .*, wanted uint8 with 4"):
        GoldenFrames.from_bytes(forged.to_bytes())


@pytest.mark.parametrize(
    ("limit", "what", "size"), [("MOST_GOLDEN_PIXELS", "frames", 162), ("MOST_FACTS_BYTES", "facts", 2)]
)
def test_what_would_grow_once_it_is_used_is_limited(
    limit: str, what: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle_arrays, limit, size)
    GoldenFrames.from_bytes(GOLDEN.to_bytes())
    monkeypatch.setattr(bundle_arrays, limit, size - 1)
    with pytest.raises(ValueError, match=f"{what} of {size} bytes, wanted at most {size - 1}"):
        GoldenFrames.from_bytes(GOLDEN.to_bytes())
