"""A BullMQ program in Node that tests talk to: tests/node/bullmq_peer.js, one process for many tests."""

import asyncio
import json
import subprocess
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

from actors.connections.redis import RedisConnection
from actors.core.clock import LoopClock, ManualClock
from actors.core.connection import CONNECTION, ConnectionContext
from actors.core.events import Events
from actors.queues.bullmq import bullmq_queue
from actors.queues.contract import QueueStore
from tests.node_clients import node_client
from tests.queues import Line
from tests.servers import HOST

DEADLINE_S = 10.0
READY_TIMEOUT_S = 20.0

Said = dict[str, Any]


class PeerError(Exception):
    """What the Node program answered to a command that failed."""


class BullmqPeer:
    """The process. Its answers and events come from a thread, so that tests may each have a loop of their own."""

    def __init__(self, port: int, prefix: str = "bull") -> None:
        self.prefix = prefix
        self.port = port
        self._lock = threading.Lock()
        self._answers: dict[int, Future[Any]] = {}
        self._events: list[Said] = []
        self._wanted: list[tuple[Callable[[Said], bool], Future[Said]]] = []
        self._last = 0

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [*node_client("bullmq_peer.js"), str(self.port), self.prefix],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )
        self._reader = threading.Thread(target=self._read, name="bullmq-peer", daemon=True)
        self._reader.start()
        self._expect(lambda said: said["event"] == "ready").result(READY_TIMEOUT_S)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(DEADLINE_S)
        self._reader.join(DEADLINE_S)
        self._process.stdout.close()

    def kill(self) -> None:
        """End the process with no chance to tidy up (SIGKILL)."""
        self._process.kill()
        self._process.wait(DEADLINE_S)

    # Commands

    async def call(self, do: str, **command: Any) -> Any:
        """Have a command of the program carried out; raises `PeerError` with what Node threw."""
        answer: Future[Any] = Future()
        with self._lock:
            self._last += 1
            self._answers[self._last] = answer
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps({"id": self._last, "do": do, **command}) + "\n")
            self._process.stdin.flush()
        return await asyncio.wait_for(asyncio.wrap_future(answer), DEADLINE_S)

    async def queue(self, queue: str, method: str, *args: Any) -> Any:
        """Call a method of BullMQ's `Queue`."""
        return await self.call("queue", queue=queue, method=method, args=args)

    async def add(self, queue: str, data: Any, name: str = "job", **options: Any) -> str:
        """Add a job; returns its id."""
        added = await self.queue(queue, "add", name, data, options)
        id: str = added["id"]
        return id

    async def job(self, queue: str, job: str, method: str | None = None, *args: Any) -> Any:
        """A job as Node has it, or what a method of it returns."""
        return await self.call("job", queue=queue, job=job, method=method, args=args)

    # What its workers do

    async def expect(self, event: str, **facts: Any) -> Said:
        """Wait for an event with these facts, which may have happened already; each is told once."""

        def wanted(said: Said) -> bool:
            return said["event"] == event and all(said.get(name) == fact for name, fact in facts.items())

        return await asyncio.wait_for(asyncio.wrap_future(self._expect(wanted)), DEADLINE_S)

    def happened(self, event: str, **facts: Any) -> list[Said]:
        """The events with these facts that nobody waited for."""
        with self._lock:
            return [
                said
                for said in self._events
                if said["event"] == event and all(said.get(name) == fact for name, fact in facts.items())
            ]

    def _expect(self, wanted: Callable[[Said], bool]) -> Future[Said]:
        found: Future[Said] = Future()
        with self._lock:
            for said in self._events:
                if wanted(said):
                    self._events.remove(said)
                    found.set_result(said)
                    return found
            self._wanted.append((wanted, found))
        return found

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            said: Said = json.loads(line)
            with self._lock:
                if "id" in said:
                    self._answer(self._answers.pop(said["id"]), said)
                else:
                    self._tell(said)

    @staticmethod
    def _answer(answer: Future[Any], said: Said) -> None:
        if not answer.set_running_or_notify_cancel():
            return
        if "error" in said:
            answer.set_exception(PeerError(said["error"]))
        else:
            answer.set_result(said["ok"])

    def _tell(self, said: Said) -> None:
        for entry in self._wanted:
            wanted, found = entry
            if wanted(said):
                self._wanted.remove(entry)
                if found.set_running_or_notify_cancel():
                    found.set_result(said)
                    return
                break
        self._events.append(said)


class _Beside:
    """Queues of ours in the Redis that the Node program is connected to."""

    clock: ManualClock | None = None

    def __init__(self, connection: RedisConnection, prefix: str) -> None:
        self._connection = connection
        self._prefix = prefix

    async def queue(self, name: str) -> QueueStore:
        queue = bullmq_queue(self._connection, name, prefix=self._prefix)
        await queue.open()
        return queue

    async def restart(self) -> None:
        raise NotImplementedError


@asynccontextmanager
async def line_beside(peer: BullmqPeer, name: str) -> AsyncIterator[Line]:
    """The queue of that name, in our hands."""
    options = getattr(RedisConnection, CONNECTION).options.model_validate({"url": f"redis://{HOST}:{peer.port}"})
    folder = Path("/nonexistent")
    connection = RedisConnection(options, ConnectionContext("redis", LoopClock(), Events(), folder, folder, 0))
    place = _Beside(connection, peer.prefix)
    line = Line(place, await place.queue(name))
    try:
        yield line
    finally:
        await line.close()
        await connection.close()
