"""Attempts at delivering: their deadlines, retries, fallbacks, and what a limit makes wait."""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Callable, Mapping
from itertools import count
from typing import TYPE_CHECKING

from actors.core.child import Child
from actors.core.clock import Clock, Timer
from actors.core.errors import DeliveryError, MailboxFullError, Reason
from actors.core.events import AttemptFailed, AttemptReturned, Events
from actors.core.message import Settlement
from router.routing.choose import RetryPolicy, TryAgain, TryNext, after_failure, redelivered
from router.routing.delivery import PAST_STEPS, Delivery, Details
from router.routing.suspension import Suspension

if TYPE_CHECKING:
    from router.routing.route import Route

AWAY: frozenset[Reason] = frozenset({"connect", "failed", "open", "paused"})
"""Reasons that use up no attempt where the target has said that it is away."""


class Attempts:
    """What a route has under way at its targets. It outlives the route's actor, as a mailbox does.

    Deadlines cost nothing a message: all attempts of a route have the same timeout, so `running` is in the
    order of its deadlines, and one timer stands for its first, the next retry and the next expiry.
    """

    def __init__(self, route: Route, *, clock: Clock, events: Events, random: Callable[[], float]) -> None:
        self.running: dict[Delivery, None] = {}
        self.retries: list[tuple[float, int, Delivery]] = []
        self.suspension = Suspension(route, clock=clock, events=events)
        self.suspended = self.suspension.deliveries
        """What the suspension has; kept here too, since it is asked for once a message."""
        self.pausing: deque[Delivery] = deque()
        """Those whose target's `limit` is used up for now."""
        self._route = route
        self._targets = route.targets
        self._policy = route.plan.retry
        self._timeout_s = route.plan.timeout_s
        self._deadlines: dict[Delivery, float] = {}
        """Of attempts that began with another timeout than the route has now."""
        self._clock = clock
        self._now = clock.now
        self._events = events
        self._random = random
        self._order = count()
        self._timer: Timer | None = None
        self._timer_at = math.inf
        """When the timer fires; infinite where there is none."""
        self._resume_at = 0.0
        for target in self._targets.values():
            target.watch(self.look_again)

    def close(self) -> None:
        """Let go of targets and timer."""
        for target in self._targets.values():
            target.unwatch(self.look_again)
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timer_at = None, math.inf

    # One attempt

    def begin(self, delivery: Delivery, target: Child) -> None:
        """Hand a delivery to `target`, or do what follows where that refuses at once."""
        delivery.target = target
        if target.closed is not None:
            self._away(delivery)
            return
        now = self._now()
        if target.limiter is not None and (wait_s := target.limiter.take(now)) > 0.0:
            self._pause(delivery, now + wait_s)
            return
        delivery.enqueued_at = now
        self.running[delivery] = None
        target.started += 1
        if self._timer_at > (deadline := now + self._timeout_s):
            self._arm(deadline)
        try:
            target.mailbox.offer(delivery)
        except MailboxFullError as error:
            self.failed(delivery, DeliveryError(str(error), reason="full"))

    def place(self, delivery: Delivery) -> None:
        """Begin at the first of its remaining candidates that is not away; where all are, wait for them."""
        details = delivery.more()
        for number in range(details.candidate, len(details.candidates)):
            target = self._targets[details.candidates[number]]
            if target.closed is None:
                if number != details.candidate:
                    details.candidate = number
                    delivery.attempt = 1
                self.begin(delivery, target)
                return
        if self.suspension.can_end(delivery):
            self._arm(self.suspension.add(delivery))
        else:
            closed = self._targets[details.candidates[details.candidate]].closed
            reason, why = details.last or (closed.reason, closed.why) if closed else ("failed", "")
            self._route.give_up(delivery, reason, why)

    def succeeded(self, delivery: Delivery, reply: object) -> None:
        target = delivery.target
        assert target is not None
        try:
            del self.running[delivery]
        except KeyError:
            target.late += 1
            return
        target.succeeded += 1
        if target.breaker is not None:
            target.breaker.record(ok=True)
        route = self._route
        route.delivered(delivery, reply)
        route.pump()

    def dropped(self, delivery: Delivery, why: str) -> None:
        """The target's mailbox gave it up, as the topology asks it to."""
        if delivery in self.running:
            del self.running[delivery]
            assert delivery.target is not None
            delivery.target.refused += 1
            self._route.end(delivery, Settlement("dropped", why))
            self._route.pump()

    def failed(self, delivery: Delivery, error: DeliveryError) -> None:
        """An attempt ended badly: try again, the next target, or give up."""
        target = delivery.target
        assert target is not None
        if delivery not in self.running:
            target.late += 1
            return
        del self.running[delivery]
        if error.reason == "unknown":
            target.unknown += 1
        else:
            target.refused += 1
        if target.closed is not None and error.reason in AWAY:
            self._away(delivery)
        else:
            if target.breaker is not None:
                target.breaker.record(ok=False)
            self._next(delivery, target, error)
        self._route.pump()

    # Another plan (rewire.py)

    def retarget(self, targets: Mapping[str, Child]) -> None:
        """These actors stand for the names from now on."""
        for target in self._targets.values():
            target.unwatch(self.look_again)
        self._targets = targets
        for target in targets.values():
            target.watch(self.look_again)

    def set_policy(self, policy: RetryPolicy, timeout_s: float) -> None:
        """For all attempts that begin from now on; those under way keep their deadlines."""
        if timeout_s != self._timeout_s:
            for delivery in self.running:
                self._deadlines.setdefault(delivery, delivery.enqueued_at + self._timeout_s)
        self._policy, self._timeout_s = policy, timeout_s

    def _deadline(self, delivery: Delivery) -> float:
        if self._deadlines and (own := self._deadlines.get(delivery)) is not None:
            return own
        return delivery.enqueued_at + self._timeout_s

    def _next(self, delivery: Delivery, target: Child, error: DeliveryError) -> None:
        details = self.with_candidates(delivery)
        details.last = (error.reason, str(error))
        stale, details.stale = details.stale, False
        if stale:
            # The fallbacks are those that the route has by now.
            tried = details.candidates[: details.candidate + 1]
            details.candidates = (*tried, *(name for name in self._route.plan.fallback if name not in tried))
        policy, redelivery = self._policy, delivery.redelivery
        if redelivery is not None:
            policy = redelivered(policy, redelivery, unrepeatable=details.unrepeatable)
            delivery.attempt = redelivery.attempt
        move = after_failure(
            policy,
            reason=error.reason,
            retryable=error.retryable,
            retry_after_s=error.retry_after_s,
            attempt=delivery.attempt,
            more_targets=details.candidate + 1 < len(details.candidates),
            random=self._random(),
        )
        given_back = redelivery is not None and isinstance(move, TryAgain)
        kind = AttemptReturned if given_back else AttemptFailed
        delay_s = move.delay_s if isinstance(move, TryAgain) and not given_back else None
        name, message_id = self._route.name, delivery.message.id
        self._events.emit(kind(name, target.name, message_id, delivery.attempt, error.reason, str(error), delay_s))
        match move:
            case TryAgain() if given_back:
                self._route.give_back(delivery, error.reason, str(error), error.retry_after_s)
            case TryAgain(delay_s):
                self._route.ledger.retries += 1
                delivery.attempt += 1
                due = self._now() + delay_s
                heapq.heappush(self.retries, (due, next(self._order), delivery))
                self._arm(due)
                if stale:
                    delivery.choose_anew()
                self._route.remember(delivery)
            case TryNext():
                details.candidate += 1
                details.unrepeatable |= error.reason == "unknown" and policy.on_unknown != "retry"
                delivery.attempt = 1
                self._route.ready.append(delivery)
            case _:
                reason: Reason = "quarantined" if error.reason == "crashed" else error.reason
                self._route.give_up(delivery, reason, str(error))

    # Targets that are away, and limits

    def _away(self, delivery: Delivery) -> None:
        details = self.with_candidates(delivery)
        if details.stale:
            delivery.choose_anew()
            self._route.ready.append(delivery)
        else:
            self.place(delivery)

    def with_candidates(self, delivery: Delivery) -> Details:
        """From here on it is known where it goes: no step runs again, and nothing is chosen anew."""
        details = delivery.more()
        if not details.candidates:
            assert delivery.target is not None
            name = delivery.target.name
            details.candidates = (name, *(other for other in self._route.plan.fallback if other != name))
            details.position = PAST_STEPS
        return details

    def _pause(self, delivery: Delivery, until: float) -> None:
        self.with_candidates(delivery)
        self._resume_at = min(until, self._resume_at) if self.pausing else until
        self.pausing.append(delivery)
        self._arm(until)

    def look_again(self) -> None:
        """Some target went away or came back: what waits in its mailbox returns, what waited for it goes on."""
        for delivery in tuple(self.running):
            target = delivery.target
            assert target is not None
            if target.closed is not None and target.mailbox.withdraw(delivery) in ("lobby", "queued"):
                del self.running[delivery]
                target.refused += 1
                self._away(delivery)
        self.suspension.look_again()
        self._route.pump()

    # Time

    def _arm(self, when: float) -> None:
        if self._timer_at <= when:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = when
        self._timer = self._clock.call_at(when, self._tick)

    def _tick(self) -> None:
        self._timer, self._timer_at = None, math.inf
        now = self._now()
        if self._deadlines:
            self._look_at_all(now)
        while self.running:
            delivery = next(iter(self.running))
            if (deadline := self._deadline(delivery)) > now:
                self._arm(deadline)
                break
            self._timed_out(delivery)
        while self.retries and self.retries[0][0] <= now:
            self._route.ready.append(heapq.heappop(self.retries)[2])
        if self.retries:
            self._arm(self.retries[0][0])
        if self.pausing:
            if self._resume_at <= now:
                self._route.ready.extendleft(reversed(self.pausing))
                self.pausing.clear()
            else:
                self._arm(self._resume_at)
        self._arm(self.suspension.expire(now))
        self._route.pump()

    def _look_at_all(self, now: float) -> None:
        """With attempts of two timeouts under way, the first to begin need not be the first to end."""
        self._deadlines = {delivery: due for delivery, due in self._deadlines.items() if delivery in self.running}
        due = [(self._deadline(delivery), delivery) for delivery in self.running]
        for deadline, delivery in due:
            if deadline > now:
                self._arm(deadline)
            elif delivery in self.running:
                self._timed_out(delivery)

    def _timed_out(self, delivery: Delivery) -> None:
        target = delivery.target
        assert target is not None
        where = target.mailbox.withdraw(delivery)
        timeout_s = self._deadlines.pop(delivery, delivery.enqueued_at + self._timeout_s) - delivery.enqueued_at
        text = f"{target.name} did not take it within {timeout_s:g} s"
        if where == "lobby":
            self.failed(delivery, DeliveryError(f"the mailbox of {target.name} is full", reason="full"))
        elif where == "queued":
            self.failed(delivery, DeliveryError(text, reason="timeout_before_send"))
        else:
            del self.running[delivery]
            following = delivery.successor()
            following.target = target
            self.running[following] = None
            text = f"{target.name} did not answer within {timeout_s:g} s"
            self.failed(following, DeliveryError(text, reason="unknown"))
