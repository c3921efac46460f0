"""The listener over real loopback sockets, with time that the test moves."""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from actors.connections.http_exchange import Exchange
from actors.connections.http_listener import HttpListener, is_loopback
from actors.connections.http_table import Limits, PathTakenError
from actors.core.clock import ManualClock
from actors.core.errors import RouterError
from tests.loop import Run

HEAD = b"Host: localhost\r\n"


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def problem(self) -> Any:
        assert self.headers["content-type"] == "application/problem+json"
        return json.loads(self.body)


@dataclass
class Client:
    """A raw HTTP client: what it sends is written as bytes in the test."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, *parts: bytes) -> None:
        self.writer.write(b"".join(parts))

    async def answer(self, *, head_only: bool = False) -> Answer:
        async with asyncio.timeout(5):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            status_line, *lines = head.strip().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            length = 0 if head_only else int(headers.get("content-length", 0))
            return Answer(int(status_line.split()[1]), headers, await self.reader.readexactly(length))

    def vanish(self) -> None:
        """Reset the connection, as a process that is killed does."""
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.close()

    async def closed(self) -> bytes:
        """What still comes until the listener closes."""
        async with asyncio.timeout(5):
            try:
                return await self.reader.read()
            except ConnectionResetError:
                return b""


@dataclass
class Site:
    """A listener whose handler remembers what it was handed."""

    listener: HttpListener
    clock: ManualClock
    exchanges: list[Exchange] = field(default_factory=list)
    clients: list[Client] = field(default_factory=list)

    def echo(self, exchange: Exchange) -> None:
        self.exchanges.append(exchange)
        exchange.respond(200, exchange.body, "application/octet-stream")

    def keep(self, exchange: Exchange) -> None:
        self.exchanges.append(exchange)

    async def client(self) -> Client:
        host, port = self.listener.address
        client = Client(*await asyncio.open_connection(host, port))
        self.clients.append(client)
        return client

    async def ask(self, *parts: bytes) -> Answer:
        """One request on a connection of its own."""
        client = await self.client()
        client.send(*parts)
        return await client.answer()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Let the loop run until `condition` holds."""
        async with asyncio.timeout(5):
            while not condition():  # noqa: ASYNC110  # nothing to wait on but the loop itself
                await asyncio.sleep(0)


@asynccontextmanager
async def site(limits: Limits | None = None, hosts: Iterable[str] = ()) -> AsyncIterator[Site]:
    clock = ManualClock()
    made = Site(HttpListener("127.0.0.1", 0, clock=clock, limits=limits, hosts=hosts), clock)
    made.listener.add(["POST"], "/echo", made.echo, max_body=1000)
    made.listener.add(["GET", "HEAD"], "/read", made.echo)
    made.listener.add(["POST"], "/wait", made.keep, max_body=1000)
    await made.listener.open()
    try:
        yield made
    finally:
        for client in made.clients:
            client.writer.close()
        await made.listener.close()


def scenario(
    *, limits: Limits | None = None, hosts: Iterable[str] = ()
) -> Callable[[Callable[[Site], Awaitable[None]]], Callable[[Run], None]]:
    """Make a test of a coroutine that is given a `Site`."""

    def decorate(body: Callable[[Site], Awaitable[None]]) -> Callable[[Run], None]:
        def test(run: Run) -> None:
            async def main() -> None:
                async with site(limits, hosts) as made:
                    await body(made)

            run(main())

        test.__name__ = body.__name__
        test.__doc__ = body.__doc__
        return test

    return decorate


def post(path: str, body: bytes = b"", *headers: bytes) -> bytes:
    lines = b"".join(header + b"\r\n" for header in headers)
    length = f"Content-Length: {len(body)}\r\n".encode()
    return f"POST {path} HTTP/1.1\r\n".encode() + HEAD + length + lines + b"\r\n" + body


def chunked(path: str, *chunks: bytes) -> bytes:
    head = f"POST {path} HTTP/1.1\r\n".encode() + HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


@scenario()
async def test_a_request_reaches_its_handler_whole(site: Site) -> None:
    """Method, path, query, headers in any case, body and the client's address."""
    answer = await site.ask(post("/echo?a=1&b", b"hello", b"X-Thing: 5"))
    assert (answer.status, answer.body) == (200, b"hello")
    exchange = site.exchanges[0]
    assert (exchange.method, exchange.path, exchange.query) == ("POST", "/echo", "a=1&b")
    assert (exchange.headers["x-thing"], exchange.body, exchange.remote) == ("5", b"hello", "127.0.0.1")


@scenario()
async def test_an_answer_carries_date_and_length(site: Site) -> None:
    """RFC 9110 asks a server with a clock for Date; the clock is the one it was given."""
    answer = await site.ask(post("/echo"))
    assert answer.headers["date"] == "Tue, 14 Nov 2023 22:13:20 GMT"
    assert answer.headers["content-length"] == "0"


@scenario()
async def test_one_connection_serves_many_requests(site: Site) -> None:
    """Keep-alive is what HTTP/1.1 has without asking."""
    client = await site.client()
    for number in range(3):
        client.send(post("/echo", b"%d" % number))
        assert (await client.answer()).body == b"%d" % number


@scenario()
async def test_pipelined_requests_are_answered_in_their_order(site: Site) -> None:
    """More of them than the parser takes ahead, and in one piece."""
    client = await site.client()
    client.send(*(post("/echo", b"%d" % number) for number in range(100)))
    assert [int((await client.answer()).body) for _ in range(100)] == list(range(100))


@scenario()
async def test_a_request_waits_until_the_one_before_has_its_answer(site: Site) -> None:
    """However many are sent ahead: their answers leave in order, and none is handled early."""
    client = await site.client()
    client.send(post("/wait", b"first"), *(post("/wait", b"%d" % number) for number in range(40)))
    for number in range(41):
        await site.until(lambda: len(site.exchanges) == number + 1)  # noqa: B023
        site.exchanges[number].respond(200, site.exchanges[number].body)
    assert (await client.answer()).body == b"first"
    assert [int((await client.answer()).body) for _ in range(40)] == list(range(40))


@scenario()
async def test_a_body_in_pieces_is_put_together(site: Site) -> None:
    """With a length and without one (chunked), whatever the pieces are."""
    for request in (
        post("/echo", bytes(range(100))),
        chunked("/echo", bytes(range(50)), bytes(range(50, 100))),
    ):
        client = await site.client()
        for start in range(0, len(request), 7):
            client.send(request[start : start + 7])
            await client.writer.drain()
            await asyncio.sleep(0)
        assert (await client.answer()).body == bytes(range(100))


@scenario()
async def test_many_tiny_chunks_are_one_body(site: Site) -> None:
    """A thousand chunks of a byte, in one piece and followed by another request."""
    client = await site.client()
    client.send(chunked("/echo", *[b"x"] * 1000), post("/echo", b"next"))
    assert (await client.answer()).body == b"x" * 1000
    assert (await client.answer()).body == b"next"


@scenario()
async def test_a_body_at_the_limit_is_taken_and_one_beyond_is_not(site: Site) -> None:
    """A byte too many is 413: by the announced length, before any of it comes, or while it arrives."""
    assert (await site.ask(post("/echo", b"x" * 1000))).status == 200
    assert (await site.ask(chunked("/echo", b"x" * 1000))).status == 200
    announced = await site.ask(b"POST /echo HTTP/1.1\r\n" + HEAD + b"Content-Length: 1001\r\n\r\n")
    assert announced.problem()["status"] == 413
    assert (await site.ask(post("/echo", b"x" * 1001))).status == 413
    assert (await site.ask(chunked("/echo", b"x" * 1001))).status == 413
    assert (await site.ask(chunked("/echo", *[b"x" * 100] * 11))).status == 413
    assert len(site.exchanges) == 2


@scenario()
async def test_a_client_that_goes_on_sending_reads_its_413(site: Site) -> None:
    """The rest of a body nobody wants is thrown away for a moment, so that no reset overtakes the answer."""
    client = await site.client()
    client.send(b"POST /echo HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    for _ in range(50):
        client.send(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
        await client.writer.drain()
        await asyncio.sleep(0)
    answer = await client.answer()
    assert (answer.status, answer.headers["connection"]) == (413, "close")
    assert site.listener.buffered == 0
    await site.clock.advance(3)
    await client.closed()


@scenario(limits=Limits(buffered=1500))
async def test_bodies_that_arrive_at_once_share_a_limit(site: Site) -> None:
    """Many that are each small enough may not fill the memory together."""
    head = b"POST /echo HTTP/1.1\r\n" + HEAD + b"Content-Length: 1000\r\n\r\n"
    first, second = await site.client(), await site.client()
    first.send(head, b"x" * 900)
    await site.until(lambda: site.listener.buffered == 900)
    second.send(head, b"x" * 900)
    answer = await second.answer()
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    first.send(b"x" * 100)
    assert (await first.answer()).status == 200
    await site.until(lambda: site.listener.buffered == 0)


@scenario()
async def test_what_is_not_found_is_a_problem_and_the_connection_stays(site: Site) -> None:
    """404 and 405 are RFC 9457 problem details; a request that came whole costs no connection."""
    client = await site.client()
    client.send(post("/nowhere", b"x"))
    assert (await client.answer()).problem() == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "nothing is at this path",
    }
    client.send(b"GET /echo HTTP/1.1\r\n", HEAD, b"\r\n")
    answer = await client.answer()
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    client.send(post("/echo", b"still here"))
    assert (await client.answer()).body == b"still here"


@scenario()
async def test_a_foreign_host_is_refused_on_loopback(site: Site) -> None:
    """403, before any handler (DNS rebinding)."""
    answer = await site.ask(b"POST /echo HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 0\r\n\r\n")
    assert answer.status == 403
    assert not site.exchanges


@scenario(hosts=["hooks.example"])
async def test_configured_hosts_are_taken_beside_loopback(site: Site) -> None:
    """A proxy in front of a loopback listener may pass the public name on."""
    request = b"POST /echo HTTP/1.1\r\nHost: hooks.example\r\nContent-Length: 0\r\n\r\n"
    assert (await site.ask(request)).status == 200


@scenario()
async def test_paths_come_and_go_on_an_open_socket(site: Site) -> None:
    """A kept connection sees the change with its next request."""
    client = await site.client()
    client.send(post("/late"))
    assert (await client.answer()).status == 404
    remove = site.listener.add(["POST"], "/late", site.echo)
    with pytest.raises(PathTakenError):
        site.listener.add(["POST"], "/late", site.echo)
    client.send(post("/late"))
    assert (await client.answer()).status == 200
    remove()
    client.send(post("/late"))
    assert (await client.answer()).status == 404


@scenario()
async def test_head_is_answered_without_a_body(site: Site) -> None:
    """With the length that GET would have, which a client must not wait for."""
    client = await site.client()
    client.send(b"HEAD /nowhere HTTP/1.1\r\n", HEAD, b"\r\n", b"GET /read HTTP/1.1\r\n", HEAD, b"\r\n")
    head = await client.answer(head_only=True)
    assert (head.status, int(head.headers["content-length"]) > 0) == (404, True)
    assert (await client.answer()).status == 200


@scenario()
async def test_a_client_that_asks_first_is_told_to_go_on(site: Site) -> None:
    """100 Continue only where the head is welcome; otherwise the refusal comes instead."""
    client = await site.client()
    head = HEAD + b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    client.send(b"POST /echo HTTP/1.1\r\n", head)
    assert (await client.answer()).status == 100
    client.send(b"hello")
    assert (await client.answer()).body == b"hello"
    assert (await site.ask(b"POST /nowhere HTTP/1.1\r\n", head)).status == 404
    odd = b"POST /echo HTTP/1.1\r\n" + HEAD + b"Content-Length: 5\r\nExpect: miracles\r\n\r\n"
    assert (await site.ask(odd)).status == 417


@scenario()
async def test_a_client_may_end_its_connection_after_the_answer(site: Site) -> None:
    """`Connection: close`, HTTP/1.0, and a client that has ended its own side already."""
    for request in (
        post("/echo", b"x", b"Connection: close"),
        b"POST /echo HTTP/1.0\r\n" + HEAD + b"Content-Length: 1\r\n\r\nx",
    ):
        client = await site.client()
        client.send(request)
        answer = await client.answer()
        assert (answer.body, answer.headers["connection"]) == (b"x", "close")
        assert await client.closed() == b""
    half = await site.client()
    half.send(post("/wait", b"x"))
    half.writer.write_eof()
    await site.until(lambda: bool(site.exchanges) and site.exchanges[-1].path == "/wait")
    site.exchanges[-1].respond(200, b"late")
    assert (await half.answer()).body == b"late"
    assert await half.closed() == b""


@scenario()
async def test_an_old_client_may_keep_its_connection(site: Site) -> None:
    """HTTP/1.0 has to ask for it, and to be told."""
    client = await site.client()
    for _ in range(2):
        client.send(b"POST /echo HTTP/1.0\r\n", HEAD, b"Connection: keep-alive\r\nContent-Length: 1\r\n\r\nx")
        assert (await client.answer()).headers["connection"] == "keep-alive"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"POST /echo HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 400),
        (b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", 400),
        (b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", 400),
        (
            b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nx",
            400,
        ),
        (b"POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"POST /echo HTTP/1.1\r\nHost: localhost\r\nX: a\r\n b\r\n\r\n", 400),
        (b"POST /echo HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 20_000 + b"\r\n\r\n", 431),
        (b"POST /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 431),
        (b"POST /echo HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 200 + b"\r\n", 431),
        (b"CONNECT example.com:443 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"POST /echo HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", 400),
        (b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: a/b\r\nContent-Type: c/d\r\n\r\n", 400),
        (b"POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        (b"POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n0\r\n\r\n", 400),
        (b"POST /echo\r\n\r\n", 505),
        (b"POST /echo HTTP/2.0\r\nHost: localhost\r\n\r\n", 505),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"POST /echo HTTP/1.1\r\nHost: localhost\r\nX : y\r\n\r\n", 400),
        (b"POST /echo HTTP/1.1\r\nHost: localhost\nX: y\n\n", 400),
        (
            b"POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: " + b"a" * 30_000,
            431,
        ),
    ],
)
def test_what_is_no_request_ends_the_connection(run: Run, request_: bytes, status: int) -> None:
    """With a problem that says so; smuggling needs two readings of one request, and there is none here."""

    async def main() -> None:
        async with site() as made:
            client = await made.client()
            client.send(request_)
            answer = await client.answer()
            assert (answer.problem()["status"], answer.headers["connection"]) == (status, "close")
            assert not made.exchanges
            await made.clock.advance(3)
            await client.closed()

    run(main())


@scenario()
async def test_what_stands_behind_a_chunked_body_is_nobodys_header(site: Site) -> None:
    """Neither of its own request nor of the next one, whoever sends that (RFC 9112, 7.1.2)."""
    client = await site.client()
    client.send(b"POST /echo HTTP/1.1\r\n", HEAD, b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX-User: a\r\n\r\n")
    client.send(b"POST /echo HTTP/1.1\r\n", HEAD, b"Content-Length: 1\r\n\r\ny")
    assert [(await client.answer()).body for _ in range(2)] == [b"x", b"y"]
    assert all("x-user" not in exchange.headers for exchange in site.exchanges)


@scenario()
async def test_an_offer_of_http_2_is_passed_over(site: Site) -> None:
    """As Java's client makes it with its first request (RFC 9110, 7.8), body and all."""
    client = await site.client()
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAA\r\n"
    client.send(b"POST /echo?a=1 HTTP/1.1\r\n", HEAD, offer, b"X-A: \xc3\xa9\r\nContent-Length: 5\r\n\r\nhe")
    client.send(b"llo")
    answer = await client.answer()
    assert (answer.status, answer.body, site.exchanges[0].query) == (200, b"hello", "a=1")
    assert site.exchanges[0].headers["x-a"] == "é"
    client.send(b"POST /echo HTTP/1.1\r\n", HEAD, offer, b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n")
    client.send(b"POST /echo HTTP/1.1\r\n", HEAD, b"Content-Length: 1\r\n\r\ny")
    assert [(await client.answer()).body for _ in range(2)] == [b"x", b"y"]


@scenario()
async def test_lines_of_one_name_are_one_header(site: Site) -> None:
    """Joined by commas, whatever their case (RFC 9110, 5.3)."""
    client = await site.client()
    client.send(
        b"POST /echo HTTP/1.1\r\n", HEAD, b"X-A: 1 \t\r\nx-a:2\r\nX-B:\r\nX-C: \xff\r\nContent-Length: 0\r\n\r\n"
    )
    assert (await client.answer()).status == 200
    headers = site.exchanges[0].headers
    assert (headers["x-a"], headers["x-b"], headers["x-c"]) == ("1, 2", "", "ÿ")


@scenario()
async def test_a_head_that_trickles_in_is_bounded(site: Site) -> None:
    """Many small headers in many pieces are too large together."""
    client = await site.client()
    client.send(b"POST /echo HTTP/1.1\r\n", HEAD)
    for number in range(90):
        client.send(b"X-%d: %b\r\n" % (number, b"a" * 200))
        await client.writer.drain()
        await asyncio.sleep(0)
    assert (await client.answer()).status == 431


@scenario()
async def test_a_handler_that_fails_is_a_500_and_nothing_more(site: Site) -> None:
    """Its exception goes to the log, not to the client, and the connection stays."""

    def fail(exchange: Exchange) -> None:
        raise ZeroDivisionError("secret")

    site.listener.add(["POST"], "/fail", fail)
    client = await site.client()
    client.send(post("/fail"))
    answer = await client.answer()
    assert answer.status == 500
    assert b"secret" not in answer.body
    client.send(post("/echo"))
    assert (await client.answer()).status == 200


@scenario()
async def test_a_header_with_a_line_break_is_never_sent(site: Site) -> None:
    """It is the handler's error: nothing of the answer has left then."""

    def split(exchange: Exchange) -> None:
        exchange.respond(200, headers=[("X-Thing", "a\r\nSet-Cookie: b")])

    site.listener.add(["POST"], "/split", split)
    answer = await site.ask(post("/split"))
    assert answer.status == 500
    assert "set-cookie" not in answer.headers


@scenario()
async def test_an_exchange_is_answered_once_and_only_while_somebody_waits(site: Site) -> None:
    """A second answer, and one after the client has gone, do nothing."""
    client = await site.client()
    client.send(post("/wait"))
    await site.until(lambda: bool(site.exchanges))
    exchange = site.exchanges[0]
    exchange.respond(200, b"one")
    exchange.respond(200, b"two")
    assert not exchange.open
    assert (await client.answer()).body == b"one"
    client.send(post("/wait"))
    await site.until(lambda: len(site.exchanges) == 2)
    client.vanish()
    await site.until(lambda: not site.exchanges[1].open)
    site.exchanges[1].respond(200)


@scenario()
async def test_a_head_that_does_not_end_is_given_up_in_time(site: Site) -> None:
    """A slow attack (slowhttptest -H) has less than 10 s, however often it sends a byte."""
    client = await site.client()
    client.send(b"POST /echo HTTP/1.1\r\n", HEAD)
    for second in range(9):
        client.send(b"X-%d: a\r\n" % second)
        await client.writer.drain()
        await asyncio.sleep(0.001)
        await site.clock.advance(1)
    assert (await client.answer()).status == 408
    await client.closed()


@scenario()
async def test_a_body_that_does_not_end_is_given_up_in_time(site: Site) -> None:
    """A slow attack (slowhttptest -B) has less than 10 s from the first byte of its head."""
    client = await site.client()
    client.send(b"POST /echo HTTP/1.1\r\n", HEAD)
    await site.clock.advance(4)
    client.send(b"Content-Length: 500\r\n\r\n")
    for _ in range(5):
        client.send(b"x")
        await client.writer.drain()
        await asyncio.sleep(0.001)
        await site.clock.advance(1)
    assert (await client.answer()).status == 408
    assert site.listener.buffered == 0


@scenario(limits=Limits(slowest_bytes_per_s=100))
async def test_a_large_body_may_take_longer_at_a_decent_pace(site: Site) -> None:
    """What comes faster than any slow attack extends its deadline by what it brought."""
    client = await site.client()
    client.send(b"POST /echo HTTP/1.1\r\n", HEAD, b"Content-Length: 1000\r\n\r\n")
    for _ in range(10):
        client.send(b"x" * 100)
        await client.writer.drain()
        await asyncio.sleep(0.001)
        await site.clock.advance(1.1)
    assert (await client.answer()).status == 200


@scenario()
async def test_a_connection_that_says_nothing_is_closed(site: Site) -> None:
    """Sooner before its first request, later between two."""
    silent, kept = await site.client(), await site.client()
    kept.send(post("/echo"))
    assert (await kept.answer()).status == 200
    await site.clock.advance(10)
    assert await silent.closed() == b""
    kept.send(post("/echo"))
    assert (await kept.answer()).status == 200
    await site.clock.advance(77)
    assert await kept.closed() == b""


@scenario()
async def test_a_handler_may_take_as_long_as_it_likes(site: Site) -> None:
    """Whoever answers later has a timeout of its own."""
    client = await site.client()
    client.send(post("/wait"))
    await site.until(lambda: bool(site.exchanges))
    await site.clock.advance(1000)
    site.exchanges[0].respond(200, b"at last")
    assert (await client.answer()).body == b"at last"


@scenario(limits=Limits(connections=2))
async def test_one_connection_too_many_is_told_so(site: Site) -> None:
    """503 at once; when another ends there is room again."""
    first, second = await site.client(), await site.client()
    first.send(post("/echo"))
    second.send(post("/echo"))
    assert [(await first.answer()).status, (await second.answer()).status] == [200, 200]
    third = await site.client()
    assert (await third.answer()).status == 503
    await third.closed()
    first.writer.close()
    await first.writer.wait_closed()

    await site.until(lambda: len(site.listener) == 1)
    assert (await site.ask(post("/echo"))).status == 200


@scenario()
async def test_a_client_that_does_not_read_gets_no_more_answers(site: Site) -> None:
    """Its requests wait unhandled, memory stays bounded, and in the end it is cut."""
    site.listener.add(["POST"], "/flood", lambda exchange: exchange.respond(200, b"x" * 500_000))
    client = await site.client()
    client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a stream's transport can
    sent = 2000
    client.send(*[post("/flood")] * sent)
    for _ in range(200):
        await asyncio.sleep(0)
    await site.clock.advance(20)
    client.writer.transport.resume_reading()  # type: ignore[attr-defined]  # as above
    received = await client.closed()
    assert received.count(b"HTTP/1.1 200 OK") < sent / 10


@scenario()
async def test_draining_lets_requests_end_and_takes_no_more(site: Site) -> None:
    """Idle connections close at once, and an answer that is owed says that it is the last."""
    idle, busy = await site.client(), await site.client()
    idle.send(post("/echo"))
    assert (await idle.answer()).status == 200
    busy.send(post("/wait"))
    await site.until(lambda: any(exchange.path == "/wait" for exchange in site.exchanges))
    host, port = site.listener.address
    draining = asyncio.ensure_future(site.listener.drain(5))
    assert await idle.closed() == b""
    with pytest.raises(OSError):
        await asyncio.open_connection(host, port)
    assert not draining.done()
    site.exchanges[-1].respond(202)
    answer = await busy.answer()
    assert (answer.status, answer.headers["connection"]) == (202, "close")
    assert await draining


@scenario()
async def test_draining_says_when_it_took_too_long(site: Site) -> None:
    """An answer that never comes does not hold the shutdown up."""
    client = await site.client()
    client.send(post("/wait"))
    await site.until(lambda: bool(site.exchanges))
    assert not await site.listener.drain(0.01)


@scenario()
async def test_opening_twice_is_opening_once(site: Site) -> None:
    """Every actor that uses the listener may ask for it."""
    before = site.listener.address
    await site.listener.open()
    assert site.listener.address == before
    assert site.listener.url == f"http://127.0.0.1:{before[1]}"


@scenario()
async def test_a_port_that_is_taken_is_a_clear_error(site: Site) -> None:
    """It names the address."""
    _, port = site.listener.address
    second = HttpListener("127.0.0.1", port, clock=site.clock)
    with pytest.raises(RouterError, match=rf"cannot listen on 127\.0\.0\.1:{port}"):
        await second.open()


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
    ],
)
def test_loopback_is_what_only_this_machine_reaches(host: str, expected: bool) -> None:
    """Names other than localhost are not resolved: they count as reachable."""
    assert is_loopback(host) is expected
