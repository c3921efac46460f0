"""A message that an operator sends by hand, and what became of it."""

from __future__ import annotations

import asyncio
from typing import Any

from actors.core.child import Child
from actors.core.errors import DeliveryError, MailboxFullError, RouterError
from actors.core.mailbox import Envelope
from actors.core.message import Message, Receipt, Settlement
from router.routing.delivery import as_delivery_error


class Probe(Receipt):
    """A receipt that somebody waits for; it can also stand for one attempt at an actor, without a route."""

    __slots__ = ("_accepted", "_child", "_ended")

    def __init__(self, ended: asyncio.Future[Settlement]) -> None:
        super().__init__()
        self._ended = ended
        self._accepted: asyncio.Future[None] = ended.get_loop().create_future()
        self._child: Child | None = None

    async def wait(self, *, wait: bool, timeout_s: float) -> Settlement | None:
        """Wait until it is accepted, or until it ended; raises why it was refused, and `TimeoutError`."""
        async with asyncio.timeout(timeout_s):
            if wait:
                return await self._ended
            waits: list[asyncio.Future[Any]] = [self._accepted, self._ended]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            return self._ended.result() if self._ended.done() else None

    def on_accepted(self) -> None:
        if not self._accepted.done():
            self._accepted.set_result(None)

    def on_settled(self, settlement: Settlement) -> None:
        if not self._ended.done():
            self._ended.set_result(settlement)

    def on_refused(self, error: RouterError) -> None:
        if not self._ended.done():
            self._ended.set_exception(error)

    # As the one to reply to

    def hand_to(self, child: Child, message: Message, now: float) -> None:
        """One attempt at an actor; raises `DeliveryError` where it refuses at once."""
        if child.closed is not None:
            raise DeliveryError(child.closed.why, reason=child.closed.reason)
        self._child = child
        child.started += 1
        try:
            child.mailbox.offer(_Knock(message, self, now))
        except MailboxFullError as error:
            child.refused += 1
            raise DeliveryError(str(error), reason="full") from None

    def set(self, value: Any = None) -> None:
        if self._child is not None:
            self._child.succeeded += 1
        self.settle(Settlement("delivered", None, value))

    def set_exception(self, exc_info: Any = None) -> None:
        if self._child is not None:
            self._child.refused += 1
        self.refuse(as_delivery_error(exc_info[1]))

    def moved(self, to: Child) -> None:
        """The actor was replaced while the message waited for it."""
        assert self._child is not None, "it is an attempt"
        self._child.started -= 1
        to.started += 1
        self._child = to


class _Knock(Envelope):
    """An operator's message to an actor."""

    __slots__ = ()

    reply_to: Probe

    def readdressed(self, to: Child) -> None:
        self.reply_to.moved(to)
