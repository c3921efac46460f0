"""An `mqtt` source takes the place of another one, with its connection, its session and what is under way."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from actors.connections.mqtt import MqttConnection
from actors.connections.mqtt.options import MqttConnectionOptions
from actors.core.clock import LoopClock
from actors.core.connection import CONNECTION, ConnectionContext, ConnectionSpec
from actors.core.errors import BackPressureError
from actors.core.events import ConnectionOpened, Events, Notice
from actors.core.message import Message
from actors.core.spec import ENDPOINT, EndpointSpec
from actors.endpoints.mqtt import Mqtt
from tests.loop import Run
from tests.mosquitto import Mosquitto
from tests.stage import DELIVERED, Played, Stage, stage

pytestmark = pytest.mark.needs("mosquitto")

DEADLINE_S = 10.0
DYNAMIC_SECURITY = next(Path("/usr/lib").glob("**/mosquitto_dynamic_security.so"), None)
PROTOCOLS = pytest.mark.parametrize("protocol", [5, "3.1.1"])


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path) as running:
        yield running


class Scene:
    """A source, its successors, and a target that publishes to what they subscribe to."""

    def __init__(self, played: Stage) -> None:
        self.stage = played
        self.outlet = played.outlet

    async def source(self, **options: Any) -> Played:
        return await self.stage.start(Mqtt, {"connection": "broker", "subscribe": "in/#", **options}, name="in")

    async def succeed(self, before: Played, **options: Any) -> Played:
        given = {"connection": "broker", "subscribe": "in/#", **options}
        return await self.stage.succeed(Mqtt, given, before, "in")

    async def target(self, topic: str = "in/x", name: str = "out") -> Played:
        return await self.stage.start(Mqtt, {"connection": "broker", "publish": topic}, name=name)

    @property
    def data(self) -> list[Any]:
        return [message.data for message in self.outlet.messages]

    @property
    def notices(self) -> list[str]:
        return [event.text for event in self.stage.emitted if isinstance(event, Notice)]

    def connected(self) -> list[str]:
        """The client ids that have connected, each time."""
        return [event.client for event in self.stage.emitted if isinstance(event, ConnectionOpened)]

    async def until(self, condition: Callable[[], object]) -> None:
        """Look again and again: what comes from the broker comes when it comes."""
        async with asyncio.timeout(DEADLINE_S):
            while not condition():  # noqa: ASYNC110  # several ends may make it true
                await asyncio.sleep(0.01)


@asynccontextmanager
async def scene(broker: Mosquitto, **connection: Any) -> AsyncIterator[Scene]:
    async with stage() as played:
        played.broker = broker.url
        played.connection_options = connection
        yield Scene(played)


def message(data: Any) -> Message:
    return Message(f"m-{data}", "it", data)


@PROTOCOLS
def test_every_message_comes_once_over_many_successions(run: Run, broker: Mosquitto, protocol: Any) -> None:
    """Over one connection: the broker notices nothing."""

    async def main() -> None:
        async with scene(broker, protocol=protocol) as it:
            it.outlet.settlement = DELIVERED
            source, out = await it.source(), await it.target()
            connected = it.connected()
            done = False

            async def publish() -> int:
                number = 0
                while not done:
                    await out.deliver(message(number))
                    number += 1
                return number

            publishing = asyncio.create_task(publish())
            for number in range(20):
                await asyncio.sleep(0.01)
                after = await it.succeed(source, key="{{ data }}" if number % 2 else "k")
                await source.retire()
                source = after
            done = True
            sent = await publishing
            await it.until(lambda: len(it.data) >= sent)
            assert it.data == list(range(sent))
            assert it.connected() == connected

    run(main())


@PROTOCOLS
def test_what_is_under_way_is_acknowledged_when_its_source_is_gone(run: Run, broker: Mosquitto, protocol: Any) -> None:
    """So it does not come again to whoever comes next; and what is not acknowledged does."""

    async def main() -> None:
        async with scene(broker, protocol=protocol) as it:
            before, out = await it.source(), await it.target()
            for number in range(3):
                await out.deliver(message(number))
            await it.until(lambda: len(it.data) == 3)
            after = await it.succeed(before)
            await before.retire()
            for receipt in it.outlet.receipts[:2]:
                assert receipt is not None
                receipt.settle(DELIVERED)
            await after.stop()
            await it.source()
            await it.until(lambda: len(it.data) == 4)
            assert it.data == [0, 1, 2, 2]

    run(main())


def test_what_the_routes_had_no_room_for_is_handed_on_by_the_successor(run: Run, broker: Mosquitto) -> None:
    """In its order, and what came behind it stays behind it."""

    async def main() -> None:
        async with scene(broker) as it:
            room = asyncio.Event()
            offer = it.outlet.offer

            async def put(message: Message, receipt: Any = None) -> None:
                await room.wait()
                offer(message, receipt)

            it.outlet.put = put  # type: ignore[method-assign]
            it.outlet.refusal = BackPressureError("full", route="r")
            before, out = await it.source(), await it.target()
            assert isinstance(before.actor, Mqtt)
            assert before.actor._consumer is not None
            waiting = before.actor._consumer._waiting
            for number in range(3):
                await out.deliver(message(number))
            await it.until(lambda: len(waiting) == 3)
            await it.succeed(before)
            await out.deliver(message(3))
            await it.until(lambda: len(waiting) == 4)
            it.outlet.refusal = None
            room.set()
            await it.until(lambda: not waiting)
            await before.retire()
            assert it.data == [0, 1, 2, 3]

    run(main())


def test_a_source_that_ends_waits_for_what_it_has_handed_on(run: Run, broker: Mosquitto) -> None:
    """Where nobody takes over, the broker would send it again; what it has not handed on, it may."""

    async def main() -> None:
        async with scene(broker) as it:
            source, out = await it.source(), await it.target()
            await out.deliver(message(0))
            await it.until(lambda: it.data)
            retiring = asyncio.create_task(source.retire())
            await asyncio.sleep(0.05)
            await out.deliver(message(1))
            assert not retiring.done()
            (receipt,) = it.outlet.receipts
            assert receipt is not None
            receipt.settle(DELIVERED)
            await retiring
            await it.source()
            await it.until(lambda: len(it.data) == 2)
            assert it.data == [0, 1]

    run(main())


@PROTOCOLS
def test_filters_change_on_the_same_connection(run: Run, broker: Mosquitto, protocol: Any) -> None:
    """New ones are subscribed to, others are unsubscribed from, and the rest is as it was."""

    async def main() -> None:
        async with scene(broker, protocol=protocol) as it:
            it.outlet.settlement = DELIVERED
            before = await it.source(subscribe=["in/#", "old/#"])
            outs = {name: await it.target(f"{name}/x", name) for name in ("in", "old", "new")}
            connected = it.connected()
            after = await it.succeed(before, subscribe=["in/#", "new/#"])
            await before.retire()
            assert isinstance(after.actor, Mqtt)
            assert after.actor._consumer is not None
            subscriber = after.actor._consumer._subscriber
            assert subscriber is not None
            await it.until(lambda: subscriber._adjusting is None)
            for name, out in outs.items():
                await out.deliver(message(name))
            await it.until(lambda: len(it.data) == 2)
            await outs["in"].deliver(message("last"))
            await it.until(lambda: "last" in it.data)
            assert sorted(it.data) == ["in", "last", "new"]
            assert it.connected() == connected

    run(main())


@pytest.mark.skipif(DYNAMIC_SECURITY is None, reason="mosquitto has no dynamic security here")
def test_a_filter_that_the_broker_refuses_is_reported(run: Run, tmp_path: Path) -> None:
    """And the others go on."""
    allowed = {"acltype": "subscribePattern", "topic": "in/#", "priority": 0, "allow": True}
    kinds = ("publishClientSend", "publishClientReceive", "unsubscribe")
    security = {
        "defaultACLAccess": {**dict.fromkeys(kinds, True), "subscribe": False},
        "roles": [{"rolename": "reader", "acls": [allowed]}],
        "groups": [{"groupname": "all", "roles": [{"rolename": "reader", "priority": 0}]}],
        "anonymousGroup": "all",
        "clients": [],
    }
    (tmp_path / "security.json").write_text(json.dumps(security))

    async def main(broker: Mosquitto) -> None:
        async with scene(broker) as it:
            it.outlet.settlement = DELIVERED
            before, out = await it.source(), await it.target()
            await it.succeed(before, subscribe=["in/#", "secret/#"])
            await before.retire()
            await it.until(lambda: it.notices)
            assert it.notices == ["in: subscribing to secret/#: not authorized (0x87)"]
            await out.deliver(message(1))
            await it.until(lambda: it.data)
            assert not it.stage.standing.away

    plugin = [f"plugin {DYNAMIC_SECURITY}", f"plugin_opt_config_file {tmp_path / 'security.json'}"]
    with Mosquitto(tmp_path, *plugin) as broker:
        run(main(broker))


@PROTOCOLS
def test_a_session_forgets_a_filter_that_left_while_the_router_was_away(
    run: Run, broker: Mosquitto, protocol: Any
) -> None:
    """The broker would keep it as long as the session."""

    async def main() -> None:
        async with scene(broker, protocol=protocol) as it:
            it.outlet.settlement = DELIVERED
            source = await it.source(subscribe=["in/#", "old/#"])
            outs = {name: await it.target(f"{name}/x", name) for name in ("in", "old")}
            await source.stop()
            await outs["old"].deliver(message("kept"))
            await it.source()
            await it.until(lambda: it.data == ["kept"])
            await outs["old"].deliver(message("old"))
            await outs["in"].deliver(message("in"))
            await it.until(lambda: len(it.data) == 2)
            assert it.data == ["kept", "in"]

    run(main())


def test_a_source_that_becomes_a_target_takes_nothing_more(run: Run, broker: Mosquitto) -> None:
    """And the other way round, it begins at the switch."""

    async def main() -> None:
        async with scene(broker) as it:
            it.outlet.settlement = DELIVERED
            source, out = await it.source(), await it.target()
            after = await it.stage.succeed(Mqtt, {"connection": "broker", "publish": "in/y"}, source, "in")
            await out.deliver(message(1))
            await source.retire()
            assert it.data == []
            await it.succeed(after)
            await it.until(lambda: it.data == [1])
            await after.retire()

    run(main())


@pytest.mark.parametrize(
    ("before", "after", "succession"),
    [
        ({"publish": "a"}, {"publish": "b", "qos": 2}, "beside"),
        ({"publish": "a"}, {"subscribe": "b"}, "handed_over"),
        ({"subscribe": "a"}, {"publish": "b"}, "handed_over"),
        ({"subscribe": "a"}, {"subscribe": "b", "decode": "text"}, "handed_over"),
        ({"subscribe": "a", "publish": "x"}, {"subscribe": "b"}, "handed_over"),
        ({"subscribe": "a"}, {"subscribe": "a", "qos": 2}, "break"),
        ({"subscribe": "a"}, {"subscribe": "a", "group": "g"}, "break"),
        ({"subscribe": "a"}, {"subscribe": "a", "session": "1h"}, "break"),
        ({"subscribe": "a"}, {"subscribe": "a", "receive_maximum": 5}, "break"),
        ({"subscribe": "a"}, {"subscribe": "a", "retained": False}, "break"),
        ({"subscribe": "a"}, {"connection": "other", "subscribe": "a"}, "break"),
    ],
)
def test_what_belongs_to_the_session_cannot_be_handed_over(
    before: dict[str, Any], after: dict[str, Any], succession: str
) -> None:
    """The broker knows it by the client's id, and there is one of it."""
    spec: EndpointSpec = getattr(Mqtt, ENDPOINT)
    options = [spec.options.model_validate({"connection": "broker", **each}) for each in (before, after)]
    assert spec.succession(*options) == succession


def test_a_connection_made_anew_publishes_under_another_name(run: Run, broker: Mosquitto, tmp_path: Path) -> None:
    """The one before is still there, and the broker would disconnect it."""
    options = MqttConnectionOptions.model_validate({"url": broker.url})

    async def main() -> None:
        events, opened = Events(), list[str]()
        events.subscribe(ConnectionOpened, lambda event: opened.append(event.client))
        contexts = [ConnectionContext("b", LoopClock(), events, tmp_path, tmp_path, number) for number in (0, 1, 2)]
        made = [MqttConnection(options, context) for context in contexts]
        for each in made:
            await each.open()
            await each.publisher().tried()
        assert len(opened) == len(set(opened)) == 3
        assert len({client_id.partition("-pub")[0] for client_id in opened}) == 1
        for each in made:
            await each.close()

    run(main())


@pytest.mark.parametrize(("url", "exclusive"), [("embedded:", True), ("mosquitto:", True), ("mqtt://h", False)])
def test_a_broker_in_the_house_is_there_once(url: str, exclusive: bool) -> None:
    """It has its ports and its files."""
    spec: ConnectionSpec = getattr(MqttConnection, CONNECTION)
    assert spec.is_exclusive(MqttConnectionOptions.model_validate({"url": url})) == exclusive
