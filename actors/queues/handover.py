"""Claimed jobs on their way to the routes: as messages, in their order, and with some patience."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from actors.core.clock import Clock, Timer
from actors.core.errors import BackPressureError, DecodeError, RouterError
from actors.core.message import Message
from actors.core.outlet import Outlet
from actors.queues.attempt import Attempt
from actors.queues.envelope import undecoded, unpack
from actors.queues.job import Job

HOLD_S: Final = 1.0
"""So long a claimed job waits for room on its routes, before it goes back to where others may claim it."""


class Handover:
    """Offers jobs to the routes of their source, and holds for a while what these have no room for."""

    def __init__(
        self, outlet: Outlet, clock: Clock, *, source: str, give_back: Callable[[Sequence[Attempt]], None]
    ) -> None:
        """`give_back` is told of what was held for too long."""
        self._outlet = outlet
        self._clock = clock
        self._source = source
        self._give_back = give_back
        self._has_room = False
        self._held: deque[tuple[Attempt, Message]] = deque()
        self._timer: Timer | None = None
        self._wait_s = 0.0

    @property
    def has_room(self) -> bool:
        """Whether a route begins here, and is believed to have room."""
        return self._has_room and self._outlet.routed

    @property
    def is_holding(self) -> bool:
        return bool(self._held)

    async def room(self) -> None:
        """Until there is room, and what is held has found it."""
        if self._wait_s:
            await self._clock.sleep(self._wait_s)
            self._wait_s = 0.0
        while not self.has_room:
            await self._outlet.room()
            self._has_room = True
            self._offer_held()

    def rest(self, seconds: float) -> None:
        """A route has given one back: offer nothing for so long."""
        self._has_room = False
        self._wait_s = seconds

    def begin(self, attempt: Attempt) -> None:
        """Hand a job on; what cannot be a message, or must not be worked, becomes a dead letter."""
        job, source = attempt.job, self._source
        if job.doomed is not None:
            self._outlet.reject(_whatever(job, source), attempt, reason="quarantined", error=job.doomed)
            return
        try:
            message = unpack(job, source)
        except DecodeError as error:
            self._outlet.reject(undecoded(job, source), attempt, reason="undecodable", error=str(error))
            return
        if self._held:
            self._held.append((attempt, message))
        else:
            self._offer(attempt, message)

    def _offer(self, attempt: Attempt, message: Message) -> bool:
        outlet, job = self._outlet, attempt.job
        try:
            if not outlet.routed:
                # There was a route when it was claimed.
                raise BackPressureError(f"no route begins at {self._source}", route="")
            if job.attempts_made or job.done is not None:
                outlet.offer_again(message, attempt)
            else:
                outlet.offer(message, attempt)
        except BackPressureError:
            self._held.append((attempt, message))
            self._has_room = False
            if self._timer is None:
                self._timer = self._clock.call_at(self._clock.now() + HOLD_S, self.release)
            return False
        except RouterError as error:
            attempt.refuse(error)
        return True

    def _offer_held(self) -> None:
        held, self._held = self._held, deque()
        while held:
            if not self._offer(*held.popleft()):
                # It is the first of those that wait again.
                self._held.extend(held)
                return
        self._forget_timer()

    def release(self) -> None:
        """Hold nothing any longer."""
        self._forget_timer()
        held, self._held = self._held, deque()
        self._give_back([attempt for attempt, _ in held])

    def _forget_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _whatever(job: Job, source: str) -> Message:
    """Its message, or what can be said of it."""
    try:
        return unpack(job, source)
    except DecodeError:
        return undecoded(job, source)
