"""`/metrics`, as Prometheus reads it."""

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from runtime.ledger import open_ledger
from runtime.status import status_of
from runtime.viewer.health import Health, health_of
from runtime.viewer.metrics import Metrics


@pytest.fixture
def health(tmp_path: Path) -> Health:
    with open_ledger(tmp_path, create=True) as ledger:
        ledger.note("model", {"name": 'a "b"\nc', "sha256": "f" * 64, "synthetic": True})
        return health_of(status_of(ledger, running=True, now=0.0), tmp_path, loop_age_s=2.5, min_free_gb=0.0)


def values(metrics: Metrics) -> dict[str, float]:
    families = text_string_to_metric_families(metrics.text().decode())
    return {
        f"{sample.name}{sorted(sample.labels.values()) if 'state' in sample.labels else ''}": sample.value
        for family in families
        for sample in family.samples
    }


def test_every_figure_is_there_under_its_name(health: Health) -> None:
    found = values(Metrics(lambda: health, lambda: 3))
    assert all(name.startswith("inflamap_") for name in found)
    assert found["inflamap_pages_open"] == 3
    assert found["inflamap_up"] == 1
    assert found["inflamap_loop_age_seconds"] == 2.5
    assert found["inflamap_images['waiting']"] == 0
    assert found["inflamap_disk_free_bytes"] > 0
    assert found["inflamap_build_info"] == 1


def test_before_the_first_look_only_pages_are_told() -> None:
    assert values(Metrics(lambda: None, lambda: 0)) == {"inflamap_pages_open": 0}
