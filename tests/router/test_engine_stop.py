"""A stop: sources first, what is in flight settles, and what has not settled was not acknowledged or is on disk."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from actors.connections.http_listener import HttpListener
from actors.core.events import MessageDeadLettered, MessageLost
from router.change.assembly import ROUTES_GO_ON
from router.store.state_dir import StateDir
from tests.loop import Run
from tests.router.engine_stage import running, staged, state_folder

TAP = """
actors: {tap: {type: tap}, sink: {type: sink, does: %s}}
routes: {r: {from: tap, to: sink, concurrency: 10, durable: %s, retry: {attempts: 1}}}
"""
HOOK = """
actors:
  hook: {type: webhook, path: /hook, respond: %s}
  sink: {type: sink, does: hold}
routes: {r: {from: hook, to: sink, concurrency: 10, durable: %s}}
"""


@pytest.fixture
def state() -> Iterator[Path]:
    with state_folder() as folder:
        yield folder


def was_clean(state: Path) -> bool:
    with StateDir(state) as left:
        return left.was_clean


def sockets() -> set[str]:
    """The sockets and files under the temporary folders that this process has open."""
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            target = os.readlink(entry)
        except OSError:
            continue
        if target.startswith("socket:") or "engine-" in target:
            found.add(target)
    return found


def test_what_is_in_flight_settles(run: Run, state: Path) -> None:
    """Sources drain first and take nothing; then the stop waits for what they had taken."""

    async def scenario() -> None:
        async with running(TAP % ("hold", "false"), state) as stage:
            tickets = [stage.tap().send(number) for number in range(5)]
            await stage.until(lambda: len(stage.play.taken) == 5)
            stopping = asyncio.create_task(stage.engine.stop())
            await stage.until(lambda: "tap drains" in stage.play.did)
            assert not stopping.done()
            stage.play.go.set()
            assert await stopping == 0
            assert {ticket.outcome for ticket in tickets} == {"delivered"}
            assert stage.play.did[-3:-2] == ["tap drains"]

    run(scenario())
    assert was_clean(state)


@pytest.mark.parametrize("durable", ["false", "true"])
@pytest.mark.slow
def test_what_does_not_settle_in_time_is_refused_or_on_disk(run: Run, state: Path, durable: str) -> None:
    """It is no failed attempt of its target: with one attempt allowed it still is no dead letter."""

    async def scenario() -> None:
        async with running(TAP % ("hold", durable), state, drain="100ms") as stage:
            tickets = [stage.tap().send(number, f"m{number}") for number in range(15)]
            await stage.until(lambda: len(stage.play.taken) == 10)
            begun = time.monotonic()
            assert await stage.engine.stop() == 15
            assert time.monotonic() - begun < 4.0
            assert {ticket.outcome for ticket in tickets} == {None}
            assert {ticket.accepted for ticket in tickets} == {durable == "true"}
            assert {ticket.refused for ticket in tickets} == {durable == "false"}
            assert not stage.of(MessageDeadLettered)
            assert not stage.of(MessageLost)
        async with running(TAP % ("take", durable), state) as stage:
            expected = [("sink", f"m{number}") for number in range(15)] if durable == "true" else []
            await stage.until(lambda: len(stage.play.taken) == len(expected))
            assert sorted(stage.play.taken) == sorted(expected)
            assert stage.engine.routes["r"].balance().difference == 0

    run(scenario())
    assert was_clean(state)


def test_a_route_whose_target_is_away_is_not_waited_for(run: Run, state: Path) -> None:
    text = """
actors: {tap: {type: tap}, sink: {type: sink, away: true}}
routes: {r: {from: tap, to: sink, durable: true}}
"""

    async def scenario() -> None:
        async with running(text, state, drain="1h") as stage:
            ticket = stage.tap().send(1)
            await stage.until(lambda: ticket.accepted and stage.engine.routes["r"].attempts.suspended)
            assert await stage.engine.stop() == 1

    run(scenario(), deadline_s=10)


def test_a_retry_that_is_due_after_the_drain_is_not_waited_for(run: Run, state: Path) -> None:
    text = """
actors: {tap: {type: tap}, sink: {type: sink, does: refuse}}
routes: {r: {from: tap, to: sink}}
"""

    async def scenario() -> None:
        async with running(text, state, drain="10m") as stage:
            ticket = stage.tap().send(1)
            await stage.until(lambda: stage.engine.routes["r"].attempts.retries)
            assert await stage.engine.stop() == 1
            assert ticket.refused

    run(scenario(), deadline_s=10)


@pytest.mark.slow
def test_clients_that_wait_for_the_end_are_told_to_come_again(run: Run, state: Path) -> None:
    """503 with Retry-After: neither left hanging nor cut off. It is so for durable routes too."""

    async def scenario() -> None:
        async with running(HOOK % ("delivered", "false"), state, drain="200ms") as stage:
            url = f"{stage.url}/hook"
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(10)) as client:

                async def post() -> tuple[int, str | None]:
                    async with client.post(url, json={}) as response:
                        await response.read()
                        return response.status, response.headers.get("Retry-After")

                posts = [asyncio.create_task(post()) for _ in range(5)]
                await stage.until(lambda: len(stage.play.taken) == 5)
                stopping = asyncio.create_task(stage.engine.stop())
                webhook = stage.engine.supervisor.children["hook"].actor
                await stage.until(lambda: webhook._draining)  # type: ignore[union-attr]
                assert await post() == (503, "1"), "while it drains, new requests are refused, and not cut off"
                assert await asyncio.gather(*posts) == [(503, "1")] * 5
                assert await stopping == 5

    run(scenario())


def test_a_body_that_arrives_while_the_router_stops_is_answered(run: Run, state: Path) -> None:
    """Its webhook has gone, and that is 503 and not 404."""

    async def scenario() -> None:
        async with running(HOOK % ("delivered", "false"), state, drain="0s") as stage:
            host, port = stage.url.removeprefix("http://").split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(
                b"POST /hook HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n"
            )
            listener = stage.engine.shared.get(HttpListener)
            await stage.until(
                lambda: any(getattr(connection, "_request", None) for connection in listener._connections)
            )
            stopping = asyncio.create_task(stage.engine.stop())
            await stage.until(lambda: stage.engine.supervisor.children["hook"].state == "stopped")
            writer.write(b"{}")
            async with asyncio.timeout(5):
                answer = await reader.read()
            assert answer.startswith(b"HTTP/1.1 503 ")
            writer.close()
            await stopping

    run(scenario())


def test_after_a_stop_nothing_is_left(run: Run, state: Path) -> None:
    """No task, no thread, no socket, no lock, also where messages waited for retries and for targets that are away."""
    text = """
actors:
  hook: {type: webhook, path: /hook}
  tap: {type: tap}
  remote: {type: http, url: "http://127.0.0.1:9/"}
  sink: {type: sink, does: refuse}
  dead: {type: sink, start: crash}
routes:
  r: {from: [tap, hook], to: remote, durable: true}
  s: {from: tap, to: sink}
  t: {from: tap, to: dead, durable: true}
"""

    async def scenario() -> None:
        before = sockets(), set(threading.enumerate())
        stage = staged(text, state, drain="50ms")
        await stage.engine.start()
        for _ in range(3):
            stage.tap().send(1)
        async with aiohttp.ClientSession() as client, client.post(f"{stage.url}/hook", json={}) as response:
            assert response.status == 202
        await stage.until(lambda: stage.engine.routes["s"].attempts.retries)
        assert await stage.engine.stop() >= 4
        await asyncio.sleep(0)
        left = {thread for thread in threading.enumerate() if not thread.name.startswith(("asyncio_", "ThreadPool"))}
        assert left <= before[1]
        assert sockets() <= before[0]
        assert not stage.of(MessageLost)

    run(scenario())
    assert was_clean(state)


def test_a_stop_that_cannot_be_written_down_ends_all_the_same(run: Run, state: Path) -> None:
    """The next start then takes this one for one that died, which costs a suspicion and nothing else."""

    async def scenario() -> None:
        stage = staged(TAP % ("take", "true"), state)
        await stage.engine.start()
        (state / "clean").mkdir()
        assert await stage.engine.stop() == 0
        (state / "clean").rmdir()

    run(scenario())
    assert not was_clean(state)


def test_poison_after_poison_does_not_end_a_route(
    run: Run, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step that crashes on some messages: each is quarantined, and the rest go on, however many there are."""
    monkeypatch.setattr("router.change.assembly.ROUTES_GO_ON", replace(ROUTES_GO_ON, max_delay_s=0.01))
    (tmp_path / "poison_step.py").write_text("def f(message):\n    assert message.data\n    return message\n")
    text = """
actors: {tap: {type: tap}, sink: {type: sink}}
routes: {r: {from: tap, to: sink, retry: {attempts: 2}, steps: [{python: "poison_step:f"}]}}
"""

    async def scenario() -> None:
        async with running(text, state, folder=tmp_path) as stage:
            tickets = [stage.tap().send(data) for data in (0, 0, 0, 0, 1)]
            outcomes = [await stage.outcome(ticket) for ticket in tickets]
            assert outcomes == ["dead_lettered"] * 4 + ["delivered"]
            assert stage.engine.supervisor.children["route/r"].state == "ready"

    run(scenario())
