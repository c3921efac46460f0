"""A store on a real file, for the tests of this folder."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from actors.kit.database import Database
from router.store.audit import Audit
from router.store.dead_letter import DeadLetter
from router.store.dead_letters import DeadLetters
from router.store.journal import Journal, Row
from router.store.pauses import Pauses
from router.store.reservations import Reservations
from router.store.revisions import Revisions
from router.store.schema import SCHEMA

NEVER_S = 3600.0


@dataclass(frozen=True, slots=True)
class Store:
    database: Database
    journal: Journal
    dead_letters: DeadLetters
    reservations: Reservations
    revisions: Revisions
    audit: Audit
    pauses: Pauses

    async def append(self, route: str, message: bytes) -> int:
        """Append and wait for the commit."""
        outcome = Outcome()
        row = self.journal.append(route, message, outcome)
        await outcome.succeeded()
        return row

    async def load_all(self, route: str) -> list[Row]:
        return await self.journal.load(route, 0, 1_000_000)


class Outcome:
    """Something to be called when it is done, and to wait for."""

    def __init__(self) -> None:
        self._future: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

    def __call__(self, error: Exception | None) -> None:
        self._future.set_result(error)

    async def error(self) -> Exception | None:
        return await self._future

    async def succeeded(self) -> None:
        error = await self._future
        if error is not None:
            raise error


@asynccontextmanager
async def opened(path: Path, *, max_bytes: int = 1 << 30, now: float = 0.0) -> AsyncIterator[Store]:
    """Lazy statements are committed with something else, or at the end."""
    database = Database(path, schema=SCHEMA, lazy_delay_s=NEVER_S)
    await database.open()
    try:
        journal = Journal(database, max_bytes=max_bytes)
        await journal.open()
        dead_letters = DeadLetters(database, journal)
        await dead_letters.open()
        reservations = Reservations(database)
        await reservations.open(now=now)
        revisions = Revisions(database)
        await revisions.open()
        pauses = Pauses(database)
        await pauses.open()
        yield Store(database, journal, dead_letters, reservations, revisions, Audit(database), pauses)
    finally:
        await database.close()


def letter(
    *,
    at: float = 1_000.0,
    route: str = "orders",
    target: str | None = "shop",
    reason: str = "refused",
    error: str = "404",
    message: bytes = b"payload",
) -> DeadLetter:
    return DeadLetter(
        at=at,
        route=route,
        target=target,
        reason=reason,
        error=error,
        attempts=5,
        key="customer-7",
        message_id="m-1",
        source="hook",
        message=message,
    )


async def submitted(submit: Callable[[Outcome], object]) -> None:
    """Submit what takes a callback, and wait until it has succeeded."""
    outcome = Outcome()
    submit(outcome)
    await outcome.succeeded()
