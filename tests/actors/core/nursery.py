"""Children whose lives a test directs, under a supervisor on a clock that a test moves."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from actors.core.actor import AsyncioActor
from actors.core.child import Child, ChildSpec
from actors.core.clock import ManualClock
from actors.core.events import ActorEvent, Event, Events
from actors.core.limits import BreakerPolicy
from actors.core.mailbox import Mailbox
from actors.core.restart import RestartPolicy
from actors.core.supervisor import Supervisor
from tests.actors.core.answers import DEADLINE_S, until

MIDDLE = 0.5
"""What stands for chance: the delay as it is, neither longer nor shorter."""


class Infant(AsyncioActor):
    """Crashes on an exception, does what a callable says, and answers all else."""

    def __init__(self, name: str, nursery: "Nursery") -> None:
        super().__init__()
        self.name = name
        self.nursery = nursery

    async def on_start(self) -> None:  # type: ignore[override]  # our hooks may be coroutine functions
        await self.nursery.at("start", self.name)

    async def on_receive(self, message: Any) -> Any:
        data = message.data if hasattr(message, "data") else message
        if isinstance(data, Exception):
            raise data
        return await data(self) if callable(data) else data

    async def on_drain(self) -> None:
        await self.nursery.at("drain", self.name)

    async def on_stop(self) -> None:  # type: ignore[override]
        await self.nursery.at("stop", self.name)


@dataclass
class Nursery:
    """A supervisor, and what its children went through: ("start", "a"), ("stop", "a"), …"""

    clock: ManualClock = field(default_factory=ManualClock)
    events: Events = field(default_factory=Events)
    emitted: list[Event] = field(default_factory=list)
    lives: list[tuple[str, str]] = field(default_factory=list)
    obstacles: dict[tuple[str, str], list[Any]] = field(default_factory=lambda: defaultdict(list))
    """What the next hooks of this kind of this child meet: an exception, or an event to wait for."""
    chance: Callable[[], float] = lambda: MIDDLE

    def __post_init__(self) -> None:
        self.events.subscribe(Event, self.emitted.append)
        self.supervisor = Supervisor(clock=self.clock, events=self.events, random=lambda: self.chance())

    async def at(self, hook: str, name: str) -> None:
        self.lives.append((hook, name))
        if obstacles := self.obstacles[hook, name]:
            obstacle = obstacles.pop(0)
            if isinstance(obstacle, BaseException):
                raise obstacle
            await obstacle.wait()

    def add(
        self,
        name: str,
        policy: RestartPolicy | None = None,
        *,
        stop_timeout_s: float = DEADLINE_S,
        breaker: BreakerPolicy | None = None,
        enabled: bool = True,
    ) -> Child:
        return self.supervisor.add(
            ChildSpec(
                name,
                lambda: self.make(name),
                Mailbox(name, now=self.clock.now),
                policy or RestartPolicy(min_delay_s=1.0),
                breaker=breaker,
                stop_timeout_s=stop_timeout_s,
            ),
            enabled=enabled,
        )

    def make(self, name: str) -> Infant:
        if obstacles := self.obstacles["make", name]:
            raise obstacles.pop(0)
        return Infant(name, self)

    async def start(self, *names: str) -> None:
        """Start these children, and wait until each is ready."""
        for name in names:
            child = self.supervisor.start(name)
            assert await child.settled(DEADLINE_S), child.why

    async def crash(self, name: str, error: Exception | None = None) -> None:
        """Let a child that is ready crash, and wait until its supervisor knows."""
        child = self.supervisor.children[name]
        actor = child.actor
        assert actor is not None
        actor._crash(error or ValueError(f"{name} has had enough"))
        await until(lambda: child.actor is not actor)

    async def is_ready(self, *names: str) -> None:
        for name in names:
            child = self.supervisor.children[name]
            await until(lambda child=child: child.state == "ready")  # type: ignore[misc]  # mypy: no defaults

    def states(self) -> dict[str, str]:
        return {name: child.state for name, child in self.supervisor.children.items()}

    def happened(self, *names: str) -> list[str]:
        """The kinds of the events about these actors, in their order."""
        return [
            type(event).__name__
            for event in self.emitted
            if isinstance(event, ActorEvent) and (not names or event.actor in names)
        ]


def never() -> asyncio.Event:
    """An obstacle that nobody removes."""
    return asyncio.Event()
