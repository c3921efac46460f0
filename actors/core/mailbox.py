"""A bounded mailbox that can be looked into, with a lane of its own for control messages."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Literal

import pykka
from pykka import messages as pykka_messages
from pykka._envelope import Envelope as PykkaEnvelope

from actors.core.envelope import Control, Envelope, GoneError, Place, ReplyTo, Told, refuse
from actors.core.errors import MailboxFullError
from actors.core.line import Line, Overflow, Where

__all__ = ["Control", "Envelope", "GoneError", "Mailbox", "Overflow", "ReplyTo", "Told", "Where"]

Reader = Literal["here", "away", "gone"]
"""Whether an actor takes from it; one that is away has a supervisor, who may send another."""


class Mailbox(Line):
    """The line of messages before an actor, and pykka's inbox: `put` is for all threads, all else for the loop's.

    It outlives its actor: after a crash the next incarnation takes it over as it is.
    """

    __slots__ = ("_reader", "_thread", "control")

    def __init__(
        self,
        name: str,
        *,
        now: Callable[[], float],
        capacity: int = 1000,
        overflow: Overflow = "wait",
    ) -> None:
        super().__init__(name, now=now, capacity=capacity, overflow=overflow)
        self.control: deque[Any] = deque()
        self._reader: Reader = "here"
        self._thread = threading.get_ident()

    # Pykka's inbox

    def put(self, envelope: PykkaEnvelope[Any]) -> None:
        """Pykka's way in, from any thread: `tell`, `ask`, `stop` and proxies.

        Where the policy is `reject`, a full mailbox answers an `ask` and raises for a `tell`; from another
        thread, where nobody can be told, the message counts as dropped.
        """
        if threading.get_ident() == self._thread:
            self._put(envelope)
            return
        try:
            self._loop.call_soon_threadsafe(self._put_by_thread, envelope)
        except RuntimeError:
            # The loop is closed: there is no actor any more.
            if envelope.reply_to is None:
                raise self._gone() from None
            refuse(envelope, self._gone())

    def _put_by_thread(self, envelope: PykkaEnvelope[Any]) -> None:
        try:
            self._put(envelope)
        except MailboxFullError:
            self.received += 1
            self.dropped += 1

    def _put(self, envelope: PykkaEnvelope[Any]) -> None:
        reply_to: ReplyTo | None = envelope.reply_to
        if isinstance(envelope.message, (Control, pykka_messages._ActorStop)):
            if self._reader == "here":
                self.control.append(envelope)
                self.wake()
            elif reply_to is not None:
                reply_to.set(None)
        elif self._reader == "gone":
            refuse(envelope, self._gone())
        elif reply_to is None:
            self.offer(Told(envelope.message, self._now()))
        else:
            try:
                self.offer(Envelope(envelope.message, reply_to, self._now()))
            except MailboxFullError as error:
                refuse(envelope, error)

    def get(self) -> Envelope:
        """Pykka's name for `take`."""
        return self.take()

    def empty(self) -> bool:
        return not self.messages and not self.control

    async def arrival(self) -> None:
        """Wait until there is something to take."""
        while not self.messages and not self.control:
            await self.change()

    # What the actor that reads it says

    def attend(self) -> None:
        """An actor takes it over."""
        self._reader = "here"

    def leave(self, *, for_good: bool) -> None:
        """Its actor ended: control messages were for that one, and are answered.

        What waits stays for the next incarnation; where there will be none (`for_good`) it is refused, as
        pykka does.
        """
        self._reader = "gone" if for_good else "away"
        control = tuple(self.control)
        self.control.clear()
        for envelope in control:
            if envelope.reply_to is not None:
                envelope.reply_to.set(None)
        if for_good:
            self._refuse_all(lambda _: True)

    def refuse_askers(self) -> None:
        """Nobody comes for now: whoever waits in pykka's `ask` is told, and all else stays."""
        self._refuse_all(lambda envelope: isinstance(envelope.reply_to, pykka.Future))

    def _refuse_all(self, unwanted: Callable[[Envelope], bool]) -> None:
        waiting = [*self.messages, *self.lobby]
        refused = [envelope for envelope in waiting if unwanted(envelope)]
        if not refused:
            return
        for lane in (self.messages, self.lobby):
            kept = [envelope for envelope in lane if not unwanted(envelope)]
            lane.clear()
            lane.extend(kept)
        self._admit()
        for envelope in refused:
            if isinstance(envelope, Place):
                if not envelope.future.done():
                    envelope.future.set_exception(self._gone())
            else:
                self.dropped += 1
                refuse(envelope, self._gone())

    def _gone(self) -> GoneError:
        return GoneError(f"{self.name} ended before it took the message", actor=self.name)
