"""A `postgres` actor on a stage with a real server, and a table for what it writes."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from actors.core.errors import DeliveryError
from actors.core.message import Message
from actors.endpoints.postgres import Postgres
from tests.postgresql import PostgresServer
from tests.stage import Played, Stage, stage

PRESET = {"connection": "db", "preset": "failed_webhooks", "create": True}
EVENTS = {"connection": "db", "table": "events", "columns": {"id": "{{ message.id }}", "n": "{{ data.n }}"}}
TABLE = "CREATE TABLE events (id text PRIMARY KEY, n integer CHECK (n < 1000))"


@asynccontextmanager
async def playing(
    server: PostgresServer, options: dict[str, Any], **connection: Any
) -> AsyncIterator[tuple[Stage, Played]]:
    """The actor, ready; `connection` has options of its connection."""
    async with stage() as played:
        played.postgres_options = {"url": server.url(), **connection}
        actor = await played.start(Postgres, options)
        assert actor.error is None
        yield played, actor


def event(number: int, n: Any = None) -> Message:
    return Message(f"m{number}", "it", {"n": number if n is None else n})


async def outcomes(actor: Played, messages: Sequence[Message]) -> list[str]:
    """Of messages that come together: "done", or why not."""

    async def one(message: Message) -> str:
        try:
            await actor.deliver(message)
        except DeliveryError as error:
            return error.reason if error.retryable else f"{error.reason} for good"
        return "done"

    return list(await asyncio.gather(*map(one, messages)))


def rows(server: PostgresServer, table: str = "events") -> int:
    count: int = server.ask(f"SELECT count(*) FROM {table}")[0][0]
    return count
