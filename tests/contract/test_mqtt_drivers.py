"""What both MQTT drivers keep to, each over every transport it has, against real brokers."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from actors.connections.mqtt.brokers.embedded_broker import EmbeddedBroker
from actors.connections.mqtt.brokers.options import HouseOptions
from actors.connections.mqtt.protocol import Arrival, Login, Publish, Qos, Server, Subscription, Version, Will
from actors.connections.mqtt.publisher import Publisher
from actors.connections.mqtt.subscriber import Subscriber
from actors.core.clock import LoopClock
from actors.core.connection import ConnectionContext
from actors.core.errors import DeliveryError
from actors.core.events import Event, Events
from tests.certificates import self_signed
from tests.loop import Run
from tests.mosquitto import Mosquitto
from tests.servers import HOST, free_port
from tests.tcp_proxy import proxy

pytestmark = [pytest.mark.live, pytest.mark.needs("mosquitto")]

DEADLINE_S = 10.0
PUB, SUB = Login("pub"), Login("sub")
QOS: tuple[Qos, ...] = (0, 1, 2)

WAYS: dict[str, tuple[Version, bool]] = {"5": ("5", False), "3.1.1": ("3.1.1", False), "websocket": ("3.1.1", True)}
"""Version, and whether over WebSocket."""


@dataclass
class Way:
    """How a test reaches its broker."""

    version: Version
    server: Server
    broker: Mosquitto | None
    """None: the embedded one."""
    tls: ssl.SSLContext | None = None

    @property
    def is_mqtt5(self) -> bool:
        return self.version == "5"


class Told:
    """What became of a publish."""

    def __init__(self) -> None:
        self.end: asyncio.Future[int | DeliveryError] = asyncio.get_running_loop().create_future()

    def acknowledged(self, publish: Publish, reason: int) -> None:
        self.end.set_result(reason)

    def failed(self, publish: Publish, error: DeliveryError) -> None:
        self.end.set_result(error)

    async def reason(self) -> int:
        async with asyncio.timeout(DEADLINE_S):
            end = await self.end
        assert isinstance(end, int), end
        return end

    async def error(self) -> DeliveryError:
        async with asyncio.timeout(DEADLINE_S):
            end = await self.end
        assert isinstance(end, DeliveryError), end
        return end


@dataclass
class Recipient:
    """A source that writes down what arrives, and acknowledges it where it is told to."""

    acknowledges: bool = True
    arrivals: list[Arrival] = field(default_factory=list)
    said: list[str | None] = field(default_factory=list)
    subscriber: Subscriber = field(init=False)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def arrived(self, arrival: Arrival) -> None:
        self.arrivals.append(arrival)
        if self.acknowledges:
            self.subscriber.acknowledge(arrival)
        self.changed.set()

    def available(self) -> None:
        self.said.append(None)
        self.changed.set()

    def unavailable(self, why: str) -> None:
        self.said.append(why)
        self.changed.set()

    @property
    def is_up(self) -> bool:
        return bool(self.said) and self.said[-1] is None

    @property
    def payloads(self) -> list[bytes]:
        return [arrival.payload for arrival in self.arrivals]

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


class Standing:
    """What a publisher says of itself."""

    def __init__(self) -> None:
        self.why: str | None = ""
        self.changed = asyncio.Event()

    def available(self) -> None:
        self.why = None
        self.changed.set()

    def unavailable(self, why: str) -> None:
        self.why = why
        self.changed.set()

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


class Clients:
    """Publishers and subscribers of one test, closed at its end."""

    def __init__(self, way: Way) -> None:
        self.way = way
        self.events: list[Event] = []
        self._events = Events()
        self._events.subscribe(Event, self.events.append)
        self._open: list[Publisher | Subscriber] = []

    def _common(self) -> dict[str, Any]:
        return {
            "connection": "broker",
            "version": self.way.version,
            "servers": lambda: (self.way.server,),
            "clock": LoopClock(),
            "events": self._events,
        }

    def _login(self, login: Login) -> Login:
        return replace(login, tls=self.way.tls)

    async def publisher(self, login: Login = PUB) -> Publisher:
        made = Publisher(self._login(login), **self._common())
        self._open.append(made)
        made.open()
        await made.tried()
        return made

    async def subscriber(
        self,
        *subscriptions: Subscription,
        login: Login = SUB,
        acknowledges: bool = True,
    ) -> Recipient:
        recipient = Recipient(acknowledges)
        recipient.subscriber = Subscriber(recipient, self._login(login), subscriptions, **self._common())
        self._open.append(recipient.subscriber)
        recipient.subscriber.open()
        await recipient.subscriber.tried()
        return recipient

    async def adjusted(self, subscriber: Subscriber) -> None:
        """Wait until the session has the filters that are wanted."""
        if subscriber._adjusting is not None:
            async with asyncio.timeout(DEADLINE_S):
                await subscriber._adjusting

    async def close(self) -> None:
        for client in reversed(self._open):
            await client.close()


def publish(publisher: Publisher, topic: str, payload: bytes = b"", qos: Qos = 1, **more: Any) -> Told:
    told = Told()
    publisher.publish(Publish(topic, payload, qos, more.pop("retain", False), told, **more))
    return told


@asynccontextmanager
async def clients(way: Way) -> AsyncIterator[Clients]:
    made = Clients(way)
    try:
        yield made
    finally:
        await made.close()


@pytest.fixture(params=WAYS)
def mosquitto(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Way]:
    """mosquitto, that one driver reaches by one transport."""
    version, over_websocket = WAYS[request.param]
    websocket = free_port()
    lines = ("max_inflight_messages 20", f"listener {websocket} {HOST}", "protocol websockets", "socket_domain ipv4")
    with Mosquitto(tmp_path, *lines, more_ports=[websocket]) as broker:
        path, port = ("/mqtt", websocket) if over_websocket else (None, broker.port)
        yield Way(version, Server(HOST, port, websocket_path=path), broker)


each_qos = pytest.mark.parametrize("qos", QOS)


@each_qos
def test_messages_go_out_and_come_in(run: Run, mosquitto: Way, qos: Qos) -> None:
    """Each once, in their order, acknowledged both ways."""

    async def main() -> None:
        async with clients(mosquitto) as made:
            publisher = await made.publisher()
            recipient = await made.subscriber(Subscription("a/#", qos))
            told = [publish(publisher, f"a/{n}", b"%d" % n, qos) for n in range(200)]
            assert {await each.reason() for each in told} == {0}
            await recipient.until(lambda: len(recipient.arrivals) == 200)
            assert recipient.payloads == [b"%d" % n for n in range(200)]
            assert {arrival.topic for arrival in recipient.arrivals} == {f"a/{n}" for n in range(200)}
            assert {arrival.qos for arrival in recipient.arrivals} == {qos}

    run(main())


def test_properties_travel_with_mqtt_5(run: Run, mosquitto: Way) -> None:
    """MQTT 3.1.1 carries topic and payload, and nothing else."""

    async def main() -> None:
        async with clients(mosquitto) as made:
            publisher = await made.publisher()
            recipient = await made.subscriber(Subscription("a"))
            pairs = [("idempotency-key", "x-1"), ("twice", "1"), ("twice", "2")]
            told = publish(
                publisher,
                "a",
                b"{}",
                user_properties=pairs,
                content_type="application/json",
                response_topic="answers",
                correlation_data=b"\xff",
                expiry_s=60,
            )
            assert await told.reason() == 0
            await recipient.until(lambda: recipient.arrivals)
            (arrival,) = recipient.arrivals
            found = (arrival.content_type, arrival.response_topic, arrival.correlation_data, arrival.expiry_s)
            if mosquitto.is_mqtt5:
                assert list(arrival.user_properties) == pairs
                assert found == ("application/json", "answers", b"\xff", 60)
            else:
                assert list(arrival.user_properties) == []
                assert found == (None, None, None, None)

    run(main())


def test_nobody_subscribed_is_told_by_its_reason_code(run: Run, mosquitto: Way) -> None:
    """Over MQTT 5, where the broker sends it; it has the message all the same."""

    async def main() -> None:
        async with clients(mosquitto) as made:
            publisher = await made.publisher()
            assert await publish(publisher, "nobody").reason() == (0x10 if mosquitto.is_mqtt5 else 0)
            # mosquitto does not say it with QoS 2.
            assert await publish(publisher, "nobody", qos=2).reason() in (0, 0x10)

    run(main())


def test_large_messages_come_whole(run: Run, mosquitto: Way) -> None:
    """In many reads, with small ones around them."""
    # 2 MiB; but over WebSocket mosquitto 2.0.11 does not get half a megabyte through, to whatever client.
    payload = bytes(range(256)) * (8192 if mosquitto.server.websocket_path is None else 400)

    async def main() -> None:
        async with clients(mosquitto) as made:
            publisher = await made.publisher()
            recipient = await made.subscriber(Subscription("a"))
            for each in (b"1", payload, b"2", payload, b"3"):
                assert await publish(publisher, "a", each).reason() == 0
            await recipient.until(lambda: len(recipient.arrivals) == 5)
            assert recipient.payloads == [b"1", payload, b"2", payload, b"3"]

    run(main())


@pytest.mark.parametrize("qos", [1, 2])
def test_what_is_not_acknowledged_is_the_brokers_bound(run: Run, mosquitto: Way, qos: Qos) -> None:
    """We read all the time; Receive Maximum, or the broker's own window (3.1.1), is the back-pressure."""
    bound = 7 if mosquitto.is_mqtt5 else 20

    async def main() -> None:
        async with clients(mosquitto) as made:
            publisher = await made.publisher()
            login = Login("sub", receive_maximum=7)
            recipient = await made.subscriber(Subscription("a", qos), login=login, acknowledges=False)
            for n in range(50):
                assert await publish(publisher, "a", b"%d" % n, qos).reason() == 0
            await recipient.until(lambda: len(recipient.arrivals) == bound)
            # A round trip later there is still no more.
            assert await publish(publisher, "b").reason() in (0, 0x10)
            assert len(recipient.arrivals) == bound
            recipient.acknowledges = True
            for arrival in tuple(recipient.arrivals):
                recipient.subscriber.acknowledge(arrival)
            await recipient.until(lambda: len(recipient.arrivals) == 50)
            assert recipient.payloads == [b"%d" % n for n in range(50)]

    run(main())


def test_another_source_may_go_on_with_other_filters(run: Run, mosquitto: Way) -> None:
    """Over the same connection, with what is under way: nothing comes twice, and nothing is missed."""

    async def main() -> None:
        async with clients(mosquitto) as made:
            publisher = await made.publisher()
            login = Login("sub", session_s=60)
            first = await made.subscriber(Subscription("a"), Subscription("b"), login=login, acknowledges=False)
            assert await publish(publisher, "a", b"1").reason() == 0
            await first.until(lambda: first.arrivals)
            second = Recipient()
            second.subscriber = first.subscriber
            first.subscriber.move(second, [Subscription("b"), Subscription("c")])
            assert second.is_up
            first.subscriber.acknowledge(first.arrivals[0])
            # Over MQTT 3.1.1 nobody says that there is a subscriber: it is published until it comes.
            async with asyncio.timeout(DEADLINE_S):
                while not any(arrival.topic == "c" for arrival in second.arrivals):
                    assert await publish(publisher, "c", b"2").reason() in (0, 0x10)
            await made.adjusted(first.subscriber)
            for topic in ("a", "b"):
                assert await publish(publisher, topic, b"3").reason() in (0, 0x10)
            await second.until(lambda: second.arrivals[-1].topic == "b")
            assert [arrival.topic for arrival in first.arrivals] == ["a"]
            assert {arrival.topic for arrival in second.arrivals} == {"b", "c"}

    run(main())


def test_a_filter_that_nobody_has_subscribed_to_is_unsubscribed_from(run: Run, mosquitto: Way) -> None:
    """Which is no error."""

    async def main() -> None:
        async with clients(mosquitto) as made:
            recipient = await made.subscriber(Subscription("a"))
            driver = recipient.subscriber._link.driver
            assert driver is not None
            await driver.unsubscribe(["nothing", "a"])
            publisher = await made.publisher()
            assert await publish(publisher, "a").reason() in (0, 0x10)
            await driver.subscribe([Subscription("b")])
            assert await publish(publisher, "b").reason() == 0
            await recipient.until(lambda: recipient.arrivals)
            assert [arrival.topic for arrival in recipient.arrivals] == ["b"]

    run(main())


@pytest.mark.parametrize("qos", [1, 2])
def test_a_session_survives_the_socket(run: Run, mosquitto: Way, qos: Qos) -> None:
    """What was not acknowledged comes again: to another process all of it, to us only what we do not have."""

    async def main() -> None:
        async with clients(mosquitto) as made:
            publisher = await made.publisher()
            login = Login("sub", session_s=60)
            first = await made.subscriber(Subscription("a", qos), login=login, acknowledges=False)
            for n in range(3):
                assert await publish(publisher, "a", b"%d" % n, qos).reason() == 0
            await first.until(lambda: len(first.arrivals) == 3)
            first.subscriber.acknowledge(first.arrivals[0])
            first.subscriber.give_back(first.arrivals[1])  # reconnects after a second
            await first.until(lambda: len(first.arrivals) == 4)
            assert first.payloads == [b"0", b"1", b"2", b"1"]
            await first.subscriber.close()
            assert await publish(publisher, "a", b"3", qos).reason() == 0
            second = await made.subscriber(Subscription("a", qos), login=login)
            await second.until(lambda: len(second.arrivals) == 3)
            assert second.payloads == [b"1", b"2", b"3"]

    run(main())


def test_without_a_session_nothing_waits(run: Run, mosquitto: Way) -> None:
    """The broker forgets the subscription with the connection."""

    async def main() -> None:
        async with clients(mosquitto) as made:
            publisher = await made.publisher()
            first = await made.subscriber(Subscription("a"))
            await first.subscriber.close()
            await publish(publisher, "a", b"missed").reason()
            second = await made.subscriber(Subscription("a"))
            assert await publish(publisher, "a", b"seen").reason() == 0
            await second.until(lambda: second.arrivals)
            assert second.payloads == [b"seen"]

    run(main())


def test_retained_messages_are_taken_or_left(run: Run, mosquitto: Way) -> None:
    """MQTT 5 has the broker leave them out, and with 3.1.1 the driver does."""

    async def main() -> None:
        async with clients(mosquitto) as made:
            publisher = await made.publisher()
            await publish(publisher, "a", b"retained", retain=True).reason()
            taking = await made.subscriber(Subscription("a"))
            leaving = await made.subscriber(Subscription("a", retained=False), login=Login("other"))
            assert await publish(publisher, "a", b"live").reason() == 0
            await taking.until(lambda: len(taking.arrivals) == 2)
            await leaving.until(lambda: leaving.arrivals)
            assert taking.payloads == [b"retained", b"live"]
            assert [arrival.retain for arrival in taking.arrivals] == [True, False]
            assert leaving.payloads == [b"live"]

    run(main())


def test_a_group_shares_its_messages(run: Run, mosquitto: Way) -> None:
    """Each goes to one of its members."""

    async def main() -> None:
        async with clients(mosquitto) as made:
            publisher = await made.publisher()
            one = await made.subscriber(Subscription("$share/g/a"), login=Login("one"))
            other = await made.subscriber(Subscription("$share/g/a"), login=Login("other"))
            for n in range(10):
                assert await publish(publisher, "a", b"%d" % n).reason() == 0
            await one.until(lambda: len(one.arrivals) == 5)
            await other.until(lambda: len(other.arrivals) == 5)
            assert sorted(one.payloads + other.payloads) == [b"%d" % n for n in range(10)]

    run(main())


def test_the_will_is_published_when_the_connection_breaks(run: Run, mosquitto: Way) -> None:
    """And not when we disconnect in order."""

    async def main() -> None:
        async with clients(mosquitto) as made:
            recipient = await made.subscriber(Subscription("status"))
            will = Will("status", b"gone", 1, False, 0)
            await (await made.publisher(Login("orderly", will=will))).close()
            broken = await made.publisher(Login("taken", will=will))
            # Another client with the same id takes its place, which breaks the first connection.
            await made.publisher(Login("taken", will=will))
            await recipient.until(lambda: recipient.arrivals)
            assert recipient.payloads[0] == b"gone"
            await broken.close()

    run(main())


def test_without_a_broker_everything_is_refused_at_once(run: Run, mosquitto: Way) -> None:
    """And works again by itself when it is back; meanwhile both sides say that they are away."""
    broker = mosquitto.broker
    assert broker is not None

    async def main() -> None:
        async with clients(mosquitto) as made:
            publisher = await made.publisher()
            standing = Standing()
            publisher.watch(standing)
            recipient = await made.subscriber(Subscription("a"))
            assert standing.why is None
            await asyncio.to_thread(broker.kill)
            await standing.until(lambda: standing.why)
            await recipient.until(lambda: not recipient.is_up)
            for qos in QOS:
                assert (await publish(publisher, "a", qos=qos).error()).reason == "connect"
            await asyncio.to_thread(broker.start)
            await standing.until(lambda: standing.why is None)
            await recipient.until(lambda: recipient.is_up)
            assert await publish(publisher, "a", b"again").reason() == 0
            await recipient.until(lambda: recipient.payloads == [b"again"])

    run(main())


def test_a_broker_that_is_silent_is_noticed(run: Run, mosquitto: Way) -> None:
    """Within the keepalive interval, although the socket stays open; what was under way has an unknown end."""
    broker = mosquitto.broker
    assert broker is not None

    async def main() -> None:
        async with clients(mosquitto) as made:
            publisher = await made.publisher(Login("pub", keepalive_s=2))
            standing = Standing()
            publisher.watch(standing)
            broker.pause()
            began = asyncio.get_running_loop().time()
            told = publish(publisher, "a")
            assert (await told.error()).reason == "unknown"
            assert asyncio.get_running_loop().time() - began < 2.5
            assert standing.why is not None
            broker.resume()
            await standing.until(lambda: standing.why is None)

    run(main())


def test_a_refused_connection_says_why(run: Run, tmp_path: Path) -> None:
    """By the reason's name; it is tried again all the same, since passwords change."""
    port = free_port()
    passwords = tmp_path / "passwords"
    passwords.write_text("")
    lines = (f"listener {port} {HOST}", "allow_anonymous false", f"password_file {passwords}")

    async def main(version: Version) -> None:
        async with clients(Way(version, Server(HOST, port), broker)) as made:
            standing = Standing()
            publisher = await made.publisher(Login("pub", username="ann", password="wrong"))
            publisher.watch(standing)
            assert standing.why is not None
            assert "not authorized (0x87)" in standing.why
            assert "wrong" not in standing.why

    with Mosquitto(tmp_path, *lines, port=port, listener=False) as broker:
        run(main("5"))
        run(main("3.1.1"))


def test_a_publish_that_is_refused_says_why(run: Run, tmp_path: Path) -> None:
    """Over MQTT 5; with 3.1.1 nobody hears of it."""
    acl = tmp_path / "acl"
    acl.write_text("topic readwrite allowed/#\n")
    acl.chmod(0o600)

    async def main() -> None:
        async with clients(Way("5", Server(HOST, broker.port), broker)) as made:
            publisher = await made.publisher()
            assert await publish(publisher, "forbidden").reason() == 0x87
            assert await publish(publisher, "forbidden", qos=2).reason() == 0x87
            assert await publish(publisher, "allowed/a").reason() == 0x10

    with Mosquitto(tmp_path, f"acl_file {acl}") as broker:
        run(main())


def test_what_the_broker_would_break_the_connection_over_is_not_sent(run: Run, tmp_path: Path) -> None:
    """A packet larger than it takes: all that is under way would suffer."""

    async def main() -> None:
        async with clients(Way("5", Server(HOST, broker.port), broker)) as made:
            publisher = await made.publisher()
            error = await publish(publisher, "a", b"x" * 5000).error()
            assert (error.reason, error.retryable) == ("refused", False)
            assert "1000" in str(error)
            assert await publish(publisher, "a", b"x" * 500).reason() == 0x10

    with Mosquitto(tmp_path, "max_packet_size 1000") as broker:
        run(main())


@pytest.mark.parametrize("way", WAYS)
def test_tls(run: Run, tmp_path: Path, way: str) -> None:
    """A broker whose certificate we trust, and one whose we do not."""
    version, over_websocket = WAYS[way]
    certificate, key = self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    port = free_port()
    # With no other listener besides, mosquitto does not begin to listen for WebSocket.
    lines = [f"listener {free_port()} {HOST}", f"listener {port} {HOST}"]
    lines += ["protocol websockets", "socket_domain ipv4"] if over_websocket else []

    async def main() -> None:
        # The proxy ends TLS: mosquitto as Debian has it does not speak it over WebSocket.
        async with proxy(port, context) as front:
            server = Server("localhost", front.port, True, "/mqtt" if over_websocket else None)
            trusting = Way(version, server, broker, ssl.create_default_context(cafile=certificate))
            async with clients(trusting) as made:
                publisher = await made.publisher()
                recipient = await made.subscriber(Subscription("a"))
                payload = b"x" * 100_000
                for _ in range(3):
                    assert await publish(publisher, "a", payload).reason() == 0
                await recipient.until(lambda: len(recipient.arrivals) == 3)
                assert recipient.payloads == [payload] * 3
            async with clients(replace(trusting, tls=ssl.create_default_context())) as made:
                standing = Standing()
                (await made.publisher()).watch(standing)
                assert standing.why is not None
                assert "certificate verify failed" in standing.why.lower()

    with Mosquitto(tmp_path, *lines, "allow_anonymous true", port=port, listener=False) as broker:
        run(main())


@pytest.mark.parametrize("version", ["5", "3.1.1"])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_the_embedded_broker_speaks_to_both(run: Run, tmp_path: Path, version: Version, qos: Qos) -> None:
    """Out and in, with a backlog that is more than it has in flight."""

    async def main() -> None:
        context = ConnectionContext("house", LoopClock(), Events(), tmp_path, tmp_path)
        house = EmbeddedBroker(HouseOptions(), context)
        await house.start()
        try:
            address, login = house.addresses.mqtt5 if version == "5" else house.addresses.mqtt, house.login
            assert login is not None
            server = Server(address.host, address.port, username=login.username, password=login.password)
            async with clients(Way(version, server, None)) as made:
                publisher = await made.publisher()
                recipient = await made.subscriber(Subscription("a", qos))
                told = [publish(publisher, "a", b"%d" % n, qos) for n in range(150)]
                for each in told:
                    assert await each.reason() == 0
                await recipient.until(lambda: len(recipient.arrivals) == 150)
                assert recipient.payloads == [b"%d" % n for n in range(150)]
        finally:
            await house.stop()

    run(main())
