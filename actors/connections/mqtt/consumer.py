"""What arrives for one source: it enters the routes in its order, and waits where they have no room."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from actors.connections.mqtt import properties
from actors.connections.mqtt.protocol import Arrival
from actors.connections.mqtt.subscriber import Subscriber
from actors.connections.mqtt.traffic import Traffic
from actors.core.errors import BackPressureError, DecodeError, ExpressionError, Reason, RouterError
from actors.core.events import Notice
from actors.core.message import Message, Receipt
from actors.core.spec import Context, Standing
from actors.kit import codecs
from actors.kit.expressions import Template


class Consumer:
    """The recipient of a source's subscriber, for as long as its actor runs."""

    def __init__(
        self,
        context: Context,
        traffic: Traffic,
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        *,
        decode: codecs.Decode,
        id: Template | None,
        key: Template | None,
        max_waiting: int,
        standing: Standing | None,
    ) -> None:
        """`max_waiting` is for QoS 0; `standing` is None where the actor speaks of another end of its own."""
        self._context = context
        self.traffic = traffic
        """Where it counts what arrives."""
        self._spawn = spawn
        self._decode = decode
        self._id = id
        self._key = key
        self._templated = id is not None or key is not None
        self._max_waiting = max_waiting
        self._standing = standing
        self._time = context.clock.time
        self._subscriber: Subscriber | None = None
        self._waiting: deque[tuple[Message, _Taken | None]] = deque()
        """What the routes have no room for. QoS 1 and 2: no more than the broker sends unacknowledged."""
        self._pouring: asyncio.Task[None] | None = None
        self._draining = False
        self._owing: tuple[Arrival, ...] = ()
        """When it drains: what is under way in the routes, and is still to be acknowledged."""
        self._missed = 0

    # For the actor

    def begin(self, subscriber: Subscriber) -> None:
        """Receive by this one, whose recipient it is."""
        self._subscriber = subscriber
        if self._waiting:
            self._pouring = self._spawn(self._pour())

    def inherit(self, predecessor: Consumer) -> Subscriber | None:
        """End the predecessor, and take over what waits there; returns what it received by, to begin with."""
        subscriber, self._waiting = predecessor._leave()
        return subscriber

    def _leave(self) -> tuple[Subscriber | None, deque[tuple[Message, _Taken | None]]]:
        self._draining = True
        if self._pouring is not None:
            self._pouring.cancel()
        subscriber, self._subscriber = self._subscriber, None
        waiting, self._waiting = self._waiting, deque()
        return subscriber, waiting

    def drain(self) -> None:
        """What arrives from here on is not acknowledged, and stays with the broker."""
        if self._subscriber is not None and not self._draining:
            waiting = {receipt.arrival for _, receipt in self._waiting if receipt is not None}
            self._owing = tuple(arrival for arrival in self._subscriber.leave() if arrival not in waiting)
        self._draining = True
        self._waiting.clear()

    @property
    def owed(self) -> int:
        """Messages that the broker waits for an acknowledgement of, as the source ends."""
        self._owing = tuple(arrival for arrival in self._owing if arrival.packet_id and not arrival.settled)
        return len(self._owing)

    async def close(self) -> None:
        """Receive no more."""
        self._draining = True
        subscriber, self._subscriber = self._subscriber, None
        if subscriber is not None:
            await subscriber.close()

    # Of the subscriber

    def available(self) -> None:
        if self._standing is not None:
            self._standing.available()

    def unavailable(self, why: str) -> None:
        if self._standing is not None and not self._draining:
            self._standing.unavailable(why)

    def arrived(self, arrival: Arrival) -> None:
        """A message from the broker: hand it on, or let it wait for room."""
        if self._draining:
            return
        self.traffic.consumed += 1
        subscriber = self._subscriber
        receipt = _Taken(subscriber, arrival) if arrival.qos and subscriber is not None else None
        context, now_s = self._context, self._time()
        try:
            data = codecs.decode(arrival.payload, arrival.content_type, self._decode)
            message = properties.message_of(arrival, context.name, data, now_s)
            if self._templated:
                message = self._completed(message)
        except (DecodeError, ExpressionError) as error:
            message = properties.message_of(arrival, context.name, arrival.payload, now_s)
            reason: Reason = "undecodable" if isinstance(error, DecodeError) else "expression"
            context.outlet.reject(message, receipt, reason=reason, error=str(error))
            return
        if self._waiting:
            self._wait(message, receipt)
            return
        try:
            context.outlet.offer(message, receipt)
        except BackPressureError:
            self._wait(message, receipt)
        except RouterError as error:
            if receipt is not None:
                receipt.refuse(error)

    def _completed(self, message: Message) -> Message:
        now_s = message.time
        if self._id is not None:
            given = self._id.render_text(message, now_s)
            if given:
                message = message._replace(id=given[: properties.LONGEST_ID])
        if self._key is not None:
            message = message.with_attributes(partitionkey=self._key.render_text(message, now_s))
        return message

    # What waits for room

    def _wait(self, message: Message, receipt: _Taken | None) -> None:
        waiting = self._waiting
        if receipt is None and len(waiting) >= self._max_waiting:
            # The broker does not wait for QoS 0, and promises nothing.
            if not self._missed:
                text = f"{self._context.name}: no room for messages of QoS 0, which are left out"
                self._context.events.emit(Notice(text, "warning"))
            self._missed += 1
            return
        waiting.append((message, receipt))
        if len(waiting) == 1:
            self._pouring = self._spawn(self._pour())

    async def _pour(self) -> None:
        """Hand on what waits, in its order, as there is room for it."""
        waiting, outlet = self._waiting, self._context.outlet
        while waiting:
            message, receipt = waiting[0]
            try:
                await outlet.put(message, receipt)
            except RouterError as error:
                if receipt is not None:
                    receipt.refuse(error)
            if waiting and waiting[0][0] is message:
                waiting.popleft()
        self._missed = 0


class _Taken(Receipt):
    """A message that the broker waits for an acknowledgement of, whoever it is that has taken it in."""

    __slots__ = ("_subscriber", "arrival")

    def __init__(self, subscriber: Subscriber, arrival: Arrival) -> None:
        super().__init__()
        self.arrival = arrival
        self._subscriber = subscriber

    def on_accepted(self) -> None:
        self._subscriber.acknowledge(self.arrival)

    def on_refused(self, error: RouterError) -> None:
        """It could not be made safe: the broker keeps it."""
        self._subscriber.give_back(self.arrival, error)
