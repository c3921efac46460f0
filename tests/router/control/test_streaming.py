"""Answers that go on: what arrives, and when they end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import pytest
from aiohttp import web

from router.control import streaming
from router.control.application import application, runner
from router.control.operation import NDJSON, Call, Operation, Stream
from router.control.recorder import Recorder
from router.control.roles import Caller
from tests.loop import Run
from tests.router.control.sample_router import DEADLINE_S, running


@dataclass(slots=True)
class Tap:
    """A stream of what is put into it; None ends it, and an exception is raised."""

    queue: asyncio.Queue[bytes | Exception | None] = field(default_factory=asyncio.Queue)
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, call: Call) -> Stream:
        """What comes."""
        return Stream(self.lines())

    async def lines(self) -> AsyncGenerator[bytes, None]:
        try:
            while (line := await self.queue.get()) is not None:
                if isinstance(line, Exception):
                    raise line
                yield line
        finally:
            self.closed.set()

    def put(self, *lines: bytes | Exception | None) -> None:
        for line in lines:
            self.queue.put_nowait(line)


@dataclass(frozen=True, slots=True)
class Served:
    tap: Tap
    runner: web.AppRunner
    session: aiohttp.ClientSession

    def get(self) -> aiohttp.client._RequestContextManager:
        return self.session.get("/tap")


@asynccontextmanager
async def serving() -> AsyncIterator[Served]:
    """An application with one operation, on a port of its own."""
    tap = Tap()
    operation = Operation("GET", "/tap", tap.run, role=None, answers={200: NDJSON})
    async with asyncio.timeout(DEADLINE_S), running("actors: {door: {type: door}}") as client:
        served = application([operation], lambda request: Caller("me", "admin", "socket"), Recorder(client.engine))
        made = runner(served)
        await made.setup()
        assert made.server is not None
        server = await asyncio.get_running_loop().create_server(made.server, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
                yield Served(tap, made, session)
        finally:
            server.close()
            await made.cleanup()


def test_lines_arrive_as_they_come_and_the_answer_ends_with_them(run: Run) -> None:
    """Each before the next is there."""

    async def scenario() -> None:
        async with serving() as served, served.get() as response:
            assert (response.status, response.content_type) == (200, NDJSON)
            for line in (b"1", b"2"):
                served.tap.put(line)
                assert await response.content.readline() == line + b"\n"
            served.tap.put(None)
            assert await response.content.read() == b""
            assert served.tap.closed.is_set()

    run(scenario())


def test_a_stream_ends_when_its_client_goes_though_nothing_comes(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty lines find out, which say nothing to a client that stays."""
    monkeypatch.setattr(streaming, "BEAT_S", 0.01)

    async def scenario() -> None:
        async with serving() as served:
            async with served.get() as response:
                assert await response.content.readline() == b"\n"
                served.tap.put(b"1")
                while (line := await response.content.readline()) == b"\n":
                    pass
                assert line == b"1\n"
                response.close()
            await served.tap.closed.wait()

    run(scenario())


def test_a_router_that_stops_waits_for_no_stream(run: Run) -> None:
    """They end at once."""

    async def scenario() -> None:
        async with serving() as served, served.get() as response:
            began = asyncio.get_running_loop().time()
            await served.runner.cleanup()
            assert asyncio.get_running_loop().time() - began < 1.0
            assert served.tap.closed.is_set()
            assert await response.content.read() == b""

    run(scenario())


def test_a_stream_that_fails_does_not_look_like_one_that_ended(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """Its connection is cut, and the log has why."""

    async def scenario() -> None:
        async with serving() as served, served.get() as response:
            served.tap.put(b"1", KeyError("a defect"))
            with pytest.raises(aiohttp.ClientError):
                await response.content.read()
            await served.tap.closed.wait()

    run(scenario())
    assert "GET /tap failed" in caplog.text


def test_there_are_only_so_many_streams(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more is refused, and what it would have shown is closed."""
    monkeypatch.setattr(streaming, "MOST_STREAMS", 1)

    async def scenario() -> None:
        async with serving() as served, served.get(), served.get() as refused:
            assert refused.status == 503
            assert refused.headers["Retry-After"] == "1"

    run(scenario())
