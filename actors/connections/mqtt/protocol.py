"""What an MQTT connection is to the rest of the router, whichever library speaks the protocol.

A `Driver` is one connection over one socket, from CONNECT to its end: it encodes, decodes and keeps alive, and
decides nothing. Its `Peer` has the session, which outlives the socket: what was published and is not
acknowledged (`window.py`), and what has arrived and is not acknowledged (`arrivals.py`).
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple, Protocol

from actors.core.errors import DeliveryError, RouterError

Qos = Literal[0, 1, 2]
Version = Literal["3.1.1", "5"]

MAX_PACKET: Final = 268_435_455
"""Bytes behind a packet's fixed header: what its length can say."""
PACKET_IDS: Final = 65_535


class MqttError(RouterError):
    """A connection could not be made, or the broker broke the protocol; the text says which reason it gave."""


class FilterRefusedError(MqttError):
    """The broker does not subscribe to a filter, or not unsubscribe; the connection goes on."""


class Server(NamedTuple):
    """Where a broker is."""

    host: str
    port: int
    tls: bool = False
    websocket_path: str | None = None
    """Where this is given, MQTT goes over WebSocket."""
    username: str | None = None
    password: str | None = None

    def __str__(self) -> str:
        scheme = ("wss" if self.tls else "ws") if self.websocket_path is not None else "mqtts" if self.tls else "mqtt"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}{self.websocket_path or ''}"


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker publishes when the connection breaks."""

    topic: str
    payload: bytes
    qos: Qos
    retain: bool
    delay_s: int


@dataclass(frozen=True, slots=True)
class Login:
    """What a CONNECT packet says besides where it goes."""

    client_id: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    keepalive_s: int = 30
    session_s: int = 0
    """How long the broker keeps the session when nobody is connected (MQTT 5); 0: not at all."""
    receive_maximum: int = PACKET_IDS
    max_packet: int = MAX_PACKET
    will: Will | None = None
    tls: ssl.SSLContext | None = None


@dataclass(frozen=True, slots=True)
class Welcome:
    """What the broker grants in its CONNACK."""

    session_present: bool
    receive_maximum: int
    """How many publishes it takes before it has acknowledged one."""
    max_packet: int = MAX_PACKET
    max_qos: int = 2
    retain: bool = True


class Subscription(NamedTuple):
    """A filter that a source subscribes to."""

    filter: str
    qos: Qos = 1
    retained: bool = True
    """Whether the broker sends what it retains."""


class Acknowledged(Protocol):
    """Who is told what became of a publish."""

    def acknowledged(self, publish: Publish, reason: int) -> None:
        """The broker answered with this reason code; from 0x80 it refuses. QoS 0: it was sent."""
        ...

    def failed(self, publish: Publish, error: DeliveryError) -> None:
        """Nothing was sent (`connect`), or no answer will come to what was (`unknown`)."""
        ...


UserProperties = Sequence[tuple[str, str]]


class Publish:
    """A message for the broker. MQTT 3.1.1 carries topic, payload, QoS and retain, and nothing else."""

    __slots__ = (
        "content_type",
        "correlation_data",
        "done",
        "expiry_s",
        "payload",
        "qos",
        "response_topic",
        "retain",
        "topic",
        "user_properties",
    )

    def __init__(
        self,
        topic: str,
        payload: bytes,
        qos: Qos,
        retain: bool,
        done: Acknowledged,
        user_properties: UserProperties = (),
        content_type: str | None = None,
        response_topic: str | None = None,
        correlation_data: bytes | None = None,
        expiry_s: int | None = None,
    ) -> None:
        self.topic = topic
        self.payload = payload
        self.qos: Qos = qos
        self.retain = retain
        self.done = done
        self.user_properties = user_properties
        self.content_type = content_type
        self.response_topic = response_topic
        self.correlation_data = correlation_data
        self.expiry_s = expiry_s


class Arrival:
    """A message from the broker."""

    __slots__ = (
        "content_type",
        "correlation_data",
        "duplicate",
        "expiry_s",
        "packet_id",
        "payload",
        "qos",
        "response_topic",
        "retain",
        "settled",
        "topic",
        "user_properties",
    )

    def __init__(
        self,
        packet_id: int,
        topic: str,
        payload: bytes,
        qos: int,
        retain: bool,
        duplicate: bool,
        user_properties: UserProperties = (),
        content_type: str | None = None,
        response_topic: str | None = None,
        correlation_data: bytes | None = None,
        expiry_s: int | None = None,
    ) -> None:
        self.packet_id = packet_id
        """0 with QoS 0."""
        self.topic = topic
        self.payload = payload
        self.qos = qos
        self.retain = retain
        self.duplicate = duplicate
        self.user_properties = user_properties
        self.content_type = content_type
        self.response_topic = response_topic
        self.correlation_data = correlation_data
        self.expiry_s = expiry_s
        self.settled = False
        """It may be acknowledged."""


class Peer(Protocol):
    """Who a driver speaks to. All of it runs on the loop, in the order of the packets."""

    def connected(self, welcome: Welcome) -> None:
        """The broker let us in; what it sends next may follow before `connect` has returned."""
        ...

    def arrived(self, arrival: Arrival) -> None:
        """PUBLISH: to be acknowledged with `acknowledge`, unless its QoS is 0."""
        ...

    def released(self, packet_id: int) -> None:
        """PUBREL: to be answered with `complete`."""
        ...

    def acknowledged(self, packet_id: int, reason: int) -> None:
        """PUBACK, PUBCOMP, or a PUBREC that refuses: the end of a publish."""
        ...

    def received(self, packet_id: int, reason: int) -> None:
        """PUBREC: to be answered with `release`."""
        ...

    def writable(self, is_writable: bool) -> None:
        """Whether more may be sent: the socket's buffer is full, or has room again."""
        ...

    def lost(self, why: str) -> None:
        """The connection that `connected` told of is gone. The last call."""
        ...


class Driver(Protocol):
    """One MQTT connection over one socket. What it sends in one turn of the loop leaves in one write."""

    async def connect(self, *, clean: bool) -> Welcome:
        """Raises OSError or `MqttError` where that fails; `clean` has the broker forget the session."""
        ...

    async def subscribe(self, subscriptions: Sequence[Subscription]) -> Sequence[int]:
        """The QoS that each is granted; raises `FilterRefusedError` and `MqttError`.

        Not while another call, or one of `unsubscribe`, waits for its answer.
        """
        ...

    async def unsubscribe(self, filters: Sequence[str]) -> None:
        """What nobody has subscribed to is no error; raises `FilterRefusedError` and `MqttError`."""
        ...

    def publish(self, packet_id: int, publish: Publish, *, duplicate: bool) -> None:
        """Raises ValueError for what cannot be encoded; nothing is sent then."""
        ...

    def release(self, packet_id: int) -> None:
        """Send PUBREL."""
        ...

    def acknowledge(self, packet_id: int, qos: int) -> None:
        """Send PUBACK, or PUBREC for QoS 2."""
        ...

    def complete(self, packet_id: int) -> None:
        """Send PUBCOMP."""
        ...

    async def close(self) -> None:
        """Send DISCONNECT behind all that was to be sent, and end; `lost` is not called any more."""
        ...
