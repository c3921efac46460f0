"""A route's steps, run one behind the other on each message."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from functools import partial
from types import CoroutineType
from typing import TYPE_CHECKING, Any

from actors.core.errors import DeliveryError, ExpressionError, Reason
from actors.core.message import Message, Settlement
from actors.core.step import Hold, Parts, StepResult, Verdict
from router.routing.delivery import Delivery

if TYPE_CHECKING:
    from router.routing.route import Route


class Chain:
    """Runs the steps inside the route's actor. Its state, like the route's, outlives a crash of the actor."""

    def __init__(self, route: Route) -> None:
        self.held: dict[Delivery, None] = {}
        """Those a step holds, or an asynchronous step works on."""
        self.steps = route.plan.steps
        self._route = route
        self._repeatable = route.plan.repeatable

    def run(self, delivery: Delivery) -> bool:
        """Run the steps that remain; false where the message does not go on now."""
        steps = self.steps
        details = delivery.details
        position = 0 if details is None else details.position
        message = delivery.message
        if delivery.entered is None:
            delivery.entered = message
        while position < len(steps):
            result: Any = steps[position](message, delivery)
            position += 1
            if type(result) is Message:
                message = result
                if not self._repeatable[position - 1] and delivery.row:
                    self._passed(delivery, message, position)
                continue
            delivery.message = message
            if type(result) is CoroutineType:
                self._await(delivery, result, position)
            else:
                self._carry_out(delivery, result, position)
            return False
        delivery.message = message
        if delivery.details is not None:
            delivery.details.position = position
        return True

    def resume(self, delivery: Delivery, message: Message) -> None:
        """A step lets go of what it held."""
        if self.let_go(delivery):
            delivery.message = message
            self._route.ready.append(delivery)
            self._route.pump()

    def conclude(self, delivery: Delivery, verdict: Verdict) -> None:
        """A step says that what it held ends here."""
        if self.let_go(delivery):
            self._end(delivery, verdict)

    def _end(self, delivery: Delivery, verdict: Verdict) -> None:
        if verdict.outcome == "dead_lettered":
            self._route.give_up(delivery, "invalid", verdict.reason or "a step dead-lettered it")
        else:
            self._route.end(delivery, Settlement(verdict.outcome, verdict.reason))
        self._route.pump()

    def _hold(self, delivery: Delivery) -> None:
        self.held[delivery] = None
        if self._route.chain is not self:
            self._route.former[self] = None

    def let_go(self, delivery: Delivery) -> bool:
        """No step holds it any more, or works on it for anybody; false where none did."""
        if delivery not in self.held:
            return False
        del self.held[delivery]
        if not self.held:
            self._route.former.pop(self, None)
        return True

    def failed(self, delivery: Delivery, error: ExpressionError | DeliveryError) -> None:
        """A step could not be evaluated on this message; no repetition would change that."""
        reason: Reason = error.reason if isinstance(error, DeliveryError) else "expression"
        self._route.give_up(delivery, reason, str(error))

    def _passed(self, delivery: Delivery, message: Message, position: int) -> None:
        delivery.message = message
        delivery.more().position = position
        self._route.remember(delivery)

    def _carry_out(self, delivery: Delivery, result: StepResult, position: int) -> None:
        """What a step said that did not simply return a message."""
        delivery.more().position = position
        match result:
            case Message():
                self._passed(delivery, result, position)
                self._route.ready.appendleft(delivery)
            case Verdict():
                self._end(delivery, result)
            case Parts():
                self._route.branches.split(delivery, result)
            case Hold():
                self._hold(delivery)
            case _:
                raise TypeError(f"step {position} of {self._route.name} returned {type(result).__name__}")

    def _await(self, delivery: Delivery, result: Coroutine[Any, Any, StepResult], position: int) -> None:
        actor = self._route.actor
        assert actor is not None
        # Should it be run again, then on the message as the steps before have left it.
        delivery.more().position = position - 1
        task = actor.spawn(self._awaited(delivery, result, position))
        self._hold(delivery)
        self._route.engaged += 1
        task.add_done_callback(partial(self._returned, delivery, result))

    async def _awaited(self, delivery: Delivery, result: Coroutine[Any, Any, StepResult], position: int) -> None:
        try:
            outcome = await result
        except (ExpressionError, DeliveryError) as error:
            if self.let_go(delivery):
                self.failed(delivery, error)
        except Exception as error:
            if self.let_go(delivery):
                self._route.crashed(delivery, error)
        else:
            if self.let_go(delivery):
                self._go_on(delivery, outcome, position)

    def _go_on(self, delivery: Delivery, outcome: StepResult, position: int) -> None:
        try:
            self._carry_out(delivery, outcome, position)
        except (ExpressionError, DeliveryError) as error:
            self.failed(delivery, error)
        except Exception as error:
            self._route.crashed(delivery, error)

    def _returned(self, delivery: Delivery, result: Coroutine[Any, Any, StepResult], task: asyncio.Task[None]) -> None:
        self._route.engaged -= 1
        # Where the task was cancelled before it began, nobody has awaited it.
        result.close()
        if task.cancelled() and self.let_go(delivery):
            # The actor ended, and this task with it, perhaps before it began: the step is run again.
            self._route.ready.appendleft(delivery)
        self._route.pump()
