"""Starts actors, watches them end, and carries out what restart.py decides."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from math import inf
from random import random as _random
from typing import Any

import pykka

from actors.core.actor import Drain
from actors.core.child import Child, ChildSpec
from actors.core.clock import Clock, Timer
from actors.core.ending import Afterwards, Endings
from actors.core.envelope import Envelope
from actors.core.events import (
    ActorCrashed,
    ActorFailed,
    ActorReady,
    ActorRestarting,
    ActorStarted,
    ActorStopped,
    Event,
    Events,
)
from actors.core.family import Family, Member
from actors.core.future import LoopFuture
from actors.core.group import Group, Groups
from actors.core.restart import Again, GiveUp, Leave, decide

CANCELLED_TIMEOUT_S = 5.0


class _Observer:
    """Tells the supervisor what happens to one incarnation of a child."""

    __slots__ = ("child", "supervisor")

    def __init__(self, supervisor: Supervisor, child: Child) -> None:
        self.supervisor = supervisor
        self.child = child

    def started(self, actor: pykka.Actor) -> None:
        if self.child.actor is actor and self.child.state == "starting":
            self.child.become("ready")
            self.supervisor.events.emit(ActorReady(self.child.name))

    def ended(self, actor: pykka.Actor, error: Exception | None) -> None:
        if self.child.actor is actor:
            self.supervisor._ended(self.child, error)


class Supervisor:
    """Every actor is a child of it: `one_for_one`, unless a group names another strategy.

    Children are kept in a dict by name, in the order in which they were started. All methods are for the
    loop's thread.
    """

    def __init__(self, *, clock: Clock, events: Events, random: Callable[[], float] = _random) -> None:
        self.children: dict[str, Child] = {}
        self.families: dict[str, Family] = {}
        """The children that children have started for themselves, by the name of these."""
        self.events = events
        self._clock = clock
        self._random = random
        self._groups = Groups(self, clock)
        self._unnamed: dict[Child, None] = {}
        """Those that are to take the place of the child of their name, and those that gave theirs away."""
        self._barred: set[Child] = set()
        """Those that nobody starts: another one needs what they would hold."""
        self._timers: dict[Child, Timer] = {}
        self._endings = Endings(events)

    # Children

    def add(self, spec: ChildSpec, *, enabled: bool = True) -> Child:
        """Know a child by its name, without starting it."""
        if spec.name in self.children:
            raise ValueError(f"an actor named {spec.name} is there already")
        child = Child(spec, self._clock, self.events)
        self.children[spec.name] = child
        child.become("stopped" if enabled else "disabled")
        return child

    def group(self, group: Group) -> None:
        """Supervise these children together from now on."""
        self._groups.add(group)

    def ungroup(self, name: str) -> None:
        """Supervise the members of the group of this name each for itself from now on."""
        self._groups.remove(name)

    def beside(self, spec: ChildSpec, *, enabled: bool = True) -> Child:
        """Make a child that is to take the place of the one of its name, without starting it."""
        child = Child(spec, self._clock, self.events)
        self._unnamed[child] = None
        child.become("stopped" if enabled else "disabled")
        return child

    def succeed(self, child: Child) -> Child:
        """From now on `child` is the one of its name; returns the one before, which `dismiss` ends."""
        predecessor = self.children[child.name]
        del self._unnamed[child]
        self._unnamed[predecessor] = None
        self._groups.leave_alone(predecessor)
        self.children[child.name] = child
        return predecessor

    async def dismiss(self, children: Iterable[Child], *, timeout_s: float = inf) -> None:
        """Stop and forget children that have no name: those that were to succeed, and those that were succeeded."""
        children = [child for child in children if child in self._unnamed]
        await self._stop(children, timeout_s)
        for child in children:
            self._forget(child)
            del self._unnamed[child]

    def family(self, name: str) -> Family:
        """Where the child of this name starts children of its own."""
        return self.families.setdefault(name, Family(name, self.events))

    def member(self, name: str) -> Member | None:
        """The child of a child of this name, `parent/child`."""
        family = self.families.get(name.partition("/")[0])
        return family.members.get(name) if family is not None else None

    def start(self, name: str) -> Child:
        """Start a child; `Child.settled` waits until it is ready. Starting what runs does nothing."""
        return self.begin(self.children[name])

    def begin(self, child: Child) -> Child:
        """Start a child, also one without a name."""
        if child.state in ("stopped", "failed", "disabled", "restarting"):
            self._cancel_timer(child)
            self._groups.leave_alone(child)
            self.incarnate(child)
        return child

    async def restart(self, name: str) -> Child:
        """Stop a child if it runs, and start it with a clean history; a stop that comes meanwhile wins.

        This revives a failed one, and with it those of its group that failed together with it.
        """
        child = self.children[name]
        group = self._groups.of(child)
        if group is not None:
            group.history = ()
        child.history = ()
        if child.state == "failed" and group is not None:
            for other in [self.children[member] for member in group.members]:
                if other.state == "failed":
                    other.history = ()
                    self.start(other.name)
        elif child.state in ("stopped", "failed", "disabled"):
            self.start(name)
        else:
            self._groups.leave_alone(child)
            self._ask_to_stop(child, "restarting", None)
            await self._endings.wait([child])
            if child.state == "restarting":
                self.incarnate(child)
        return child

    async def stop(self, names: Iterable[str], *, timeout_s: float = inf) -> None:
        """End these children, side by side; each has its `stop_timeout_s`, or less, then it is cancelled.

        One that does not end even so is reported, and stays `stopping` until it does.
        """
        await self._stop([self.children[name] for name in names], timeout_s)

    async def _stop(self, children: Sequence[Child], timeout_s: float = inf) -> None:
        for child in children:
            self._groups.leave_alone(child)
            self._ask_to_stop(child, "stopped", ActorStopped(child.name))
        await self._endings.wait(children, timeout_s)
        families = [family for child in children if (family := self._family_of(child)) is not None]
        for family in families:
            family.dismiss()
        await asyncio.gather(*(family.gone(timeout_s) for family in families))

    async def remove(self, names: Iterable[str], *, timeout_s: float = inf) -> None:
        """Stop these children and forget them."""
        names = tuple(names)
        await self.stop(names, timeout_s=timeout_s)
        for name in names:
            child = self.children[name]
            self._groups.forget(child)
            del self.children[name]
            self.families.pop(name, None)
            self._forget(child)

    def _forget(self, child: Child) -> None:
        """From here on nobody hears of one that does not end."""
        child.actor = None
        self._barred.discard(child)
        self._endings.forget(child)

    def _family_of(self, child: Child) -> Family | None:
        """Its children. They belong to a name, so that they outlive who hands them over with it."""
        return self.families.get(child.name) if self.children.get(child.name) is child else None

    async def stop_all(self, *, timeout_s: float = inf) -> None:
        """Stop everything, also what is about to be restarted."""
        regrouping = self._groups.cancel()
        await self._stop([*self._unnamed, *self.children.values()], timeout_s)
        if regrouping:
            await asyncio.wait(regrouping, timeout=CANCELLED_TIMEOUT_S)

    async def drain(self, names: Sequence[str], timeout_s: float) -> None:
        """Tell sources to stop taking in, and wait until each has; those that are not ready yet are stopped."""
        await self.drain_children([self.children[name] for name in names], timeout_s)

    async def drain_children(self, children: Sequence[Child], timeout_s: float) -> None:
        """The same, also of those without a name."""
        waits: list[asyncio.Task[Any]] = []
        loop = asyncio.get_running_loop()
        for child in children:
            if child.state == "ready":
                reply = LoopFuture()
                child.mailbox.put(Envelope(Drain(), reply))
                waits.append(loop.create_task(reply.wait(timeout_s)))
        unready = [child for child in children if child.state in ("starting", "restarting")]
        if unready:
            waits.append(loop.create_task(self._stop(unready)))
        if waits:
            _, late = await asyncio.wait(waits, timeout=timeout_s)
            for task in late:
                task.cancel()

    # Starting

    def incarnate(self, child: Child) -> None:
        """Make an actor for a child that has none, and run it; one that gives way stays as it is."""
        if child in self._barred:
            return
        child.forget_standing()
        child.become("starting")
        self.events.emit(ActorStarted(child.name))
        try:
            actor = child.spec.make()
            actor.adopt(child.mailbox)
        except Exception as error:
            self._ended(child, error)
            return
        actor.observer = _Observer(self, child)
        actor.stop_timeout_s = child.spec.stop_timeout_s
        child.actor = actor
        actor._start_actor_loop()

    def _restart_now(self, child: Child) -> None:
        self._timers.pop(child, None)
        if child.state == "restarting":
            self.incarnate(child)

    def _cancel_timer(self, child: Child) -> None:
        if (timer := self._timers.pop(child, None)) is not None:
            timer.cancel()

    # Stopping

    def is_up(self, child: Child) -> bool:
        """Whether it runs or is about to, and nobody asked it to stop."""
        ending = self._endings.of(child)
        return child.state in ("starting", "ready", "restarting") or (ending is not None and ending.then != "stopped")

    async def give_way(self, child: Child) -> None:
        """Stop a child for the one that is to succeed it, whatever else is done with it until `come_back`."""
        self._barred.add(child)
        await self.end(child, "restarting")

    def come_back(self, child: Child) -> None:
        """It need not give way after all."""
        if child in self._barred:
            self._barred.discard(child)
            if child.state == "restarting":
                self.incarnate(child)

    async def end(self, child: Child, then: Afterwards, event: Event | None = None) -> None:
        """Stop a child for its group's sake; what an operator has asked for goes before that."""
        ending = self._endings.of(child)
        if ending is None or ending.then != "stopped":
            self._ask_to_stop(child, then, event)
        await self._endings.wait([child])

    def _ask_to_stop(self, child: Child, then: Afterwards, event: Event | None) -> None:
        self._cancel_timer(child)
        self._endings.ask(child, then, event)

    # What follows when one ended

    def _ended(self, child: Child, error: Exception | None) -> None:
        child.actor = None
        if (family := self._family_of(child)) is not None:
            family.dismiss()
        if error is not None:
            child.why = f"{type(error).__name__}: {error}"
            self.events.emit(ActorCrashed(child.name, error))
        if self._endings.ended(child):
            return
        group = self._groups.of(child)
        own = child.spec.policy
        policy = own if group is None else replace(group.policy, restart=own.restart)
        history = child.history if group is None else group.history
        decision = decide(policy, history, self._clock.now(), crashed=error is not None, random=self._random())
        match decision:
            case Leave():
                self._endings.rest(child, "stopped", ActorStopped(child.name))
            case GiveUp(restarts):
                failure = ActorFailed(child.name, restarts, policy.within_s, error)
                self._endings.rest(child, "failed", failure)
                if group is not None:
                    self._groups.fail(group, failure)
            case Again(delay_s, history):
                child.restarts += 1
                child.become("restarting")
                self.events.emit(ActorRestarting(child.name, delay_s, child.restarts))
                if group is None:
                    child.history = history
                else:
                    group.history = history
                if group is None or group.strategy == "one_for_one":
                    due = self._clock.now() + delay_s
                    self._timers[child] = self._clock.call_at(due, lambda: self._restart_now(child))
                else:
                    self._groups.restart(group, child, delay_s)
