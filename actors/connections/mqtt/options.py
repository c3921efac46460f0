"""The options of an MQTT connection."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import BeforeValidator, Field, ModelWrapValidatorHandler, field_validator, model_validator
from pydantic_core import PydanticCustomError

from actors.connections.client_tls import ClientTlsOptions
from actors.connections.mqtt.brokers.options import HouseKind, HouseOptions, problems
from actors.connections.mqtt.protocol import Server, Version
from actors.connections.mqtt.topics import check_topic
from actors.core.option_problem import OptionProblem, refuse
from actors.core.spec import Options
from actors.kit.secrets import Secret
from actors.kit.units import Between, Duration, Size

HOUSES: Final[dict[str, HouseKind]] = {"embedded:": "embedded", "mosquitto:": "mosquitto"}

PORTS: Final = {"mqtt": 1883, "mqtts": 8883, "ws": 80, "wss": 443}
DEFAULT_PATH: Final = "/mqtt"
"""Where brokers serve MQTT over WebSocket by convention."""

LONGEST_CLIENT_ID: Final = 200

_EXPECTED: Final = "expected embedded:, mosquitto:, or a URL such as mqtt://host:1883, mqtts://, ws:// or wss://"


class WillOptions(Options):
    """What the broker publishes when the router's connection for publishing breaks."""

    topic: str
    """Where to."""
    payload: str = ""
    """What."""
    qos: Literal[0, 1, 2] = 1
    """The QoS of the broker's publish."""
    retain: bool = False
    """Whether the broker retains it."""
    delay: Annotated[Duration, Between("0s", "1d")] = Duration("0s")
    """How long the broker waits for the router to come back before it publishes (MQTT 5)."""

    @model_validator(mode="after")
    def _is_topic(self) -> Self:
        check_topic(self.topic)
        return self


def _listed(value: Any) -> Any:
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


class MqttConnectionOptions(HouseOptions):
    """What an MQTT connection can be told."""

    url: Annotated[
        tuple[str, ...], Field(min_length=1), BeforeValidator(_listed, json_schema_input_type=str | tuple[str, ...])
    ]
    """The broker: `embedded:`, `mosquitto:`, or `mqtt://`, `mqtts://`, `ws://` or `wss://` with host and port; a
    list of those is tried in turn."""
    protocol: Literal[5, "3.1.1"] | None = None
    """The version of MQTT; left out, 5, and 3.1.1 over WebSocket, where the router speaks no other."""
    username: str | None = None
    """Who the router is to the broker; left out, the URL's user."""
    password: Secret | None = None
    """That user's password."""
    client_id: str | None = Field(None, pattern=r"^[^+#$/\x00-\x1f\x7f]+$", max_length=LONGEST_CLIENT_ID)
    """What the client ids begin with: `-pub` or the source's name follows. Left out, one is made and kept in the
    state directory, so that sessions are found again."""
    tls: ClientTlsOptions | None = None
    """What to trust, for `mqtts:` and `wss:`."""
    keepalive: Annotated[Duration, Between("2s", "18h")] = Duration("30s")
    """A broker that is silent for so long is taken for dead."""
    max_packet: Annotated[Size, Between("1KiB", "255MiB")] = Size("16MiB")
    """The largest packet taken from the broker; of MQTT 5 the broker sends no larger one."""
    will: WillOptions | None = None
    """What the broker publishes when the router's connection for publishing breaks."""

    @field_validator("url")
    @classmethod
    def _one_kind(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        if any(url in HOUSES for url in urls):
            if len(urls) > 1:
                raise _mistake("a broker in the house stands alone, and not in a list")
            return urls
        if len({parse_url(url).websocket_path is None for url in urls}) > 1:
            raise _mistake("the URLs of one connection all go over WebSocket, or none of them")
        return urls

    @model_validator(mode="wrap")
    @classmethod
    def _consistent(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        options = handler(value)
        refuse(options._problems(), cls, value)
        return options

    def _problems(self) -> Iterator[OptionProblem]:
        yield from problems(self.house, self, mqtt5=self.protocol == 5)
        if self.house is not None:
            for name in ("username", "password"):
                if getattr(self, name) is not None:
                    message = "a broker in the house has users of its own"
                    yield OptionProblem((name,), message, "give 'users' in its place, or remove it")
            if self.tls is not None:
                yield OptionProblem(("tls",), "a broker in the house has no TLS yet", "remove it")
        else:
            yield from self._of_another_house()
        if self.version == "3.1.1" and self.will is not None and self.will.delay:
            message = "MQTT 3.1.1 publishes a will at once"
            yield OptionProblem(("will", "delay"), message, "remove it, or use MQTT 5")

    def _of_another_house(self) -> Iterator[OptionProblem]:
        servers = self.servers
        if self.protocol == 5 and any(server.websocket_path is not None for server in servers):
            message = "over WebSocket this router speaks MQTT 3.1.1"
            yield OptionProblem(("protocol",), message, "remove it, or use mqtt:// or mqtts://")
        if self.tls is None:
            return
        if not all(server.tls for server in servers):
            yield OptionProblem(("tls",), "the URL is none of mqtts:// and wss://", "write one of them, or remove it")
        yield from self.tls.problems()

    @property
    def house(self) -> HouseKind | None:
        """Which broker in the house it is; None: one outside."""
        return HOUSES.get(self.url[0])

    @property
    def servers(self) -> tuple[Server, ...]:
        """Where brokers outside the house are."""
        return tuple(parse_url(url) for url in self.url)

    @property
    def version(self) -> Version:
        if self.protocol is not None:
            return "5" if self.protocol == 5 else "3.1.1"
        return "5" if self.house is not None or self.servers[0].websocket_path is None else "3.1.1"


def parse_url(url: str) -> Server:
    """Where a URL leads; raises PydanticCustomError for what is none of MQTT's."""
    try:
        split = urlsplit(url)
        port = split.port
    except ValueError:
        raise _mistake(_EXPECTED) from None
    if split.scheme not in PORTS or not split.hostname or split.query or split.fragment:
        raise _mistake(_EXPECTED)
    is_websocket = split.scheme in ("ws", "wss")
    if not is_websocket and split.path not in ("", "/"):
        raise _mistake(f"{split.scheme}:// has no path")
    path = split.path if split.path not in ("", "/") else DEFAULT_PATH
    return Server(
        split.hostname,
        PORTS[split.scheme] if port is None else port,
        split.scheme in ("mqtts", "wss"),
        path if is_websocket else None,
        *_user(split),
    )


def _user(split: SplitResult) -> tuple[str | None, str | None]:
    user, password = split.username, split.password
    return (None if user is None else unquote(user), None if password is None else unquote(password))


def _mistake(reason: str) -> PydanticCustomError:
    return PydanticCustomError("mqtt", "{reason}", {"reason": reason})
