"""The figures that `/metrics` reports to Prometheus."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from tacit.web.service import Service

# All other methods share one label.
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class ServiceMetrics:
    """The metrics of one service, in a registry of its own."""

    def __init__(self, service: Service) -> None:
        self.registry = CollectorRegistry()
        labels = ("method", "route", "status")
        self._requests = Counter("tacit_requests", "Requests answered.", labels, registry=self.registry)
        self._seconds = Histogram(
            "tacit_request_seconds", "Time of a request.", ("route",), buckets=_SECONDS, registry=self.registry
        )
        self._received = Counter("tacit_received_bytes", "Bytes of request bodies.", registry=self.registry)
        self._sent = Counter("tacit_sent_bytes", "Bytes of response bodies.", registry=self.registry)
        self.registry.register(_ServiceCollector(service))
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)

    def count(self, method: str, route: str, status: int, seconds: float, received: int, sent: int) -> None:
        """Count a request that is over.

        Args:
            method: The HTTP method.
            route: The path as the application declares it, with the names of parameters and not their values.
            status: The status of the answer.
            seconds: How long the request took.
            received: Bytes of its body.
            sent: Bytes of the answer's body.
        """
        self._requests.labels(method if method in METHODS else "other", route, status).inc()
        self._seconds.labels(route).observe(seconds)
        self._received.inc(received)
        self._sent.inc(sent)

    def text(self) -> bytes:
        """Return the metrics in Prometheus' text format."""
        return generate_latest(self.registry)


class _ServiceCollector(Collector):
    """The figures that are read from the service when they are asked for."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def collect(self) -> Iterator[Metric]:
        """Yield the state of the service as metrics."""
        pool = self._service.pool
        for name, text, value in (
            ("tacit_workers", "Worker processes that are running.", sum(worker.alive for worker in pool.workers)),
            ("tacit_jobs_running", "Jobs in workers.", pool.running),
            ("tacit_jobs_waiting", "Jobs that wait for a worker.", pool.waiting),
            ("tacit_jobs_capacity", "Jobs that may run and wait.", pool.capacity),
            ("tacit_results_bytes", "Bytes of results kept in memory.", self._service.results.bytes),
            ("tacit_uploads_bytes", "Bytes of uploads kept in memory.", self._service.uploads.bytes),
        ):
            yield GaugeMetricFamily(name, text, value)
        yield CounterMetricFamily("tacit_worker_restarts", "Workers that were replaced.", pool.restarts)
