"""Metrics for Prometheus, made from one reading whenever somebody asks: nothing is counted on a message's way."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import TypeVar

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from router.routing.trail import BOUNDS_S
from router.telemetry.families import ACTORS, LATENCY, ROUTES, WHOLE, Family, Sample
from router.telemetry.mqtt import metrics_of_mqtt
from router.telemetry.queues import QueueSamples, metrics_of_queues
from router.telemetry.reading import EventCounts, Reading, RouteReading, Running, read

R = TypeVar("R")


def metrics_of(reading: Reading) -> Iterator[Metric]:
    """A reading as prometheus-client has it."""
    yield from _families(ACTORS, "actor", [(actor.name, actor) for actor in reading.actors])
    yield from _families(ROUTES, "route", [(route.name, route) for route in reading.routes])
    yield _latency(reading.routes)
    for family in WHOLE:
        yield _metric(family, family.labels, family.samples(reading))
    yield from metrics_of_queues(reading.queues)
    yield from metrics_of_mqtt(reading.mqtt)


def _families(families: Sequence[Family[R]], label: str, named: Sequence[tuple[str, R]]) -> Iterator[Metric]:
    for family in families:
        samples = (((name, *labels), value) for name, part in named for labels, value in family.samples(part))
        yield _metric(family, (label, *family.labels), samples)


def _metric(family: Family[R], labels: tuple[str, ...], samples: Iterable[Sample]) -> Metric:
    kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    metric = kind(family.name, family.help, labels=labels)
    for values, value in samples:
        metric.add_metric(values, value)
    return metric


def _latency(routes: Iterable[RouteReading]) -> Metric:
    metric = HistogramMetricFamily(*LATENCY, labels=("route",))
    bounds = [*map(str, BOUNDS_S), "+Inf"]
    for route in routes:
        buckets = list(zip(bounds, accumulate(route.latency.counts), strict=True))
        metric.add_metric((route.name,), buckets, route.latency.seconds)
    return metric


class RouterCollector(Collector):
    """Reads a running router when it is collected, for a registry of one's own; only on the loop's thread.

    What stores of queues count is asked of them beforehand: `refresh` of `queues`.
    """

    def __init__(self, running: Running, counts: EventCounts, queues: QueueSamples | None = None) -> None:
        self._running = running
        self._counts = counts
        self._queues = queues or QueueSamples(running.clock)

    def collect(self) -> Iterator[Metric]:
        return metrics_of(read(self._running, self._counts, self._queues))

    def describe(self) -> Iterable[Metric]:
        """Nothing: without it a registry would collect when this is registered."""
        return ()


class _Read(Collector):
    """A reading that was taken before."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def collect(self) -> Iterator[Metric]:
        return metrics_of(self._reading)

    def describe(self) -> Iterable[Metric]:
        return ()


class Metrics:
    """What `/metrics` answers. Made before the engine starts, so that no event goes uncounted."""

    def __init__(self, running: Running) -> None:
        self.counts = EventCounts(running.events)
        self._queues = QueueSamples(running.clock)
        self._running = running
        self._rendering = asyncio.Lock()

    def close(self) -> None:
        self.counts.close()

    async def render(self, accept: str = "") -> tuple[bytes, str]:
        """The text and its content type; OpenMetrics where `accept` asks for it.

        Only the reading is done on the loop. The text of 2,000 actors takes a good part of a second to make,
        so that is a thread's work, and one at a time.
        """
        encode, content_type = choose_encoder(accept)
        async with self._rendering:
            await self._queues.refresh(self._running.supervisor.children.values())
            registry = CollectorRegistry(auto_describe=False)
            registry.register(_Read(read(self._running, self.counts, self._queues)))
            ProcessCollector(registry=registry)
            return await asyncio.to_thread(encode, registry), content_type
