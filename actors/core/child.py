"""A supervised actor as others know it: its name, its mailbox and its state stay while actors come and go."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from actors.core.actor import AsyncioActor
from actors.core.clock import Clock
from actors.core.errors import Reason
from actors.core.events import ActorAvailable, ActorUnavailable, Events
from actors.core.limits import Breaker, BreakerPolicy, Limiter
from actors.core.mailbox import Mailbox
from actors.core.restart import RestartPolicy

logger = logging.getLogger("pointsman")

State = Literal["starting", "ready", "restarting", "failed", "stopping", "stopped", "disabled"]


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """What a supervisor needs to start an actor, and to start it again."""

    name: str
    make: Callable[[], AsyncioActor]
    mailbox: Mailbox
    policy: RestartPolicy = field(default_factory=RestartPolicy)
    limiter: Limiter | None = None
    breaker: BreakerPolicy | None = None
    stop_timeout_s: float = 10.0
    """How long it may take to end when asked to; then it is cancelled."""


@dataclass(frozen=True, slots=True)
class Closed:
    """Why deliveries to an actor are refused at once."""

    reason: Reason
    why: str


class Child:
    """Name, mailbox, state and counts of one supervised actor.

    `closed` is None while it takes deliveries: also while it starts or restarts, since its mailbox keeps
    them. The attempts at delivering to it are counted here by whoever makes them:
    `started = succeeded + refused + unknown + in flight`.
    """

    __slots__ = (
        "_broken",
        "_events",
        "_gate",
        "_paused",
        "_unavailable",
        "_watchers",
        "actor",
        "breaker",
        "closed",
        "history",
        "late",
        "limiter",
        "mailbox",
        "name",
        "refused",
        "restarts",
        "spec",
        "started",
        "state",
        "succeeded",
        "unknown",
        "why",
    )

    def __init__(self, spec: ChildSpec, clock: Clock, events: Events) -> None:
        self.spec = spec
        self.name = spec.name
        self.mailbox = spec.mailbox
        self.state: State = "stopped"
        self.actor: AsyncioActor | None = None
        self.closed: Closed | None = None
        self.why = ""
        """The last error, for whoever asks why it restarts or failed."""
        self.restarts = 0
        self.history: tuple[float, ...] = ()
        self.started = 0
        self.succeeded = 0
        self.refused = 0
        self.unknown = 0
        self.late = 0
        """Answers that came when the attempt had ended; they reach nobody."""
        self.limiter = spec.limiter
        self.breaker: Breaker | None = None
        if spec.breaker is not None:
            self.breaker = Breaker(spec.breaker, clock, self._breaker_changed)
        self._broken: Closed | None = None
        self._paused: Closed | None = None
        self._unavailable: Closed | None = None
        self._events = events
        self._watchers: list[Callable[[], None]] = []
        self._gate: asyncio.Event = asyncio.Event()

    # Standing: what the actor says of its remote end

    def available(self) -> None:
        if self._unavailable is not None:
            self._unavailable = None
            self._reconsider()
            self._events.emit(ActorAvailable(self.name))

    def unavailable(self, why: str, reason: Reason = "connect") -> None:
        known = self._unavailable
        if known is None or known.why != why:
            self._unavailable = Closed(reason, why)
            self._reconsider()
            if known is None:
                self._events.emit(ActorUnavailable(self.name, why))

    def forget_standing(self) -> None:
        """A new incarnation starts: what the one before has said of its remote end, it may not know to take back."""
        self._unavailable = None
        self._reconsider()

    def _breaker_changed(self, is_open: bool) -> None:
        self._broken = Closed("open", f"the breaker of {self.name} is open") if is_open else None
        self._reconsider()

    # What an operator does

    def pause(self, why: str) -> None:
        """Refuse deliveries until `resume`; what it has in hand it ends, and it goes on running."""
        self._paused = Closed("paused", f"{self.name} {why}")
        self._reconsider()

    def resume(self) -> None:
        self._paused = None
        self._reconsider()

    @property
    def is_paused(self) -> bool:
        return self._paused is not None

    # What its supervisor does

    def become(self, state: State) -> None:
        """Enter a state, and let those who wait for a change look again."""
        self.state = state
        if state in ("ready", "failed", "disabled", "stopped"):
            self._gate.set()
        else:
            self._gate.clear()
        self._reconsider()

    def _reconsider(self) -> None:
        before = self.closed
        if self.state == "failed":
            self.closed = Closed("failed", f"{self.name} failed: {self.why}")
        elif self.state in ("disabled", "stopped"):
            self.closed = Closed("failed", f"{self.name} is {self.state}")
        else:
            self.closed = self._paused or self._unavailable or self._broken
        if (before is None) != (self.closed is None):
            for watcher in tuple(self._watchers):
                try:
                    watcher()
                except Exception:
                    logger.exception("somebody who watches %s raised", self.name)

    # What routes and the engine do

    def watch(self, changed: Callable[[], None]) -> None:
        """Call `changed` whenever deliveries begin or cease to be refused."""
        self._watchers.append(changed)

    def unwatch(self, changed: Callable[[], None]) -> None:
        if changed in self._watchers:
            self._watchers.remove(changed)

    @property
    def in_flight(self) -> int:
        """Attempts under way, counted from the mailbox: waiting for room, waiting, and in hand."""
        return len(self.mailbox) + len(self.mailbox.lobby) + len(self.mailbox.in_hand)

    async def settled(self, timeout_s: float) -> bool:
        """Wait until it is ready, failed or stopped; true where it is ready."""
        if self._gate.is_set():
            return self.state == "ready"
        try:
            await asyncio.wait_for(self._gate.wait(), timeout_s)
        except TimeoutError:
            return False
        return self.state == "ready"
