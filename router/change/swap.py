"""Carries out a change: what is new starts beside what runs, everything switches in one turn, the rest ends empty."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from actors.core.child import Child
from actors.core.errors import RouterError
from actors.core.events import Notice
from actors.core.succession import Owing, Successor
from router.change.assembly import ROUTE, Assembly
from router.change.conservation import Account, Conservation, Gap
from router.change.diff import ActorChange, Diff, diff
from router.routing.plan import RoutePlan
from router.routing.rewire import bury_all, retarget, rewire
from router.routing.route import Route
from router.topology.model import Topology

READY_TIMEOUT_S: Final = 10.0
"""How long new actors may take to get ready. At a start those that do not go on trying under their supervisor; a
change ends there."""

SETTLE_S: Final = 5.0
"""How long a source that has to end before its successor starts may take to answer those who wait for it."""

UNDO_S: Final = 1.0
"""How long a new actor that is not wanted any more may take to end; it has had no message."""

LOOK_S: Final = 0.02

ENDED: Final = "the route is not in the topology any more"


class NotReadyError(RouterError):
    """A new actor did not get ready; nothing was changed."""

    def __init__(self, actor: str, why: str) -> None:
        super().__init__(f"{actor} did not get ready: {why}. Nothing was changed.")
        self.actor = actor
        self.why = why


class Swap:
    """One change of an assembly: `prepare`, then `switch`, then `retire`.

    `prepare` may raise, and has changed nothing then. From `switch` on the new topology runs.
    """

    def __init__(self, assembly: Assembly, after: Topology) -> None:
        self.diff: Diff = diff(assembly.running, after)
        self._assembly = assembly
        self._before = assembly.running
        self._after = after
        self._fates = {change.name: change.fate for change in self.diff.actors}
        self._plans: dict[str, RoutePlan] = {}
        self._new: dict[str, Child] = {}
        """The children of this change, by name."""
        self._old: dict[str, Child] = {}
        """Those whose place they take."""
        self._broken: list[ActorChange] = []
        """Those that have been stopped already."""
        self._superseded: list[tuple[type[Any], str, Any]] = []
        self._gaps: dict[str, float] = {}
        """Since when an actor was not there: monotonic seconds."""
        self._account = Account(assembly.clock)

    # Before

    async def prepare(self, *, must_be_ready: bool = True, wait_connected: bool = False) -> None:
        """Build and start what is new, beside what runs; with `wait_connected` until its remote ends are there.

        Raises what a step raises that cannot be built, and `NotReadyError` where `must_be_ready`; all is as it
        was then, but for the gap of an actor that had to end before its successor could start.
        """
        assembly = self._assembly
        assembly.aim_at(self._after)
        try:
            self._make_plans()
            self._supersede_connections()
            feeding = set(assembly.sources(self._after))
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
        before = self._before.routes if self._before is not None else {}
        routes = self._assembly.routes
        replying = {change.name for change in self.diff.actors if "respond" in change.why}
        for change in self.diff.routes:
            definition = change.after
            if definition is None or (change.fate == "kept" and replying.isdisjoint(definition.sources)):
                continue
            old = (before[change.name], routes[change.name].plan) if change.before is not None else None
            self._plans[change.name] = self._assembly.plan(definition, old)

    def _supersede_connections(self) -> None:
        for name in self.diff.connections:
            assert self._before is not None, "it exists before and after"
            old, new = self._before.connections[name], self._after.connections[name]
            if not old.spec.is_exclusive(old.options) and not new.spec.is_exclusive(new.options):
                self._supersede(name)

    def _supersede(self, name: str) -> Any:
        assert self._before is not None
        kind = self._before.connections[name].spec.kind
        made = self._assembly.shared.supersede(kind, name)
        self._superseded.append((kind, name, made))
        return made

    def _make(self, change: ActorChange) -> None:
        assert change.after is not None, "it is not stopped"
        takes_over = change.fate == "handed_over"
        child = self._assembly.child(change.after, beside=change.before is not None, takes_over=takes_over)
        self._new[change.name] = child
        if change.before is None:
            # What comes in before the switch would find no route.
            self._assembly.outlets[change.name].shut("is starting")
        else:
            self._old[change.name] = self._assembly.supervisor.children[change.name]

    async def _start(self, names: Sequence[str], must_be_ready: bool) -> None:
        starting = [self._new[name] for name in names if self._new[name].state != "disabled"]
        for child in starting:
            self._assembly.supervisor.begin(child)
        unready = await self._assembly.ready(starting, READY_TIMEOUT_S)
        if unready and must_be_ready:
            raise NotReadyError(unready[0].name, unready[0].why or f"not within {READY_TIMEOUT_S:g} s")

    async def _connected(self, names: Sequence[str]) -> None:
        children = [self._new[name] for name in names]
        deadline = self._assembly.clock.now() + READY_TIMEOUT_S
        await self._until(lambda: all(child.closed is None for child in children), deadline)
        for child in children:
            if child.closed is not None and child.state != "disabled":
                raise NotReadyError(child.name, child.closed.why)

    async def _make_routes(self) -> None:
        """At a start they begin with what the journal has before anything new comes in; else with the switch."""
        assembly = self._assembly
        for name in self._new_routes:
            assembly.route(self._plans[name], self._new)
        assembly.keep_pauses()
        if self._before is None:
            for name in self._new_routes:
                self._begin_route(name)
            actors = [assembly.supervisor.children[ROUTE + name] for name in self._new_routes]
            await assembly.ready(actors, READY_TIMEOUT_S)

    @property
    def _new_routes(self) -> list[str]:
        return [change.name for change in self.diff.routes if change.fate == "started"]

    def _begin_route(self, name: str) -> None:
        assembly = self._assembly
        assembly.took_up = True
        recovered = assembly.routes[name].intake.recover(unclean=assembly.was_unclean)
        if recovered:
            assembly.events.emit(Notice(f"route {name} goes on with {recovered} messages of its journal"))
        assembly.supervisor.start(ROUTE + name)

    async def _break(self) -> None:
        """End those whose successors need what they hold, and start these; what is sent to them meanwhile waits."""
        assembly, supervisor = self._assembly, self._assembly.supervisor
        ending = [change for change in self.diff.actors if change.fate == "break" or change.early]
        if not ending:
            return
        self._broken = ending
        old = [supervisor.children[change.name] for change in ending if change.before is not None]
        for child in old:
            self._gaps[child.name] = assembly.clock.now()
            assembly.outlets[child.name].shut("is being replaced")
        await supervisor.drain_children([child for child in old if child.state != "disabled"], SETTLE_S)
        await self._answered(old, assembly.clock.now() + SETTLE_S)
        for child in old:
            if child.state != "disabled":
                await supervisor.give_way(child)
        for name in self.diff.connections:
            if all(name != superseded for _, superseded, _ in self._superseded):
                made = self._supersede(name)
                # It is not opened again: where all goes back, another one is made.
                self._superseded[-1] = (*self._superseded[-1][:2], None)
                if made is not None:
                    await made.close()
        await self._start([change.name for change in ending if change.after is not None], must_be_ready=True)

    async def undo(self) -> None:
        """Before the switch: go back to what runs. Nobody has noticed anything but a gap in what is broken."""
        assembly, supervisor = self._assembly, self._assembly.supervisor
        for name in self._new_routes:
            if (route := assembly.routes.pop(name, None)) is not None:
                route.intake.leave()
                route.close()
                await supervisor.remove([ROUTE + name])
        succeeding = [child for name, child in self._new.items() if name in self._old]
        started = [name for name in self._new if name not in self._old]
        await supervisor.dismiss(succeeding, timeout_s=UNDO_S)
        await supervisor.remove(started, timeout_s=UNDO_S)
        for name in started:
            del assembly.outlets[name]
        for kind, name, made in self._superseded:
            newer = assembly.shared.reinstate(kind, name, made)
            if newer is not None:
                await newer.close()
        if self._before is not None:
            assembly.aim_at(self._before)
        for change in self._broken:
            if change.before is not None:
                supervisor.come_back(supervisor.children[change.name])
                if assembly.outlets[change.name].refuses == "is being replaced":
                    assembly.outlets[change.name].open()
        if self._broken:
            assembly.keep_pauses()

    # The switch

    def switch(self) -> None:
        """In one turn of the loop: whatever comes from here on goes where the new topology says.

        Raises `NotReadyError` where a new actor has crashed meanwhile; nothing is switched then, and `undo` goes back.
        """
        assembly, after = self._assembly, self._after
        if self._before is not None:
            self._look_once_more()
        self._account.begin({name: route for name, route in assembly.routes.items() if name in self._touched()})
        self._regroup()
        for name, child in self._new.items():
            if (old := self._old.get(name)) is not None:
                assembly.supervisor.succeed(child)
                self._hand_over(old, child)
        for change in self.diff.routes:
            route, plan = assembly.routes[change.name], self._plans.get(change.name)
            if plan is not None and change.before is not None and change.after is not None:
                same_order = change.before.order_by == change.after.order_by
                rewire(route, plan, assembly.targets(plan, {}), keeps_order=same_order)
            elif not self._new.keys().isdisjoint(route.targets):
                retarget(route, assembly.targets(route.plan, {}))
        for name, old in self._old.items():
            for envelope in old.mailbox.hand_over(self._new[name].mailbox):
                envelope.readdressed(self._new[name])
        gone = {change.name for change in self.diff.actors if change.fate == "stopped"}
        assembly.lead(after)
        for name, outlet in assembly.outlets.items():
            if name not in gone and outlet.refuses in ("is starting", "is being replaced"):
                outlet.open()
        for name, since in self._gaps.items():
            if name not in gone:
                self._account.gaps.append(Gap(name, assembly.clock.now() - since))
        assembly.keep_pauses()
        assembly.running = after
        if self._before is not None:
            for name in self._new_routes:
                self._begin_route(name)
        for route in assembly.routes.values():
            route.attempts.look_again()
            route.pump()

    def _look_once_more(self) -> None:
        for child in self._new.values():
            if child.state not in ("ready", "disabled"):
                raise NotReadyError(child.name, child.why or f"it is {child.state}")

    def _hand_over(self, old: Child, new: Child) -> None:
        successor, predecessor = new.actor, old.actor
        if self._fates[new.name] != "handed_over" or successor is None or not isinstance(successor, Successor):
            return
        try:
            successor.take_over(predecessor if type(predecessor) is type(new.actor) else None)
        except Exception as error:
            # The switch goes on for all others; its supervisor starts this one anew, which finds the place free.
            assert new.actor is not None, "it is ready"
            new.actor._crash(error)

    def _touched(self) -> set[str]:
        """The routes that run otherwise than before, or lead to actors that do."""
        changed = {change.name for change in self.diff.actors if change.fate != "kept"}
        touched = {change.name for change in self.diff.routes if change.fate != "kept"}
        for name, route in self._assembly.routes.items():
            if not changed.isdisjoint(route.plan.targets) or not changed.isdisjoint(route.plan.sources):
                touched.add(name)
        return touched

    def _regroup(self) -> None:
        assembly = self._assembly
        for name in self.diff.groups:
            assembly.supervisor.ungroup(name)
        for name in self.diff.groups:
            if (definition := self._after.groups.get(name)) is not None:
                assembly.group(name, definition)

    # Behind it

    async def retire(self, timeout_s: float) -> Conservation:
        """Stop what is no longer used, once it is empty; what is not within `timeout_s` becomes dead letters.

        Returns what became of all messages of the routes that were touched.
        """
        assembly, supervisor = self._assembly, self._assembly.supervisor
        deadline = assembly.clock.now() + timeout_s
        gone = [change.name for change in self.diff.actors if change.fate == "stopped"]
        leaving = [*(supervisor.children[name] for name in gone), *self._old.values()]
        await supervisor.drain_children(leaving, timeout_s)
        await self._answered(leaving, deadline)
        for change in self.diff.routes:
            if change.fate == "stopped":
                await self._end_route(assembly.routes[change.name], deadline)
        await self._until(lambda: not any(_has_work(child) for child in leaving), deadline)
        for child in leaving:
            child.mailbox.clear(f"{child.name} is stopped")
        await supervisor.dismiss(self._old.values())
        await supervisor.remove(gone)
        for name in gone:
            del assembly.outlets[name]
        for _, _, made in self._superseded:
            if made is not None:
                await made.close()
        if self._before is not None:
            for name in self._before.connections.keys() - self._after.connections.keys():
                made = assembly.shared.supersede(self._before.connections[name].spec.kind, name)
                if made is not None:
                    await made.close()
        return self._account.close()

    async def _answered(self, children: Iterable[Child], deadline: float) -> None:
        """Wait until sources owe nobody an answer any more."""
        actors: list[object] = [child.actor for child in children]
        owing = [actor for actor in actors if isinstance(actor, Owing)]
        await self._until(lambda: not any(actor.owed for actor in owing), deadline)

    async def _end_route(self, route: Route, deadline: float) -> None:
        assembly = self._assembly
        route.intake.leave()
        await self._until(lambda: _is_empty(route), deadline)
        deadline = assembly.clock.now() + SETTLE_S
        while not _is_empty(route) and assembly.clock.now() < deadline:
            bury_all(route, ENDED)
            await assembly.clock.sleep(LOOK_S)
        self._account.end(route)
        route.close()
        del assembly.routes[route.name]
        await assembly.supervisor.remove([ROUTE + route.name])

    async def _until(self, holds: Callable[[], bool], deadline: float) -> None:
        clock = self._assembly.clock
        while not holds() and clock.now() < deadline:
            await clock.sleep(min(LOOK_S, deadline - clock.now()))


def _is_empty(route: Route) -> bool:
    return route.quiet and not route.intake.backlog


def _has_work(child: Child) -> bool:
    return bool(child.mailbox.messages or child.mailbox.in_hand)
