"""The composition root: the one place that knows all parts, and builds a running router from a topology."""

from __future__ import annotations

import asyncio
import errno
import random as _random
import sys
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from actors.connections.http_listener import HttpListener, Tls
from actors.core.child import Child, ChildSpec
from actors.core.clock import Clock, LoopClock
from actors.core.errors import ControlError, RouterError
from actors.core.events import ActorEvent, Events, Notice
from actors.core.limits import BreakerPolicy, Limiter
from actors.core.mailbox import Mailbox
from actors.core.message import Message, Settlement
from actors.core.restart import RestartPolicy
from actors.core.shared import Shared
from actors.core.spec import ConnectionContext, Context, Serving
from actors.core.supervisor import Group, Supervisor
from router.change.apply import apply
from router.change.diff import diff
from router.routing.build import plan_of
from router.routing.orphans import bury_orphans
from router.routing.outlet import SourceOutlet
from router.routing.probe import Probe
from router.routing.route import Route, RouteActor
from router.store.state_dir import StateDir
from router.store.stores import Stores
from router.topology.model import ActorDefinition, GroupDefinition, RouteDefinition, Topology
from router.topology.settings import Address

ROUTE = "route/"
"""Before a route's name among the supervisor's children."""

READY_TIMEOUT_S = 10.0
"""How long a start waits for actors to get ready; those that are not go on trying under their supervisor."""

REPLAY_TIMEOUT_S = 30.0

SWEEP_S = 60.0
"""How often the stores are kept within their limits."""

LINGER_S = 1.0
"""How long a client may take to read its last answer."""

DRAIN_LOOK_S = 0.02

HANDS_S = 1.0
"""How long an actor may go on, after the drain, with what it has in hand."""

END_S = 5.0
"""How long what runs beside the actors may take to end."""

ROUTES_GO_ON = RestartPolicy(max_restarts=1_000_000, max_delay_s=1.0)
"""A route that crashes is always started again: each crash brings a message closer to its quarantine."""


class Engine:
    """A running router. `start` is apply(empty → topology); `stop` drains and ends it."""

    def __init__(
        self,
        topology: Topology,
        *,
        state_dir: Path | None = None,
        clock: Clock | None = None,
        events: Events | None = None,
        random: Callable[[], float] = _random.random,
    ) -> None:
        """Must be made on the running loop. `state_dir` stands in for the topology's own."""
        settings = topology.settings
        self.topology = topology
        self.clock = clock or LoopClock()
        self.events = events or Events()
        self.started_at = self.clock.time()
        self.state_dir = StateDir(state_dir or topology.directory / settings.state_dir)
        self.supervisor = Supervisor(clock=self.clock, events=self.events, random=random)
        self.routes: dict[str, Route] = {}
        self.outlets: dict[str, SourceOutlet] = {}
        self.stopping = False
        self._random = random
        connections = {each.spec.kind: self._make_connection for each in topology.connections.values()}
        self._shared = Shared({HttpListener: self._make_listener, **connections})
        self._definitions: dict[str, ActorDefinition] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._took_up = False
        """Whether routes have begun with what the journal kept."""

    # Start and stop

    async def start(self) -> None:
        """Lock the state directory, take the port, open the stores, and apply the topology.

        Raises `StateDirError` where another router holds the directory, `StorageError` where the database
        cannot be opened, and `RouterError` where the port of webhooks is not to be had or a step cannot be
        built; nothing runs then. An actor that does not get ready is no error: its supervisor goes on trying.
        """
        self.state_dir.open()
        try:
            await self._take_port()
            await self._open_stores()
            self._make_importable()
            await apply(diff(None, self.topology), self)
            for name in self.journal.routes():
                if name not in self.routes:
                    self._own(self._bury_orphans(name))
            keep = self.topology.settings.retention.dead_letters
            age_s, size = float(keep.age), int(keep.size)
            self._own(self.stores.keep_within_limits(max_age_s=age_s, max_bytes=size, every_s=SWEEP_S))
        except BaseException:
            await self._close()
            raise

    async def _take_port(self) -> None:
        """Before anything runs: that a port is taken is for a newcomer to see, and not for a supervisor to retry."""
        claims = [
            claim
            for actor in self.topology.actors.values()
            if actor.enabled
            for claim in actor.spec.claims(actor.options)
        ]
        if any(claim.startswith("path ") for claim in claims):
            try:
                await self._shared.get(HttpListener).bind()
            except RouterError as error:
                if getattr(error.__cause__, "errno", None) != errno.EADDRINUSE:
                    raise
                raise RouterError(f"{error}. End what listens there, or choose another settings.http.port.") from error

    async def _open_stores(self) -> None:
        self.stores = Stores(
            self.state_dir.database,
            journal_bytes=int(self.topology.settings.journal.size),
            clock=self.clock,
            events=self.events,
        )
        await self.stores.open()
        self.journal, self.dead_letters = self.stores.journal, self.stores.dead_letters

    def _make_importable(self) -> None:
        """Modules of `python` actors and steps may lie beside the topology; they hide none that is installed.

        It stays so, since a module may import another one when it is first called.
        """
        folder = str(self.topology.directory.resolve())
        if folder not in sys.path:
            sys.path.append(folder)

    async def stop(self) -> int:
        """Drain and stop: sources first, then what is in flight, then the rest.

        Returns how many messages had not settled within `drain_timeout`: they were never acknowledged, or
        they are in the journal.
        """
        self.stopping = True
        timeout_s = float(self.topology.settings.drain_timeout)
        deadline = self.clock.now() + timeout_s
        sources = [name for name, outlet in self.outlets.items() if outlet.routes and name in self.supervisor.children]
        await self.supervisor.drain(sources, timeout_s)
        while self.clock.now() < deadline and any(self._may_settle(route, deadline) for route in self.routes.values()):
            await self.clock.sleep(DRAIN_LOOK_S)
        left = sum(route.queued + len(route.under_way()) for route in self.routes.values())
        await self._close()
        return left

    def _may_settle(self, route: Route, deadline: float) -> bool:
        """Whether it is worth waiting for a route, up to `deadline`."""
        if route.quiet or route.waits_for_others:
            return False
        if self.supervisor.children[ROUTE + route.name].state in ("failed", "stopped"):
            return False
        retries = route.attempts.retries
        if not retries or retries[0][0] <= deadline or route.intake.busy or len(route.under_way()) > len(retries):
            return True
        return bool(route.mailbox.messages) and not route.held_back()

    async def _close(self) -> None:
        """End everything, whatever of it had begun, and say in the state directory whether that went in order."""
        in_order = False
        try:
            await self._end_tasks()
            # First of all, so that what a stopping target leaves unanswered is no failed attempt of theirs.
            for route in self.routes.values():
                route.intake.closing = True
                route.close()
            listener = self._shared.find(HttpListener)
            drained = asyncio.create_task(listener.drain(LINGER_S)) if listener is not None else None
            # Its first turn: nobody connects any more, and no request meets a webhook that has gone.
            await asyncio.sleep(0)
            await self.supervisor.stop_all(timeout_s=HANDS_S)
            if drained is not None:
                await drained
            await self._shared.close()
            in_order = await self._close_stores()
        finally:
            try:
                if in_order:
                    self.state_dir.mark_clean()
            except OSError as error:
                self.events.emit(Notice(f"cannot write down that the router stopped in order: {error}", "warning"))
            finally:
                self.state_dir.close()

    async def _close_stores(self) -> bool:
        """Whether the next start need not suspect what it finds in the journal of having killed this one."""
        if self._took_up:
            self.journal.clear_hands()
        closed = not hasattr(self, "stores") or await self.stores.close()
        return closed and (self._took_up or self.state_dir.was_clean)

    def _own(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run something beside the actors, until it is done or the router ends."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _end_tasks(self) -> None:
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=END_S)

    # What apply does

    def add_actor(self, definition: ActorDefinition) -> None:
        name = definition.name
        self._definitions[name] = definition
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
            context = Context(name, outlet, self.clock, self.events, self._shared, child, self.supervisor.family(name))
            return definition.spec.start(definition.options, context)

        child = self.supervisor.add(
            ChildSpec(
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
            ),
            enabled=definition.enabled,
        )

    def add_group(self, name: str, definition: GroupDefinition) -> None:
        policy = self.supervisor.children[definition.actors[0]].spec.policy
        self.supervisor.group(Group(name, definition.strategy, definition.actors, policy))

    def add_route(self, definition: RouteDefinition) -> None:
        sources = [self._definitions[name].options for name in definition.sources]
        plan = plan_of(
            definition,
            clock=self.clock,
            events=self.events,
            reservations=self.stores.reservations,
            replies=any(getattr(options, "respond", None) == "reply" for options in sources),
        )
        mailbox = Mailbox(definition.name, now=self.clock.now, capacity=plan.capacity)
        route = Route(
            plan,
            mailbox=mailbox,
            targets={name: self.supervisor.children[name] for name in plan.targets},
            journal=self.journal,
            dead_letters=self.dead_letters,
            clock=self.clock,
            events=self.events,
            random=self._random,
        )
        self.routes[definition.name] = route
        self.supervisor.add(ChildSpec(ROUTE + definition.name, lambda: RouteActor(route), mailbox, ROUTES_GO_ON))
        for source in definition.sources:
            self.outlets[source].routes += (route,)

    async def start_actors(self, names: Sequence[str]) -> None:
        enabled = [name for name in names if self._definitions[name].enabled]
        for name in enabled:
            self.supervisor.start(name)
        await self._settled(enabled)

    async def start_routes(self, names: Sequence[str]) -> None:
        self._took_up = True
        for name in names:
            recovered = self.routes[name].intake.recover(unclean=not self.state_dir.was_clean)
            if recovered:
                self.events.emit(Notice(f"route {name} goes on with {recovered} messages of its journal"))
            self.supervisor.start(ROUTE + name)
        await self._settled([ROUTE + name for name in names])

    async def _settled(self, names: Sequence[str]) -> None:
        """Wait until each is ready or has crashed: those that start again do so without holding up the rest."""
        children = self.supervisor.children
        starting = {name for name in names if children[name].state == "starting"}
        settled = asyncio.Event()

        def look(event: ActorEvent) -> None:
            if event.actor in starting and children[event.actor].state != "starting":
                starting.discard(event.actor)
                if not starting:
                    settled.set()

        unsubscribe = self.events.subscribe(ActorEvent, look)
        try:
            if starting:
                await asyncio.wait_for(settled.wait(), READY_TIMEOUT_S)
        except TimeoutError:
            self.events.emit(Notice(f"not waiting any longer for {', '.join(sorted(starting))}", "warning"))
        finally:
            unsubscribe()

    def _outlet(self, name: str) -> SourceOutlet:
        outlet = SourceOutlet(name, dead_letters=self.dead_letters, clock=self.clock, events=self.events)
        self.outlets[name] = outlet
        return outlet

    def _make_listener(self, _: str) -> HttpListener:
        http = self.topology.settings.http
        tls = None
        if http.tls is not None:
            folder = self.topology.directory
            tls = Tls(str(folder / http.tls.cert), str(folder / http.tls.key))
        return HttpListener(http.host, http.port, clock=self.clock, tls=tls)

    def _make_connection(self, name: str) -> Any:
        definition = self.topology.connections[name]
        context = ConnectionContext(
            name, self.clock, self.events, self.state_dir.path.resolve(), self.topology.directory
        )
        return definition.spec.kind(definition.options, context)

    async def _bury_orphans(self, route: str) -> None:
        await bury_orphans(
            route, journal=self.journal, dead_letters=self.dead_letters, clock=self.clock, events=self.events
        )

    # What the control API asks for

    def listening(self) -> list[tuple[str, str]]:
        """What listens where: (what, address)."""
        listener = self._shared.find(HttpListener)
        found = []
        if listener is not None and listener.listening:
            scheme = "https" if listener.tls is not None else "http"
            found.append(("http", f"{scheme}://{Address(*listener.address)}"))
        for name, made in self._shared.named():
            if isinstance(made, Serving):
                found.extend((name, url) for url in made.serves())
        return found

    async def inject(self, name: str, message: Message, *, wait: bool, timeout_s: float) -> Settlement | None:
        """Send a message as an operator: into the routes of a source, or straight to a target.

        An actor that is both is sent to as a target where no route begins at it. Waits for its end where
        `wait` is true. Raises `ControlError` for an unknown name, `BackPressureError`
        and `DeliveryError` where it is not taken, `TimeoutError` where it has not ended in time.
        """
        definition = self._definitions.get(name)
        if definition is None:
            raise ControlError(f"there is no actor named {name!r}")
        probe = Probe(asyncio.get_running_loop().create_future())
        as_source = definition.is_source and (bool(self.outlets[name].routes) or not definition.is_target)
        if as_source:
            self.outlets[name].offer(message, probe)
        else:
            probe.hand_to(self.supervisor.children[name], message, self.clock.now())
        return await probe.wait(wait=wait or not as_source, timeout_s=timeout_s)

    async def replay(self, letter_id: str, *, mode: str) -> None:
        """Send a dead letter again: `original` to the target that failed, `current` through the route anew."""
        letter = await self.dead_letters.get(letter_id)
        if letter is None:
            raise ControlError(f"there is no dead letter {letter_id!r}")
        route = self.routes.get(letter.route)
        outlet = self.outlets.get(letter.source)
        if route is None and (letter.route or outlet is None):
            raise ControlError(f"route {letter.route!r} of dead letter {letter_id} is not in the topology any more")
        target = letter.target if mode == "original" else None
        if route is not None and target is not None and target not in route.plan.targets:
            raise ControlError(f"route {letter.route} does not lead to {target} any more: use `--as current`")
        if not self.dead_letters.mark_replaying(letter_id):
            raise ControlError(f"dead letter {letter_id} is being replayed already")
        packed = letter.entered if mode == "current" and letter.entered is not None else letter.message
        message = Message.from_bytes(packed)
        try:
            if route is not None:
                ended_well = await route.intake.replay(
                    message,
                    letter=letter_id,
                    target=target,
                    timeout_s=REPLAY_TIMEOUT_S,
                    position=letter.position,
                )
            else:
                assert outlet is not None
                probe = Probe(asyncio.get_running_loop().create_future())
                outlet.offer(message, probe)
                await probe.wait(wait=False, timeout_s=REPLAY_TIMEOUT_S)
                ended_well = True
        finally:
            self.dead_letters.unmark_replaying(letter_id)
        if not ended_well:
            raise ControlError(f"dead letter {letter_id} failed again")
        await self.dead_letters.drop([letter_id])
