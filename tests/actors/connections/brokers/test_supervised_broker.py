"""How a broker's child is started, looked after and started anew, with children that behave as a test wants."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import pytest

from actors.connections.mqtt.brokers import process_table
from actors.connections.mqtt.brokers.credentials import Credentials
from actors.connections.mqtt.brokers.house_broker import Address, Addresses
from actors.connections.mqtt.brokers.options import HouseOptions
from actors.connections.mqtt.brokers.supervised_broker import Checks, SupervisedBroker
from actors.core.clock import LoopClock
from actors.core.connection import ConnectionContext
from actors.core.errors import RouterError
from actors.core.events import Events, Notice
from actors.kit.backoff import Backoff
from tests.loop import Run

DEADLINE_S = 20.0

SOON = Backoff(delay_s=0.01, max_delay_s=0.01)
SELDOM = Checks()
OFTEN = Checks(every_s=0.05, timeout_s=0.2, missed=2)

GOOD = """
import socketserver, sys
class Answer(socketserver.BaseRequestHandler):
    def handle(self):
        print("asked", flush=True)
        self.request.recv(1024)
        self.request.sendall(b"\\x20\\x02\\x00\\x00")
        self.request.recv(16)
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
print("up", flush=True)
Server(("127.0.0.1", int(sys.argv[1])), Answer).serve_forever()
"""
"""Answers every CONNECT with CONNACK."""

DEAF = """
import socket, sys, time
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
time.sleep(60)
"""
"""Listens, and answers nobody."""

BROKEN = "import sys; sys.exit('no such option: persistance')"


class ScriptBroker(SupervisedBroker):
    """A Python script that gets the port as its argument; a test may change it between two starts."""

    program: ClassVar = "the script"
    death_signal: ClassVar = signal.SIGKILL
    script = GOOD
    prepared = 0

    def wanted(self) -> dict[str, Address]:
        return {"mqtt": self.options.listen.named()["mqtt"]}

    def prepare(self, addresses: Addresses, credentials: Credentials) -> Sequence[str]:
        self.prepared += 1
        return ("program", sys.executable, "-I", "-c", self.script, str(addresses.mqtt.port))

    def level(self, line: str) -> str:
        return "info"

    def is_alarming(self, line: str) -> bool:
        return line == "alarm"


@dataclass
class Watched:
    """A broker, what it told its connection, and what was logged."""

    broker: ScriptBroker
    exits: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    ready: asyncio.Queue[None] = field(default_factory=asyncio.Queue)
    notices: list[Notice] = field(default_factory=list)
    noted: asyncio.Event = field(default_factory=asyncio.Event)

    def send(self, number: signal.Signals) -> None:
        assert self.broker.pid is not None
        os.kill(self.broker.pid, number)

    async def exited(self) -> str:
        async with asyncio.timeout(DEADLINE_S):
            return await self.exits.get()

    async def came_back(self) -> None:
        async with asyncio.timeout(DEADLINE_S):
            await self.ready.get()

    def note(self, notice: Notice) -> None:
        self.notices.append(notice)
        self.noted.set()

    async def logged(self, text: str, times: int = 1) -> None:
        """Wait until the log has the text so often."""
        async with asyncio.timeout(DEADLINE_S):
            while sum(text in notice.text for notice in self.notices) < times:
                self.noted.clear()
                await self.noted.wait()


@asynccontextmanager
async def watched(
    directory: Path, listen: str = "127.0.0.1:0", *, script: str = GOOD, checks: Checks = SELDOM
) -> AsyncIterator[Watched]:
    events = Events()
    context = ConnectionContext("trial", LoopClock(), events, directory / "state", directory)
    options = HouseOptions.model_validate({"listen": {"mqtt": listen}})
    broker = ScriptBroker(options, context, backoff=SOON, checks=checks)
    broker.script = script
    made = Watched(broker)
    broker.on_exit, broker.on_ready = made.exits.put_nowait, lambda: made.ready.put_nowait(None)
    events.subscribe(Notice, made.note)
    try:
        yield made
    finally:
        await broker.stop()


def test_it_is_ready_when_it_answers(run: Run, tmp_path: Path) -> None:
    """What it prints goes to the log under its name, and so does where it listens."""

    async def scenario() -> None:
        async with watched(tmp_path) as it:
            await it.broker.start()
            assert it.broker.pid is not None
            assert process_table.listens(it.broker.pid, it.broker.addresses.mqtt.port)
            await it.logged("the script of connection trial: up")
            await it.logged(f"the script of connection trial listens on mqtt://{it.broker.addresses.mqtt}")
            assert all(dict(notice.fields)["connection"] == "trial" for notice in it.notices)

    run(scenario())


def test_starting_and_stopping_twice_does_nothing_more(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with watched(tmp_path) as it:
            await it.broker.stop()
            await it.broker.start()
            pid = it.broker.pid
            await it.broker.start()
            assert it.broker.pid == pid
            await it.broker.stop()
            await it.broker.stop()
            assert it.broker.pid is None
            assert it.exits.empty()

    run(scenario())


def test_after_stop_it_can_start_again(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with watched(tmp_path) as it:
            await it.broker.start()
            await it.broker.stop()
            await it.broker.start()
            assert it.broker.pid is not None

    run(scenario())


def test_one_that_does_not_start_says_why(run: Run, tmp_path: Path) -> None:
    """Its last words are in the error, and it is not tried again: the port was not the reason."""

    async def scenario() -> None:
        async with watched(tmp_path, script=BROKEN) as it:
            with pytest.raises(RouterError, match=r"did not start: it ended with 1\nno such option: persistance"):
                await it.broker.start()
            assert it.broker.prepared == 1
            assert it.broker.pid is None

    run(scenario())


def test_a_program_that_is_not_there_is_an_error(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with watched(tmp_path) as it:
            it.broker.directory.parent.mkdir(parents=True)
            it.broker.directory.write_text("in the way")
            with pytest.raises(RouterError, match="cannot start the script"):
                await it.broker.start()

    run(scenario())


def test_when_it_dies_it_comes_back_where_it_was(run: Run, tmp_path: Path) -> None:
    """The connection is told of both."""

    async def scenario() -> None:
        async with watched(tmp_path) as it:
            await it.broker.start()
            before, pid = it.broker.addresses, it.broker.pid
            it.send(signal.SIGKILL)
            assert await it.exited() == "the script was ended by SIGKILL"
            await it.came_back()
            assert it.broker.addresses == before
            assert it.broker.pid not in (None, pid)

    run(scenario())


def test_it_is_tried_for_ever(run: Run, tmp_path: Path) -> None:
    """Also where it cannot start for a while."""

    async def scenario() -> None:
        async with watched(tmp_path) as it:
            await it.broker.start()
            it.broker.script = BROKEN
            it.send(signal.SIGKILL)
            await it.exited()
            await it.logged("cannot start", times=3)
            it.broker.script = GOOD
            await it.came_back()
            assert it.exits.empty()

    run(scenario())


@pytest.mark.slow
def test_one_that_hangs_is_ended_and_comes_back(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with watched(tmp_path, checks=OFTEN) as it:
            await it.broker.start()
            it.send(signal.SIGSTOP)
            assert "no longer takes connections" in await it.exited()
            await it.came_back()

    run(scenario())


def test_an_alarm_of_one_that_works_changes_nothing(run: Run, tmp_path: Path) -> None:
    """It is asked at once, and answers."""

    async def scenario() -> None:
        async with watched(tmp_path, script=GOOD.replace("up", "alarm")) as it:
            await it.broker.start()
            pid = it.broker.pid
            # As 3.1.1 and as 5, when it started and after the alarm.
            await it.logged("asked", times=4)
            assert it.broker.pid == pid
            assert it.exits.empty()

    run(scenario())


def test_one_that_never_answers_does_not_start(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And is not left running."""
    monkeypatch.setattr("actors.connections.mqtt.brokers.supervised_broker.READY_TIMEOUT_S", 0.5)

    async def scenario() -> None:
        async with watched(tmp_path, script=DEAF) as it:
            with pytest.raises(RouterError, match=r"did not start: no answer on .* within"):
                await it.broker.start()
            assert it.broker.pid is None

    run(scenario())


def test_a_stranger_at_a_named_port_is_not_taken_for_the_broker(run: Run, tmp_path: Path) -> None:
    """The error says who is there; nothing is started and nobody is connected to."""

    async def scenario() -> None:
        met = asyncio.Event()
        stranger = await asyncio.start_server(lambda reader, writer: met.set(), "127.0.0.1", 0)
        port = stranger.sockets[0].getsockname()[1]
        async with stranger, watched(tmp_path, f"127.0.0.1:{port}") as it:
            with pytest.raises(RouterError, match=rf"cannot listen on 127\.0\.0\.1:{port}: the port is in use by "):
                await it.broker.start()
            assert it.broker.prepared == 0
        assert not met.is_set()

    run(scenario())


def test_a_callback_that_raises_does_not_end_the_supervision(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with watched(tmp_path) as it:

            def fail(reason: str) -> None:
                raise ValueError(reason)

            it.broker.on_exit = fail
            await it.broker.start()
            it.send(signal.SIGKILL)
            await it.came_back()
            assert any(notice.level == "error" for notice in it.notices)

    run(scenario())
