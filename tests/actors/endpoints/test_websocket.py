"""What a `websocket` endpoint decides: who is in which room, and how many are told, without a network."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import pytest
from pydantic import ValidationError

from actors.connections.http_exchange import Exchange, Headers, Successor
from actors.connections.websocket_clients import AT_A_TIME
from actors.connections.websocket_peer import Peer
from actors.core.message import Message
from actors.core.spec import ENDPOINT, EndpointSpec
from actors.endpoints.websocket import Websocket, WebsocketOptions
from tests.actors.connections.test_websocket_connection import Wire
from tests.loop import Run
from tests.stage import Played, Stage, stage

ASKING = {
    "host": "localhost",
    "upgrade": "websocket",
    "connection": "Upgrade",
    "sec-websocket-version": "13",
    "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
}


class Asker:
    """One request to go over, and what came of it."""

    def __init__(self, parameters: Mapping[str, str], query: str) -> None:
        self.wire = Wire()
        self.status = 0
        self.exchange = Exchange(self, "GET", "/ws", query, ASKING, b"", "192.0.2.1", parameters)

    def answer(self, exchange: Exchange, status: int, body: bytes, content_type: str, headers: Headers) -> None:
        self.status = status

    def switch(self, exchange: Exchange, successor: Successor, headers: Headers) -> bool:
        self.status = 101
        successor.connection_made(self.wire)
        return True


class Site:
    """An endpoint on a stage, whose clients read at once what they are sent."""

    def __init__(self, played: Stage, endpoint: Played) -> None:
        self.stage = played
        self.endpoint = endpoint
        assert isinstance(endpoint.actor, Websocket)
        self.actor = endpoint.actor

    def connect(self, query: str = "", **parameters: str) -> Asker:
        asker = Asker(parameters, query)
        self.actor._connect(asker.exchange)
        return asker

    @property
    def peers(self) -> list[Peer]:
        return list(self.actor._clients)

    async def send(self, data: Any, **headers: str) -> int:
        reply = await self.endpoint.deliver(Message("m", "it", data, headers))
        reached: int = reply.data["clients"]
        return reached


def scenario(**options: Any) -> Callable[[Callable[[Site], Awaitable[None]]], Callable[[Run], None]]:
    """Make a test of a coroutine that is given the site of an endpoint with these options."""

    def decorate(body: Callable[[Site], Awaitable[None]]) -> Callable[[Run], None]:
        def test(run: Run) -> None:
            async def main() -> None:
                async with stage() as played:
                    await body(Site(played, await played.start(Websocket, {"path": "/ws", **options}, name="panel")))

            run(main())

        test.__name__ = body.__name__
        test.__doc__ = body.__doc__
        return test

    return decorate


@scenario(rooms=["{{ data.folder }}", "{{ data.more.split(',') if data.more else [] }}", "{{ headers.client }}"])
async def test_rooms_come_from_templates(site: Site) -> None:
    """One or several each; a name that is empty or comes again is left out."""
    site.connect("more=b,,c", folder="a")
    site.connect("more=&folder=query", folder="c")
    one, other = site.peers
    assert one.rooms == ("a", "b", "c", one.client)
    assert other.rooms == ("c", other.client)
    assert site.actor.about()["rooms"] == 5


@scenario(rooms="{{ data.rooms.split(',') }}")
async def test_a_client_may_be_in_so_many_rooms(site: Site) -> None:
    """A hundred; one that asks for more is refused, and so is one whose rooms cannot be told."""
    assert site.connect("rooms=" + ",".join(map(str, range(100)))).status == 101
    assert site.connect("rooms=" + ",".join(map(str, range(101)))).status == 400
    assert site.connect().status == 400
    assert site.connect("rooms=%ff").status == 400
    assert site.connect("rooms=a&" + "x=1&" * 100).status == 400
    assert len(site.peers) == 1


@scenario()
async def test_ids_are_never_used_again(site: Site) -> None:
    """Not by the next incarnation either: what is meant for a client of the last one must not reach another."""
    site.connect()
    site.connect()
    other = await site.stage.start(Websocket, {"path": "/other"}, name="panel")
    asker = Asker({}, "")
    assert isinstance(other.actor, Websocket)
    other.actor._connect(asker.exchange)
    clients = [peer.client for peer in (*site.peers, *other.actor._clients)]
    assert len(set(clients)) == 3
    prefixes = {client.rpartition("-")[0] for client in clients}
    assert len(prefixes) == 2


@scenario()
async def test_a_broadcast_to_many_lets_others_have_their_turn(site: Site) -> None:
    """It goes to some at a time; a client that leaves meanwhile is not counted, one that comes is for the next."""
    askers = [site.connect() for _ in range(3 * AT_A_TIME)]
    last = site.peers[-1]
    sending = asyncio.ensure_future(site.send("x"))
    await site.stage.until(lambda: askers[0].wire.written)
    assert not askers[-1].wire.written
    late = site.connect()
    last.close(1000)
    assert await sending == 3 * AT_A_TIME - 1
    await site.stage.until(lambda: all(asker.wire.written == b"\x81\x01x" for asker in askers[:-1]))
    assert not late.wire.written


@scenario(client_mailbox={"capacity": 2})
async def test_a_frame_is_made_once_for_all(site: Site) -> None:
    """The same object waits for every client that is slow, however many there are."""
    site.connect()
    site.connect()
    for peer in site.peers:
        peer.connection.pause_writing()
    for text in ("in hand", "waits"):
        assert await site.send(text) == 2
    one, other = site.peers
    await site.stage.until(lambda: len(one.postbox) == len(other.postbox) == 1)
    assert one.postbox.messages[0] is other.postbox.messages[0]


@scenario()
async def test_what_waits_goes_out_when_the_client_reads_again(site: Site) -> None:
    """In its order; what it never read is counted as failed or dropped."""
    reads, gone = site.connect(), site.connect()
    one, other = site.peers
    for peer in (one, other):
        peer.connection.pause_writing()
    for text in "abc":
        await site.send(text)
    await site.stage.until(lambda: one.postbox.in_hand and other.postbox.in_hand)
    one.connection.resume_writing()
    await site.stage.until(lambda: reads.wire.written == b"\x81\x01a\x81\x01b\x81\x01c")
    other.connection.connection_lost(None)
    family = site.stage.families["panel"]
    await site.stage.until(lambda: len(family) == 1)
    assert family.counts() == {"handled": 3, "failed": 1, "dropped": 2}
    assert not gone.wire.written


def claims(path: str) -> Iterable[str]:
    spec: EndpointSpec = getattr(Websocket, ENDPOINT)
    return spec.claims(WebsocketOptions.model_validate({"path": path}))


def test_two_paths_of_one_shape_are_one_claim() -> None:
    """So that the topology's check finds it, whatever the parameters are called."""
    assert claims("/ws/{a}") == claims("/ws/{b}") != claims("/ws/a")


@pytest.mark.parametrize("name", ["client", "room", "user"])
def test_a_parameter_takes_no_name_of_ours(name: str) -> None:
    """A client must not be able to say who it is by its path."""
    with pytest.raises(ValidationError, match="header of every message"):
        WebsocketOptions.model_validate({"path": f"/ws/{{{name}}}"})
