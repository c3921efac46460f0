"""WebSocket clients that others wrote, over real sockets: the `websockets` library, aiohttp, Node's `ws`, and a bare
socket that never reads."""

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from actors.connections.http_listener import HttpListener, Tls
from actors.connections.websocket_peer import Peer
from actors.core.clock import ManualClock
from actors.core.errors import BackPressureError, DeliveryError, StorageError
from actors.core.events import Notice
from actors.core.message import Message, Reply
from actors.endpoints.websocket import Websocket
from tests.certificates import self_signed
from tests.loop import Run
from tests.node_clients import node_client
from tests.stage import DEADLINE_S, KeptResources, Played, Stage, stage

HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


class Site:
    """A `websocket` endpoint on a stage, and its clients."""

    def __init__(self, played: Stage, endpoint: Played) -> None:
        self.stage = played
        self.outlet = played.outlet
        self.endpoint = endpoint
        self.clients: list[ClientConnection] = []

    @property
    def url(self) -> str:
        return self.stage.url.replace("http", "ws", 1)

    @property
    def about(self) -> Mapping[str, int]:
        assert isinstance(self.endpoint.actor, Websocket)
        return self.endpoint.actor.about()

    @property
    def peers(self) -> list[Peer]:
        """Of the clients that are connected, in the order in which they came."""
        actors = [member.actor for member in self.stage.families["panel"].members.values()]
        assert all(isinstance(actor, Peer) for actor in actors)
        return [actor for actor in actors if isinstance(actor, Peer)]

    async def client(self, path: str = "/ws", **options: Any) -> ClientConnection:
        client = await connect(self.url + path, open_timeout=DEADLINE_S, close_timeout=1.0, **options)
        self.clients.append(client)
        return client

    async def refused(self, path: str = "/ws", **options: Any) -> int:
        """The status that a client is refused with."""
        with pytest.raises(InvalidStatus) as refused:
            await self.client(path, **options)
        return refused.value.response.status_code

    async def send(self, data: Any, **headers: str) -> int:
        """Deliver a message; how many clients it reached."""
        reply = await self.endpoint.deliver(Message("m", "it", data, headers))
        assert isinstance(reply, Reply)
        reached: int = reply.data["clients"]
        return reached

    async def messages(self, count: int) -> list[Message]:
        """What came in, when it is so much."""
        await self.stage.until(lambda: len(self.outlet.messages) >= count)
        assert len(self.outlet.messages) == count
        return self.outlet.messages


@asynccontextmanager
async def site(options: Mapping[str, Any], clock: ManualClock | None = None) -> AsyncIterator[Site]:
    async with stage(clock) as played:
        made = Site(played, await played.start(Websocket, {"path": "/ws", **options}, name="panel"))
        try:
            yield made
        finally:
            for client in made.clients:
                await client.close()


def scenario(**options: Any) -> Callable[[Callable[[Site], Awaitable[None]]], Callable[[Run], None]]:
    """Make a test of a coroutine that is given the site of an endpoint with these options."""

    def decorate(body: Callable[[Site], Awaitable[None]]) -> Callable[[Run], None]:
        def test(run: Run) -> None:
            async def main() -> None:
                async with site(options) as made:
                    await body(made)

            run(main())

        test.__name__ = body.__name__
        test.__doc__ = body.__doc__
        return test

    return decorate


async def heard(client: ClientConnection) -> str | bytes:
    async with asyncio.timeout(DEADLINE_S):
        return await client.recv()


async def code(client: ClientConnection) -> int | None:
    """What a client is closed with; what it still gets before is thrown away."""
    async with asyncio.timeout(DEADLINE_S):
        try:
            while True:
                await client.recv()
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd is not None else None


@scenario(path="/ws/folder/{folder_id}", rooms="folder/{{ data.folder_id }}")
async def test_what_a_client_sends_is_a_message(site: Site) -> None:
    """With the client, its room and the path's parameters as headers, and the client as its key."""
    client = await site.client("/ws/folder/17")
    await client.send('{"a": 1}')
    await client.send("not JSON")
    await client.send(b'{"a": 1}')
    first, second, third = await site.messages(3)
    (peer,) = site.peers
    assert (first.source, first.data, second.data, third.data) == ("panel", {"a": 1}, "not JSON", b'{"a": 1}')
    assert first.headers == {"client": peer.client, "room": "folder/17", "folder_id": "17"}
    assert (first.key, first.subject) == (peer.client, "folder/17")
    assert len({message.id for message in site.outlet.messages}) == 3


@scenario(decode="json", id="{{ data.id }}", key="{{ data.folder }}", message_type="{{ data.kind }}")
async def test_a_message_is_described_by_templates(site: Site) -> None:
    """One that does not decode, or lacks what a template needs, is a dead letter with its text; the client goes on."""
    client = await site.client()
    await client.send("{")
    await client.send('{"id": "1"}')
    await client.send('{"id": "1", "folder": 7, "kind": "scan"}')
    (message,) = await site.messages(1)
    assert (message.id, message.key, message.type) == ("1", "7", "scan")
    assert [(letter.data, reason) for letter, reason, _ in site.outlet.rejected] == [
        ("{", "undecodable"),
        ('{"id": "1"}', "expression"),
    ]


@scenario()
async def test_without_a_route_from_here_nothing_is_kept(site: Site) -> None:
    """Or strangers could fill the store of dead letters; it is counted."""
    site.outlet.routed = False
    client = await site.client()
    await client.send("hello")
    await site.stage.until(lambda: site.about["ignored"])
    assert site.outlet.messages == []


@scenario()
async def test_a_broadcast_reaches_all_clients(site: Site) -> None:
    """Values as JSON, text as text, bytes as bytes; it says how many."""
    clients = [await site.client() for _ in range(3)]
    for data, expected in [({"n": 1}, '{"n":1}'), ("text", "text"), (b"\xff", b"\xff")]:
        assert await site.send(data) == 3
        assert [await heard(client) for client in clients] == [expected] * 3


@scenario(path="/ws/{folder}", rooms=["{{ data.folder }}", "all"], to_room="{{ headers.to }}", body={"d": "{{ data }}"})
async def test_a_message_to_a_room_reaches_those_in_it(site: Site) -> None:
    """A client may be in several; a room that nobody is in takes a message all the same."""
    one, other = await site.client("/ws/1"), await site.client("/ws/2")
    assert await site.send("a", to="1") == 1
    assert await site.send("b", to="all") == 2
    assert await site.send("c", to="3") == 0
    assert [await heard(one), await heard(one), await heard(other)] == ['{"d":"a"}', '{"d":"b"}', '{"d":"b"}']
    await one.close()
    await site.stage.until(lambda: site.about["clients"] == 1)
    assert (await site.send("a", to="1"), site.about["rooms"]) == (0, 2)


@scenario(to_client="{{ headers.client }}")
async def test_a_message_to_one_client_reaches_that(site: Site) -> None:
    """By the header of what it has sent; one that is gone is a refusal that no repetition mends."""
    client, other = await site.client(), await site.client()
    await client.send("who am I?")
    (question,) = await site.messages(1)
    assert await site.send("you", client=question.headers["client"]) == 1
    assert await heard(client) == "you"
    await client.close()
    await site.stage.until(lambda: site.about["clients"] == 1)
    with pytest.raises(DeliveryError, match="not connected") as refused:
        await site.send("you", client=question.headers["client"])
    assert not refused.value.retryable
    assert other.close_code is None


@scenario(require_client=True)
async def test_a_delivery_to_nobody_can_be_a_refusal(site: Site) -> None:
    """Where the topology wants it so."""
    with pytest.raises(DeliveryError, match="no client"):
        await site.send("anybody?")


@scenario(client_mailbox={"size": "1KiB"})
async def test_what_fits_in_no_mailbox_is_refused(site: Site) -> None:
    """No repetition can help."""
    with pytest.raises(DeliveryError, match="larger") as refused:
        await site.send("x" * 1024)
    assert not refused.value.retryable


@scenario(auth={"bearer": "t0ken", "query": "token"}, origins=["https://app.example"], rooms="{{ data.room }}")
async def test_who_may_not_come_is_told_before_the_upgrade(site: Site) -> None:
    """401 without a proof, 403 from a foreign page, 400 where a room cannot be told; the token is in no message."""
    proof = {"Authorization": "Bearer t0ken"}
    assert await site.refused("/ws?room=a") == 401
    assert await site.refused("/ws?room=a&token=x") == 401
    assert await site.refused("/ws?room=a", additional_headers=proof, origin="https://evil.example") == 403
    assert await site.refused("/ws", additional_headers=proof) == 400
    assert await site.refused("/other", additional_headers=proof) == 404
    await site.client("/ws?room=a&token=t0ken", origin="https://app.example")
    await (await site.client("/ws?room=b", additional_headers=proof)).send("x")
    (message,) = await site.messages(1)
    assert "t0ken" not in repr(message)
    assert [peer.rooms for peer in site.peers] == [("a",), ("b",)]


@scenario(auth={"basic": {"ana": "s3cret"}})
async def test_a_user_is_known_by_name(site: Site) -> None:
    """In what the user's clients send."""
    client = await connect(site.url.replace("ws://", "ws://ana:s3cret@") + "/ws")
    site.clients.append(client)
    await client.send("x")
    (message,) = await site.messages(1)
    assert message.headers["user"] == "ana"


@scenario(subprotocols=["v2", "v1"])
async def test_the_best_subprotocol_is_chosen(site: Site) -> None:
    """Browsers fail where they offered some, and none was chosen."""
    assert (await site.client(subprotocols=["v1", "v2"])).subprotocol == "v2"
    assert (await site.client()).subprotocol is None


@scenario()
async def test_a_plain_request_is_told_what_is_here(site: Site) -> None:
    """426, and the connection is closed."""
    async with aiohttp.ClientSession() as session, session.get(f"{site.stage.url}/ws") as answer:
        assert answer.status == 426
        assert answer.headers["Upgrade"] == "websocket"


@scenario(max_clients=1)
async def test_there_may_be_so_many_clients(site: Site) -> None:
    """One more is told to come again; one that left makes room."""
    client = await site.client()
    assert await site.refused() == 503
    await client.close()
    await site.stage.until(lambda: not site.about["clients"])
    await site.client()


@scenario(max_message="1KiB")
async def test_a_message_that_is_too_large_closes_with_1009(site: Site) -> None:
    """The client sees why, though it was still sending; another goes on."""
    client, other = await site.client(), await site.client()
    await client.send("x" * 1024)
    await client.send("x" * 3_000_000)
    assert await code(client) == 1009
    await other.send("here")
    assert [len(message.data) for message in await site.messages(2)] == [1024, 4]


@scenario()
async def test_frames_that_come_with_the_handshake_count(site: Site) -> None:
    """A client need not wait for the answer to be read with its first message."""
    host, port = site.stage.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(HANDSHAKE + b"\x81\x82\x00\x00\x00\x00hi")
    (message,) = await site.messages(1)
    assert message.data == "hi"
    writer.close()
    await reader.read()
    await site.stage.until(lambda: not site.about["clients"])


@scenario()
async def test_a_client_is_not_read_while_a_route_has_no_room(site: Site) -> None:
    """Its messages come in order when there is; meanwhile they wait where they are."""
    room = asyncio.Event()

    async def put(message: Message, receipt: Any = None) -> None:
        await room.wait()
        site.outlet.refusal = None
        site.outlet.offer(message, receipt)

    site.outlet.refusal = BackPressureError("full", route="r")
    site.outlet.put = put  # type: ignore[method-assign]  # an outlet whose room a test makes
    client = await site.client()
    for number in range(5):
        await client.send(str(number))
    (peer,) = site.peers
    await site.stage.until(lambda: peer.connection._held)
    assert site.outlet.messages == []
    room.set()
    assert [message.data for message in await site.messages(5)] == [0, 1, 2, 3, 4]
    await client.send("5")
    await site.messages(6)


@scenario()
async def test_what_could_not_be_kept_closes_with_1013(site: Site) -> None:
    """A WebSocket has no other way to say that a message was lost; also where that shows later."""
    client, other = await site.client(), await site.client()
    await other.send("later")
    await site.messages(1)
    site.outlet.receipt.refuse(StorageError("the disk is full"))
    assert await code(other) == 1013
    site.outlet.refusal = StorageError("the disk is full")
    await client.send("x")
    assert await code(client) == 1013


@scenario()
async def test_what_a_client_sent_before_it_left_is_a_dead_letter(site: Site) -> None:
    """Where no route had room for it in time: nothing goes without a name."""

    async def never(message: Message, receipt: Any = None) -> None:
        await asyncio.Event().wait()

    site.outlet.refusal = BackPressureError("full", route="r")
    site.outlet.put = never  # type: ignore[method-assign]  # an outlet that never has room
    client = await site.client()
    await client.send("x")
    await site.stage.until(lambda: site.peers[0]._held)
    client.transport.abort()
    await site.endpoint.stop()
    site.stage.families["panel"].dismiss()
    await site.stage.until(lambda: site.outlet.rejected)
    assert [(message.data, reason) for message, reason, _ in site.outlet.rejected] == [("x", "full")]


@scenario()
async def test_when_the_router_stops_clients_are_told(site: Site) -> None:
    """1001, behind all that was delivered; a draining endpoint lets nobody in, and reads nothing more."""
    clients = [await site.client() for _ in range(3)]
    await site.endpoint.drain()
    assert await site.refused() == 503
    assert await site.send("last") == 3
    await site.endpoint.stop()
    for client in clients:
        assert await heard(client) == "last"
        assert await code(client) == 1001
    await site.stage.until(lambda: not site.peers)


@scenario()
async def test_when_the_endpoint_crashes_clients_are_told_to_come_again(site: Site) -> None:
    """1012."""
    client = await site.client()
    site.endpoint.actor._crash(RuntimeError("a defect"))
    assert await code(client) == 1012


@scenario()
async def test_one_client_that_crashes_is_one_client(site: Site) -> None:
    """1011 for that one; the others and the endpoint go on."""
    client, other = await site.client(), await site.client()
    site.peers[0]._crash(RuntimeError("a defect"))
    assert await code(client) == 1011
    assert await site.send("x") == 1
    assert await heard(other) == "x"


def deaf(site: Site) -> socket.socket:
    """A client that never reads: a bare socket with a small buffer, its handshake sent."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    host, port = site.stage.url.removeprefix("http://").split(":")
    made.connect((host, int(port)))
    made.sendall(HANDSHAKE)
    return made


@scenario(client_mailbox={"capacity": 20, "size": "64KiB", "overflow": "drop_oldest"})
async def test_a_client_that_never_reads_holds_up_nobody(site: Site) -> None:
    """It misses the oldest, its memory is bounded, and the others get everything."""
    with deaf(site):
        client = await site.client()
        await site.stage.until(lambda: site.about["clients"] == 2)
        slow, quick = site.peers
        got = asyncio.create_task(collect(client, 2000))
        for number in range(2000):
            assert await site.send({"n": number, "pad": "x" * 1000}) == 2
            await site.stage.until(lambda: not quick.postbox.messages)
        async with asyncio.timeout(DEADLINE_S):
            assert [json.loads(text)["n"] for text in await got] == list(range(2000))
        assert slow.connection.stuffed
        assert len(slow.postbox) == 20
        assert slow.postbox.dropped > 1000
        assert slow.connection._transport is not None
        assert slow.connection._transport.get_write_buffer_size() < 70_000
        await site.endpoint.stop()


@scenario(client_mailbox={"capacity": 20, "size": "64KiB"})
async def test_a_client_that_is_too_slow_is_disconnected(site: Site) -> None:
    """It is counted, an operator hears of it, and the others hardly notice."""
    with deaf(site):
        await site.stage.until(lambda: site.about["clients"] == 1)
        while site.about["clients"]:
            await site.send("x" * 10_000)
        assert site.about["too_slow"] == 1
        (notice,) = [event for event in site.stage.emitted if isinstance(event, Notice)]
        assert notice.level == "warning"


@scenario(conflate="{{ data.job }}", client_mailbox={"capacity": 5, "size": "64KiB", "overflow": "disconnect"})
async def test_progress_is_thinned_out_for_a_slow_client_and_the_last_of_it_never(site: Site) -> None:
    """Of each key that waits only the newest is kept, and nobody is disconnected."""
    with deaf(site) as socket_:
        await site.stage.until(lambda: site.about["clients"] == 1)
        (peer,) = site.peers
        number = 0
        while site.about["conflated"] < 100:
            number += 1
            await site.send({"job": number % 3, "n": number, "pad": "x" * 1000})
        socket_.setblocking(False)
        received = b""
        async with asyncio.timeout(DEADLINE_S):
            while b'"n":%d,' % number not in received:
                received += await asyncio.get_running_loop().sock_recv(socket_, 65536)
        for last in (number - 1, number - 2):
            assert b'"n":%d,' % last in received
        await site.stage.until(lambda: not peer.postbox.messages)


async def collect(client: ClientConnection, count: int) -> list[str | bytes]:
    return [await client.recv() for _ in range(count)]


def test_a_dead_client_is_noticed(run: Run) -> None:
    """One that answers no ping is cut off; one that does stays, however quiet it is."""

    async def main() -> None:
        clock = ManualClock()
        options = {"ping": {"every": "20s", "timeout": "5s"}}
        async with site(options, clock) as made:
            with deaf(made):
                client = await made.client(ping_interval=None)
                await made.stage.until(lambda: made.about["clients"] == 2)
                quiet = made.peers[1].connection
                was_asked = False
                for _ in range(40):
                    await clock.advance(1.0)
                    if quiet._pinged and not was_asked:  # the answer takes its way through the kernel
                        await made.stage.until(lambda: quiet._heard_at == quiet._host.recently)
                    was_asked = quiet._pinged
                await made.stage.until(lambda: made.about["clients"] == 1)
                assert await made.send("still there") == 1
                assert await heard(client) == "still there"

    run(main())


def test_clients_come_over_tls(run: Run, tmp_path: Path) -> None:
    """Large messages both ways, one that is too large, and an orderly end."""
    cert, key = self_signed(tmp_path)
    trust = ssl.create_default_context(cafile=cert)

    async def main() -> None:
        async with stage() as played:
            tls = Tls(str(cert), str(key))
            played.resources = KeptResources(
                {HttpListener: lambda: HttpListener("127.0.0.1", 0, clock=played.clock, tls=tls)}
            )
            options = {"path": "/ws", "max_message": "1MiB", "client_mailbox": {"size": "2MiB"}}
            made = Site(played, await played.start(Websocket, options, name="panel"))
            client, greedy = await made.client(ssl=trust), await made.client(ssl=trust)
            await client.send("x" * 1_000_000)
            (message,) = await made.messages(1)
            assert len(message.data) == 1_000_000
            assert await made.send("y" * 1_000_000) == 2
            assert await heard(client) == "y" * 1_000_000
            with suppress(ConnectionClosed):
                await greedy.send("x" * 2_000_000)
            await made.stage.until(lambda: made.about["clients"] == 1)
            await made.endpoint.stop()
            assert await code(client) == 1001
            await client.close()
            await greedy.close()

    run(main())


@scenario()
async def test_aiohttps_client_is_understood(site: Site) -> None:
    """Also one that offers compression, which is not taken up."""
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{site.stage.url}/ws", compress=15) as client:
        await client.send_json({"a": 1})
        await site.messages(1)
        await site.send({"b": 2})
        assert await client.receive_json(timeout=DEADLINE_S) == {"b": 2}
        await client.ping(b"x")
        await client.close(code=4000)
    await site.stage.until(lambda: not site.about["clients"])


@pytest.mark.needs("node", "npm")
@scenario(path="/ws/{folder}", rooms="{{ data.folder }}", to_room="7")
async def test_nodes_client_is_understood(site: Site) -> None:
    """It connects, sends, is sent something, pings, and sees the code that it is closed with."""
    command = await asyncio.to_thread(node_client, "websocket_client.js")
    program = await asyncio.create_subprocess_exec(
        *command, f"{site.url}/ws/7", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    (message,) = await site.messages(1)
    assert message.data == {"from": "node"}
    await site.send({"to": "node"})
    assert program.stdout is not None
    assert program.stderr is not None
    async with asyncio.timeout(DEADLINE_S):
        assert await program.stdout.readline() == b'got {"to":"node"} and a pong\n', await program.stderr.read()
        await site.endpoint.stop()
        assert await program.stdout.read() == b"closed 1001\n"
        await program.wait()
