"""Mutations are repeatable, change something, and keep a PNG's checksums right."""

import random
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.fuzz.mutations import repaired, worsen
from benchmarks.fuzz.targets import targets

SEEDS = {name: target.seeds() for name, target in targets().items()}


@given(st.binary(min_size=1, max_size=400), st.integers(0, 2**32))
def test_any_bytes_become_others_the_same_each_time(data: bytes, seed: int) -> None:
    one, other = (worsen(data, random.Random(seed), [data, b"other"]) for _ in range(2))
    assert one == other


@pytest.mark.parametrize("name", SEEDS)
def test_most_mutations_change_something(name: str) -> None:
    seeds = SEEDS[name]
    changed = sum(worsen(seeds[n % len(seeds)], random.Random(n), seeds) != seeds[n % len(seeds)] for n in range(100))
    assert changed > 80


def test_a_png_gets_right_checksums() -> None:
    png = SEEDS["PNG"][0]
    broken = png[:20] + b"\x07" + png[21:]
    fixed = next(repaired(broken, random.Random(seed)) for seed in range(9) if random.Random(seed).random() > 0.3)
    assert fixed[20] == 7
    (crc,) = struct.unpack_from(">I", fixed, 29)
    assert crc == zlib.crc32(fixed[12:29])
