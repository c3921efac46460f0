"""What tests of actors need around them: messages, whoever is told what became of one, and a patient look."""

import asyncio
from collections.abc import Callable
from typing import Any

from actors.core.envelope import Envelope
from actors.core.mailbox import Mailbox
from actors.core.message import Message

DEADLINE_S = 5.0


def message(data: Any = None, id_: str = "1") -> Message:
    return Message(id_, "test", data)


async def until(condition: Callable[[], object]) -> None:
    """Let the loop run until `condition` holds."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110  # nothing to wait on but the loop itself
            await asyncio.sleep(0)


class Answer:
    """Keeps all that it is told, so that a test sees whether that was just once."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self._came = asyncio.Event()

    def set(self, value: Any = None) -> None:
        self.told.append(value)
        self._came.set()

    def set_exception(self, exc_info: Any = None) -> None:
        self.set(exc_info[1])

    async def once(self) -> Any:
        """What it was told, which must have been one thing."""
        async with asyncio.timeout(DEADLINE_S):
            await self._came.wait()
        (told,) = self.told
        return told


def send(mailbox: Mailbox, data: Any = None) -> Answer:
    """Offer a message, as a route does, and return who is told what became of it."""
    answer = Answer()
    mailbox.offer(Envelope(message(data), answer, 0.0))
    return answer


def added_up(mailbox: Mailbox) -> int:
    """What `received` must be: everything that came in is somewhere."""
    ended = mailbox.handled + mailbox.failed + mailbox.dropped + mailbox.withdrawn
    return ended + len(mailbox) + len(mailbox.lobby) + len(mailbox.in_hand)
