"""An .npz gives its arrays or a ValueError, whatever its bytes are."""

import io
import tracemalloc
from typing import Any
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZIP_LZMA, ZIP_STORED

import numpy as np
import numpy.typing as npt
import pytest
from forgery import npy, packed, told_size
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as some

from runtime import archive
from runtime.archive import read_arrays

unhurried = settings(deadline=None)
WANTED = {"grey": ("uint8", 3), "scores": ("float32", 2), "counts": ("int64", 1)}


def saved(**arrays: npt.NDArray[np.generic]) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


WHOLE = saved(
    grey=np.arange(60, dtype=np.uint8).reshape(3, 4, 5),
    scores=np.linspace(0, 1, 6, dtype=np.float32).reshape(2, 3),
    counts=np.arange(7),
)


@unhurried
@given(
    grey=some.arrays(np.uint8, some.array_shapes(min_dims=3, max_dims=3, min_side=0, max_side=9)),
    scores=some.arrays(np.float32, some.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=9)),
    counts=some.arrays(np.int64, some.array_shapes(min_dims=1, max_dims=1, min_side=0, max_side=99)),
)
def test_what_numpy_writes_is_read(
    grey: npt.NDArray[np.uint8], scores: npt.NDArray[np.float32], counts: npt.NDArray[np.int64]
) -> None:
    given_arrays: dict[str, npt.NDArray[Any]] = {"grey": grey, "scores": scores, "counts": counts}
    found = read_arrays(saved(**given_arrays, more=np.ones(3)), WANTED)
    assert list(found) == list(WANTED)
    for name, array in given_arrays.items():
        assert found[name].dtype == array.dtype
        assert found[name].flags.writeable
        np.testing.assert_array_equal(found[name], array)


@unhurried
@given(st.binary(max_size=200))
def test_no_bytes_are_anything_but_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_arrays(data, WANTED)


@unhurried
@given(
    places=st.dictionaries(st.integers(0, len(WHOLE) - 1), st.integers(0, 255), max_size=4),
    length=st.integers(0, len(WHOLE)) | st.just(len(WHOLE)),
)
def test_damaged_bytes_give_arrays_or_a_value_error(places: dict[int, int], length: int) -> None:
    damaged = bytearray(WHOLE)
    for place, value in places.items():
        damaged[place] = value
    try:
        found = read_arrays(bytes(damaged[:length]), WANTED)
    except ValueError:
        return
    assert {name: (str(array.dtype), array.ndim) for name, array in found.items()} == WANTED


@unhurried
@given(st.text(max_size=60) | st.from_regex(r"\{'descr': '[|<>][a-zA-Z][0-9]'.{0,60}", fullmatch=True))
def test_no_header_is_evaluated(header: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_arrays(packed({"a.npy": npy(header, bytes(3))}), {"a": ("uint8", 1)})


@pytest.mark.parametrize("method", [ZIP_STORED, ZIP_DEFLATED])
def test_stored_and_deflated_members_are_read(method: int) -> None:
    content = npy("{'descr': '|u1', 'fortran_order': False, 'shape': (2,), }", b"\x07\x09")
    assert read_arrays(packed({"a.npy": content}, method), {"a": ("uint8", 1)})["a"].tolist() == [7, 9]


@pytest.mark.parametrize("method", [ZIP_BZIP2, ZIP_LZMA])
def test_other_methods_are_refused_before_they_unpack(method: int) -> None:
    with pytest.raises(ValueError, match=rf"a\.npy packed by method {method}, wanted stored or deflated"):
        read_arrays(packed({"a.npy": b"x"}, method), {"a": ("uint8", 1)})


def test_limit_is_on_all_members_together(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "a.npy": npy("{'descr': '|u1', 'fortran_order': False, 'shape': (2,), }", b"\x07\x09"),
        "b.npy": bytes(900),
    }
    monkeypatch.setattr(archive, "MOST_BYTES", sum(map(len, files.values())))
    assert len(read_arrays(packed(files), {"a": ("uint8", 1)})["a"]) == 2
    monkeypatch.setattr(archive, "MOST_BYTES", sum(map(len, files.values())) - 1)
    with pytest.raises(ValueError, match="bytes when unpacked, wanted at most"):
        read_arrays(packed(files), {"a": ("uint8", 1)})


def test_no_more_is_unpacked_than_the_entry_tells() -> None:
    bomb = told_size(packed({"a.npy": bytes(2**24)}), 100)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="CRC"):
            read_arrays(bomb, {"a": ("uint8", 1)})
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_error_names_the_array_what_it_is_and_what_was_wanted() -> None:
    with pytest.raises(ValueError, match=r"scores is '<f8' with 1 dimensions, wanted float32 with 2"):
        read_arrays(saved(grey=np.zeros((1, 1, 1), np.uint8), scores=np.zeros(2), counts=np.arange(2)), WANTED)
