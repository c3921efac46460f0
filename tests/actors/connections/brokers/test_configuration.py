"""What is written for rumqttd and for mosquitto."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.connections.mqtt.brokers import embedded_broker, mosquitto_broker
from actors.connections.mqtt.brokers.credentials import Credentials
from actors.connections.mqtt.brokers.house_broker import Address, Addresses, Login

TCP = Addresses(Address("127.0.0.1", 1883), Address("127.0.0.1", 1884))
ALL = Addresses(Address("127.0.0.1", 1883), Address("::1", 1884), Address("0.0.0.0", 8083))
ONE_PORT = Addresses(Address("127.0.0.1", 1883), Address("127.0.0.1", 1883))
PANEL = Credentials((Login("panel", "s3cret"),))

printable = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1)


def mosquitto(addresses: Addresses, credentials: Credentials = PANEL, *, persistence: bool = True) -> list[str]:
    text = mosquitto_broker.configuration(addresses, credentials, Path("/state/brokers/it"), persistence=persistence)
    return text.splitlines()


def test_rumqttd_listens_where_it_is_told_and_nowhere_else() -> None:
    """Its defaults are 0.0.0.0, and a console and metrics besides."""
    read = tomllib.loads(embedded_broker.configuration(ALL, PANEL))
    listeners = {kind: read[kind][name]["listen"] for kind, name in (("v4", "mqtt"), ("v5", "mqtt5"))}
    assert listeners == {"v4": "127.0.0.1:1883", "v5": "[::1]:1884"}
    assert read["ws"]["websocket"]["listen"] == "0.0.0.0:8083"
    assert set(read) == {"id", "router", "v4", "v5", "ws"}
    assert "ws" not in tomllib.loads(embedded_broker.configuration(TCP, PANEL))


def test_rumqttd_takes_more_than_20_kilobytes() -> None:
    read = tomllib.loads(embedded_broker.configuration(ALL, PANEL))
    assert read["v5"]["mqtt5"]["connections"]["max_payload_size"] == 4 * 1024 * 1024


@given(st.dictionaries(printable, printable, min_size=1, max_size=3))
def test_rumqttd_knows_each_user_whatever_the_name(users: dict[str, str]) -> None:
    """Names and passwords may hold quotes, dots, backslashes and any letters."""
    credentials = Credentials(tuple(Login(name, password) for name, password in users.items()))
    read = tomllib.loads(embedded_broker.configuration(TCP, credentials))
    assert read["v4"]["mqtt"]["connections"]["auth"] == users
    assert read["v5"]["mqtt5"]["connections"]["auth"] == users


def test_nobody_in_the_credentials_means_that_everybody_may() -> None:
    read = tomllib.loads(embedded_broker.configuration(TCP, Credentials()))
    assert "auth" not in read["v4"]["mqtt"]["connections"]
    assert "allow_anonymous true" in mosquitto(ONE_PORT, Credentials())
    assert not any(line.startswith("password_file") for line in mosquitto(ONE_PORT, Credentials()))


def test_mosquitto_asks_for_a_password() -> None:
    lines = mosquitto(ONE_PORT)
    assert "allow_anonymous false" in lines
    assert "password_file /state/brokers/it/passwords" in lines
    assert "per_listener_settings false" in lines


def test_mosquitto_has_one_listener_for_both_versions() -> None:
    """A second one only where it is named."""
    assert [line for line in mosquitto(ONE_PORT) if line.startswith("listener")] == ["listener 1883 127.0.0.1"]
    assert [line for line in mosquitto(TCP) if line.startswith("listener")] == [
        "listener 1883 127.0.0.1",
        "listener 1884 127.0.0.1",
    ]


def test_each_listener_of_mosquitto_says_its_family() -> None:
    """Without it, a WebSocket listener on 127.0.0.1 takes every address of the machine (seen with 2.0.11)."""
    lines = mosquitto(ALL)
    after = {line: lines[place + 1] for place, line in enumerate(lines) if line.startswith("listener")}
    assert after == {
        "listener 1883 127.0.0.1": "socket_domain ipv4",
        "listener 1884 ::1": "socket_domain ipv6",
        "listener 8083 0.0.0.0": "socket_domain ipv4",
    }
    assert lines[-1] == "protocol websockets"


@pytest.mark.parametrize("persistence", [True, False])
def test_mosquitto_saves_each_second_unless_told_not_to(persistence: bool) -> None:
    lines = mosquitto(ONE_PORT, persistence=persistence)
    assert ("autosave_interval 1" in lines) is persistence
    assert ("autosave_on_changes false" in lines) is persistence
    assert ("persistence_location /state/brokers/it/" in lines) is persistence
