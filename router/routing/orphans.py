"""Messages in the journal whose route is in no topology any more: they become dead letters."""

from __future__ import annotations

import asyncio
from functools import partial

from actors.core.clock import Clock
from actors.core.errors import StorageError
from actors.core.events import Events, Notice
from actors.core.message import Message
from router.routing.burial import dead_letter
from router.store.dead_letters import DeadLetters
from router.store.journal import Journal, Row

PAGE = 1000
"""Rows that are buried at once."""


async def bury_orphans(
    route: str, *, journal: Journal, dead_letters: DeadLetters, clock: Clock, events: Events
) -> None:
    """Move all of `route`'s messages from the journal to the dead letters; what cannot be moved stays."""
    after = buried = 0
    failure: Exception | None = None
    try:
        while failure is None and (rows := await journal.load(route, after, PAGE)):
            after = rows[-1].row
            moves = [_bury(row, route, dead_letters, clock.time()) for row in rows]
            for error in await asyncio.gather(*moves):
                failure = failure or error
                buried += error is None
    except StorageError as error:
        failure = error
    text = f"route {route} is not in the topology any more: {buried} messages of its journal are dead letters now"
    if failure is not None:
        events.emit(Notice(f"{text}, and the rest cannot be moved: {failure}", "error"))
    else:
        events.emit(Notice(text, "warning"))


def _bury(row: Row, route: str, dead_letters: DeadLetters, at: float) -> asyncio.Future[Exception | None]:
    moved: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
    why = "the route is not in the topology any more"
    letter = dead_letter(Message.from_bytes(row.message), at=at, route=route, reason="unroutable", error=why)
    dead_letters.add(letter, row.row, partial(_set, moved))
    return moved


def _set(moved: asyncio.Future[Exception | None], error: Exception | None) -> None:
    if not moved.done():
        moved.set_result(error)
