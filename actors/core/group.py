"""Actors that stand and fall together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from actors.core.child import Child
from actors.core.clock import Clock
from actors.core.events import ActorFailed
from actors.core.restart import RestartPolicy, Strategy, affected

if TYPE_CHECKING:
    from actors.core.supervisor import Supervisor

logger = logging.getLogger("pointsman")

READY_TIMEOUT_S = 10.0
"""How long the next of a group waits for the one before to get ready."""


@dataclass(slots=True)
class Group:
    """Actors that are supervised together: they share one count of restarts, and fail together.

    Whether an actor is restarted at all is said by its own policy; how often and how soon, by the group's.
    """

    name: str
    strategy: Strategy
    members: tuple[str, ...]
    """In start order."""
    policy: RestartPolicy = field(default_factory=RestartPolicy)
    history: tuple[float, ...] = ()
    returning: set[str] = field(default_factory=set)
    """Who is started again as soon as all that must stop has stopped."""


class Groups:
    """The groups of a supervisor, and what is being done with each: one thing at a time."""

    def __init__(self, supervisor: Supervisor, clock: Clock) -> None:
        self._supervisor = supervisor
        self._clock = clock
        self._by_member: dict[str, Group] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def add(self, group: Group) -> None:
        for name in group.members:
            self._by_member[name] = group

    def of(self, child: Child) -> Group | None:
        """None also for one that is to take a member's place, or has given it away."""
        if self._supervisor.children.get(child.name) is not child:
            return None
        return self._by_member.get(child.name)

    def leave_alone(self, child: Child) -> None:
        """An operator decides about this one now, not the restart of its group."""
        if (group := self.of(child)) is not None:
            group.returning.discard(child.name)

    def remove(self, name: str) -> None:
        """Supervise its members apart from now on; what is being done with the group ends."""
        for member in [member for member, group in self._by_member.items() if group.name == name]:
            del self._by_member[member]
        if (running := self._tasks.pop(name, None)) is not None:
            running.cancel()

    def forget(self, child: Child) -> None:
        """It leaves its group."""
        self.leave_alone(child)
        if (group := self._by_member.pop(child.name, None)) is not None:
            group.members = tuple(member for member in group.members if member != child.name)

    def cancel(self) -> tuple[asyncio.Task[None], ...]:
        """Do nothing more with any group; returns the tasks that have been cancelled."""
        tasks = tuple(self._tasks.values())
        for task in tasks:
            task.cancel()
        return tasks

    def restart(self, group: Group, crashed: Child, delay_s: float) -> None:
        """Stop those whom the strategy names, last first; after `delay_s` start each when the one before is ready."""
        children = self._supervisor.children
        names = affected(group.strategy, group.members, crashed.name)
        # Added to those of a restart that is under way, which this one takes over.
        group.returning.update(name for name in names if self._supervisor.is_up(children[name]))
        self._do(group, self._restarted(group, delay_s))

    def fail(self, group: Group, failure: ActorFailed) -> None:
        """Stop who is left of a group, last first."""
        group.returning.clear()
        self._do(group, self._failed(group, failure))

    def _do(self, group: Group, work: Coroutine[Any, Any, None]) -> None:
        if (running := self._tasks.get(group.name)) is not None:
            running.cancel()
        task = asyncio.get_running_loop().create_task(work)
        self._tasks[group.name] = task

        def done(task: asyncio.Task[None]) -> None:
            if self._tasks.get(group.name) is task:
                del self._tasks[group.name]
            if not task.cancelled() and (error := task.exception()) is not None:
                logger.error("the group %s is left half restarted", group.name, exc_info=error)

        task.add_done_callback(done)

    async def _restarted(self, group: Group, delay_s: float) -> None:
        supervisor = self._supervisor
        for child in [supervisor.children[name] for name in reversed(group.members)]:
            if child.name in group.returning:
                await supervisor.end(child, "restarting")
        await self._clock.sleep(delay_s)
        for name in group.members:
            if name in group.returning:
                group.returning.discard(name)
                child = supervisor.children[name]
                if child.state == "restarting":
                    supervisor.incarnate(child)
                    await child.settled(READY_TIMEOUT_S)

    async def _failed(self, group: Group, failure: ActorFailed) -> None:
        supervisor = self._supervisor
        for child in [supervisor.children[name] for name in reversed(group.members)]:
            if supervisor.is_up(child):
                child.why = f"its group failed with {failure.actor}"
                await supervisor.end(child, "failed", replace(failure, actor=child.name))
