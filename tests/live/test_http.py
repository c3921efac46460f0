"""The `http` target against real servers, well-behaved and not."""

import asyncio
import base64
import gzip
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from actors.core.clock import ManualClock
from actors.core.errors import DeliveryError, ExpressionError
from actors.core.events import Notice
from actors.core.message import Message, Reply
from actors.endpoints.http import Http
from tests.certificates import self_signed
from tests.loop import Run
from tests.servers import free_port
from tests.stage import DEADLINE_S, Played, Stage, stage

MESSAGE = Message("id-1", "orders", {"order": 7, "note": "é"}, time=1.0)


@dataclass
class Request:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Upstream:
    """A server that keeps its requests, and answers what the test wants."""

    port: int
    answer: Callable[[], web.StreamResponse] = web.Response
    requests: list[Request] = field(default_factory=list)
    release: asyncio.Event | None = None
    """Where set, an answer waits for it."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.content.read()
        self.requests.append(Request(request.method, request.path_qs, request.headers, body))
        if self.release is not None:
            await self.release.wait()
        return self.answer()


@asynccontextmanager
async def upstream(port: int = 0, tls: ssl.SSLContext | None = None) -> AsyncIterator[Upstream]:
    made = Upstream(port)
    server = web.Server(made.handle, access_log=None)
    listening = await asyncio.get_running_loop().create_server(server, "127.0.0.1", port, ssl=tls)
    made.port = listening.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        listening.close()
        if made.release is not None:
            made.release.set()
        await server.shutdown(1)


@asynccontextmanager
async def rude(behave: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[str]:
    """A TCP server that does with a connection what it likes; gives its URL."""
    over: list[asyncio.Task[None]] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        over.append(task)
        try:
            await behave(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in over:
            task.cancel()
        await asyncio.gather(*over, return_exceptions=True)


@dataclass
class Site:
    stage: Stage
    upstream: Upstream
    http: Played

    async def send(self, message: Message = MESSAGE) -> Reply:
        reply = await self.http.deliver(message)
        assert isinstance(reply, Reply)
        return reply

    async def refused(self, message: Message = MESSAGE) -> DeliveryError:
        with pytest.raises(DeliveryError) as error:
            await self.http.deliver(message)
        return error.value

    @property
    def request(self) -> Request:
        return self.upstream.requests[-1]


def scenario(**options: Any) -> Callable[[Callable[[Site], Awaitable[None]]], Callable[[Run], None]]:
    """Make a test of a coroutine that is given a site; `url` begins at the upstream's root."""

    def decorate(body: Callable[[Site], Awaitable[None]]) -> Callable[[Run], None]:
        def test(run: Run) -> None:
            async def main() -> None:
                async with upstream() as server, stage() as played:
                    url = server.url + options.get("url", "/in")
                    http = await played.start(Http, {**options, "url": url})
                    await body(Site(played, server, http))

            run(main())

        test.__name__ = body.__name__
        test.__doc__ = body.__doc__
        return test

    return decorate


@scenario()
async def test_a_message_becomes_a_request(site: Site) -> None:
    """Its data as JSON, and its id as the idempotency key."""
    await site.send()
    request = site.request
    assert (request.method, request.path) == ("POST", "/in")
    assert json.loads(request.body) == MESSAGE.data
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["Idempotency-Key"] == "id-1"


@scenario()
async def test_the_answer_is_the_reply(site: Site) -> None:
    """Status, decoded body, content type, and the headers that are about the answer."""
    headers = {"Location": "/orders/7", "Set-Cookie": "a=b", "X-Request-Id": "r"}
    site.upstream.answer = lambda: web.json_response({"ok": True}, status=201, headers=headers)
    reply = await site.send()
    assert (reply.status, reply.data) == (201, {"ok": True})
    assert reply.headers == {"location": "/orders/7", "x-request-id": "r"}
    assert (reply.content_type or "").startswith("application/json")
    site.upstream.answer = lambda: web.Response(status=204)
    assert (await site.send()).data is None
    site.upstream.answer = lambda: web.Response(body=b"{broken", content_type="application/json")
    assert (await site.send()).data == b"{broken"


@scenario(
    url="/orders/{{ data.order }}?note={{ data.note }}",
    method="PUT",
    headers={"X-Kind": "order-{{ data.order }}", "Content-Type": "application/vnd.order+json"},
    body={"number": "{{ data.order }}", "text": "no. {{ data.order }}"},
)
async def test_a_request_can_be_made_out_of_the_message(site: Site) -> None:
    """URL, headers and body are templates; a body keeps native types."""
    await site.send()
    request = site.request
    assert (request.method, request.path) == ("PUT", "/orders/7?note=%C3%A9")
    assert (request.headers["X-Kind"], request.headers["Content-Type"]) == (
        "order-7",
        "application/vnd.order+json",
    )
    assert json.loads(request.body) == {"number": 7, "text": "no. 7"}


@scenario(method="GET")
async def test_get_sends_no_body_unless_told(site: Site) -> None:
    """Servers need not read one."""
    await site.send()
    assert (site.request.body, "Content-Type" in site.request.headers) == (b"", False)


@scenario()
async def test_bytes_and_text_keep_their_media_type(site: Site) -> None:
    """What came in as XML goes out as XML; what became text on the way does not pass for JSON."""
    for data, came_as, goes_as in (
        (b"\x00\x01", "image/png", "image/png"),
        (b"\x00\x01", None, "application/octet-stream"),
        ("<a/>", "application/xml; charset=latin-1", "application/xml; charset=utf-8"),
        ("text", "application/json", "text/plain; charset=utf-8"),
    ):
        await site.send(MESSAGE.with_data(data).with_attributes(datacontenttype=came_as))
        assert site.request.headers["Content-Type"] == goes_as


@scenario()
async def test_a_large_message_arrives_whole(site: Site) -> None:
    """With its length, and not in chunks."""
    await site.send(MESSAGE.with_data(bytes(3_000_000)))
    assert (len(site.request.body), site.request.headers["Content-Length"]) == (3_000_000, "3000000")


@scenario(cloudevents=True)
async def test_attributes_may_travel_as_a_cloud_event(site: Site) -> None:
    """In binary mode; a trace goes on in any case."""
    await site.send(MESSAGE.with_attributes(subject="s", traceparent="00-a-b-01"))
    headers = site.request.headers
    assert {name: headers[f"ce-{name}"] for name in ("specversion", "id", "source", "type", "subject")} == {
        "specversion": "1.0",
        "id": "id-1",
        "source": "orders",
        "type": "message",
        "subject": "s",
    }
    assert headers["traceparent"] == "00-a-b-01"


@pytest.mark.parametrize(
    ("auth", "header"),
    [
        ({"bearer": "t"}, "Bearer t"),
        ({"basic": {"user": "ann", "password": "pé"}}, "Basic " + base64.b64encode("ann:pé".encode()).decode()),
    ],
)
def test_credentials_go_with_each_request(run: Run, auth: Any, header: str) -> None:
    """And are never part of an error."""

    async def main() -> None:
        async with upstream() as server, stage() as played:
            http = await played.start(Http, {"url": server.url, "auth": auth})
            server.answer = lambda: web.Response(status=401)
            with pytest.raises(DeliveryError) as error:
                await http.deliver(MESSAGE)
            assert server.requests[0].headers["Authorization"] == header
            assert header not in str(error.value)

    run(main())


@scenario()
async def test_a_refusal_is_a_failed_attempt_and_not_a_crash(site: Site) -> None:
    """With its class, its wait and the beginning of what was said; the next message goes through."""
    site.upstream.answer = lambda: web.Response(status=503, headers={"Retry-After": "9"}, text="busy")
    error = await site.refused()
    assert (error.reason, error.retryable, error.retry_after_s) == ("overload", True, 9)
    assert "answered 503: busy" in str(error)
    site.upstream.answer = lambda: web.Response(status=404)
    error = await site.refused()
    assert (error.reason, error.retryable) == ("refused", False)
    site.upstream.answer = web.Response
    await site.send()


@scenario()
async def test_a_redirect_is_not_followed(site: Site) -> None:
    """Or a target could point the router at anything that it reaches."""
    site.upstream.answer = lambda: web.Response(status=307, headers={"Location": "/elsewhere"})
    error = await site.refused()
    assert (error.reason, error.retryable) == ("refused", False)
    assert "/elsewhere" in str(error)
    assert len(site.upstream.requests) == 1


@scenario(timeout="100ms")
async def test_no_answer_in_time_is_unknown(site: Site) -> None:
    """It was sent: whether it had its effect, nobody here knows."""
    site.upstream.release = asyncio.Event()
    error = await site.refused()
    assert error.reason == "unknown"
    assert len(site.upstream.requests) == 1


def test_a_connection_that_is_not_made_in_time_sent_nothing(run: Run) -> None:
    """A TLS handshake that nobody answers is before the request, and says that the server is away."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async def main() -> None:
        async with rude(behave) as url, stage() as played:
            options = {"url": url.replace("http:", "https:"), "timeout": "100ms"}
            http = await played.start(Http, options)
            with pytest.raises(DeliveryError) as error:
                await http.deliver(MESSAGE)
            assert error.value.reason == "timeout_before_send"

    run(main())


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", b"gibberish\r\n\r\n"])
def test_half_an_answer_is_unknown(run: Run, said: bytes) -> None:
    """As is none at all, where the server hangs up after the request."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        await writer.drain()

    async def main() -> None:
        async with rude(behave) as url, stage() as played:
            http = await played.start(Http, {"url": url})
            with pytest.raises(DeliveryError) as error:
                await http.deliver(MESSAGE)
            assert error.value.reason == "unknown"
            assert not played.standing.away

    run(main())


def test_a_server_that_is_away_is_noticed_and_awaited(run: Run) -> None:
    """The attempt is `connect`, deliveries are refused from then on, and a probe finds the server again."""

    async def main() -> None:
        clock = ManualClock()
        async with stage(clock) as played:
            port = free_port()
            http = await played.start(Http, {"url": f"http://127.0.0.1:{port}/"})
            for _ in range(2):
                with pytest.raises(DeliveryError) as error:
                    await http.deliver(MESSAGE)
                assert (error.value.reason, error.value.retryable) == ("connect", True)
            assert played.standing.why == f"no connection to 127.0.0.1:{port}: Connection refused"
            await clock.advance(1)
            assert played.standing.why
            async with upstream(port):
                async with asyncio.timeout(DEADLINE_S):
                    while played.standing.away:
                        await clock.advance(1)
                        await asyncio.sleep(0.001)
                await http.deliver(MESSAGE)
            assert len([why for why in played.standing.said if why is not None]) == 1

    run(main())


def test_stopping_ends_the_search_for_a_server(run: Run) -> None:
    """No task is left behind."""

    async def main() -> None:
        async with stage() as played:
            http = await played.start(Http, {"url": f"http://127.0.0.1:{free_port()}/"})
            with pytest.raises(DeliveryError):
                await http.deliver(MESSAGE)
            assert played.standing.away
            await http.stop()

    run(main())


def test_a_name_that_nobody_knows_is_a_failed_attempt(run: Run) -> None:
    """`connect`, since nothing was sent."""

    async def main() -> None:
        async with stage() as played:
            http = await played.start(Http, {"url": "http://nowhere.invalid/"})
            with pytest.raises(DeliveryError) as error:
                await http.deliver(MESSAGE)
            assert error.value.reason == "connect"

    run(main())


@scenario(headers={"X-Note": "{{ data.note }}"})
async def test_a_header_with_a_line_break_is_not_sent(site: Site) -> None:
    """Nor is any other request in its place."""
    for note in ("a\r\nX-Other: b", "a\nb", "a\0b"):
        error = await site.refused(MESSAGE.with_data({"note": note}))
        assert (error.reason, error.retryable) == ("invalid", False)
    assert (await site.refused(MESSAGE._replace(id="a\nb", data={"note": ""}))).reason == "invalid"
    assert not site.upstream.requests


@scenario(body="{{ data.missing }}")
async def test_a_failed_expression_goes_to_the_route(site: Site) -> None:
    """Which counts it as what it is; the actor goes on."""
    with pytest.raises(ExpressionError):
        await site.http.deliver(MESSAGE)
    await site.send(MESSAGE.with_data({"missing": "found"}))


@scenario(max_response="1KiB")
async def test_an_answer_that_is_too_large_counts_by_its_status(site: Site) -> None:
    """Delivered is delivered: what cannot be kept of the reply is said, and not read; gzip does not help."""
    await site.send()
    site.upstream.answer = lambda: web.Response(body=b"x" * 1024)
    assert (await site.send()).data == b"x" * 1024
    bomb = gzip.compress(bytes(10_000_000))
    for body, headers in ((b"x" * 1025, {}), (bomb, {"Content-Encoding": "gzip"})):
        site.upstream.answer = lambda body=body, headers=headers: web.Response(body=body, headers=headers)  # type: ignore[misc]  # bound now
        reply = await site.send()
        assert (reply.status, reply.data) == (200, None)
        notice = site.stage.emitted[-1]
        assert isinstance(notice, Notice)
        assert "not kept" in notice.text
    site.upstream.answer = lambda: web.Response(status=500, body=b"x" * 5000)
    assert (await site.refused()).reason == "refused"


@scenario(pool=3)
async def test_as_many_requests_are_under_way_as_the_pool_has(site: Site) -> None:
    """And not one more."""
    site.upstream.release = asyncio.Event()
    sending = [asyncio.create_task(site.send(MESSAGE._replace(id=str(number)))) for number in range(5)]
    await site.stage.until(lambda: len(site.upstream.requests) == 3)
    for _ in range(50):
        await asyncio.sleep(0)
    assert len(site.upstream.requests) == 3
    site.upstream.release.set()
    await asyncio.gather(*sending)
    assert len(site.upstream.requests) == 5


def test_a_templated_host_is_held_to_its_list(run: Run) -> None:
    """Hosts off the list are refused before anything is opened."""

    async def main() -> None:
        async with upstream() as server, stage() as played:
            options = {"url": "{{ data.url }}", "allow_hosts": [f"127.0.0.1:{server.port}"]}
            http = await played.start(Http, options)
            await http.deliver(MESSAGE.with_data({"url": f"{server.url}/a?b"}))
            assert server.requests[0].path == "/a?b"
            for url in (f"http://localhost:{server.port}/", "http://127.0.0.1:1/", "file:///etc/passwd"):
                with pytest.raises(DeliveryError) as error:
                    await http.deliver(MESSAGE.with_data({"url": url}))
                assert (error.value.reason, error.value.retryable) == ("invalid", False)

    run(main())


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1 and its key."""
    return self_signed(tmp_path_factory.mktemp("tls"))


def test_a_server_must_prove_who_it_is(run: Run, certificate: tuple[Path, Path]) -> None:
    """By an authority that is trusted; without, nothing is sent, and the class is `connect`."""
    cert, key = certificate
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)

    async def main() -> None:
        async with upstream(tls=context) as server, stage() as played:
            url = server.url.replace("http:", "https:")
            trusting = await played.start(Http, {"url": url, "tls": {"ca": str(cert)}})
            await trusting.deliver(MESSAGE)
            careless = await played.start(Http, {"url": url, "tls": {"verify": False}})
            await careless.deliver(MESSAGE)
            wary = await played.start(Http, {"url": url})
            with pytest.raises(DeliveryError) as error:
                await wary.deliver(MESSAGE)
            assert error.value.reason == "connect"
            assert not played.standing.away
            assert len(server.requests) == 2

    run(main())
