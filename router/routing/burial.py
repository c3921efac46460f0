"""Dead letters: to the actor that the route names, else, and when that fails, to the node's own store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from actors.core.child import Child
from actors.core.clock import Clock, Timer
from actors.core.errors import MailboxFullError, Reason
from actors.core.events import Events, MessageDeadLettered, Notice
from actors.core.mailbox import Envelope
from actors.core.message import Message, Settlement
from router.routing.delivery import Delivery
from router.store.dead_letter import DeadLetter
from router.store.dead_letters import DeadLetters

if TYPE_CHECKING:
    from router.routing.route import Route

AGAIN_AFTER_S = 1.0
"""When a store that could not take a dead letter is asked again."""


class Burial:
    """Turns a delivery into a dead letter, and ends it only when the letter is safe.

    While the store fails (a full disk, say) the deliveries wait here and the route takes nothing more, so
    that nothing is acknowledged that is kept nowhere.
    """

    def __init__(
        self,
        route: Route,
        *,
        dead_letters: DeadLetters,
        targets: Mapping[str, Child],
        clock: Clock,
        events: Events,
    ) -> None:
        self.pending: dict[Delivery, None] = {}
        self.failing = False
        self._route = route
        self._dead_letters = dead_letters
        self._actor = targets[route.plan.dead_letter] if route.plan.dead_letter else None
        self._clock = clock
        self._events = events

    def rewire(self, actor: Child | None) -> None:
        """The route's `dead_letter` is this actor from now on, or none."""
        self._actor = actor

    def bury(self, delivery: Delivery, reason: Reason, error: str) -> None:
        self.pending[delivery] = None
        details = delivery.details
        letter = dead_letter(
            delivery.message,
            at=self._clock.time(),
            route=self._route.name,
            target=delivery.target,
            reason=reason,
            error=error,
            attempts=delivery.attempt,
            key=details.key if details is not None else None,
            entered=delivery.entered,
            position=details.start if details is not None else 0,
        )
        actor = self._actor
        if actor is None or actor.closed is not None or delivery.root.more().letter is not None:
            self._store(delivery, letter)
            return
        parcel = _Parcel(described(letter, delivery.message), letter.route, actor, self._clock.now())
        parcel.ended = partial(self._answered, delivery, letter)
        parcel.timer = self._clock.call_at(self._clock.now() + self._route.plan.timeout_s, parcel.late)
        actor.started += 1
        try:
            actor.mailbox.offer(parcel)
        except MailboxFullError:
            parcel.set_exception()

    def close(self) -> None:
        """The end of the route: what is not safe yet was not acknowledged, or is in the journal."""
        self.pending.clear()

    def _answered(self, delivery: Delivery, letter: DeadLetter, ok: bool) -> None:
        if ok:
            self._buried(delivery, letter, None)
        else:
            self._store(delivery, letter)

    def _store(self, delivery: Delivery, letter: DeadLetter) -> None:
        if delivery not in self.pending:
            return
        done = partial(self._buried, delivery, letter)
        details, root = delivery.more(), delivery.root.more()
        if root is not details and root.letter is not None:
            # Of the parts and ways of a replayed message one can stand in its letter's place.
            details.letter, root.letter = root.letter, None
        if details.letter is not None:
            self._dead_letters.replace(details.letter, letter, delivery.row or None, done)
        elif details.parent is not None and (row := delivery.root.row):
            self._dead_letters.add(letter, row, done, delivery=delivery.place)
        else:
            self._dead_letters.add(letter, delivery.row or None, done)

    def _buried(self, delivery: Delivery, letter: DeadLetter, error: Exception | None) -> None:
        if delivery not in self.pending:
            return
        if error is not None:
            if not self.failing:
                self.failing = True
                self._events.emit(Notice(f"dead letters of {self._route.name} cannot be kept: {error}", "error"))
            again = self._clock.now() + AGAIN_AFTER_S
            self._clock.call_at(again, lambda: self._store(delivery, letter))
            return
        self.failing = False
        del self.pending[delivery]
        reason: Reason = letter.reason  # type: ignore[assignment]  # the store keeps what `bury` was given
        self._events.emit(MessageDeadLettered(self._route.name, letter.target, letter.message_id, reason, letter.error))
        self._route.end(delivery, Settlement("dead_lettered", f"{reason}: {letter.error}"))
        self._route.pump()


class _Parcel(Envelope):
    """A dead letter on its way to an actor; it is answered once."""

    __slots__ = ("_route", "actor", "ended", "timer")

    def __init__(self, message: Message, route: str, actor: Child, now: float) -> None:
        super().__init__(message, None, now)
        self.reply_to = self
        self._route = route
        self.actor = actor
        self.ended: Callable[[bool], None] | None = None
        self.timer: Timer | None = None

    def __repr__(self) -> str:
        # Pykka's shows `reply_to`, which is the parcel itself; removing from a deque may ask for it.
        return f"Parcel({self.message.id!r})"

    @property
    def sender(self) -> str:
        return self._route

    def set(self, value: Any = None) -> None:
        self._end(True)

    def set_exception(self, exc_info: Any = None) -> None:
        self._end(False)

    def dropped(self, reason: str) -> None:
        self._end(False)

    def readdressed(self, to: Child) -> None:
        self.actor.started -= 1
        to.started += 1
        self.actor = to

    def late(self) -> None:
        """Its time is up."""
        self.actor.mailbox.withdraw(self)
        self._end(False)

    def _end(self, ok: bool) -> None:
        self.reply_to = None
        if self.timer is not None:
            self.timer.cancel()
        ended, self.ended = self.ended, None
        if ended is not None:
            if ok:
                self.actor.succeeded += 1
            else:
                self.actor.refused += 1
            ended(ok)


def dead_letter(
    message: Message,
    *,
    at: float,
    route: str,
    reason: Reason,
    error: str,
    target: Child | None = None,
    attempts: int = 0,
    key: str | None = None,
    entered: Message | None = None,
    position: int = 0,
) -> DeadLetter:
    """A message at its end, as the store keeps it."""
    return DeadLetter(
        at=at,
        route=route,
        target=target.name if target is not None else None,
        reason=reason,
        error=error,
        attempts=attempts if target is not None else 0,
        key=key,
        message_id=message.id,
        source=message.source,
        message=message.to_bytes(),
        entered=entered.to_bytes() if entered is not None and entered is not message else None,
        position=position,
    )


def described(letter: DeadLetter, message: Message) -> Message:
    """The message as a `dead_letter` actor gets it: the original, with headers that say what happened."""
    return message.with_headers(
        {
            **message.headers,
            "dead-letter-route": letter.route,
            "dead-letter-target": letter.target or "",
            "dead-letter-reason": letter.reason,
            "dead-letter-error": letter.error,
            "dead-letter-attempts": str(letter.attempts),
        }
    )
