"""What a running router is put together from: actors, routes, and what leads from one to the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from actors.connections.http_listener import HttpListener, Tls
from actors.core.child import Child, ChildSpec
from actors.core.clock import Clock
from actors.core.connection import ConnectionContext
from actors.core.events import ActorEvent, Events, Notice
from actors.core.group import Group
from actors.core.limits import BreakerPolicy, Limiter
from actors.core.mailbox import Mailbox
from actors.core.restart import RestartPolicy
from actors.core.shared import Shared
from actors.core.spec import Context
from actors.core.supervisor import Supervisor
from actors.queues.spill import Spills
from actors.queues.sqlite.embedded import EmbeddedQueues
from router.routing.build import plan_of
from router.routing.outlet import SourceOutlet
from router.routing.plan import RoutePlan
from router.routing.route import Route
from router.routing.route_actor import RouteActor
from router.routing.trail import Trail
from router.store.stores import Stores
from router.topology.ends import ends_of
from router.topology.model import ActorDefinition, GroupDefinition, RouteDefinition, Topology

ROUTE = "route/"
"""Before a route's name among the supervisor's children."""

ROUTES_GO_ON = RestartPolicy(max_restarts=1_000_000, max_delay_s=1.0)
"""A route that crashes is always started again: each crash brings a message closer to its quarantine."""


class Assembly:
    """The parts of one router, by their names. A swap changes what is here, and nobody else does."""

    def __init__(
        self,
        topology: Topology,
        *,
        state_dir: Path,
        clock: Clock,
        events: Events,
        random: Callable[[], float],
    ) -> None:
        """`topology` is what its first change leads to: it has the settings, which hold as long as it runs."""
        self.running: Topology | None = None
        """What runs; None before the first change."""
        self.wanted = topology
        """What runs, or is about to."""
        self.supervisor = Supervisor(clock=clock, events=events, random=random)
        self.routes: dict[str, Route] = {}
        self.outlets: dict[str, SourceOutlet] = {}
        self.clock = clock
        self.events = events
        self.stores: Stores
        self.was_unclean = False
        """Whether the router before this one died, so that what the journal has in hand may have killed it."""
        self.took_up = False
        """Whether a route has begun with what the journal kept."""
        self.settings = topology.settings
        """Those of the first topology that runs: they hold as long as it does, whatever later ones say."""
        trace = topology.settings.trace
        self.trail = Trail(clock=clock, messages=trace.messages, age_s=float(trace.age))
        self._directory = topology.directory
        self._state_dir = state_dir
        self._random = random
        self._generations: dict[str, int] = {}
        kinds = {each.spec.kind: self._make_connection for each in topology.connections.values()}
        self.shared = Shared(
            {
                HttpListener: self._make_listener,
                EmbeddedQueues: lambda _: EmbeddedQueues(self.stores.database, clock=clock, events=events),
                Spills: lambda _: Spills(self.stores.database, clock=clock, events=events),
                **kinds,
            }
        )

    def aim_at(self, topology: Topology) -> None:
        """What is made from here on belongs to `topology`."""
        self.wanted = topology
        if self.running is None:
            self.settings, self._directory = topology.settings, topology.directory
        for each in topology.connections.values():
            self.shared.learn(each.spec.kind, self._make_connection)

    # Actors

    def child(self, definition: ActorDefinition, *, beside: bool = False, takes_over: bool = False) -> Child:
        """Make a child that is not started; one that is made `beside` another of its name has no name yet."""
        name = definition.name
        outlet = self.outlets.get(name) or self._outlet(name)
        supervise, limit, breaker = definition.supervise, definition.limit, definition.breaker
        mailbox = Mailbox(
            name,
            now=self.clock.now,
            capacity=definition.mailbox.capacity,
            overflow=definition.mailbox.overflow,
        )
        child: Child

        def make() -> Any:
            family = self.supervisor.family(name)
            succeeds = takes_over and self.supervisor.children.get(name) is not child
            context = Context(name, outlet, self.clock, self.events, self.shared, child, family, succeeds)
            return definition.spec.start(definition.options, context)

        spec = ChildSpec(
            name,
            make,
            mailbox,
            RestartPolicy(
                supervise.restart,
                supervise.max_restarts,
                float(supervise.within),
                float(supervise.backoff.min),
                float(supervise.backoff.max),
                supervise.backoff.jitter,
            ),
            limiter=Limiter(limit.max, float(limit.per)) if limit is not None else None,
            breaker=BreakerPolicy(
                float(breaker.failures), float(breaker.window), breaker.min_requests, float(breaker.open)
            )
            if breaker is not None
            else None,
        )
        make_child = self.supervisor.beside if beside else self.supervisor.add
        child = make_child(spec, enabled=definition.enabled)
        return child

    def group(self, name: str, definition: GroupDefinition) -> None:
        policy = self.supervisor.children[definition.actors[0]].spec.policy
        self.supervisor.group(Group(name, definition.strategy, definition.actors, policy))

    def _outlet(self, name: str) -> SourceOutlet:
        outlet = SourceOutlet(name, dead_letters=self.stores.dead_letters, clock=self.clock, events=self.events)
        self.outlets[name] = outlet
        return outlet

    async def ready(self, children: Iterable[Child], timeout_s: float) -> list[Child]:
        """Wait until each is ready or has crashed; returns those that are not ready."""
        children = tuple(children)
        starting = {child for child in children if child.state == "starting"}
        settled = asyncio.Event()

        def look(_: ActorEvent) -> None:
            if not any(child.state == "starting" for child in starting):
                settled.set()

        unsubscribe = self.events.subscribe(ActorEvent, look)
        timer = self.clock.call_at(self.clock.now() + timeout_s, settled.set)
        try:
            if starting:
                await settled.wait()
        finally:
            timer.cancel()
            unsubscribe()
        if late := sorted(child.name for child in starting if child.state == "starting"):
            self.events.emit(Notice(f"not waiting any longer for {', '.join(late)}", "warning"))
        return [child for child in children if child.state not in ("ready", "disabled")]

    # Routes

    def plan(self, definition: RouteDefinition, before: tuple[RouteDefinition, RoutePlan] | None) -> RoutePlan:
        """The plan of a route; steps that are as they were before stay what they are, with what they remember."""
        return plan_of(
            definition,
            clock=self.clock,
            events=self.events,
            reservations=self.stores.reservations,
            ends=ends_of(definition, self.wanted.actors),
            before=before,
        )

    def targets(self, plan: RoutePlan, children: Mapping[str, Child]) -> dict[str, Child]:
        """Those that a plan leads to: out of `children`, and else as they are now."""
        return {name: children.get(name) or self.supervisor.children[name] for name in plan.targets}

    def route(self, plan: RoutePlan, children: Mapping[str, Child]) -> Route:
        """Make a route, which is started by its actor, and which no source leads to yet."""
        mailbox = Mailbox(plan.name, now=self.clock.now, capacity=plan.capacity)
        route = Route(
            plan,
            mailbox=mailbox,
            targets=self.targets(plan, children),
            journal=self.stores.journal,
            dead_letters=self.stores.dead_letters,
            clock=self.clock,
            events=self.events,
            random=self._random,
            trail=self.trail,
        )
        self.routes[plan.name] = route
        self.supervisor.add(ChildSpec(ROUTE + plan.name, lambda: RouteActor(route), mailbox, ROUTES_GO_ON))
        return route

    def begin(self, name: str) -> None:
        """Start a route with what the journal has of it."""
        self.took_up = True
        recovered = self.routes[name].backlog.recover(unclean=self.was_unclean)
        if recovered:
            self.events.emit(Notice(f"route {name} goes on with {recovered} messages of its journal"))
        self.supervisor.start(ROUTE + name)

    def lead(self, topology: Topology) -> None:
        """Lead each source of `topology` to its routes, from this turn of the loop on."""
        leading: dict[str, list[Route]] = {name: [] for name in topology.actors}
        for definition in topology.routes.values():
            for source in definition.sources:
                leading[source].append(self.routes[definition.name])
        for name, routes in leading.items():
            self.outlets[name].routes = tuple(routes)

    # What operators have paused

    def keep_pauses(self) -> None:
        """Pause what is to be paused, whoever has come in its place meanwhile."""
        for pause in self.stores.pauses.all().values():
            if pause.kind == "route" and (route := self.routes.get(pause.name)) is not None:
                if pause.state == "paused":
                    route.pause()
                else:
                    route.drain()
            elif pause.kind == "actor" and (child := self.supervisor.children.get(pause.name)) is not None:
                child.pause(f"is {pause.state}")
                self.outlets[pause.name].shut(f"is {pause.state}")

    # What actors share

    def _make_listener(self, _: str) -> HttpListener:
        http = self.settings.http
        tls = None
        if http.tls is not None:
            tls = Tls(str(self._directory / http.tls.cert), str(self._directory / http.tls.key))
        return HttpListener(http.host, http.port, clock=self.clock, tls=tls)

    def _make_connection(self, name: str) -> Any:
        definition = self.wanted.connections[name]
        generation = self._generations.get(name, -1) + 1
        self._generations[name] = generation
        context = ConnectionContext(
            name, self.clock, self.events, self._state_dir.resolve(), self.wanted.directory, generation
        )
        return definition.spec.kind(definition.options, context)

    def sources(self, topology: Topology) -> Sequence[str]:
        """The actors that feed a route."""
        return list(dict.fromkeys(source for route in topology.routes.values() for source in route.sources))
