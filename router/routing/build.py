"""From a route's definition to the plan it runs by."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from actors.core.clock import Clock
from actors.core.errors import DeliveryError
from actors.core.events import Events
from actors.core.message import Message
from actors.core.step import Reservations, Step, StepContext
from actors.kit.backoff import Backoff
from actors.kit.expressions import Expression, Template
from router.routing.choose import Chooser, RetryPolicy, always, first_match, weighted
from router.routing.plan import RoutePlan
from router.topology.ends import Ends
from router.topology.model import RouteDefinition, StepDefinition
from router.topology.target import All, Match, One, Split

NO_ENDS: Final = Ends()


def plan_of(
    definition: RouteDefinition,
    *,
    clock: Clock,
    events: Events,
    reservations: Reservations,
    ends: Ends = NO_ENDS,
    before: tuple[RouteDefinition, RoutePlan] | None = None,
) -> RoutePlan:
    """The plan of a route, whose actors mean for it what `ends` says.

    Builds its steps, which may raise what a step raises when it is built. Steps that are where they were in
    the plan `before` are kept, with what they remember.
    """
    retry = definition.retry
    choose, targets = _chooser(definition, clock)
    others = (*definition.fallback, *((definition.dead_letter,) if definition.dead_letter else ()))
    return RoutePlan(
        name=definition.name,
        only=definition.to.actor if isinstance(definition.to, One) else None,
        sources=definition.sources,
        choose=choose,
        targets=tuple(dict.fromkeys((*targets, *others))),
        steps=_steps(definition, before, clock=clock, events=events, reservations=reservations),
        step_names=tuple(step.name for step in definition.steps),
        repeatable=tuple(step.spec.repeatable for step in definition.steps),
        when=_condition(definition.when, clock) if definition.when is not None else None,
        order_by=_key(definition.order_by, clock) if definition.order_by is not None else None,
        concurrency=definition.concurrency if ends.concurrency is None else ends.concurrency,
        durable=definition.durable,
        keeps=ends.keeps,
        replies=ends.replies,
        timeout_s=float(definition.timeout),
        retry=RetryPolicy(
            attempts=retry.attempts,
            backoff=Backoff(retry.backoff, float(retry.delay), float(retry.max_delay), retry.jitter),
            on_unknown=definition.on_unknown,
        ),
        max_waiting=definition.max_waiting,
        journals_while_paused=definition.on_pause == "journal",
        fallback=definition.fallback,
        dead_letter=definition.dead_letter,
    )


def _steps(
    definition: RouteDefinition,
    before: tuple[RouteDefinition, RoutePlan] | None,
    *,
    clock: Clock,
    events: Events,
    reservations: Reservations,
) -> tuple[Step, ...]:
    old: tuple[StepDefinition, ...] = () if before is None else before[0].steps
    if before is not None and old == definition.steps:
        return before[1].steps
    return tuple(
        before[1].steps[position]
        if before is not None and position < len(old) and old[position] == step
        else step.spec.build(
            step.options,
            StepContext(
                definition.name,
                position,
                clock,
                events,
                reservations,
                tuple(other.options for other in definition.steps[:position] if other.spec is step.spec),
            ),
        )
        for position, step in enumerate(definition.steps)
    )


def _chooser(definition: RouteDefinition, clock: Clock) -> tuple[Chooser, tuple[str, ...]]:
    match definition.to:
        case One(actor=actor):
            return always((actor,)), (actor,)
        case All(actors=actors):
            return always(actors), actors
        case Match(cases=cases, otherwise=otherwise):
            lines = [(_condition(case.when, clock), case.to) for case in cases]
            names = [name for case in cases for name in case.to]
            return first_match(lines, otherwise or ()), (*names, *(otherwise or ()))
        case Split(weights=weights, by=by):
            template = by or definition.order_by
            key_of = _key(template, clock) if template is not None else _id
            return weighted(weights, key_of), tuple(weights)


def _id(message: Message) -> str:
    return message.id


def _condition(expression: Expression, clock: Clock) -> Callable[[Message], bool]:
    return partial(_holds, expression, clock)


def _holds(expression: Expression, clock: Clock, message: Message) -> bool:
    return expression.holds(message, clock.time())


def _key(template: Template, clock: Clock) -> Callable[[Message], str]:
    def key_of(message: Message) -> str:
        value = template.render_text(message, clock.time())
        if len(value) > 1024:
            raise DeliveryError(f"the key of {template.source} is longer than 1,024 characters", retryable=False)
        return value

    return key_of
