"""Connections to a Redis of a test, and queues in it."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from actors.connections.redis import RedisConnection
from actors.connections.redis.options import RedisConnectionOptions
from actors.core.clock import LoopClock
from actors.core.connection import ConnectionContext
from actors.core.events import Event, Events
from actors.queues.bullmq import bullmq_queue
from actors.queues.contract import QueueStore
from tests.queues import Line

_PREFIXES = itertools.count()


@dataclass
class Heard:
    """A connection, and the events it emitted."""

    connection: RedisConnection
    events: list[Event] = field(default_factory=list)

    def kinds(self) -> list[str]:
        return [type(event).__name__ for event in self.events]


@asynccontextmanager
async def redis(directory: Path, *, generation: int = 0, **options: Any) -> AsyncIterator[Heard]:
    """An open connection with these options."""
    events = Events()
    context = ConnectionContext("r", LoopClock(), events, directory, directory, generation)
    heard = Heard(RedisConnection(RedisConnectionOptions.model_validate(options), context))
    events.subscribe(Event, heard.events.append)
    try:
        await heard.connection.open()
        yield heard
    finally:
        await heard.connection.close()


@dataclass
class RedisPlace:
    """Queues behind one connection; time passes by itself."""

    connection: RedisConnection
    prefix: str
    clock: None = None

    async def queue(self, name: str) -> QueueStore:
        return bullmq_queue(self.connection, name, prefix=self.prefix)

    async def restart(self) -> None:
        raise NotImplementedError("a test that needs another process opens another connection")


@asynccontextmanager
async def queue_of(connection: RedisConnection, *, prefix: str | None = None) -> AsyncIterator[Line]:
    """A queue in a Redis; of a prefix of its own where none is given."""
    place = RedisPlace(connection, prefix or f"live{next(_PREFIXES)}")
    held = Line(place, await place.queue("orders"))
    try:
        yield held
    finally:
        await held.close()
