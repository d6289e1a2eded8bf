"""`/metrics`: how the watch stands, for Prometheus."""

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from runtime.version import __version__
from runtime.viewer.health import Health

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics(Collector):
    """Made anew of the latest `Health` each time they are asked for.

    Args:
        health: tells it; None before the first look.
        pages: number of pages that are open.
    """

    def __init__(self, health: Callable[[], Health | None], pages: Callable[[], int]) -> None:
        self._health, self._pages = health, pages
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def text(self) -> bytes:
        """The metrics in Prometheus' text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """See `prometheus_client`."""
        yield _gauge("inflamap_pages_open", "Pages that are open in browsers.", self._pages())
        found = self._health()
        if found is None:
            return
        build = InfoMetricFamily("inflamap_build", "What scores.")
        build.add_metric(
            [],
            {
                "version": __version__,
                "engine": found.engine or "",
                "model": found.model or "",
                "model_sha256": found.model_sha256 or "",
                "synthetic": str(bool(found.synthetic)).lower(),
            },
        )
        yield build
        images = GaugeMetricFamily("inflamap_images", "Images in each state.", labels=["state"])
        for state, number in found.counts.items():
            images.add_metric([state], number)
        yield images
        yield _gauge("inflamap_images_per_second", "Results a second over the last minute.", found.images_per_second)
        yield _gauge(
            "inflamap_oldest_waiting_seconds", "How long the oldest image has waited.", found.oldest_waiting_s or 0.0
        )
        if found.free_gb is not None:
            yield _gauge("inflamap_disk_free_bytes", "Free on the results' disk.", found.free_gb * 1e9)
        yield _gauge("inflamap_loop_age_seconds", "Since the watch's loop was seen alive.", found.loop_age_s)
        yield _gauge("inflamap_up", "1 while nothing keeps images from being scored.", float(found.ok))


def _gauge(name: str, meaning: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, meaning, value=value)
