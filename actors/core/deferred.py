"""An answer that comes after the handler has returned, without a task that waits for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actors.core.errors import DeliveryError

if TYPE_CHECKING:
    from actors.core.actor import AsyncioActor
    from actors.core.envelope import Envelope


class Deferred:
    """What `on_receive` of an actor with `defers` returns where the answer comes later.

    The message stays in hand, and counts against `concurrency`, until `answer` or `fail` is called on the
    loop's thread; that may be before `on_receive` has returned. Only the first call counts, and none does
    after the actor has ended: what it then had in hand was given back.
    """

    __slots__ = ("_actor", "_early", "_envelope")

    def __init__(self) -> None:
        self._actor: AsyncioActor | None = None
        self._envelope: Envelope | None = None
        self._early: tuple[Any, DeliveryError | None] | None = None

    @property
    def sender(self) -> str:
        """The route that sent the message, where one did; it is known when `attach` has been called."""
        return self._envelope.sender if self._envelope is not None else ""

    def answer(self, reply: Any = None) -> None:
        """The message was handled."""
        actor, envelope = self._actor, self._envelope
        if actor is None or envelope is None:
            self._early = self._early or (reply, None)
            return
        actor._hands.handled(envelope, reply)
        actor._freed()

    def fail(self, error: DeliveryError) -> None:
        """The attempt failed; the actor goes on."""
        actor, envelope = self._actor, self._envelope
        if actor is None or envelope is None:
            self._early = self._early or (None, error)
            return
        actor._hands.failed(envelope, error)
        actor._freed()

    def attach(self, actor: AsyncioActor, envelope: Envelope) -> None:
        """For the actor: this is the message that it answers."""
        self._actor, self._envelope = actor, envelope
        if self._early is not None:
            reply, error = self._early
            if error is None:
                self.answer(reply)
            else:
                self.fail(error)
