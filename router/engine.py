"""The composition root: the one place that knows all parts, and builds a running router from a topology."""

from __future__ import annotations

import asyncio
import random as _random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from actors.connections.http_listener import HttpListener, Tls
from actors.core.child import Child, ChildSpec
from actors.core.clock import Clock, LoopClock
from actors.core.errors import ControlError, StorageError
from actors.core.events import Events, Notice
from actors.core.limits import BreakerPolicy, Limiter
from actors.core.mailbox import Mailbox
from actors.core.message import Message, Settlement
from actors.core.restart import RestartPolicy
from actors.core.spec import Context
from actors.core.supervisor import Group, Supervisor
from actors.kit.database import Database
from router.change.apply import apply
from router.change.diff import diff
from router.routing.build import plan_of
from router.routing.burial import dead_letter
from router.routing.outlet import SourceOutlet
from router.routing.probe import Probe
from router.routing.route import Route, RouteActor
from router.store.dead_letters import DeadLetters
from router.store.journal import Journal
from router.store.reservations import Reservations
from router.store.schema import SCHEMA
from router.store.state_dir import StateDir
from router.topology.model import ActorDefinition, GroupDefinition, RouteDefinition, Topology
from router.topology.settings import Address

T = TypeVar("T")

ROUTE = "route/"
"""Before a route's name among the supervisor's children."""

READY_TIMEOUT_S = 10.0
"""How long a start waits for actors to get ready; those that are not go on trying under their supervisor."""

REPLAY_TIMEOUT_S = 30.0


class Shared:
    """What several actors share, made when it is first asked for, closed with the router."""

    def __init__(self, make: Mapping[type[Any], Callable[[str], Any]]) -> None:
        self._make = make
        self._made: dict[tuple[type[Any], str], Any] = {}

    def get(self, kind: type[T], name: str = "") -> T:
        made = self._made.get((kind, name))
        if made is None:
            made = self._made[kind, name] = self._make[kind](name)
        return made  # type: ignore[no-any-return]  # the table pairs a type with what makes it

    def find(self, kind: type[T]) -> T | None:
        """The one that was made already, if it was."""
        return self._made.get((kind, ""))

    async def close(self) -> None:
        for made in reversed(self._made.values()):
            await made.close()
        self._made.clear()


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
        self._shared = Shared({HttpListener: self._make_listener})
        self._definitions: dict[str, ActorDefinition] = {}
        self._sweeper: asyncio.Task[None] | None = None

    # Start and stop

    async def start(self) -> None:
        """Lock the state directory, open the stores, and apply the topology.

        Raises `StateDirError` where another router holds the directory, and `StorageError` where the database
        cannot be opened. An actor that does not get ready is no error here: its supervisor goes on trying.
        """
        self.state_dir.open()
        try:
            self.database = Database(self.state_dir.database, schema=SCHEMA, on_change=self._disk_changed)
            await self.database.open()
            self.journal = Journal(self.database, max_bytes=int(self.topology.settings.journal.size))
            await self.journal.open()
            self.dead_letters = DeadLetters(self.database, self.journal)
            await self.dead_letters.open()
            self.reservations = Reservations(self.database)
            await self.reservations.open(now=self.clock.time())
            await apply(diff(None, self.topology), self)
            self._bury_orphans()
            self._sweeper = asyncio.get_running_loop().create_task(self._sweep())
        except BaseException:
            await self._close()
            raise

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
        while not all(route.quiet for route in self.routes.values()) and self.clock.now() < deadline:
            if all(route.quiet or route.waits_for_others for route in self.routes.values()):
                break
            await self.clock.sleep(0.02)
        left = sum(route.queued + len(route.under_way()) for route in self.routes.values())
        await self._close()
        return left

    async def _close(self) -> None:
        for route in self.routes.values():
            route.intake.closing = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        await self.supervisor.stop_all()
        for route in self.routes.values():
            route.close()
        await self._shared.close()
        if hasattr(self, "database"):
            if hasattr(self, "journal"):
                self.journal.clear_hands()
            await self.database.close()
            self.state_dir.mark_clean()
        self.state_dir.close()

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
            context = Context(name, outlet, self.clock, self.events, self._shared, child)
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
        plan = plan_of(definition, clock=self.clock, events=self.events, reservations=self.reservations)
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
        self.supervisor.add(ChildSpec(ROUTE + definition.name, lambda: RouteActor(route), mailbox))
        for source in definition.sources:
            self.outlets[source].routes += (route,)

    async def start_actors(self, names: Sequence[str]) -> None:
        enabled = [name for name in names if self._definitions[name].enabled]
        for name in enabled:
            self.supervisor.start(name)
        await self._settled(enabled)

    async def start_routes(self, names: Sequence[str]) -> None:
        for name in names:
            recovered = self.routes[name].intake.recover(unclean=not self.state_dir.was_clean)
            if recovered:
                self.events.emit(Notice(f"route {name} goes on with {recovered} messages of its journal"))
            self.supervisor.start(ROUTE + name)
        await self._settled([ROUTE + name for name in names])

    async def _settled(self, names: Sequence[str]) -> None:
        deadline = self.clock.now() + READY_TIMEOUT_S
        for name in names:
            await self.supervisor.children[name].settled(max(0.0, deadline - self.clock.now()))

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

    # Housekeeping

    def _bury_orphans(self) -> None:
        """Messages of routes that the topology no longer has become dead letters: nothing goes without a name."""
        for name in self.journal.routes():
            if name not in self.routes:
                self.events.emit(Notice(f"the journal has messages of {name}, which is no route any more", "warning"))
                asyncio.get_running_loop().create_task(self._bury(name))

    async def _bury(self, route: str) -> None:
        after = 0
        while rows := await self.journal.load(route, after, 1000):
            for row in rows:
                after = row.row
                message = Message.from_bytes(row.message)
                letter = dead_letter(
                    message,
                    at=self.clock.time(),
                    route=route,
                    reason="unroutable",
                    error="the route is not in the topology any more",
                )
                self.dead_letters.add(letter, row.row, lambda _: None)

    def _disk_changed(self, error: StorageError | None) -> None:
        if error is None:
            self.events.emit(Notice("the state directory can be written again"))
        else:
            self.events.emit(Notice(f"the state directory cannot be written: {error}", "error"))

    async def _sweep(self) -> None:
        """Keep the stores within what the topology and the steps ask for, once a minute."""
        keep = self.topology.settings.retention.dead_letters
        while True:
            gone = await self.dead_letters.sweep(
                now=self.clock.time(), max_age_s=float(keep.age), max_bytes=int(keep.size)
            )
            if gone:
                self.events.emit(Notice(f"{gone} dead letters were older or more than retention allows", "warning"))
            await self.reservations.sweep(now=self.clock.time())
            await self.clock.sleep(60.0)

    # What the control API asks for

    def listening(self) -> list[tuple[str, str]]:
        """What listens where: (what, address)."""
        listener = self._shared.find(HttpListener)
        found = []
        if listener is not None and listener.address is not None:
            scheme = "https" if listener.tls is not None else "http"
            found.append(("http", f"{scheme}://{Address(*listener.address)}"))
        return found

    async def inject(self, name: str, message: Message, *, wait: bool, timeout_s: float) -> Settlement | None:
        """Send a message as an operator: into the routes of a source, or straight to a target.

        Waits for its end where `wait` is true. Raises `ControlError` for an unknown name, `BackPressureError`
        and `DeliveryError` where it is not taken, `TimeoutError` where it has not ended in time.
        """
        definition = self._definitions.get(name)
        if definition is None:
            raise ControlError(f"there is no actor named {name!r}")
        probe = Probe(asyncio.get_running_loop().create_future())
        if definition.is_source:
            self.outlets[name].offer(message, probe)
        else:
            probe.hand_to(self.supervisor.children[name], message, self.clock.now())
        return await probe.wait(wait=wait or not definition.is_source, timeout_s=timeout_s)

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
        message = Message.from_bytes(letter.message)
        try:
            if route is not None:
                ended_well = await route.intake.replay(
                    message, letter=letter_id, target=target, timeout_s=REPLAY_TIMEOUT_S
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
