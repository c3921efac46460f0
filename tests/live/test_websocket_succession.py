"""A WebSocket endpoint takes the place of another one, with its clients."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from actors.connections.websocket_clients import AT_A_TIME
from actors.core.errors import BackPressureError
from actors.core.message import Message, Reply
from actors.endpoints.websocket import Websocket
from tests.loop import Run
from tests.stage import DEADLINE_S, Played, Stage, stage

OPTIONS = {"path": "/ws/{folder}", "rooms": "{{ data.folder }}", "to_room": "{{ headers.room }}"}


class Site:
    """An endpoint that is replaced now and then, and its clients."""

    def __init__(self, played: Stage, endpoint: Played) -> None:
        self.stage = played
        self.endpoint = endpoint
        self.clients: list[ClientConnection] = []

    async def client(self, path: str = "/ws/a") -> ClientConnection:
        url = self.stage.url.replace("http", "ws", 1) + path
        client = await connect(url, open_timeout=DEADLINE_S, close_timeout=1.0)
        self.clients.append(client)
        return client

    async def replace(self, **options: Any) -> Played:
        """Hand over to a successor with these options too; returns the one before, which has not ended yet."""
        before = self.endpoint
        self.endpoint = await self.stage.succeed(Websocket, {**OPTIONS, **options}, before, "panel")
        return before

    async def send(self, data: Any, room: str = "a") -> int:
        reply = await self.endpoint.deliver(Message("m", "it", data, {"room": room}))
        assert isinstance(reply, Reply)
        reached: int = reply.data["clients"]
        return reached

    @property
    def about(self) -> Mapping[str, int]:
        assert isinstance(self.endpoint.actor, Websocket)
        return self.endpoint.actor.about()

    @property
    def names(self) -> set[str]:
        """Of the clients, as operators know them."""
        return set(self.stage.families["panel"].members)


@asynccontextmanager
async def site(**options: Any) -> AsyncIterator[Site]:
    async with stage() as played:
        made = Site(played, await played.start(Websocket, {**OPTIONS, **options}, name="panel"))
        try:
            yield made
        finally:
            for client in made.clients:
                await client.close()


async def heard(client: ClientConnection) -> str | bytes:
    async with asyncio.timeout(DEADLINE_S):
        return await client.recv()


async def code(client: ClientConnection) -> int | None:
    async with asyncio.timeout(DEADLINE_S):
        try:
            while True:
                await client.recv()
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd is not None else None


def test_clients_stay_connected(run: Run) -> None:
    """In their rooms, with their names; what they send and what is sent to them goes by the new options."""

    async def main() -> None:
        async with site() as made:
            first, other = await made.client(), await made.client("/ws/b")
            await made.stage.until(lambda: made.about["clients"] == 2)
            names = made.names
            before = await made.replace(body={"now": "{{ data }}"}, message_type="said", decode="text")
            await before.retire()
            assert made.names == names
            assert await made.send(1) == 1
            assert await heard(first) == '{"now":1}'
            await first.send("5")
            await made.stage.until(lambda: made.stage.outlet.messages)
            (came,) = made.stage.outlet.messages
            assert (came.data, came.type, came.headers["room"]) == ("5", "said", "a")
            assert made.about["clients"] == made.about["rooms"] == 2
            late = await made.client()
            await made.stage.until(lambda: made.about["clients"] == 3)
            assert len(made.names) == 3
            assert names < made.names
            await other.close()
            await late.close()
            await made.stage.until(lambda: made.about["clients"] == 1)

    run(main())


@pytest.mark.parametrize(
    ("options", "path"),
    [({"path": "/elsewhere/{folder}"}, "/elsewhere/a"), ({"auth": {"bearer": "t", "query": "token"}}, "/ws/a?token=t")],
)
def test_where_something_else_is_asked_for_clients_come_anew(run: Run, options: dict[str, Any], path: str) -> None:
    """They are closed with 1012, behind what was sent to them, and may come back at once."""

    async def main() -> None:
        async with site() as made:
            client = await made.client()
            await made.stage.until(lambda: made.about["clients"])
            assert await made.send("good-bye") == 1
            before = await made.replace(**options)
            assert await heard(client) == "good-bye"
            assert await code(client) == 1012
            again = await made.client(path)
            assert await made.send("hello") == 1
            assert await heard(again) == "hello"
            await before.retire()
            assert await made.send("still there") == 1

    run(main())


def test_a_message_that_is_being_told_reaches_all_its_clients(run: Run) -> None:
    """Many clients are told in several turns, and the switch may come between two of them."""

    async def main() -> None:
        async with site() as made:
            count = AT_A_TIME + 5
            for _ in range(count):
                await made.client()
            await made.stage.until(lambda: made.about["clients"] == count)
            after = await made.stage.start(Websocket, OPTIONS, "panel", succeeds=True)
            telling = asyncio.create_task(made.send("all"))
            before = made.endpoint
            await made.stage.until(lambda: before.actor.actor_inbox.in_hand)
            assert isinstance(after.actor, Websocket)
            assert isinstance(before.actor, Websocket)
            after.actor.take_over(before.actor)
            assert await telling == count
            await before.retire()
            assert await asyncio.gather(*(heard(client) for client in made.clients)) == ["all"] * count

    run(main())


def test_what_a_client_sent_without_room_for_it_is_handed_on_later(run: Run) -> None:
    """The client is read again then."""

    async def main() -> None:
        async with site() as made:
            client = await made.client()
            made.stage.outlet.refusal = BackPressureError("full", route="r")
            room = asyncio.Event()
            offer = made.stage.outlet.offer

            async def put(message: Message, receipt: Any = None) -> None:
                await room.wait()
                offer(message, receipt)

            made.stage.outlet.put = put  # type: ignore[method-assign]
            await client.send("one")
            actor = made.endpoint.actor
            assert isinstance(actor, Websocket)
            await made.stage.until(lambda: any(peer._held for peer in actor._clients))
            before = await made.replace()
            await before.retire()
            made.stage.outlet.refusal = None
            room.set()
            await client.send("two")
            await made.stage.until(lambda: len(made.stage.outlet.messages) == 2)
            assert [message.data for message in made.stage.outlet.messages] == ["one", "two"]
            assert not made.stage.outlet.rejected

    run(main())
