"""Before a switch: what is new is built and started beside what runs, or all goes back to what it was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from actors.core.child import Child
from actors.core.errors import RouterError
from router.change.assembly import ROUTE, Assembly
from router.change.diff import ActorChange, Diff, diff
from router.change.patience import until, until_answered
from router.routing.plan import RoutePlan
from router.topology.ends import ends_of
from router.topology.model import RouteDefinition, Topology

READY_TIMEOUT_S: Final = 10.0
"""How long new actors may take to get ready. At a start those that do not go on trying under their supervisor; a
change ends there."""

SETTLE_S: Final = 5.0
"""How long a source that has to end before its successor starts may take to answer those who wait for it."""

UNDO_S: Final = 1.0
"""How long a new actor that is not wanted any more may take to end; it has had no message."""


class NotReadyError(RouterError):
    """A new actor did not get ready; nothing was changed."""

    def __init__(self, actor: str, why: str) -> None:
        super().__init__(f"{actor} did not get ready: {why}. Nothing was changed.")
        self.actor = actor
        self.why = why


class Preparation:
    """What a change has made ready: `build` makes it, `undo` takes it back; a switch and what follows read it."""

    def __init__(self, assembly: Assembly, after: Topology) -> None:
        self.diff: Diff = diff(assembly.running, after)
        self.before = assembly.running
        self.after = after
        self.plans: dict[str, RoutePlan] = {}
        """Of the routes that are new, or run by another plan."""
        self.new: dict[str, Child] = {}
        """The children of this change, by name."""
        self.old: dict[str, Child] = {}
        """Those whose place they take."""
        self.superseded: list[tuple[type[Any], str, Any]] = []
        """What was opened of connections that are made anew: its type, the connection's name, and itself."""
        self.gaps: dict[str, float] = {}
        """Since when an actor was not there: monotonic seconds."""
        self._assembly = assembly
        self._broken: list[ActorChange] = []
        """Those that have been stopped already."""

    async def build(self, *, must_be_ready: bool = True, wait_connected: bool = False) -> None:
        """Build and start what is new, beside what runs; with `wait_connected` until its remote ends are there.

        Raises what a step raises that cannot be built, and `NotReadyError` where `must_be_ready`; all is as it
        was then, but for the gap of an actor that had to end before its successor could start.
        """
        assembly = self._assembly
        assembly.aim_at(self.after)
        try:
            self._make_plans()
            self._supersede_connections()
            feeding = set(assembly.sources(self.after))
            for change in self.diff.actors:
                if change.fate not in ("kept", "stopped"):
                    self._make(change)
            fresh = [change.name for change in self.diff.actors if change.fate in ("started", "beside", "handed_over")]
            await self._start([name for name in fresh if name not in feeding], must_be_ready)
            await self._make_routes()
            await self._start([name for name in fresh if name in feeding], must_be_ready)
            if wait_connected:
                await self._connected(fresh)
            await self._break()
        except BaseException:
            await self.undo()
            raise

    def _make_plans(self) -> None:
        before = self.before.routes if self.before is not None else {}
        routes = self._assembly.routes
        for change in self.diff.routes:
            definition = change.after
            if definition is None or (change.fate == "kept" and not self._ends_differ(definition)):
                continue
            old = (before[change.name], routes[change.name].plan) if change.before is not None else None
            self.plans[change.name] = self._assembly.plan(definition, old)

    def _ends_differ(self, route: RouteDefinition) -> bool:
        """Whether a route that stays as it is runs by another plan, since its actors have changed."""
        assert self.before is not None, "the route is there already"
        return ends_of(route, self.before.actors) != ends_of(route, self.after.actors)

    def _supersede_connections(self) -> None:
        for name in self.diff.connections:
            assert self.before is not None, "it exists before and after"
            old, new = self.before.connections[name], self.after.connections[name]
            if not old.spec.is_exclusive(old.options) and not new.spec.is_exclusive(new.options):
                self._supersede(name)

    def _supersede(self, name: str) -> Any:
        assert self.before is not None
        kind = self.before.connections[name].spec.kind
        made = self._assembly.shared.supersede(kind, name)
        self.superseded.append((kind, name, made))
        return made

    def _make(self, change: ActorChange) -> None:
        assert change.after is not None, "it is not stopped"
        takes_over = change.fate == "handed_over"
        child = self._assembly.child(change.after, beside=change.before is not None, takes_over=takes_over)
        self.new[change.name] = child
        if change.before is None:
            # What comes in before the switch would find no route.
            self._assembly.outlets[change.name].shut("is starting")
        else:
            self.old[change.name] = self._assembly.supervisor.children[change.name]

    async def _start(self, names: Sequence[str], must_be_ready: bool) -> None:
        starting = [self.new[name] for name in names if self.new[name].state != "disabled"]
        for child in starting:
            self._assembly.supervisor.begin(child)
        unready = await self._assembly.ready(starting, READY_TIMEOUT_S)
        if unready and must_be_ready:
            raise NotReadyError(unready[0].name, unready[0].why or f"not within {READY_TIMEOUT_S:g} s")

    async def _connected(self, names: Sequence[str]) -> None:
        children = [self.new[name] for name in names]
        deadline = self._assembly.clock.now() + READY_TIMEOUT_S
        await until(lambda: all(child.closed is None for child in children), deadline, self._assembly.clock)
        for child in children:
            if child.closed is not None and child.state != "disabled":
                raise NotReadyError(child.name, child.closed.why)

    async def _make_routes(self) -> None:
        """At a start they begin with what the journal has before anything new comes in; else with the switch."""
        assembly = self._assembly
        for name in self.new_routes:
            assembly.route(self.plans[name], self.new)
        assembly.keep_pauses()
        if self.before is None:
            for name in self.new_routes:
                assembly.begin(name)
            actors = [assembly.supervisor.children[ROUTE + name] for name in self.new_routes]
            await assembly.ready(actors, READY_TIMEOUT_S)

    @property
    def new_routes(self) -> list[str]:
        """Those that did not run before."""
        return [change.name for change in self.diff.routes if change.fate == "started"]

    async def _break(self) -> None:
        """End those whose successors need what they hold, and start these; what is sent to them meanwhile waits."""
        assembly, supervisor = self._assembly, self._assembly.supervisor
        ending = [change for change in self.diff.actors if change.fate == "break" or change.early]
        if not ending:
            return
        self._broken = ending
        old = [supervisor.children[change.name] for change in ending if change.before is not None]
        for child in old:
            self.gaps[child.name] = assembly.clock.now()
            assembly.outlets[child.name].shut("is being replaced")
        await supervisor.drain_children([child for child in old if child.state != "disabled"], SETTLE_S)
        await until_answered(old, assembly.clock.now() + SETTLE_S, assembly.clock)
        for child in old:
            if child.state != "disabled":
                await supervisor.give_way(child)
        for name in self.diff.connections:
            if all(name != superseded for _, superseded, _ in self.superseded):
                made = self._supersede(name)
                # It is not opened again: where all goes back, another one is made.
                self.superseded[-1] = (*self.superseded[-1][:2], None)
                if made is not None:
                    await made.close()
        await self._start([change.name for change in ending if change.after is not None], must_be_ready=True)

    async def undo(self) -> None:
        """Before the switch: go back to what runs. Nobody has noticed anything but a gap in what is broken."""
        assembly, supervisor = self._assembly, self._assembly.supervisor
        for name in self.new_routes:
            if (route := assembly.routes.pop(name, None)) is not None:
                route.intake.leave()
                route.close()
                await supervisor.remove([ROUTE + name])
        succeeding = [child for name, child in self.new.items() if name in self.old]
        started = [name for name in self.new if name not in self.old]
        await supervisor.dismiss(succeeding, timeout_s=UNDO_S)
        await supervisor.remove(started, timeout_s=UNDO_S)
        for name in started:
            del assembly.outlets[name]
        for kind, name, made in self.superseded:
            newer = assembly.shared.reinstate(kind, name, made)
            if newer is not None:
                await newer.close()
        if self.before is not None:
            assembly.aim_at(self.before)
        for change in self._broken:
            if change.before is not None:
                supervisor.come_back(supervisor.children[change.name])
                if assembly.outlets[change.name].refuses == "is being replaced":
                    assembly.outlets[change.name].open()
        if self._broken:
            assembly.keep_pauses()
