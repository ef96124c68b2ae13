"""Counts and times requests, in Prometheus' format."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from mixling.serving.batching import Batcher


class Metrics:
    """The metrics of an application.

    Args:
        batcher: Its encoder, whose counts are shown too.
    """

    def __init__(self, batcher: Batcher):
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "mixling_requests",
            "Requests by path and status",
            ["path", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "mixling_request_seconds", "Time of a request", ["path"], registry=self._registry
        )
        gauges = (
            ("mixling_texts_waiting", "Texts that wait for the encoder", lambda: batcher.pending),
            ("mixling_batches", "Batches encoded", lambda: batcher.batches),
            ("mixling_texts", "Texts encoded", lambda: batcher.texts),
        )
        for name, documentation, value in gauges:
            Gauge(name, documentation, registry=self._registry).set_function(value)

    def count(self, path: str, status: int, seconds: float) -> None:
        """Count a request.

        Args:
            path: Its path, or a label for it.
            status: The HTTP status of its answer.
            seconds: Its time.
        """
        self._requests.labels(path, status).inc()
        self._seconds.labels(path).observe(seconds)

    def exposition(self) -> bytes:
        """Return the metrics as Prometheus reads them."""
        return generate_latest(self._registry)
