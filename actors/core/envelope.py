"""A message on its way to an actor, and the one who is told what became of it."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

import pykka
from pykka._envelope import Envelope as PykkaEnvelope

from actors.core.errors import ActorStoppedError, DeliveryError


class GoneError(ActorStoppedError, pykka.ActorDeadError):
    """The actor ended and will not answer; pykka's callers know it as `ActorDeadError`."""


class ReplyTo(Protocol):
    """Whoever is told what became of a message: pykka's future, as far as an actor uses it."""

    def set(self, value: Any = None) -> None: ...

    def set_exception(self, exc_info: Any = None) -> None: ...


class Envelope(PykkaEnvelope[Any]):
    """A message on its way to an actor, as pykka has it, and since when it waits (monotonic seconds)."""

    __slots__ = ("enqueued_at",)

    reply_to: ReplyTo | None  # type: ignore[assignment]  # wider than pykka's: a future is one of those

    def __init__(self, message: Any, reply_to: ReplyTo | None = None, enqueued_at: float = 0.0) -> None:
        self.message = message
        self.reply_to = reply_to
        self.enqueued_at = enqueued_at

    @property
    def sender(self) -> str:
        """The route that sent it; empty where none did, or waits for its answer no longer."""
        return ""

    def answer(self, reply: Any) -> None:
        """The actor handled it; whoever waits for a reply is told."""
        if self.reply_to is not None:
            self.reply_to.set(reply)

    def readdressed(self, to: Any) -> None:
        """It waits for another actor now: for this `Child`, which took the place of the one it was sent to."""

    def dropped(self, reason: str) -> None:
        """The mailbox gave it up; whoever waits for a reply is told."""
        if self.reply_to is not None:
            error = DeliveryError(f"dropped: {reason}", reason="full")
            self.reply_to.set_exception((DeliveryError, error, None))


class Told(Envelope):
    """A message that nobody waits for an answer to; after a crash it goes to the next incarnation."""

    __slots__ = ("crashes",)

    def __init__(self, message: Any, enqueued_at: float) -> None:
        super().__init__(message, None, enqueued_at)
        self.crashes = 0
        """How many actors have crashed on it."""


class Control:
    """A message of the runtime to an actor, taken before all others."""

    __slots__ = ()


class Place(Envelope):
    """Somebody who waits for room, in line with the deliveries that do."""

    __slots__ = ("future", "turn")

    future: asyncio.Future[None]
    """Done when room is promised."""

    def __init__(self, turn: int) -> None:
        super().__init__(None)
        self.turn = turn


def refuse(envelope: PykkaEnvelope[Any], error: Exception) -> None:
    """Tell the sender that nothing comes of it, where the sender waits for an answer."""
    if envelope.reply_to is not None:
        envelope.reply_to.set_exception((type(error), error, error.__traceback__))
