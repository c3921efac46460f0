"""Metrics of MQTT: what its actors have counted, and the connections that broke or could not be made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily, Metric

from actors.connections.mqtt.traffic import BOUNDS_S, Traffic
from actors.core.child import Child
from actors.core.events import ConnectionFailed, ConnectionLost, Events

ACTOR: Final = ("connection", "actor")
CONNECTION: Final = ("connection",)

PUBLISHED: Final = "mqtt_messages_published_total"
CONSUMED: Final = "mqtt_messages_consumed_total"
LATENCY: Final = "mqtt_messages_latency_seconds"
ERRORS: Final = "mqtt_connection_errors_total"

REFERENCE: Final[tuple[tuple[str, str, tuple[str, ...], str], ...]] = (
    (PUBLISHED, "counter", ACTOR, "Messages published that the broker has acknowledged; of QoS 0, that were sent."),
    (CONSUMED, "counter", ACTOR, "Messages that have arrived from the broker."),
    (LATENCY, "histogram", ACTOR, "From when an actor is given a message until the broker has acknowledged it."),
    (ERRORS, "counter", CONNECTION, "Connections to a broker that broke, and attempts at connecting that failed."),
)
"""Every metric of MQTT: name, kind, labels, meaning."""

_HELP: Final = {name: text for name, _, _, text in REFERENCE}


@dataclass(frozen=True, slots=True)
class TrafficReading:
    """What one actor has counted at this moment."""

    actor: str
    connection: str
    published: int
    consumed: int
    latencies: tuple[int, ...]
    latency_sum_s: float


@dataclass(frozen=True, slots=True)
class MqttReading:
    """All of MQTT at one turn of the loop."""

    actors: tuple[TrafficReading, ...]
    errors: Mapping[str, int]
    """By connection."""


class ConnectionErrors:
    """Counts connections that broke and attempts that failed, by the name of the connection."""

    def __init__(self, events: Events) -> None:
        self.counts: dict[str, int] = {}
        self._unsubscribe: list[Callable[[], None]] = [
            events.subscribe(ConnectionLost, self._count),
            events.subscribe(ConnectionFailed, self._count),
        ]

    def close(self) -> None:
        for unsubscribe in self._unsubscribe:
            unsubscribe()

    def _count(self, event: ConnectionLost | ConnectionFailed) -> None:
        self.counts[event.connection] = self.counts.get(event.connection, 0) + 1


def read_mqtt(children: Iterable[Child], errors: ConnectionErrors) -> MqttReading:
    """Look once. A connection that no running actor uses is left out, unless it has failed."""
    actors = []
    for child in children:
        traffic = getattr(child.actor, "traffic", None)
        if isinstance(traffic, Traffic):
            actors.append(
                TrafficReading(
                    child.name,
                    traffic.connection,
                    traffic.published,
                    traffic.consumed,
                    tuple(traffic.latencies),
                    traffic.latency_sum_s,
                )
            )
    # One that has never failed is 0, and not absent: alerts compare it.
    return MqttReading(tuple(actors), dict.fromkeys((each.connection for each in actors), 0) | errors.counts)


def metrics_of_mqtt(reading: MqttReading) -> Iterator[Metric]:
    """A reading as prometheus-client has it; the names are there also where there is no MQTT."""
    published = CounterMetricFamily(PUBLISHED, _HELP[PUBLISHED], labels=ACTOR)
    consumed = CounterMetricFamily(CONSUMED, _HELP[CONSUMED], labels=ACTOR)
    latency = HistogramMetricFamily(LATENCY, _HELP[LATENCY], labels=ACTOR)
    errors = CounterMetricFamily(ERRORS, _HELP[ERRORS], labels=CONNECTION)
    for each in reading.actors:
        labels = (each.connection, each.actor)
        published.add_metric(labels, each.published)
        consumed.add_metric(labels, each.consumed)
        bounds = (*map(str, BOUNDS_S), "+Inf")
        buckets = list(zip(bounds, accumulate(each.latencies), strict=True))
        latency.add_metric(labels, buckets, each.latency_sum_s)
    for connection, count in reading.errors.items():
        errors.add_metric((connection,), count)
    yield from (published, consumed, latency, errors)
