"""What tests/conftest.py gives to the other tests keeps its word."""

import asyncio
import contextlib
import socket
from pathlib import Path

import pytest

from tests import system
from tests.loop import Run
from tests.servers import RedisServer, Server, ServerError, free_port


async def forever() -> None:
    await asyncio.Event().wait()


def test_a_coroutine_runs_on_uvloop_and_gives_its_result(run: Run) -> None:
    """The loop is the one that production uses."""

    async def scenario() -> str:
        return type(asyncio.get_running_loop()).__module__

    assert run(scenario()).startswith("uvloop")


def test_a_task_left_over_fails_the_test_and_is_named(run: Run) -> None:
    """Every task has an owner, who ends it."""

    async def scenario() -> asyncio.Task[None]:
        return asyncio.create_task(forever(), name="stray")

    with pytest.raises(AssertionError, match=r"tasks left over:\n  stray \(forever\) at .*test_fixtures.py"):
        run(scenario())


def test_a_scenario_past_its_deadline_fails(run: Run) -> None:
    """A test that waits for something that never comes ends, and says what else was running."""
    with pytest.raises(AssertionError, match=r"not done after 0\.01 s"):
        run(forever(), deadline_s=0.01)


def test_a_task_that_refuses_to_end_cannot_hold_the_tests_up(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its loop is given up, for closing it would wait without a deadline."""
    monkeypatch.setattr("tests.loop.CANCEL_TIMEOUT_S", 0.05)
    let_go = asyncio.Event()
    given_up: list[asyncio.AbstractEventLoop] = []

    async def scenario() -> None:
        given_up.append(asyncio.get_running_loop())
        while not let_go.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await let_go.wait()

    with pytest.raises(AssertionError, match=r"after they were cancelled:\n  test \(.*scenario\)"):
        run(scenario(), deadline_s=0.01)
    let_go.set()
    given_up[0].run_until_complete(asyncio.sleep(0))
    given_up[0].close()


def test_a_server_left_open_fails_the_test_and_is_closed(run: Run) -> None:
    """A uvloop whose warnings are exceptions would wait for it without an end, where no time limit reaches."""
    opened: list[asyncio.Server] = []

    async def scenario() -> None:
        opened.append(await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0))

    with pytest.raises(AssertionError, match=r"left open:\n  unclosed resource <TCPServer"):
        run(scenario())


def test_a_failure_while_a_server_is_open_is_the_one_that_is_reported(run: Run) -> None:
    """What was left open follows from it."""
    opened: list[asyncio.Server] = []

    async def scenario() -> None:
        opened.append(await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0))
        raise LookupError("the reason")

    with pytest.raises(LookupError, match="the reason"):
        run(scenario())


def test_a_timeout_of_the_scenario_itself_is_its_own(run: Run) -> None:
    """Only the overall deadline is reported as such."""

    async def scenario() -> None:
        async with asyncio.timeout(0):
            await forever()

    with pytest.raises(TimeoutError):
        run(scenario())


def test_a_callback_that_fails_fails_the_test(run: Run) -> None:
    """The loop would only log it."""

    async def scenario() -> None:
        asyncio.get_running_loop().call_soon(int, "x")

    with pytest.raises(AssertionError, match="invalid literal"):
        run(scenario())


def test_a_missing_program_skips_locally_and_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    """What CI leaves out nobody tests."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="redis-server, node not installed"):
        system.require("redis-server", "node")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="redis-server, node not installed"):
        system.require("redis-server", "node")


def test_a_server_that_ends_at_once_says_why(tmp_path: Path) -> None:
    """The error holds what the server printed."""
    server = Server("shell", ["sh", "-c", "echo out of order; exit 3"], port=free_port(), directory=tmp_path)
    with pytest.raises(ServerError, match=r"ended with 3:\nout of order"):
        server.start()


@pytest.mark.live
def test_redis_answers_while_it_is_started(redis_server: RedisServer) -> None:
    """The shared server is ready when a test gets it."""
    assert redis_server.answers()


@pytest.mark.live
@pytest.mark.needs("redis-server")
def test_redis_keeps_its_port_and_its_data_over_a_kill(tmp_path: Path) -> None:
    """As the fault tests need it, with the append-only file synced at each write."""
    with RedisServer(tmp_path, appendfsync="always") as server:
        assert ask(server, b"SET kept yes\r\n") == b"+OK\r\n"
        server.kill()
        assert not server.answers()
        server.start()
        assert ask(server, b"GET kept\r\n") == b"$3\r\nyes\r\n"
    assert not server.answers()


def ask(server: RedisServer, command: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", server.port), timeout=5.0) as connection:
        connection.sendall(command)
        return connection.recv(1024)
