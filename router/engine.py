"""The composition root: the one place that knows all parts, and builds a running router from a topology."""

from __future__ import annotations

import asyncio
import errno
import os
import random as _random
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

from actors.connections.http_listener import HttpListener
from actors.core.clock import Clock, LoopClock
from actors.core.errors import ControlError, RouterError
from actors.core.events import Events, Notice
from actors.core.message import Message, Settlement
from actors.core.resource import Access, Accessible, Serving
from router.catalog import Catalog
from router.change.assembly import ROUTE, Assembly
from router.change.changes import Changes, Load
from router.change.steering import Steering
from router.change.swap import Swap
from router.routing.orphans import bury_orphans
from router.routing.probe import Probe
from router.routing.replay import Replays
from router.routing.route import Route
from router.store.pauses import Pause
from router.store.state_dir import StateDir
from router.store.stores import Stores
from router.topology.check import check
from router.topology.model import Topology
from router.topology.part import restrict, restricting
from router.topology.problems import Problem
from router.topology.settings import Address

SWEEP_S = 60.0
"""How often the stores are kept within their limits."""

LINGER_S = 1.0
"""How long a client may take to read its last answer."""

DRAIN_LOOK_S = 0.02

HANDS_S = 1.0
"""How long an actor may go on, after the drain, with what it has in hand."""

END_S = 5.0
"""How long what runs beside the actors may take to end."""


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
        load: Load | None = None,
        only: Sequence[str] = (),
        node: str | None = None,
    ) -> None:
        """Must be made on the running loop. `state_dir` stands in for the topology's own, and `load` for what reads
        the texts of later ones: by default it knows all types that are installed, and this process's environment.

        With `only`, just those actors and routes run, and what they need, of this topology (raises `TopologyError`
        where that cannot be) and of every later one. With a `node`, the state is in a folder of that name.
        """
        load = load or _load
        if only:
            topology = restrict(topology, only)
            load = restricting(load, only)
        self.only = tuple(only)
        """What was named of the topology; empty: all of it runs."""
        self.node = node
        """What this process is called among those of one topology."""
        self.clock = clock or LoopClock()
        self.events = events or Events()
        self.started_at = self.clock.time()
        folder = state_dir or topology.directory / topology.settings.state_dir
        self.state_dir = StateDir(folder) if node is None else StateDir.of_node(folder, node)
        self.assembly = Assembly(
            topology, state_dir=self.state_dir.path, clock=self.clock, events=self.events, random=random
        )
        self.supervisor = self.assembly.supervisor
        self.routes = self.assembly.routes
        self.outlets = self.assembly.outlets
        self.shared = self.assembly.shared
        self.trail = self.assembly.trail
        self.changes = Changes(self.assembly, self.state_dir, load, only=self.only)
        self.steering = Steering(self.assembly)
        self.stopping = False
        self.remark = ""
        """What an operator should know of how it started."""
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def pauses(self) -> Mapping[str, Pause]:
        """What operators have paused or drained, by name."""
        return self.stores.pauses.all()

    @property
    def revision(self) -> int | None:
        """The one that runs."""
        return self.changes.revision

    @property
    def topology(self) -> Topology:
        """What runs; before the start, what is about to."""
        return self.assembly.running or self.assembly.wanted

    # Start and stop

    async def start(self, *, file_wins: bool = False) -> None:
        """Lock the state directory, open the stores, take the port, and apply the topology.

        The revision that was confirmed last goes on, where the topology's file has not changed since it was
        applied; `file_wins` takes the file in any case.

        Raises `StateDirError` where another router holds the directory, `StorageError` where the database
        cannot be opened, and `RouterError` where the port of webhooks is not to be had or a step cannot be
        built; nothing runs then. An actor that does not get ready is no error: its supervisor goes on trying.
        """
        self.state_dir.open()
        try:
            await self._open_stores()
            self.remark = await self.changes.resume(file_wins=file_wins)
            await self._take_port()
            self._make_importable()
            start = Swap(self.assembly, self.topology)
            await start.prepare(must_be_ready=False)
            start.switch()
            await self.changes.started()
            for name in self.journal.routes():
                if name in self.topology.left_out:
                    text = f"messages of route {name} are in the journal, and wait until it is started here again"
                    self.events.emit(Notice(text, "warning"))
                elif name not in self.routes:
                    self._own(self._bury_orphans(name))
            keep = self.topology.settings.retention.dead_letters
            age_s, size = float(keep.age), int(keep.size)
            history = self.topology.settings.retention.history.count
            self._own(self.stores.keep_within_limits(max_age_s=age_s, max_bytes=size, every_s=SWEEP_S, history=history))
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
                await self.shared.get(HttpListener).bind()
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
        self.assembly.stores, self.assembly.was_unclean = self.stores, not self.state_dir.was_clean
        self._replays = Replays(routes=self.routes, outlets=self.outlets, dead_letters=self.dead_letters, own=self._own)

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
        await self.changes.close()
        timeout_s = float(self.assembly.settings.drain_timeout)
        deadline = self.clock.now() + timeout_s
        sources = [name for name, outlet in self.outlets.items() if outlet.routes and name in self.supervisor.children]
        await self.supervisor.drain(sources, timeout_s)
        while self.clock.now() < deadline and any(self._may_settle(route, deadline) for route in self.routes.values()):
            await self.clock.sleep(DRAIN_LOOK_S)
        left = sum(route.queued + len([*route.under_way]) for route in self.routes.values())
        await self._close()
        return left

    def _may_settle(self, route: Route, deadline: float) -> bool:
        """Whether it is worth waiting for a route, up to `deadline`."""
        if not route.under_way.may_end(deadline):
            return False
        return self.supervisor.children[ROUTE + route.name].state not in ("failed", "stopped")

    async def _close(self) -> None:
        """End everything, whatever of it had begun, and say in the state directory whether that went in order."""
        in_order = False
        try:
            await self._end_tasks()
            # First of all, so that what a stopping target leaves unanswered is no failed attempt of theirs.
            for route in self.routes.values():
                route.intake.close()
                route.close()
            listener = self.shared.find(HttpListener)
            drained = asyncio.create_task(listener.drain(LINGER_S)) if listener is not None else None
            # Its first turn: nobody connects any more, and no request meets a webhook that has gone.
            await asyncio.sleep(0)
            await self.supervisor.stop_all(timeout_s=HANDS_S)
            if drained is not None:
                await drained
            await self.shared.close()
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
        if self.assembly.took_up:
            self.journal.clear_hands()
        closed = not hasattr(self, "stores") or await self.stores.close()
        return closed and (self.assembly.took_up or self.state_dir.was_clean)

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

    async def _bury_orphans(self, route: str) -> None:
        await bury_orphans(
            route, journal=self.journal, dead_letters=self.dead_letters, clock=self.clock, events=self.events
        )

    # What the control API asks for

    def listening(self) -> list[tuple[str, str]]:
        """What listens where: (what, address)."""
        listener = self.shared.find(HttpListener)
        found = []
        if listener is not None and listener.listening:
            scheme = "https" if listener.tls is not None else "http"
            found.append(("http", f"{scheme}://{Address(*listener.address)}"))
        for name, made in self.shared.named():
            if isinstance(made, Serving):
                found.extend((name, url) for url in made.serves())
        return found

    def accesses(self) -> list[tuple[str, str, Access]]:
        """How others get to where open connections lead: (connection, its type, access)."""
        found = []
        for name, made in self.shared.named():
            definition = self.topology.connections.get(name)  # None: its last message is on its way
            if definition is not None and isinstance(made, Accessible) and (access := made.access()) is not None:
                found.append((name, definition.type, access))
        return found

    async def inject(self, name: str, message: Message, *, wait: bool, timeout_s: float) -> Settlement | None:
        """Send a message as an operator: into the routes of a source, or straight to a target.

        An actor that is both is sent to as a target where no route begins at it. Waits for its end where
        `wait` is true. Raises `ControlError` for an unknown name, `BackPressureError`
        and `DeliveryError` where it is not taken, `TimeoutError` where it has not ended in time.
        """
        definition = self.topology.actors.get(name)
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
        await self._replays.replay(letter_id, mode=mode)


def _load(text: str, path: Path) -> tuple[Topology | None, list[Problem]]:
    return check(text, path=path, catalog=Catalog.installed(), environ=os.environ)
