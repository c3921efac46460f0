"""What a change takes away from what routes promise: a pure function, for `plan` to show."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from router.topology.model import RouteDefinition, Topology
from router.topology.target import All, Match, One, Split, Target


def weakened(before: Topology, after: Topology) -> list[str]:
    """A sentence for each promise that is weaker in `after`, by route and then by actor."""
    found = [text for name, old in before.routes.items() for text in _route(old, after.routes.get(name), before, after)]
    for name, actor in before.actors.items():
        new = after.actors.get(name)
        if new is None or new.type != actor.type:
            continue
        if actor.type == "queue":
            found += [f"actor {name}: {text}" for text in _queue(actor.options, new.options)]
        for option, text in (
            ("require_subscriber", "a publish that nobody subscribes to counts as delivered"),
            ("republish", "what a broker acknowledges and forgets is not published again"),
            ("verify", "senders need no proof of who they are"),
            ("auth", "clients need no proof of who they are"),
        ):
            if getattr(actor.options, option, None) and not getattr(new.options, option, None):
                found.append(f"actor {name}: {text} ({option} is gone)")
    return found


def _queue(old: Any, new: Any) -> Iterator[str]:
    if old.store == "sqlite" != new.store:
        yield f"what is acknowledged is as durable as {new.store} is, and not on this disk (store)"
    if old.order_by is not None and new.order_by is None:
        yield "jobs of one key overtake each other (order_by is gone)"
    elif old.order_by is not None and old.order_by != new.order_by:
        yield "order is kept by another key (order_by changes)"
    if new.attempts < old.attempts:
        yield f"{new.attempts} attempts in place of {old.attempts}, for new jobs"
    if old.when_down == "spill" != new.when_down:
        yield f"nothing is kept in the state directory while {new.store} is away (when_down: {new.when_down})"


def _route(old: RouteDefinition, new: RouteDefinition | None, before: Topology, after: Topology) -> Iterator[str]:
    name = old.name
    if new is None:
        if any(before.actors[source].redelivers for source in old.sources if source in before.actors):
            yield f"route {name} ends: what it cannot deliver within drain_timeout has failed an attempt, in its queue"
        else:
            yield f"route {name} ends: what it cannot deliver within drain_timeout becomes dead letters"
        return
    if old.durable and not new.durable:
        yield f"route {name}: what is accepted is no longer on disk (durable is off)"
    if old.order_by is not None and new.order_by is None:
        yield f"route {name}: order by key is lost (order_by is gone)"
    elif old.order_by is not None and old.order_by != new.order_by:
        yield f"route {name}: order is kept by another key (order_by changes)"
    elif old.order_by is None and new.order_by is None and old.concurrency == 1 < new.concurrency:
        yield f"route {name}: messages overtake each other (concurrency is above 1 without order_by)"
    if old.dead_letter is not None and new.dead_letter is None:
        yield f"route {name}: no dead-letter actor any more; the router's own store takes them"
    if old.fallback and not new.fallback:
        yield f"route {name}: no fallback any more"
    if new.retry.attempts < old.retry.attempts:
        yield f"route {name}: {new.retry.attempts} attempts in place of {old.retry.attempts}"
    if old.on_unknown == "retry" and new.on_unknown != "retry":
        yield f"route {name}: an attempt that is not answered is not repeated (on_unknown: {new.on_unknown})"
    was, becomes = _qos(old.to, before), _qos(new.to, after)
    if was is not None and becomes is not None and becomes < was:
        yield f"route {name}: QoS {becomes} in place of {was}"


def names(to: Target) -> tuple[str, ...]:
    """The actors that a route leads to, fallbacks not included."""
    match to:
        case One(actor=actor):
            return (actor,)
        case All(actors=actors):
            return actors
        case Split(weights=weights):
            return tuple(weights)
        case Match(cases=cases, otherwise=otherwise):
            return (*(name for case in cases for name in case.to), *(otherwise or ()))


def _qos(to: Target, topology: Topology) -> int | None:
    """The lowest of all targets that have one; QoS is a term of MQTT, and others acknowledge or fail."""
    found = [getattr(topology.actors[name].options, "qos", None) for name in names(to)]
    return min((qos for qos in found if isinstance(qos, int)), default=None)
