"""The options of an MQTT connection."""

from typing import Any

import pytest
from pydantic import ValidationError

from actors.connections.mqtt.options import MqttConnectionOptions
from actors.connections.mqtt.protocol import Server


def options(**given: Any) -> MqttConnectionOptions:
    return MqttConnectionOptions.model_validate(given)


@pytest.mark.parametrize(
    ("url", "server", "version"),
    [
        ("mqtt://h", Server("h", 1883), "5"),
        ("mqtt://h:1/", Server("h", 1), "5"),
        ("mqtts://h", Server("h", 8883, True), "5"),
        ("ws://h", Server("h", 80, False, "/mqtt"), "3.1.1"),
        ("wss://h/broker", Server("h", 443, True, "/broker"), "3.1.1"),
        ("mqtt://ann:a%2Fb@[::1]:5", Server("::1", 5, username="ann", password="a/b"), "5"),
    ],
)
def test_urls(url: str, server: Server, version: str) -> None:
    """Each scheme has its port; over WebSocket it is MQTT 3.1.1."""
    made = options(url=url)
    assert made.servers == (server,)
    assert made.version == version


def test_a_list_of_urls_is_tried_in_turn() -> None:
    """The brokers of one cluster."""
    assert [server.host for server in options(url=["mqtt://a", "mqtt://b"]).servers] == ["a", "b"]


def test_the_version_can_be_chosen() -> None:
    """5 as a number, 3.1.1 as text: that is what YAML makes of them."""
    assert options(url="mqtt://h", protocol="3.1.1").version == "3.1.1"
    assert options(url="embedded:").version == "5"
    assert options(url="mosquitto:", protocol="3.1.1").version == "3.1.1"


def test_a_broker_in_the_house_has_its_options() -> None:
    """See `brokers/options.py`."""
    made = options(url="mosquitto:", persistence=False, users={"ann": "secret"})
    assert made.house == "mosquitto"
    assert options(url="mqtt://h").house is None


def test_a_server_shows_no_password() -> None:
    """It stands in events."""
    assert str(options(url="wss://ann:secret@h/x").servers[0]) == "wss://h:443/x"


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"url": []},
        {"url": "http://h"},
        {"url": "mqtt://"},
        {"url": "mqtt://h:99999"},
        {"url": "mqtt://h/path"},
        {"url": "mqtt://h?x=1"},
        {"url": ["embedded:", "mqtt://h"]},
        {"url": ["ws://h", "mqtt://h"]},
        {"url": "ws://h", "protocol": 5},
        {"url": "mqtt://h", "protocol": 4},
        {"url": "mqtt://h", "tls": {}},
        {"url": "mqtts://h", "tls": {"key": "k"}},
        {"url": "mqtt://h", "listen": {}},
        {"url": "mqtt://h", "persistence": True},
        {"url": "embedded:", "persistence": True},
        {"url": "embedded:", "username": "ann"},
        {"url": "mqtt://h", "client_id": "a/b"},
        {"url": "mqtt://h", "keepalive": "0s"},
        {"url": "mqtt://h", "will": {"topic": "a/#"}},
        {"url": "ws://h", "will": {"topic": "a", "delay": "1s"}},
        {"url": "mqtts://h", "protocol": "3.1.1", "will": {"topic": "a", "delay": "1s"}},
    ],
)
def test_mistakes(wrong: dict[str, Any]) -> None:
    """Each one is a problem of the file."""
    with pytest.raises(ValidationError):
        options(**wrong)


def test_a_mistake_is_at_its_option() -> None:
    """Each of several, with what to do."""
    with pytest.raises(ValidationError) as refused:
        options(
            url="mqtt://h", persistence=True, tls={"key": "k"}, protocol="3.1.1", will={"topic": "a", "delay": "1s"}
        )
    assert [error["loc"] for error in refused.value.errors()] == [
        ("persistence",),
        ("tls",),
        ("tls", "key"),
        ("will", "delay"),
    ]
    assert all(error["ctx"]["suggestion"] for error in refused.value.errors())
