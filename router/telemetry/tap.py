"""One who listens: what passes and is in the sample, waiting to be looked at."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from actors.core.clock import Clock
from actors.core.errors import ExpressionError
from actors.core.limits import Limiter
from actors.core.message import Message, Outcome
from actors.kit.expressions import Expression
from router.routing.delivery import Delivery

Place = Literal["source", "route", "target"]

BOUND: Final = 500
"""Messages that may wait to be looked at; more are left out."""

SLICE_S: Final = 0.002
"""How long a tap evaluates `where` before it pauses."""

SHARE: Final = 0.05
"""How much of the time it may take for that."""


class Copy(NamedTuple):
    """A message that passed, as it was there."""

    at: float
    """Epoch seconds."""
    name: str
    """What was listened to."""
    place: Place
    message: Message
    route: str | None = None
    target: str | None = None
    attempt: int | None = None
    outcome: Outcome | None = None
    """Where it ended on a route."""
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Remark:
    """What a listener should know besides."""

    left_out: int = 0
    """Messages that passed since the last remark and were not shown: more than the limit, or than could be looked
    at."""
    failed: int = 0
    """Messages since then on which `where` failed."""
    error: str = ""
    """What the last of these failed with."""
    revision: int | None = None
    """It runs from here on."""
    gone: tuple[str, ...] = ()
    """Names that are not in the topology any more; they are listened to again when they come back."""


class Tap:
    """One listener. What passes while `skips` is 0 is to be seen, and else counted down there; `next` gives what is
    to be shown."""

    def __init__(
        self,
        names: Sequence[str],
        *,
        where: Expression | None,
        sample: float,
        per_s: float,
        clock: Clock,
        random: Callable[[], float],
    ) -> None:
        self.names = tuple(names)
        self.skips = 0
        """Messages that are to pass before the next one that is in the sample."""
        self._where = where
        self._sample = sample
        self._limiter = Limiter(max(1, round(per_s)), max(1, round(per_s)) / per_s)
        self._clock = clock
        self._random = random
        self._seen: deque[Copy] = deque()
        self._arrived = asyncio.Event()
        self._left_out = 0
        self._failed = 0
        self._error = ""
        self._told: deque[Remark] = deque()
        self._spent_s = 0.0
        self._shut_until = 0.0
        """The limit is reached until then."""

    def see(
        self,
        name: str,
        place: Place,
        message: Message,
        delivery: Delivery | None = None,
        outcome: Outcome | None = None,
        reason: str | None = None,
    ) -> None:
        """A message passes, and it is in the sample."""
        if self._sample < 1.0:
            # As many as there would be if each were drawn for itself.
            self.skips = int(math.log(1.0 - self._random()) / math.log1p(-self._sample))
        if len(self._seen) >= BOUND:
            self._left_out += 1
            return
        if self._where is None:
            # Where there is a condition, the limit is for those that it holds for.
            now = self._clock.now()
            if now < self._shut_until:
                self._left_out += 1
                return
            if wait_s := self._limiter.take(now):
                self._shut_until = now + wait_s
                self._left_out += 1
                return
        route = target = attempt = None
        if delivery is not None:
            route = delivery.route.name if delivery.route is not None else name
            target = delivery.target.name if delivery.target is not None else None
            attempt = delivery.attempt
        self._seen.append(Copy(self._clock.time(), name, place, message, route, target, attempt, outcome, reason))
        self._arrived.set()

    def tell(self, remark: Remark) -> None:
        """Something else is to be known."""
        self._told.append(remark)
        self._arrived.set()

    async def next(self, timeout_s: float) -> Copy | Remark | None:
        """What is to be shown next; None where there is nothing within that time."""
        deadline = self._clock.now() + timeout_s
        while True:
            if self._told:
                return self._told.popleft()
            while self._seen:
                copy = self._seen.popleft()
                if await self._holds(copy.message):
                    if self._where is None or not self._limiter.take(self._clock.now()):
                        return copy
                    self._left_out += 1
                if self._clock.now() >= deadline:
                    return None
            self._arrived.clear()
            try:
                await asyncio.wait_for(self._arrived.wait(), max(0.0, deadline - self._clock.now()))
            except TimeoutError:
                return None

    def remark(self) -> Remark | None:
        """What was not shown since this was asked for the last time; None where all was."""
        if not (self._left_out or self._failed):
            return None
        remark = Remark(self._left_out, self._failed, self._error)
        self._left_out, self._failed, self._error = 0, 0, ""
        return remark

    async def _holds(self, message: Message) -> bool:
        """Whether it is to be shown. Looking at many takes a part of the time, and leaves the rest to the flow."""
        if self._where is None:
            return True
        if self._spent_s >= SLICE_S:
            pause_s, self._spent_s = self._spent_s * (1.0 - SHARE) / SHARE, 0.0
            await self._clock.sleep(pause_s)
        began = self._clock.now()
        try:
            return bool(self._where.holds(message, self._clock.time()))
        except ExpressionError as error:
            self._failed += 1
            self._error = str(error)
            return False
        finally:
            self._spent_s += self._clock.now() - began
