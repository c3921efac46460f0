"""The children that one actor starts for itself, such as one for each client: many, short-lived and cheap."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf
from typing import Final, Literal

import pykka
from pykka import messages as pykka_messages

from actors.core.actor import AsyncioActor
from actors.core.envelope import Envelope
from actors.core.events import ActorCrashed, ActorReady, ActorStarted, ActorStopped, Events, Notice
from actors.core.mailbox import Mailbox

STOP_TIMEOUT_S: Final = 5.0
"""How long a member may take to end when asked to; then it is cancelled."""

CANCELLED_AT_MOST: Final = 2


class Member:
    """One child of an actor. It is the observer of its actor, and lives as long as that."""

    __slots__ = ("_family", "actor", "mailbox", "name", "state")

    def __init__(self, family: Family, name: str, mailbox: Mailbox, actor: AsyncioActor) -> None:
        self.name = name
        """`parent/child`."""
        self.mailbox = mailbox
        self.actor = actor
        self.state: Literal["starting", "ready", "stopping"] = "starting"
        self._family = family

    def started(self, actor: pykka.Actor) -> None:
        if self.state == "starting":
            self.state = "ready"
        self._family.events.emit(ActorReady(self.name))

    def ended(self, actor: pykka.Actor, error: Exception | None) -> None:
        self._family.forget(self, error)


class Family:
    """The members of one actor: none is ever started again, and none outlives an incarnation of their parent.

    All methods are for the loop's thread.
    """

    def __init__(self, parent: str, events: Events) -> None:
        self.parent = parent
        self.events = events
        self.members: dict[str, Member] = {}
        """By their whole names, in the order in which they were started."""
        self.started = 0
        self.crashed = 0
        # Of those that have ended.
        self._handled = 0
        self._failed = 0
        self._dropped = 0

    def __len__(self) -> int:
        return len(self.members)

    def counts(self) -> dict[str, int]:
        """What became of the messages of all members there ever were: handled, failed, dropped."""
        mailboxes = [member.mailbox for member in self.members.values()]
        return {
            "handled": self._handled + sum(mailbox.handled for mailbox in mailboxes),
            "failed": self._failed + sum(mailbox.failed for mailbox in mailboxes),
            "dropped": self._dropped + sum(mailbox.dropped for mailbox in mailboxes),
        }

    def start(self, name: str, make: Callable[[], AsyncioActor], mailbox: Mailbox) -> None:
        """As `Children.start`."""
        name = f"{self.parent}/{name}"
        if name in self.members:
            raise ValueError(f"an actor named {name} is there already")
        actor = make()
        actor.adopt(mailbox)
        actor.observer = member = Member(self, name, mailbox, actor)
        actor.stop_timeout_s = STOP_TIMEOUT_S
        self.members[name] = member
        self.started += 1
        self.events.emit(ActorStarted(name))
        actor._start_actor_loop()

    def forget(self, member: Member, error: Exception | None) -> None:
        """A member has ended. What is left in its mailbox counts as dropped."""
        del self.members[member.name]
        mailbox = member.mailbox
        mailbox.leave(for_good=True)
        self._handled += mailbox.handled
        self._failed += mailbox.failed
        self._dropped += mailbox.dropped
        if error is None:
            self.events.emit(ActorStopped(member.name))
        else:
            self.crashed += 1
            self.events.emit(ActorCrashed(member.name, error))

    # For the parent's supervisor

    def dismiss(self) -> None:
        """Ask all members to stop."""
        for member in self.members.values():
            if member.state != "stopping":
                member.state = "stopping"
                member.mailbox.put(Envelope(pykka_messages._ActorStop()))

    async def gone(self, timeout_s: float = inf) -> None:
        """Wait until those that were dismissed have ended; one that does not in time is cancelled."""
        for cancelled in range(CANCELLED_AT_MOST + 1):
            tasks = [member.actor._task for member in self.members.values() if member.state == "stopping"]
            if not tasks:
                return
            _, late = await asyncio.wait(tasks, timeout=min(STOP_TIMEOUT_S, timeout_s))
            if cancelled < CANCELLED_AT_MOST:
                for task in late:
                    task.cancel()
            elif late:
                text = f"{len(late)} children of {self.parent} do not end, though they were cancelled"
                self.events.emit(Notice(text, "error"))
