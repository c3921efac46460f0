"""What MQTT actors have counted, as Prometheus reads it."""

from __future__ import annotations

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from actors.connections.mqtt.traffic import BOUNDS_S, Traffic
from actors.core.events import ConnectionFailed, ConnectionLost, ConnectionOpened, Events
from router.telemetry.mqtt import REFERENCE, ConnectionErrors, MqttReading, TrafficReading, metrics_of_mqtt


class Given(Collector):
    """A reading that a test has made."""

    def __init__(self, reading: MqttReading) -> None:
        self._reading = reading

    def collect(self) -> list[Metric]:
        return list(metrics_of_mqtt(self._reading))


def scraped(reading: MqttReading) -> list[str]:
    registry = CollectorRegistry()
    registry.register(Given(reading))
    return generate_latest(registry).decode().splitlines()


def test_latencies_are_counted_in_classes_that_add_up() -> None:
    """A bucket holds what took no longer than its bound, as Prometheus has it."""
    traffic = Traffic("broker")
    for took_s in (0.0, 0.001, 0.0011, 0.3, 60.0):
        traffic.acknowledged(took_s)
    assert (traffic.published, sum(traffic.latencies), len(traffic.latencies)) == (5, 5, len(BOUNDS_S) + 1)
    reading = TrafficReading("out", "broker", traffic.published, 7, tuple(traffic.latencies), traffic.latency_sum_s)
    lines = scraped(MqttReading((reading,), {"broker": 2}))
    who = 'actor="out",connection="broker"'
    for bound, count in (("0.001", 2), ("0.0025", 3), ("0.25", 3), ("0.5", 4), ("10.0", 4), ("+Inf", 5)):
        assert f'mqtt_messages_latency_seconds_bucket{{{who},le="{bound}"}} {count}.0' in lines, "\n".join(lines)
    assert f"mqtt_messages_latency_seconds_count{{{who}}} 5.0" in lines
    assert f"mqtt_messages_published_total{{{who}}} 5.0" in lines
    assert f"mqtt_messages_consumed_total{{{who}}} 7.0" in lines
    assert 'mqtt_connection_errors_total{connection="broker"} 2.0' in lines


def test_the_names_are_there_without_any_mqtt() -> None:
    """Each with its kind and its meaning."""
    lines = scraped(MqttReading((), {}))
    assert {line.split()[2] for line in lines if line.startswith("# TYPE")} == {name for name, _, _, _ in REFERENCE}


def test_what_broke_and_what_could_not_be_made_are_errors() -> None:
    """What was opened is none; nothing is counted after the end."""
    events = Events()
    errors = ConnectionErrors(events)
    events.emit(ConnectionOpened("broker", "c", "mqtt://h:1"))
    events.emit(ConnectionLost("broker", "c", "gone"))
    events.emit(ConnectionFailed("broker", "c", "refused"))
    events.emit(ConnectionFailed("other", "c", "refused"))
    errors.close()
    events.emit(ConnectionFailed("other", "c", "refused"))
    assert errors.counts == {"broker": 2, "other": 1}
