"""Carries out a change: what is new starts beside what runs, everything switches in one turn, the rest ends empty."""

from __future__ import annotations

from actors.core.child import Child
from actors.core.succession import Successor
from router.change.assembly import Assembly
from router.change.conservation import Account, Conservation, Gap
from router.change.diff import Diff
from router.change.preparation import NotReadyError, Preparation
from router.change.retirement import retire
from router.routing.rewire import retarget, rewire
from router.topology.model import Topology


class Swap:
    """One change of an assembly: `prepare`, then `switch`, then `retire`.

    `prepare` may raise, and has changed nothing then. From `switch` on the new topology runs.
    """

    def __init__(self, assembly: Assembly, after: Topology) -> None:
        self._assembly = assembly
        self._prepared = Preparation(assembly, after)
        self._fates = {change.name: change.fate for change in self.diff.actors}
        self._account = Account(assembly.clock)

    @property
    def diff(self) -> Diff:
        """What becomes of each actor and route."""
        return self._prepared.diff

    async def prepare(self, *, must_be_ready: bool = True, wait_connected: bool = False) -> None:
        """Build and start what is new, beside what runs; with `wait_connected` until its remote ends are there.

        Raises what a step raises that cannot be built, and `NotReadyError` where `must_be_ready`; all is as it
        was then, but for the gap of an actor that had to end before its successor could start.
        """
        await self._prepared.build(must_be_ready=must_be_ready, wait_connected=wait_connected)

    async def undo(self) -> None:
        """Before the switch: go back to what runs. Nobody has noticed anything but a gap in what is broken."""
        await self._prepared.undo()

    def switch(self) -> None:
        """In one turn of the loop: whatever comes from here on goes where the new topology says.

        Raises `NotReadyError` where a new actor has crashed meanwhile; nothing is switched then, and `undo` goes back.
        """
        assembly, prepared = self._assembly, self._prepared
        if prepared.before is not None:
            self._look_once_more()
        self._account.begin({name: route for name, route in assembly.routes.items() if name in self._touched()})
        self._regroup()
        for name, child in prepared.new.items():
            if (old := prepared.old.get(name)) is not None:
                assembly.supervisor.succeed(child)
                self._hand_over(old, child)
        for change in prepared.diff.routes:
            route, plan = assembly.routes[change.name], prepared.plans.get(change.name)
            if plan is not None and change.before is not None and change.after is not None:
                same_order = change.before.order_by == change.after.order_by
                rewire(route, plan, assembly.targets(plan, {}), keeps_order=same_order)
            elif not prepared.new.keys().isdisjoint(route.targets):
                retarget(route, assembly.targets(route.plan, {}))
        for name, old in prepared.old.items():
            for envelope in old.mailbox.hand_over(prepared.new[name].mailbox):
                envelope.readdressed(prepared.new[name])
        gone = {change.name for change in prepared.diff.actors if change.fate == "stopped"}
        assembly.lead(prepared.after)
        for name, outlet in assembly.outlets.items():
            if name not in gone and outlet.refuses in ("is starting", "is being replaced"):
                outlet.open()
        for name, since in prepared.gaps.items():
            if name not in gone:
                self._account.gaps.append(Gap(name, assembly.clock.now() - since))
        assembly.keep_pauses()
        assembly.running = prepared.after
        if prepared.before is not None:
            for name in prepared.new_routes:
                assembly.begin(name)
        for route in assembly.routes.values():
            route.attempts.look_again()
            route.pump()

    def _look_once_more(self) -> None:
        for child in self._prepared.new.values():
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
            if (definition := self._prepared.after.groups.get(name)) is not None:
                assembly.group(name, definition)

    async def retire(self, timeout_s: float) -> Conservation:
        """Stop what is no longer used, once it is empty; what is not within `timeout_s` becomes dead letters.

        Returns what became of all messages of the routes that were touched.
        """
        await retire(self._prepared, self._assembly, self._account, timeout_s)
        return self._account.close()
