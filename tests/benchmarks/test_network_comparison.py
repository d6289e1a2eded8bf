"""The verdict on the shipped network, and the table that docs show."""

from typing import Any

import pytest

from benchmarks.network_comparison import CANDIDATES, RIVALS, beats_its_rivals, table
from trainer.network import NetworkConfig, TextureNetwork


def entry(accuracy: float, macs: float | None = None) -> dict[str, Any]:
    return {
        "what": f"a network right in {accuracy}",
        "parameters": None if macs is None else 47_000,
        "macs": macs,
        "ms": 1234.5,
        "val_accuracy": accuracy,
        "accuracy": accuracy,
        "mad": 0.1,
        "qwk": 0.9,
    }


@pytest.fixture
def found() -> dict[str, dict[str, Any]]:
    """A shipped network that wins by a hair in each respect."""
    return {
        "shipped": entry(0.9, 0.8e9),
        "large": entry(0.95, 2e9),
        "t-cnn-3": entry(0.899, 8e9),
        "flattened": entry(0.899, 0.8e9),
        "lbp-glcm": entry(0.899),
    }


def test_it_wins_by_more_accuracy_at_a_tenth_of_the_cost(found):
    assert beats_its_rivals(found)


@pytest.mark.parametrize("rival", RIVALS)
def test_a_rival_as_accurate_is_not_beaten(found, rival):
    found[rival]["accuracy"] = 0.9
    assert not beats_its_rivals(found)


def test_more_than_a_tenth_of_the_cost_is_too_much(found):
    found["shipped"]["macs"] = 0.81e9
    assert not beats_its_rivals(found)


def test_the_table_has_a_row_for_each(found):
    header, _rule, *rows = table(found).splitlines()
    assert [row.split(" | ")[0].lstrip("| ") for row in rows] == [some["what"] for some in found.values()]
    assert all(row.count("|") == header.count("|") for row in rows)
    assert "| 47 k | 0.80 | 1,234 | 0.900 | 0.900 | 0.100 | 0.900 |" in rows[0]


def test_what_is_compared_is_what_is_shipped():
    network = CANDIDATES["shipped"].make()
    assert isinstance(network, TextureNetwork)
    assert network.config == NetworkConfig()
    assert sum(isinstance(candidate.make(), TextureNetwork) for candidate in CANDIDATES.values()) >= 3
