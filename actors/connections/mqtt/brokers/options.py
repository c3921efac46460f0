"""The options of a broker in the house, and what each of the two brokers cannot keep."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from actors.connections.mqtt.brokers.house_broker import Address
from actors.core.option_problem import OptionProblem
from actors.core.spec import Options
from actors.kit.secrets import Secret

HouseKind = Literal["embedded", "mosquitto"]

HOUSE_OPTIONS: Final = ("listen", "users", "anonymous", "persistence")

LONGEST_BYTES: Final = 1024
"""Of a user's name or password."""


def parse_address(text: str) -> Address:
    """The address that `127.0.0.1:1883`, `[::1]:1883` or `localhost:0` means; a ValueError says what is wrong."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or not port.isascii():
        raise ValueError(f"expected an address and a port such as 127.0.0.1:1883, not {text!r}")
    if int(port) > 65_535:
        raise ValueError(f"the port is at most 65535, not {port}")
    host = "127.0.0.1" if host == "localhost" else host
    try:
        address = ip_address(host.removeprefix("[").removesuffix("]") if host.startswith("[") else host)
    except ValueError:
        raise ValueError(f"expected an IP address before the port, not {host!r}") from None
    if (address.version == 6) != host.startswith("["):
        raise ValueError(f"write [{host}]:{port}: an IPv6 address stands in brackets")
    return Address(str(address), int(port))


def _address(text: str) -> str:
    parse_address(text)
    return text


def _username(name: str) -> str:
    if not name or ":" in name or not name.isprintable() or len(name.encode()) > LONGEST_BYTES:
        raise ValueError(f"a user's name is printable, without colons, not empty, and of at most {LONGEST_BYTES} bytes")
    return name


def _password(password: Secret) -> Secret:
    given = password.reveal()
    if not given or not given.isprintable() or len(given.encode()) > LONGEST_BYTES:
        raise ValueError(f"a password is printable, not empty, and of at most {LONGEST_BYTES} bytes")
    return password


ListenAddress = Annotated[str, AfterValidator(_address)]


class Listen(Options):
    """Where a broker in the house listens. Port 0 stands for a free one, which is printed."""

    mqtt: ListenAddress = "127.0.0.1:0"
    """For MQTT 3.1.1; of `mosquitto:` for MQTT 5 as well."""
    mqtt5: ListenAddress | None = None
    """For MQTT 5. Left out, `embedded:` listens on a free port of loopback, and `mosquitto:` needs none."""
    websocket: ListenAddress | None = None
    """For MQTT over WebSocket, which is off where this is left out. `embedded:` speaks MQTT 3.1.1 there."""

    def named(self) -> dict[str, Address]:
        """Each address that is given or stands by default, under its option's name."""
        return {
            name: parse_address(text)
            for name, text in (("mqtt", self.mqtt), ("mqtt5", self.mqtt5), ("websocket", self.websocket))
            if text is not None
        }


class HouseOptions(Options):
    """What only `embedded:` and `mosquitto:` can be told."""

    listen: Listen = Listen()
    """Where a broker in the house listens."""
    users: dict[Annotated[str, AfterValidator(_username)], Annotated[Secret, AfterValidator(_password)]] = Field(
        default_factory=dict
    )
    """Who may log in, each with a password. Left out, only who can read the router's state directory may."""
    anonymous: bool = False
    """Let everybody in who can reach it."""
    persistence: bool | None = None
    """Save sessions and messages each second, and have them after a restart. `mosquitto:` does unless told not to."""


def problems(kind: HouseKind | None, options: HouseOptions, *, mqtt5: bool = False) -> Iterator[OptionProblem]:
    """What is wrong with a connection's options for its broker; `kind` is None for one outside the house.

    `mqtt5` says that every client is to use MQTT 5.
    """
    if kind is None:
        for name in HOUSE_OPTIONS:
            if name in options.model_fields_set:
                message = "only a broker in the house takes it"
                yield OptionProblem((name,), message, "set url to 'embedded:' or 'mosquitto:', or remove it")
        return
    if kind == "embedded":
        if options.persistence:
            message = "the embedded broker keeps nothing over a restart"
            yield OptionProblem(("persistence",), message, "set url to 'mosquitto:', which saves each second")
        if mqtt5 and options.listen.websocket is not None:
            message = "the embedded broker speaks MQTT 3.1.1 over WebSocket, and no MQTT 5"
            yield OptionProblem(("listen", "websocket"), message, "set url to 'mosquitto:', which speaks both")
    if options.anonymous and options.users:
        message = "lets everybody in, while 'users' are given"
        yield OptionProblem(("anonymous",), message, "remove one of them")
    yield from _listening(options)


def _listening(options: HouseOptions) -> Iterator[OptionProblem]:
    taken: dict[Address, str] = {}
    for name, address in options.listen.named().items():
        if options.anonymous and not address.is_loopback:
            message = "everybody who reaches it would be let in"
            yield OptionProblem(
                ("listen", name), message, "give 'users' in place of 'anonymous', or listen on 127.0.0.1"
            )
        if address.port and address in taken:
            message = f"'{taken[address]}' listens there"
            yield OptionProblem(("listen", name), message, "give each a port of its own")
        taken[address] = name
