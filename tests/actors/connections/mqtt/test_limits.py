"""What a connection cannot keep, and who can."""

from typing import Any

import pytest

from actors.connections.mqtt.limits import hop
from actors.connections.mqtt.options import MqttConnectionOptions
from actors.core.hop import Hop

ALL = ("receive_maximum", "retained", "headers", "expiry", "require_subscriber")


def way(qos: Any = 1, asked: tuple[str, ...] = (), **options: Any) -> Hop:
    return hop(MqttConnectionOptions.model_validate(options), qos, asked)


@pytest.mark.parametrize(
    ("options", "conflicts"),
    [
        ({"url": "mqtt://h"}, ()),
        ({"url": "mosquitto:"}, ()),
        ({"url": "embedded:"}, ("receive_maximum", "retained", "require_subscriber")),
        (
            {"url": "embedded:", "protocol": "3.1.1"},
            ("receive_maximum", "headers", "expiry", "require_subscriber"),
        ),
        ({"url": "mosquitto:", "protocol": "3.1.1"}, ("receive_maximum", "headers", "expiry", "require_subscriber")),
        ({"url": "ws://h"}, ("receive_maximum", "headers", "expiry", "require_subscriber")),
    ],
)
def test_what_is_asked_and_cannot_be_kept_is_a_conflict(options: dict[str, Any], conflicts: tuple[str, ...]) -> None:
    """Each names what could keep it: the other broker, or the other version."""
    found = way(asked=ALL, **options).conflicts
    assert tuple(problem.path[0] for problem in found) == conflicts
    for problem in found:
        assert "mosquitto:" in problem.suggestion if "embedded" in problem.message else "MQTT 5" in problem.suggestion
    assert way(asked=("qos", "payload"), **options).conflicts == ()


def test_qos_0_loses_and_the_others_acknowledge_in_order() -> None:
    """MQTT 5, 4.6."""
    assert way(0, url="mqtt://h").loses is not None
    assert way(0, url="mqtt://h").acknowledges == "no"
    assert way(2, url="mqtt://h").loses is None
    assert way(2, url="mqtt://h").acknowledges == "in_order"


@pytest.mark.parametrize(
    ("options", "towards"),
    [
        ({"url": "mqtt://h", "protocol": "3.1.1"}, "remove 'protocol'"),
        ({"url": "wss://h"}, "mqtt:// or mqtts://"),
    ],
)
def test_mqtt_311_carries_no_idempotency_key(options: dict[str, Any], towards: str) -> None:
    """It says how to get to MQTT 5."""
    dropped = way(**options).drops_id
    assert dropped is not None
    assert towards in dropped.suggestion
    assert way(url="mqtt://h").drops_id is None
