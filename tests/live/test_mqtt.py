"""The `mqtt` endpoint against a real mosquitto."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from actors.core.errors import BackPressureError, DeliveryError, StorageError
from actors.core.message import Message, Receipt, Settlement
from actors.endpoints.mqtt import Mqtt
from tests.loop import Run
from tests.mosquitto import Mosquitto
from tests.stage import DELIVERED, KeepingOutlet, Played, Stage, stage

pytestmark = pytest.mark.needs("mosquitto")

DEADLINE_S = 10.0


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path) as running:
        yield running


@asynccontextmanager
async def play(broker: Mosquitto, **outlet: Any) -> AsyncIterator[Stage]:
    async with stage() as played:
        played.broker = broker.url
        for name, value in outlet.items():
            setattr(played.outlet, name, value)
        yield played


async def source(played: Stage, name: str = "in", **options: Any) -> Played:
    return await played.start(Mqtt, {"connection": "broker", "subscribe": "in/#", **options}, name=name)


async def target(played: Stage, name: str = "out", **options: Any) -> Played:
    return await played.start(Mqtt, {"connection": "broker", "publish": "in/x", **options}, name=name)


async def until(condition: Callable[[], object]) -> None:
    """Look again and again: what comes from the broker comes when it comes."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110  # several ends may make it true
            await asyncio.sleep(0.01)


def receipt(outlet: KeepingOutlet, number: int) -> Receipt:
    found = outlet.receipts[number]
    assert found is not None
    return found


def message(data: Any = None, number: int = 1, **headers: str) -> Message:
    return Message(f"m-{number}", "it", data, headers)


def test_a_message_goes_out_and_comes_in_as_it_was(run: Run, broker: Mosquitto) -> None:
    """With its id, its headers and what else it carries; the topic is its subject."""

    async def main() -> None:
        async with play(broker, settlement=DELIVERED) as played:
            await source(played)
            out = await target(played, headers={"room": "{{ data.room }}"}, expiry="1m")
            sent = message({"room": 5}, priority="high").with_attributes(
                replyto="answers", correlationid="c-1", partitionkey="k", traceparent="00-1"
            )
            assert await out.deliver(sent) is None
            await until(lambda: played.outlet.messages)
            (came,) = played.outlet.messages
            assert (came.id, came.data, came.subject, came.source) == ("m-1", {"room": 5}, "in/x", "in")
            assert came.headers == {"priority": "high", "room": "5"}
            assert (came.replyto, came.correlationid, came.key, came.traceparent) == ("answers", "c-1", "k", "00-1")
            assert came.datacontenttype == "application/json"
            assert came.expirytime is not None
            assert 0 < came.expirytime - came.time <= 60

    run(main())


def test_over_mqtt_311_the_payload_is_all(run: Run, broker: Mosquitto) -> None:
    """Which is why the id has to be in it."""

    async def main() -> None:
        async with play(broker, settlement=DELIVERED) as played:
            played.connection_options = {"protocol": "3.1.1"}
            await source(played, id="{{ data.id }}", key="{{ data.room }}")
            out = await target(played, payload={"id": "{{ message.id }}", "room": "a"})
            await out.deliver(message(None, x="y"))
            await until(lambda: played.outlet.messages)
            (came,) = played.outlet.messages
            assert (came.id, came.key, came.headers) == ("m-1", "a", {})

    run(main())


@pytest.mark.parametrize("qos", [1, 2])
def test_a_message_is_acknowledged_when_it_is_safe(run: Run, broker: Mosquitto, qos: int) -> None:
    """And in the order of arrival; what is not stays with the broker, for whoever comes next."""

    async def main() -> None:
        async with play(broker) as played:
            taking, out = await source(played, qos=qos), await target(played, qos=qos)
            for number in range(4):
                await out.deliver(message(number, number))
            await until(lambda: len(played.outlet.messages) == 4)
            receipt(played.outlet, 2).settle(DELIVERED)
            receipt(played.outlet, 0).accept()
            await taking.stop()
            await source(played, qos=qos)
            await until(lambda: len(played.outlet.messages) == 7)
            assert [message.data for message in played.outlet.messages[4:]] == [1, 2, 3]
            assert [message.id for message in played.outlet.messages[4:]] == ["m-1", "m-2", "m-3"]

    run(main())


def test_what_cannot_be_kept_comes_again(run: Run, broker: Mosquitto) -> None:
    """It is not acknowledged, and the broker repeats it after a reconnect."""

    async def main() -> None:
        async with play(broker) as played:
            await source(played)
            out = await target(played)
            await out.deliver(message("x"))
            await until(lambda: played.outlet.messages)
            receipt(played.outlet, 0).refuse(StorageError("no space"))
            await until(lambda: len(played.outlet.messages) == 2)
            assert [message.id for message in played.outlet.messages] == ["m-1", "m-1"]
            receipt(played.outlet, 1).accept()

    run(main())


class Full(KeepingOutlet):
    """An outlet without room, until a test makes some."""

    async def put(self, message: Message, receipt: Receipt | None = None) -> None:
        async with asyncio.timeout(DEADLINE_S):
            await self.has_room.wait()
        self.refusal = None
        self.offer(message, receipt)


def test_what_finds_no_room_waits_in_its_order(run: Run, broker: Mosquitto) -> None:
    """Unacknowledged, so that the broker holds the rest back; of QoS 0 no more than that waits."""

    async def main() -> None:
        async with play(broker) as played:
            outlet = Full(refusal=BackPressureError("full", route="r"), settlement=DELIVERED)
            outlet.has_room.clear()
            played.outlet = outlet
            await source(played, receive_maximum=5)
            out, fast = await target(played), await target(played, name="fast", qos=0)
            for number in range(12):
                await out.deliver(message(number, number))
            assert outlet.messages == []
            for number in range(100, 110):
                await fast.deliver(message(number, number))
            await until(lambda: any("no room" in str(event) for event in played.emitted))
            outlet.has_room.set()
            await until(lambda: len([each for each in outlet.messages if each.data < 100]) == 12)
            assert [each.data for each in outlet.messages if each.data < 100] == list(range(12))
            assert len([each for each in outlet.messages if each.data >= 100]) < 10

    run(main())


def test_what_does_not_decode_is_rejected(run: Run, broker: Mosquitto) -> None:
    """As a dead letter, and acknowledged when that is safe."""

    async def main() -> None:
        async with play(broker) as played:
            await source(played, decode="json")
            out = await target(played)
            await out.deliver(message(b"{"))
            await until(lambda: played.outlet.rejected)
            ((rejected, reason, _),) = played.outlet.rejected
            assert (rejected.data, reason, rejected.id) == (b"{", "undecodable", "m-1")

    run(main())


def test_after_the_drain_nothing_is_taken(run: Run, broker: Mosquitto) -> None:
    """What comes then is not acknowledged, and waits for the next start."""

    async def main() -> None:
        async with play(broker, settlement=DELIVERED) as played:
            taking, out = await source(played), await target(played)
            await out.deliver(message(1, 1))
            await until(lambda: played.outlet.messages)
            await taking.drain()
            await out.deliver(message(2, 2))
            await taking.stop()
            assert len(played.outlet.messages) == 1
            await source(played)
            await until(lambda: len(played.outlet.messages) == 2)
            assert [each.data for each in played.outlet.messages] == [1, 2]

    run(main())


def test_a_subscriber_may_be_required(run: Run, broker: Mosquitto) -> None:
    """Where nobody is there, that is a failed attempt, with its reason."""

    async def main() -> None:
        async with play(broker, settlement=DELIVERED) as played:
            out = await target(played, require_subscriber=True)
            with pytest.raises(DeliveryError, match="no matching subscribers") as error:
                await out.deliver(message())
            assert (error.value.reason, error.value.retryable) == ("refused", True)
            await source(played)
            await out.deliver(message())

    run(main())


@pytest.mark.parametrize("value", ["a/b", "+", "#", "\0", ""])
def test_a_message_cannot_lead_elsewhere(run: Run, broker: Mosquitto, value: str) -> None:
    """Its topic is refused before anything is sent."""

    async def main() -> None:
        async with play(broker) as played:
            out = await target(played, publish="in/{{ data }}")
            with pytest.raises(DeliveryError) as error:
                await out.deliver(message(value))
            assert (error.value.reason, error.value.retryable) == ("invalid", False)
            with pytest.raises(DeliveryError):
                await out.deliver(message("good", x="a\0b"))

    run(main())


def test_many_are_under_way_without_a_task_for_any(run: Run, broker: Mosquitto) -> None:
    """Thousands wait for the broker, which takes twenty at a time."""

    async def main() -> None:
        async with play(broker, settlement=DELIVERED) as played:
            await source(played)
            out = await target(played, in_flight=5000)
            replies = [out.actor.actor_ref.ask(message(number, number), block=False) for number in range(3000)]
            await until(lambda: len(out.actor.actor_inbox.in_hand) > 1000)
            assert not out.actor._owned
            for reply in replies:
                await reply
            await until(lambda: len(played.outlet.messages) == 3000)
            assert [each.data for each in played.outlet.messages] == list(range(3000))

    run(main())


def test_a_broker_that_is_killed_is_away_and_comes_back(run: Run, broker: Mosquitto) -> None:
    """Deliveries are refused at once meanwhile, and no actor crashes."""

    async def main() -> None:
        async with play(broker, settlement=DELIVERED) as played:
            out = await target(played)
            assert not played.standing.away
            await asyncio.to_thread(broker.kill)
            await until(lambda: played.standing.away)
            with pytest.raises(DeliveryError) as error:
                await out.deliver(message())
            assert (error.value.reason, error.value.retryable) == ("connect", True)
            await asyncio.to_thread(broker.start)
            await until(lambda: not played.standing.away)
            await out.deliver(message())
            assert out.error is None

    run(main())


@pytest.mark.parametrize("republish", [None, "10s"])
def test_what_a_killed_broker_has_forgotten_is_published_again(run: Run, tmp_path: Path, republish: str | None) -> None:
    """With the same id, where `republish` says so; otherwise it is lost, as the broker promised nothing more."""
    saved = tmp_path / "mosquitto.db"

    async def main() -> None:
        async with play(forgetful, settlement=DELIVERED) as played:
            taking = await source(played)
            out = await target(played, republish=republish)
            await taking.stop()
            os.kill(forgetful.pid, signal.SIGUSR1)  # it saves the session now, and nothing later
            await until(saved.exists)
            for number in range(5):
                await out.deliver(message(number, number))
            await asyncio.to_thread(forgetful.kill)
            await until(lambda: played.standing.away)
            await asyncio.to_thread(forgetful.start)
            await until(lambda: not played.standing.away)
            await out.deliver(message("end", 9))
            await source(played)
            await until(lambda: played.outlet.messages and played.outlet.messages[-1].data == "end")
            came = [each.id for each in played.outlet.messages[:-1]]
            assert came == ([] if republish is None else [f"m-{number}" for number in range(5)])

    store = ("persistence true", f"persistence_location {tmp_path}/", "autosave_interval 0")
    with Mosquitto(tmp_path, *store) as forgetful:
        run(main())


def test_what_is_published_again_waits_for_its_subscriber(run: Run, broker: Mosquitto) -> None:
    """Where one is required: a broker that forgot its sessions answers that there is none, and that is no end."""

    async def main() -> None:
        async with play(broker, settlement=DELIVERED) as played:
            taking = await source(played)
            out = await target(played, require_subscriber=True, republish="10s")
            await taking.stop()  # its session stays, and counts as a subscriber
            for number in range(5):
                await out.deliver(message(number, number))
            await asyncio.to_thread(broker.kill)
            await until(lambda: played.standing.away)
            await asyncio.to_thread(broker.start)
            await until(lambda: not played.standing.away)
            with pytest.raises(DeliveryError, match="no matching subscribers"):
                await out.deliver(message("nobody is there", 9))
            assert played.outlet.messages == []
            await source(played)
            await until(lambda: len(played.outlet.messages) == 5)
            assert [each.id for each in played.outlet.messages] == [f"m-{number}" for number in range(5)]

    run(main())


def test_a_settled_outcome_is_an_acknowledgement(run: Run, broker: Mosquitto) -> None:
    """Whatever the outcome: also a dead letter is a safe place."""

    async def main() -> None:
        async with play(broker, settlement=Settlement("dead_lettered", "x")) as played:
            taking, out = await source(played), await target(played)
            await out.deliver(message())
            await until(lambda: played.outlet.messages)
            await taking.stop()
            await source(played)
            await out.deliver(message("next", 2))
            await until(lambda: len(played.outlet.messages) == 2)
            assert [each.id for each in played.outlet.messages] == ["m-1", "m-2"]

    run(main())
