"""What a connection cannot keep of what an `mqtt` actor is told, and which other one can."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Final

from actors.connections.mqtt.options import MqttConnectionOptions
from actors.connections.mqtt.protocol import Qos
from actors.core.hop import Hop
from actors.core.option_problem import OptionProblem

QOS_0: Final = OptionProblem(("qos",), "QoS 0 may lose a message unnoticed", "write 1 or 2")

NOT_EMBEDDED: Final[Mapping[str, str]] = {
    "require_subscriber": "the embedded broker does not tell whether anybody has subscribed",
    "receive_maximum": "the embedded broker sends on without regard to what is acknowledged",
}
NOT_EMBEDDED_5: Final[Mapping[str, str]] = {
    # Of MQTT 3.1.1 the router itself leaves out what was retained.
    "retained": "the embedded broker sends what it has retained all the same",
}
NOT_311: Final[Mapping[str, str]] = {
    "require_subscriber": "MQTT 3.1.1 does not tell whether anybody has subscribed",
    "receive_maximum": "MQTT 3.1.1 cannot tell the broker",
    "headers": "MQTT 3.1.1 carries none",
    "expiry": "MQTT 3.1.1 cannot tell the broker",
}


def hop(connection: MqttConnectionOptions, qos: Qos, asked: Collection[str]) -> Hop:
    """The way over a connection; `asked` are the options of an actor that ask for something, in their order."""
    return Hop(
        acknowledges="in_order" if qos else "no",  # MQTT 5, 4.6
        loses=None if qos else QOS_0,
        drops_id=_drops_id(connection),
        conflicts=tuple(_conflicts(connection, asked)),
    )


def _conflicts(connection: MqttConnectionOptions, asked: Collection[str]) -> Iterator[OptionProblem]:
    embedded, old = connection.house == "embedded", connection.version == "3.1.1"
    for name in asked:
        if embedded and (reason := NOT_EMBEDDED.get(name) or (None if old else NOT_EMBEDDED_5.get(name))):
            yield OptionProblem((name,), reason, "set the connection's url to 'mosquitto:', which does as it is told")
        elif old and (reason := NOT_311.get(name)):
            yield OptionProblem((name,), reason, f"use MQTT 5: {_towards_5(connection)}")


def _drops_id(connection: MqttConnectionOptions) -> OptionProblem | None:
    if connection.version == "5":
        return None
    return OptionProblem(
        ("connection",),
        "MQTT 3.1.1 has no headers, and so no idempotency key",
        f"put '{{{{ message.id }}}}' into 'payload', or use MQTT 5: {_towards_5(connection)}",
    )


def _towards_5(connection: MqttConnectionOptions) -> str:
    if connection.house is None and connection.servers[0].websocket_path is not None:
        return "give the connection a URL of mqtt:// or mqtts://"
    return "remove 'protocol' from the connection"
