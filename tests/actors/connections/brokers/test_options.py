"""The options of brokers in the house: what each broker can keep, and where a problem is."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from actors.connections.mqtt.brokers.house_broker import Address
from actors.connections.mqtt.brokers.options import (
    HouseKind,
    HouseOptions,
    parse_address,
    problems,
)
from actors.core.option_problem import OptionProblem, refuse


def found(kind: HouseKind | None, given: dict[str, Any], *, mqtt5: bool = False) -> list[OptionProblem]:
    return list(problems(kind, HouseOptions.model_validate(given), mqtt5=mqtt5))


def paths(kind: HouseKind | None, given: dict[str, Any], *, mqtt5: bool = False) -> list[tuple[str, ...]]:
    return [problem.path for problem in found(kind, given, mqtt5=mqtt5)]


@pytest.mark.parametrize("kind", ["embedded", "mosquitto"])
def test_a_broker_needs_no_options(kind: HouseKind) -> None:
    """It listens on loopback, and lets in whoever can read the state directory."""
    options = HouseOptions()
    assert not found(kind, {})
    assert options.listen.named() == {"mqtt": Address("127.0.0.1", 0)}
    assert not options.users
    assert not options.anonymous


def test_what_the_embedded_broker_cannot_keep_names_the_other() -> None:
    """The file says `persistence: true`, and nothing would be kept."""
    (problem,) = found("embedded", {"persistence": True})
    assert problem.path == ("persistence",)
    assert "mosquitto:" in problem.suggestion
    assert not found("embedded", {"persistence": False})
    assert not found("mosquitto", {"persistence": True})


def test_the_embedded_broker_has_no_mqtt_5_over_websocket() -> None:
    given = {"listen": {"websocket": "127.0.0.1:0"}}
    (problem,) = found("embedded", given, mqtt5=True)
    assert problem.path == ("listen", "websocket")
    assert "mosquitto:" in problem.suggestion
    assert not found("embedded", given)
    assert not found("mosquitto", given, mqtt5=True)


@pytest.mark.parametrize("kind", ["embedded", "mosquitto"])
@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.7", "[::]"])
def test_who_listens_beyond_loopback_lets_nobody_in_unknown(kind: HouseKind, host: str) -> None:
    """Without `anonymous` there is a password in any case, be it a random one."""
    listen = {"mqtt": f"{host}:1883", "websocket": f"{host}:8083"}
    assert paths(kind, {"listen": listen, "anonymous": True}) == [("listen", "mqtt"), ("listen", "websocket")]
    assert not found(kind, {"listen": listen})
    assert not found(kind, {"listen": listen, "users": {"panel": "secret"}})
    assert not found(kind, {"listen": {"mqtt": "[::1]:1883"}, "anonymous": True})


def test_users_and_anonymous_contradict_each_other() -> None:
    assert paths("mosquitto", {"users": {"panel": "secret"}, "anonymous": True}) == [("anonymous",)]


def test_two_listeners_do_not_share_a_port() -> None:
    """Two free ports are two."""
    same = {"mqtt": "127.0.0.1:1883", "mqtt5": "127.0.0.1:1884", "websocket": "127.0.0.1:1883"}
    assert paths("embedded", {"listen": same}) == [("listen", "websocket")]
    assert not found("embedded", {"listen": {"mqtt": "127.0.0.1:0", "mqtt5": "127.0.0.1:0"}})


def test_a_broker_elsewhere_takes_none_of_them() -> None:
    """Nothing that is written into the file is ignored."""
    given = {"listen": {}, "users": {}, "anonymous": False, "persistence": False}
    assert paths(None, given) == [("listen",), ("users",), ("anonymous",), ("persistence",)]
    assert not found(None, {})


def test_a_problem_is_refused_at_its_place() -> None:
    """As one pydantic error, which the topology's report takes apart again."""
    options = HouseOptions(persistence=True)
    with pytest.raises(ValidationError) as refused:
        refuse(problems("embedded", options), HouseOptions)
    (error,) = refused.value.errors()
    assert error["loc"] == ("persistence",)
    assert error["msg"] == "the embedded broker keeps nothing over a restart"
    assert "mosquitto:" in error["ctx"]["suggestion"]
    refuse(problems("mosquitto", options), HouseOptions)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:1883", Address("127.0.0.1", 1883)),
        ("localhost:0", Address("127.0.0.1", 0)),
        ("[::1]:8083", Address("::1", 8083)),
        ("0.0.0.0:1", Address("0.0.0.0", 1)),
    ],
)
def test_an_address_is_an_ip_address_and_a_port(text: str, address: Address) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text", ["", "1883", ":1883", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "::1:1883", "[127.0.0.1]:1", "host:1"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    """A host's name is none: what it stands for may change, and the two brokers disagree about it."""
    with pytest.raises(ValueError):
        parse_address(text)


@given(st.ip_addresses(), st.integers(0, 65535))
def test_an_address_is_written_as_it_is_read(ip: Any, port: int) -> None:
    address = Address(str(ip), port)
    assert parse_address(str(address)) == address


@pytest.mark.parametrize("name", ["", "a:b", "a\nb", "a\x00"])
def test_a_users_name_fits_into_a_password_file(name: str) -> None:
    with pytest.raises(ValidationError):
        HouseOptions.model_validate({"users": {name: "secret"}})


@pytest.mark.parametrize("password", ["", "a\nb", "x" * 1025])
def test_a_password_that_a_broker_could_not_hold_is_refused_unseen(password: str) -> None:
    with pytest.raises(ValidationError):
        HouseOptions.model_validate({"users": {"panel": password}})


def test_passwords_are_not_shown() -> None:
    assert "s3cret" not in repr(HouseOptions.model_validate({"users": {"panel": "s3cret"}}))
