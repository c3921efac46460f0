"""What was published and is not acknowledged: packet ids, the broker's receive maximum, and whoever waits for it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

from actors.connections.mqtt.protocol import PACKET_IDS, Publish
from actors.core.errors import DeliveryError


class Sender(Protocol):
    """The part of a driver that publishes."""

    def publish(self, packet_id: int, publish: Publish, *, duplicate: bool) -> None: ...

    def release(self, packet_id: int) -> None: ...


class Window:
    """Publishes under way. It outlives connections, so that what QoS 2 promises holds over a short loss.

    Whoever publishes is bounded (`concurrency` of its actor), so what waits here is. Nothing waits while there
    is no connection: it is refused.
    """

    __slots__ = ("_in_flight", "_last_id", "_limit", "_received", "_refuse", "_sender", "_waiting", "_writable")

    def __init__(self, refuse: Callable[[Publish], DeliveryError | None]) -> None:
        """`refuse` says why the broker would not take a publish: it is too large, for example."""
        self._refuse = refuse
        self._sender: Sender | None = None
        self._limit = 0
        self._writable = True
        self._in_flight: dict[int, Publish] = {}
        self._received: dict[int, int] = {}
        """Packet ids for which PUBREC has come and PUBCOMP has not, and the reason codes of those PUBRECs."""
        self._waiting: deque[Publish] = deque()
        self._last_id = 0

    def __len__(self) -> int:
        """How many publishes have not been answered."""
        return len(self._in_flight) + len(self._waiting)

    @property
    def resumable(self) -> bool:
        """Whether there is something that only the same session can complete."""
        return bool(self._in_flight)

    # Publishing

    def add(self, publish: Publish) -> None:
        """Send it, or let it wait for its turn; its `done` is told, possibly at once."""
        if self._sender is None:
            publish.done.failed(publish, DeliveryError("not connected to the broker", reason="connect"))
        elif self._waiting or not self._writable or (publish.qos and len(self._in_flight) >= self._limit):
            self._waiting.append(publish)
        else:
            self._send(self._sender, publish)

    def _send(self, sender: Sender, publish: Publish) -> None:
        refused = self._refuse(publish)
        if refused is not None:
            publish.done.failed(publish, refused)
            return
        packet_id = self._next_id() if publish.qos else 0
        try:
            sender.publish(packet_id, publish, duplicate=False)
        except ValueError as error:
            text = f"MQTT cannot carry it: {error}"
            publish.done.failed(publish, DeliveryError(text, reason="invalid", retryable=False))
            return
        if packet_id:
            self._in_flight[packet_id] = publish
        else:
            publish.done.acknowledged(publish, 0)

    def _next_id(self) -> int:
        in_flight = self._in_flight
        packet_id = self._last_id
        while True:
            packet_id = packet_id % PACKET_IDS + 1
            if packet_id not in in_flight:
                self._last_id = packet_id
                return packet_id

    def _go_on(self) -> None:
        waiting = self._waiting
        while waiting and self._writable and self._sender is not None:
            if waiting[0].qos and len(self._in_flight) >= self._limit:
                break
            self._send(self._sender, waiting.popleft())

    # What the broker answers

    def acknowledged(self, packet_id: int, reason: int) -> None:
        """PUBACK, PUBCOMP, or a PUBREC that refuses. One that belongs to nothing is ignored."""
        publish = self._in_flight.pop(packet_id, None)
        if publish is None:
            return
        if packet_id in self._received:
            # PUBCOMP has nothing to add: "packet identifier not found" says that the broker was done with it
            # before the connection broke.
            reason = self._received.pop(packet_id)
        if self._waiting:
            self._go_on()
        publish.done.acknowledged(publish, reason)

    def received(self, packet_id: int, reason: int) -> None:
        """PUBREC: from here on the publish must not be sent again."""
        if packet_id in self._in_flight:
            self._received[packet_id] = reason
        if self._sender is not None:
            self._sender.release(packet_id)

    # The connection

    def writable(self, is_writable: bool) -> None:
        """The socket's buffer is full, or has room again."""
        self._writable = is_writable
        self._go_on()

    def connected(self, sender: Sender, limit: int, *, session_present: bool) -> None:
        """Send again what the session has under way; without the session nobody knows what became of it."""
        self._sender, self._limit, self._writable = sender, limit, True
        if not session_present:
            self.forget("the broker has forgotten the session")
            return
        for packet_id, publish in tuple(self._in_flight.items()):
            if packet_id in self._received:
                sender.release(packet_id)
            else:
                sender.publish(packet_id, publish, duplicate=True)

    def lost(self, why: str) -> None:
        """The connection broke: what was not sent is refused, and QoS 1 has an unknown end. QoS 2 may go on."""
        self._sender = None
        waiting = tuple(self._waiting)
        self._waiting.clear()
        ended = [packet_id for packet_id, publish in self._in_flight.items() if publish.qos < 2]
        for publish in [self._in_flight.pop(packet_id) for packet_id in ended]:
            publish.done.failed(
                publish, DeliveryError(f"the connection broke before the broker answered: {why}", reason="unknown")
            )
        for publish in waiting:
            publish.done.failed(publish, DeliveryError(f"not connected to the broker: {why}", reason="connect"))

    def forget(self, why: str) -> None:
        """No answer will come to what is under way."""
        publishes = tuple(self._in_flight.values())
        self._in_flight.clear()
        self._received.clear()
        for publish in publishes:
            publish.done.failed(publish, DeliveryError(f"sent, and not answered: {why}", reason="unknown"))
