"""What the service counts, in the text form that Prometheus reads.

What it is: the only module that uses prometheus_client, which is an extra. What it is not: it judges
nothing, and nothing is decided by what it counts.

Rules:

1. Labels have few values, all of them this program's own words: no name of an image, a repository, a
   namespace or a caller is ever one, and a path that is none of the service's is `other`.
2. Names and units are as Prometheus' conventions have them: base units, `_total` for what only grows.
3. What others count (`Numbers`) is read when somebody asks for it.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Mapping

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OTHER = "other"

Numbers = Callable[[], Mapping[str, float]]
"""Names without `notarypy_` to numbers; those that end in `_total` only grow."""

# Warm answers take less than a millisecond; beyond ten seconds no API server waits.
_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The counts of one service."""

    def __init__(self, version: str, paths: Iterable[str], numbers: Numbers = dict) -> None:
        """Begin at zero; `paths` are those of the service, and `numbers` what others count (rule 3)."""
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a series more for each, which nobody asks for
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        registry.register(_Others(numbers))
        self._paths = frozenset(paths)
        build = Gauge("notarypy_build_info", "The release.", ["version"], registry=registry)
        build.labels(version).set(1)
        self._requests = Counter(
            "notarypy_requests", "Requests answered.", ["path", "status"], registry=registry
        )
        self._seconds = Histogram(
            "notarypy_request_seconds",
            "Time from the head of a request to the end of its answer.",
            ["path"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self.under_way = Gauge(
            "notarypy_requests_under_way", "Requests for verification under way.", registry=registry
        )
        self._verifications = Counter(
            "notarypy_verifications", "Images judged, by what was found.", ["result"], registry=registry
        )
        self._admissions = Counter(
            "notarypy_admissions", "Admission reviews answered.", ["webhook", "result"], registry=registry
        )
        self.connections = Gauge("notarypy_connections", "Open connections.", registry=registry)
        self._closed = Counter(
            "notarypy_connections_closed",
            "Connections that the service ended before they had asked for anything, by the reason.",
            ["reason"],
            registry=registry,
        )
        self._certificate_end: Gauge | None = None  # nobody is to be warned of one that is not there
        self._certificate_loads = Counter(
            "notarypy_certificate_loads",
            "Certificates read because the files had changed, by whether they could be used.",
            ["result"],
            registry=registry,
        )

    def answered(self, path: str, status: int, seconds: float) -> None:
        """Count an answered request (rule 1)."""
        path = path if path in self._paths else OTHER
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def judged(self, results: Iterable[str]) -> None:
        """Count what was found of images."""
        for result, count in Tally(results).items():
            self._verifications.labels(result).inc(count)

    def admitted(self, webhook: str, result: str) -> None:
        """Count an answered admission review."""
        self._admissions.labels(webhook, result).inc()

    def closed(self, reason: str) -> None:
        """Count a connection that was ended."""
        self._closed.labels(reason).inc()

    def certificate(self, end: float | None) -> None:
        """Count a certificate that was read: its end in seconds of the epoch, or None for one of no use."""
        self._certificate_loads.labels("failed" if end is None else "loaded").inc()
        if end is None:
            return
        if self._certificate_end is None:
            self._certificate_end = Gauge(
                "notarypy_certificate_end_timestamp_seconds",
                "When the certificate that is served ends.",
                registry=self._registry,
            )
        self._certificate_end.set(end)

    def text(self) -> bytes:
        """Return all counts as Prometheus reads them."""
        return generate_latest(self._registry)


class _Others(Collector):
    """Counts that are kept elsewhere (rule 3)."""

    def __init__(self, numbers: Numbers) -> None:
        self._numbers = numbers

    def describe(self) -> Iterable[Metric]:
        """Name nothing beforehand: whose counts these are may not be there yet."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Yield each number under its name."""
        for name, number in self._numbers().items():
            kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
            about = name.replace("_", " ").removesuffix(" total").capitalize()
            yield kind(f"notarypy_{name}", f"{about}.", value=number)
