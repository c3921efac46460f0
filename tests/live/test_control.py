"""The control server over real sockets: its mode, its place, its end, and what monitoring sees."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from actors.core.errors import RouterError, StateDirError
from router.control.server import ControlServer
from router.engine import Engine
from tests.loop import Run
from tests.router.control.sample_router import DEADLINE_S, running, topology_of
from tests.servers import free_port

TOPOLOGY = """
actors:
  door: {type: door}
  well: {type: sink}
  broken: {type: sink}
routes:
  r: {from: door, to: well}
"""


@pytest.fixture
def state_dir() -> Iterator[Path]:
    """In a short directory: pytest's own are too long for a socket."""
    directory = tempfile.mkdtemp(prefix="state-")
    yield Path(directory, "state")
    shutil.rmtree(directory)


async def spoken(path: Path, request: bytes) -> bytes:
    """What is answered to these bytes, up to the end of the connection."""
    async with asyncio.timeout(DEADLINE_S):
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(request)
        answer = await reader.read()
        writer.close()
        return answer


def test_the_socket_is_its_owners_alone_and_goes_with_the_server(run: Run, state_dir: Path) -> None:
    async def scenario() -> None:
        engine = Engine(topology_of(TOPOLOGY), state_dir=state_dir)
        control = ControlServer(engine)
        await engine.start()
        await control.start()
        path = state_dir / "control.sock"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(state_dir.stat().st_mode) == 0o700
        await control.stop()
        assert not path.exists()
        await engine.stop()

    run(scenario())


def test_the_socket_of_a_router_that_was_killed_is_replaced(run: Run, state_dir: Path) -> None:
    async def scenario() -> None:
        engine = Engine(topology_of(TOPOLOGY), state_dir=state_dir)
        control = ControlServer(engine)
        await engine.start()
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(os.fspath(state_dir / "control.sock"))
        await control.start()
        answer = await spoken(state_dir / "control.sock", b"GET /healthz HTTP/1.0\r\n\r\n")
        await control.stop()
        await engine.stop()
        assert answer.startswith(b"HTTP/1.0 200 OK")
        assert answer.endswith(b'{"status": "ok"}\n')

    run(scenario())


def test_a_path_too_long_for_a_socket_is_refused_with_a_reason(run: Run, state_dir: Path) -> None:
    async def scenario() -> None:
        engine = Engine(topology_of(TOPOLOGY), state_dir=state_dir / ("d" * 100))
        control = ControlServer(engine)
        await engine.start()
        with pytest.raises(StateDirError, match="bytes, and a socket's may have 107"):
            await control.start()
        await engine.stop()

    run(scenario())


def test_where_monitoring_cannot_listen_nothing_does(run: Run, state_dir: Path) -> None:
    async def scenario() -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            settings = f", observe: {{listen: '127.0.0.1:{port}'}}"
            engine = Engine(topology_of(TOPOLOGY, settings=settings), state_dir=state_dir)
            control = ControlServer(engine)
            await engine.start()
            with pytest.raises(RouterError, match=f"cannot listen on 127.0.0.1:{port}"):
                await control.start()
            assert not (state_dir / "control.sock").exists()
            await engine.stop()

    run(scenario())


def test_requests_that_run_when_the_server_stops_get_a_moment(run: Run) -> None:
    """Whoever waits for an answer gets it, and then no more are taken."""

    async def scenario() -> None:
        async with running("actors: {slow: {type: sink, does: hold}}") as client:
            asked = asyncio.create_task(client.post("/v1/actors/slow/messages", {"data": 1, "wait": True}))
            await client.get_until("/v1/actors/slow/mailbox", lambda view: view["in_flight"])
            await client.post("/v1/actors/slow/messages", {"data": "go"})
            await client.control.stop()
            assert (await asked).document["outcome"] == "delivered"
            with pytest.raises(aiohttp.ClientConnectionError):
                await client.get("/healthz")

    run(scenario())


def test_what_is_no_http_ends_its_connection_alone(run: Run) -> None:
    async def scenario() -> None:
        async with running(TOPOLOGY) as client:
            path = client.engine.state_dir.control_socket
            answer = await spoken(path, b"\x00\xff\x00 nonsense\r\n\r\n")
            assert answer.startswith(b"HTTP/1.0 400")
            assert b"Traceback" not in answer
            assert (await client.get("/healthz")).status == 200

    run(scenario())


def test_readiness_names_what_does_not_run_and_why(run: Run) -> None:
    async def scenario() -> None:
        supervise = "supervise: {max_restarts: 1, backoff: {min: 1ms, max: 1ms}}"
        topology = f"actors: {{crasher: {{type: sink, does: crash, {supervise}}}, away: {{type: sink, away: true}}}}"
        async with running(topology) as client:
            assert (await client.get("/readyz")).status == 200
            for _ in range(2):
                await client.post("/v1/actors/crasher/messages", {"data": 1})
                await client.get_until("/v1/actors/crasher", lambda actor: actor["state"] in ("ready", "failed"))
            answered = await client.get("/readyz")
            health = await client.get("/healthz")
        assert answered.status == 503
        assert answered.document["waiting"] == [
            {"name": "crasher", "kind": "actor", "state": "failed", "why": "RuntimeError: a defect", "restarts": 1}
        ]
        assert health.status == 200

    run(scenario())


def test_monitoring_has_an_address_with_its_three_paths_and_no_others(run: Run) -> None:
    async def scenario() -> None:
        port = free_port()
        async with (
            running(TOPOLOGY, settings=f", observe: {{listen: '127.0.0.1:{port}'}}") as client,
            aiohttp.ClientSession(f"http://127.0.0.1:{port}", timeout=aiohttp.ClientTimeout(DEADLINE_S)) as session,
        ):
            listening = (await client.get("/v1/router")).document["listening"]
            statuses = {}
            for path in ("/healthz", "/readyz", "/metrics", "/v1/router", "/v1/actors"):
                async with session.get(path) as response:
                    statuses[path] = response.status
                    text = await response.text()
                if path == "/metrics":
                    assert 'router_actor_state{actor="well",state="ready"} 1.0' in text
            async with session.get("/metrics", headers={"Host": "evil.example"}) as response:
                foreign = response.status
            async with session.post("/metrics") as response:
                posted = response.status
        assert {"what": "observe", "address": f"http://127.0.0.1:{port}"} in listening
        assert statuses == {"/healthz": 200, "/readyz": 200, "/metrics": 200, "/v1/router": 404, "/v1/actors": 404}
        assert (foreign, posted) == (403, 405)

    run(scenario())


def test_scrapes_come_one_after_the_other_and_too_many_are_refused(run: Run) -> None:
    async def scenario() -> None:
        port = free_port()
        async with (
            running(TOPOLOGY, settings=f", observe: {{listen: '127.0.0.1:{port}'}}"),
            aiohttp.ClientSession(f"http://127.0.0.1:{port}", timeout=aiohttp.ClientTimeout(DEADLINE_S)) as session,
        ):

            async def scrape() -> int:
                async with session.get("/metrics") as response:
                    await response.read()
                    return response.status

            statuses = await asyncio.gather(*(scrape() for _ in range(40)))
        assert set(statuses) <= {200, 503}
        assert statuses.count(200) >= 8

    run(scenario())
