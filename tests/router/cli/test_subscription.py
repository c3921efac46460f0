"""The line that `router start` proposes for watching what is published by MQTT."""

import shutil
from collections.abc import Collection
from pathlib import Path

import pytest

from router.catalog import Catalog
from router.cli.example import Example
from router.cli.subscription import subscriptions
from router.topology.check import check


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether or not this machine has it."""
    monkeypatch.setattr(shutil, "which", lambda program: f"/usr/bin/{program}")


def proposed(url: str, *publish: str, more: str = "", late: Collection[str] = ()) -> list[Example]:
    """For targets that publish to these topics."""
    lines = ["router: 1", "name: test", f"connections: {{house: {{type: mqtt, url: '{url}'{more}}}}}", "actors:"]
    lines += [
        f"  a{number}: {{type: mqtt, connection: house, publish: '{topic}'}}" for number, topic in enumerate(publish)
    ]
    lines.append("  in: {type: mqtt, connection: house, subscribe: other/#}")
    topology, problems = check("\n".join(lines), path=Path("t.yaml"), catalog=Catalog.installed(), environ={})
    assert topology is not None, problems
    return subscriptions(topology, Path(".router"), late=late)


def test_a_broker_in_the_house_is_found_in_the_state_directory() -> None:
    """No port that could change, and no password, stands in the line."""
    (example,) = proposed("embedded:", "notifications/new")
    assert example.line == "XDG_CONFIG_HOME=.router/brokers/house mosquitto_sub -t notifications/new -v"
    assert example.note == ""


def test_all_that_is_published_is_in_one_line() -> None:
    """Each topic once; what a message puts into one stands for any."""
    (example,) = proposed("mosquitto:", "a/{{ data.x }}-{{ data.y }}/b", "a/{{ data.z }}/b", "hola a todos")
    assert example.words[1:] == ("-t a/+/b", "-t 'hola a todos'", "-v")


def test_users_have_their_own_passwords() -> None:
    """Which nobody is shown."""
    (example,) = proposed("embedded:", "a", more=", users: {ada: s3cret}")
    assert '-u ada -P "$PASSWORD"' in example.line
    assert example.note == "set PASSWORD to that user's password first"


def test_a_broker_elsewhere_is_named() -> None:
    """With its user, and without the password."""
    (example,) = proposed("mqtt://broker.example:1884", "a")
    assert example.line == "mosquitto_sub -h broker.example -p 1884 -t a -v"
    (example,) = proposed("mqtt://ada:s3cret@broker.example", "a")
    assert example.line == 'mosquitto_sub -h broker.example -p 1883 -u ada -P "$PASSWORD" -t a -v'


@pytest.mark.parametrize("url", ["mqtts://broker.example", "ws://broker.example", "wss://broker.example"])
def test_what_takes_more_than_a_line_is_left_out(url: str) -> None:
    """Certificates, or another transport."""
    assert proposed(url, "a") == []


def test_only_what_can_be_seen_is_proposed() -> None:
    """Nothing is published, or not yet."""
    assert proposed("embedded:") == []
    assert proposed("embedded:", "a", late={"a0"}) == []
    (example,) = proposed("embedded:", "a", "b", late={"a0"})
    assert example.words[1:] == ("-t b", "-v")


def test_where_it_is_not_installed_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """On Debian and its kin."""
    monkeypatch.setattr(shutil, "which", lambda _: None)
    (example,) = proposed("embedded:", "a")
    assert example.note == "mosquitto_sub is in the package mosquitto-clients"
