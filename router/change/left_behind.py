"""What a change leaves behind in queues: jobs that this router has worked, and that no actor of it works any more."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from actors.core.child import Child
from actors.core.errors import RouterError
from actors.kit.secrets import redact_url
from actors.queues.contract import Queued
from router.change.diff import Diff
from router.topology.fields import connections_of
from router.topology.model import ActorDefinition, Topology

COUNT_S: Final = 2.0
"""How long all stores together may take to say how many jobs there are: a change does not wait for one that is away."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a queue is: what two actors have in common that have the same one."""

    store: str
    """The connection's name; else what stands in its place, such as `sqlite`."""
    server: str
    """The connection's address, without who calls; empty where there is no connection."""
    prefix: str
    queue: str

    def __str__(self) -> str:
        return f"queue '{self.queue}' ({self.store})"


def left_by(change: Diff) -> Mapping[Place, str]:
    """The queues that routes of this router have worked, and will no more, each with an actor that has it now."""
    after = {place for _, place in _worked(change.after)}
    return {place: actor for actor, place in reversed([*_worked(change.before)]) if place not in after}


def uncounted(change: Diff) -> tuple[str, ...]:
    """A sentence for each queue in which jobs may stay behind, where no router runs that could count them."""
    return tuple(f"what is in {place} stays there: {_nobody(change, place)}" for place in left_by(change))


async def left_behind(change: Diff, children: Mapping[str, Child]) -> tuple[str, ...]:
    """A sentence for each queue in which jobs stay behind, with how many; `children` are what runs."""
    found = left_by(change)
    counted = await asyncio.gather(*(_count(children.get(actor)) for actor in found.values()))
    return tuple(
        f"{count} in {place}: {_nobody(change, place)}"
        for place, count in zip(found, counted, strict=True)
        if count is not None
    )


def _nobody(change: Diff, place: Place) -> str:
    has_it = place in {_place(actor, change.after) for actor in change.after.actors.values() if actor.enabled}
    if has_it:
        return "no route begins there then, and nobody here works them"
    known = {name: _server(name, change.after) for name in change.after.connections}
    store = place.store if not place.server or known.get(place.store) == place.server else f"at {place.server}"
    prefix = f", prefix: {place.prefix}" if place.prefix else ""
    options = f"store: {store}{prefix}, queue: {place.queue}"
    return f"nobody here works them then; an actor of its own ({options}) with a route from it would"


async def _count(child: Child | None) -> str | None:
    """`3 jobs stay`; None where there are none."""
    actor: object = None if child is None else child.actor
    if not isinstance(actor, Queued):
        return None
    spilled = actor.spilled
    try:
        async with asyncio.timeout(COUNT_S):
            jobs = (await actor.queue.counts()).unfinished + spilled
    except (RouterError, TimeoutError):
        return "all jobs, of which the store does not say now how many there are, stay"
    return None if not jobs else "1 job stays" if jobs == 1 else f"{jobs:,} jobs stay"


def _worked(topology: Topology) -> Iterator[tuple[str, Place]]:
    sources = dict.fromkeys(name for route in topology.routes.values() for name in route.sources)
    for name in sources:
        actor = topology.actors.get(name)
        place = None if actor is None or not actor.enabled else _place(actor, topology)
        if place is not None:
            yield name, place


def _place(actor: ActorDefinition, topology: Topology) -> Place | None:
    options = actor.options
    store = getattr(options, "store", None)
    if actor.type != "queue" or not isinstance(store, str):
        return None
    server = "".join(_server(name, topology) for _, name, _ in connections_of(options))
    prefix = getattr(options, "prefix", None) or ""
    return Place(store, server, prefix, getattr(options, "queue", None) or actor.name)


def _server(connection: str, topology: Topology) -> str:
    definition = topology.connections.get(connection)
    url = "" if definition is None else str(getattr(definition.options, "url", ""))
    return redact_url(url).rpartition("@")[2].rpartition("://")[2]
