"""Stock paho on a thread of its own, as programs outside use it: a way to publish, and a sink with a session."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from tests.faults.account import Account, Received
from tests.faults.producer import PAUSE_S
from tests.servers import HOST

SESSION_S = 3600
RECONNECT_S = 0.1
PUBACK_S = 60.0
"""How long a publisher waits for its acknowledgement, over outages; the client sends again by itself."""


class MqttWay:
    """PUBLISH with QoS 1, until PUBACK has come and does not say that nobody has subscribed."""

    def __init__(self, client: Client, topic: str) -> None:
        self._client = client
        self._topic = topic
        self._loop = asyncio.get_running_loop()
        self._under_way: dict[int, asyncio.Future[int]] = {}
        client.on_publish = self._on_publish

    async def send(self, id: str, body: bytes) -> None:
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho's own omission
        properties.UserProperty = [("idempotency-key", id)]
        async with asyncio.timeout(PUBACK_S):
            while True:
                sent = self._client.publish(self._topic, body, qos=1, properties=properties)
                # PUBACK cannot overtake this: the callback takes its turn on this loop.
                answered = self._under_way[sent.mid] = self._loop.create_future()
                if not await answered:
                    return
                await asyncio.sleep(PAUSE_S)

    def _on_publish(self, client: Client, _: Any, mid: int, reason: ReasonCode, properties: Properties | None) -> None:
        self._loop.call_soon_threadsafe(self._answered, mid, reason.value)

    def _answered(self, mid: int, reason: int) -> None:
        answered = self._under_way.pop(mid, None)
        if answered is not None and not answered.done():
            answered.set_result(reason)


@asynccontextmanager
async def publishing(port: int, topic: str, name: str) -> AsyncIterator[MqttWay]:
    """A way by MQTT, to the broker at `port`."""
    client = Client(CallbackAPIVersion.VERSION2, name, protocol=MQTTProtocolVersion.MQTTv5)
    way = MqttWay(client, topic)
    async with _connected(client, port):
        yield way


class Subscription:
    """What a recording subscriber tells besides what it receives."""

    def __init__(self) -> None:
        self.subscribed = asyncio.Event()
        self.sessions_lost = 0
        """How often the broker had forgotten it."""


@asynccontextmanager
async def recording_subscriber(account: Account, port: int, topic: str, name: str) -> AsyncIterator[Subscription]:
    """A client that writes down every message of `topic`; the broker keeps its session while it is away.

    It subscribes only where the broker does not know its session.
    """
    loop = asyncio.get_running_loop()
    made = Subscription()
    # mypy takes paho's callbacks at their word: these are the signatures of its second version.
    client = Client(CallbackAPIVersion.VERSION2, name, protocol=MQTTProtocolVersion.MQTTv5)

    def connected(
        client: Client, _: Any, flags: ConnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if not reason.is_failure and not flags.session_present:
            made.sessions_lost += made.subscribed.is_set()
            client.subscribe(topic, qos=1)

    def subscribed(client: Client, _: Any, mid: int, reasons: list[ReasonCode], properties: Properties | None) -> None:
        loop.call_soon_threadsafe(made.subscribed.set)

    def arrived(client: Client, _: Any, message: MQTTMessage) -> None:
        body = json.loads(message.payload)
        key = dict(getattr(message.properties, "UserProperty", [])).get("idempotency-key", "")
        received = Received(body["id"], body["key"], body["sequence"], key, time.monotonic())
        loop.call_soon_threadsafe(account.received.append, received)

    client.on_connect = connected
    client.on_subscribe = subscribed
    client.on_message = arrived
    async with _connected(client, port):
        async with asyncio.timeout(10):
            await made.subscribed.wait()
        yield made


@asynccontextmanager
async def _connected(client: Client, port: int) -> AsyncIterator[None]:
    """Connected as often as there is a broker, with a session that outlives the connection."""
    client.reconnect_delay_set(RECONNECT_S, RECONNECT_S)  # type: ignore[arg-type]  # whole seconds are only its habit
    keep = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho's own omission
    keep.SessionExpiryInterval = SESSION_S
    client.connect_async(HOST, port, keepalive=5, clean_start=False, properties=keep)
    client.loop_start()
    try:
        yield
    finally:
        client.disconnect()
        await asyncio.to_thread(client.loop_stop)
