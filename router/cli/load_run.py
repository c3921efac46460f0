"""A load test under way: sends numbered messages by MQTT or HTTP, and sees them arrive by MQTT."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Final, Protocol

from actors.connections.mqtt.connection import MqttConnection
from actors.connections.mqtt.options import parse_url
from actors.connections.mqtt.properties import IDEMPOTENCY_KEY
from actors.connections.mqtt.protocol import Arrival, Publish, Qos, Subscription
from actors.connections.mqtt.publisher import Publisher
from actors.connections.mqtt.subscriber import Subscriber
from actors.connections.mqtt.topics import check_topic
from actors.core.clock import LoopClock
from actors.core.connection import ConnectionContext
from actors.core.errors import DeliveryError
from actors.core.events import Events
from router.cli.failure import WRONG_USAGE, Failure
from router.cli.load_broker import Broker
from router.cli.load_http import JSON, posting
from router.cli.load_tally import Result, Tally

LOOK_AGAIN_S: Final = 0.02
REFUSED: Final = 0x80
"""From here on a reason code of MQTT is a failure."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a load test does: it sends to `url` where that is given, else to `topic`."""

    messages: int
    topic: str | None
    """Where messages are published, or, with `url`, where they arrive; None: nobody looks."""
    url: str | None
    broker: Broker | None
    qos: Qos
    in_flight: int
    """How many may be without an answer."""
    data: str | None
    """A body, in which `{id}` and `{n}` stand for the message's id and number."""
    headers: Mapping[str, str]
    timeout_s: float
    """How long to wait for one answer, and after the last progress for the next."""

    def body(self, number: int, id_: str) -> bytes:
        if self.data is not None:
            return self.data.replace("{id}", id_).replace("{n}", str(number)).encode()
        return json.dumps({"message_id": id_, "to": "+593991234567", "text": f"load {number}"}).encode()


class Sender(Protocol):
    """A way to send one message."""

    async def send(self, id_: str, body: bytes) -> None:
        """Return once it is acknowledged; raises a DeliveryError where it is not.

        One with `retry_after_s` says that the receiver wants the message then.
        """
        ...


async def run(plan: Plan, progress: Callable[[Tally], None]) -> Result:
    """Carry it out; `progress` is called many times a second. Raises `Failure` where it cannot begin."""
    tally = Tally(f"load-{token_hex(4)}", plan.messages, watched=plan.topic is not None, now=time.monotonic)
    async with AsyncExitStack() as stack:
        connection: MqttConnection | None = None
        if plan.topic is not None:
            connection = await stack.enter_async_context(_connection(plan))
            if plan.data is not None and connection.version != "5" and "{id}" not in plan.data:
                text = "MQTT 3.1.1 carries the payload alone, so that messages are only known by it"
                raise Failure(text, hint="put {id} into --data", code=WRONG_USAGE)
            await _subscribed(connection, plan, tally)
        sender: Sender
        if plan.url is not None:
            sender = await stack.enter_async_context(
                posting(plan.url, plan.headers, at_once=plan.in_flight, timeout_s=plan.timeout_s)
            )
        else:
            assert connection is not None, "there is a topic where there is no URL"
            sender = await _publishing(connection, plan)
        # The first message is not to wait for connections: the account begins here.
        tally.begin()
        async with asyncio.TaskGroup() as tasks:
            showing = tasks.create_task(_show(tally, progress))
            await _send_all(plan, tally, sender)
            while tally.proved < plan.messages and time.monotonic() - tally.changed_at < plan.timeout_s:
                if plan.topic is None:
                    break
                await asyncio.sleep(LOOK_AGAIN_S)
            showing.cancel()
    progress(tally)
    return tally.result()


async def _send_all(plan: Plan, tally: Tally, sender: Sender) -> None:
    numbers = iter(range(plan.messages))

    async def some() -> None:
        for number in numbers:
            id_ = tally.id_of(number)
            body = plan.body(number, id_)
            tally.sent(number)
            while True:
                try:
                    async with asyncio.timeout(plan.timeout_s):
                        await sender.send(id_, body)
                except TimeoutError:
                    tally.is_refused(f"no answer within {plan.timeout_s:g}s")
                except DeliveryError as error:
                    # As long as anything goes on somewhere, what is to come later is sent later.
                    quiet_s = time.monotonic() - tally.changed_at
                    if error.retry_after_s is not None and quiet_s + error.retry_after_s < plan.timeout_s:
                        tally.is_postponed()
                        await asyncio.sleep(error.retry_after_s)
                        continue
                    tally.is_refused(str(error))
                else:
                    tally.is_acknowledged(number)
                break

    async with asyncio.TaskGroup() as tasks:
        for _ in range(min(plan.in_flight, plan.messages)):
            tasks.create_task(some())


async def _show(tally: Tally, progress: Callable[[Tally], None]) -> None:
    while True:
        progress(tally)
        await asyncio.sleep(0.1)


# MQTT


@asynccontextmanager
async def _connection(plan: Plan) -> AsyncIterator[MqttConnection]:
    """To the broker, with client ids of its own, so that nobody's session is taken over."""
    assert plan.topic is not None
    assert plan.broker is not None
    try:
        check_topic(plan.topic)
    except ValueError as error:
        raise Failure(str(error), code=WRONG_USAGE) from None
    options = plan.broker.options(client_id=f"load-{token_hex(6)}")
    here = Path.cwd()
    connection = MqttConnection(options, ConnectionContext("broker", LoopClock(), Events(), here, here))
    await connection.open()
    try:
        yield connection
    finally:
        await connection.close()


class _Watching:
    """Takes note of what arrives."""

    def __init__(self, tally: Tally) -> None:
        self.subscriber: Subscriber | None = None
        self.why: str | None = "connecting"
        """Why nothing arrives; None while it does."""
        self._tally = tally

    def arrived(self, arrival: Arrival) -> None:
        number = self._number(arrival)
        if number is not None:
            self._tally.has_arrived(number)
        if self.subscriber is not None:
            self.subscriber.acknowledge(arrival)

    def _number(self, arrival: Arrival) -> int | None:
        for name, value in arrival.user_properties:
            if name == IDEMPOTENCY_KEY and (number := self._tally.number_in(value)) is not None:
                return number
        return self._tally.number_in(arrival.payload.decode(errors="replace"))

    def available(self) -> None:
        self.why = None

    def unavailable(self, why: str) -> None:
        self.why = why


async def _subscribed(connection: MqttConnection, plan: Plan, tally: Tally) -> None:
    assert plan.topic is not None
    watching = _Watching(tally)
    subscriptions = (Subscription(plan.topic, plan.qos, retained=False),)
    watching.subscriber = connection.subscriber(
        watching, subscriptions, name="arrivals", session_s=0, receive_maximum=plan.in_flight
    )
    await watching.subscriber.tried()
    _require(plan, watching.why)


async def _publishing(connection: MqttConnection, plan: Plan) -> Sender:
    assert plan.topic is not None
    publisher = connection.publisher()
    standing = _Standing()
    publisher.watch(standing)
    await publisher.tried()
    _require(plan, standing.why)
    return _Mqtt(publisher, plan.topic, plan.qos)


def _require(plan: Plan, why: str | None) -> None:
    if why is not None:
        assert plan.broker is not None
        # As text a server has no credentials in it.
        raise Failure(f"the broker at {parse_url(plan.broker.url)} cannot be used: {why}")


class _Standing:
    def __init__(self) -> None:
        self.why: str | None = None

    def available(self) -> None:
        self.why = None

    def unavailable(self, why: str) -> None:
        self.why = why


class _Mqtt:
    """Publishes; PUBACK is the acknowledgement."""

    def __init__(self, publisher: Publisher, topic: str, qos: Qos) -> None:
        self._publisher = publisher
        self._topic = topic
        self._qos: Qos = qos
        self._loop = asyncio.get_running_loop()

    async def send(self, id_: str, body: bytes) -> None:
        answer = _Answer(self._loop.create_future())
        self._publisher.publish(
            Publish(self._topic, body, self._qos, False, answer, [(IDEMPOTENCY_KEY, id_)], JSON),
        )
        await answer.future


class _Answer:
    """Waits for the broker."""

    __slots__ = ("future",)

    def __init__(self, future: asyncio.Future[None]) -> None:
        self.future = future

    def acknowledged(self, publish: Publish, reason: int) -> None:
        if reason >= REFUSED:
            text = f"the broker answered with reason code 0x{reason:02X}"
            self.failed(publish, DeliveryError(text, reason="refused"))
        elif not self.future.done():
            self.future.set_result(None)

    def failed(self, publish: Publish, error: DeliveryError) -> None:
        if not self.future.done():
            self.future.set_exception(error)
