"""Routes over real stores and real actors, on a clock that the test moves: the engine without its endpoints."""

from __future__ import annotations

import asyncio
import gc
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from actors.core.child import Child, ChildSpec
from actors.core.clock import ManualClock
from actors.core.errors import RouterError
from actors.core.events import Event, Events, MessageLost
from actors.core.limits import BreakerPolicy, Limiter
from actors.core.line import Overflow
from actors.core.mailbox import Mailbox
from actors.core.message import Message, Receipt, Settlement
from actors.core.restart import RestartPolicy
from actors.core.supervisor import Supervisor
from actors.kit.backoff import Backoff
from actors.kit.database import Database
from router.routing.choose import Chooser, OnUnknown, RetryPolicy, always
from router.routing.outlet import SourceOutlet
from router.routing.plan import RoutePlan
from router.routing.route import Route
from router.routing.route_actor import RouteActor
from router.routing.trail import Trail
from router.store.dead_letter import DeadLetter
from router.store.dead_letters import DeadLetters
from router.store.journal import Journal
from router.store.schema import SCHEMA
from tests.router.routing.targets import Script, ScriptedTarget

E = TypeVar("E", bound=Event)

NEVER_S = 3600.0
TURNS = 12
"""Of the loop: more than any chain of callbacks here takes."""
PATIENT = RestartPolicy(max_restarts=1000, min_delay_s=0.1, max_delay_s=0.1, jitter=0.0)

STEADY = Backoff("exponential", 1.0, 60.0, 0.0)
"""1 s, 2 s, 4 s …"""


def retry(attempts: int = 5, *, on_unknown: OnUnknown = "retry", backoff: Backoff = STEADY) -> RetryPolicy:
    return RetryPolicy(attempts, backoff, on_unknown)


class Ticket(Receipt):
    """What a source knows of one message."""

    __slots__ = ("error", "message", "settled_times")

    def __init__(self, message: Message) -> None:
        super().__init__()
        self.message = message
        self.error: RouterError | None = None
        self.settled_times = 0

    def on_settled(self, settlement: Settlement) -> None:
        self.settled_times += 1

    def on_refused(self, error: RouterError) -> None:
        self.error = error

    def was_accepted(self) -> bool:
        return self.accepted

    def ended(self) -> str | None:
        """Its outcome, if it has one."""
        return self.settlement.outcome if self.settlement is not None else None


class System:
    """One process of a router. `settle` and `advance` look at the ledgers after every turn of the loop."""

    def __init__(self, path: Path, *, max_bytes: int, start_s: float) -> None:
        self.path = path
        self.clock = ManualClock()
        self.events = Events()
        self.seen: list[Event] = []
        self.events.subscribe(Event, self.seen.append)
        self.supervisor = Supervisor(clock=self.clock, events=self.events, random=lambda: 0.5)
        self.database = Database(path, schema=SCHEMA, lazy_delay_s=NEVER_S)
        self.journal = Journal(self.database, max_bytes=max_bytes)
        self.dead_letters = DeadLetters(self.database, self.journal)
        self.trail = Trail(clock=self.clock)
        self.scripts: dict[str, Script] = {}
        self.routes: dict[str, Route] = {}
        self.outlets: dict[str, SourceOutlet] = {}
        self._ids = 0
        self._told = 0
        """How much of what the database was told to do has been answered."""
        self._start_s = start_s

    async def open(self) -> None:
        await self.clock.advance(self._start_s)
        await self.database.open()
        await self.journal.open()
        await self.dead_letters.open()

    # What there is

    def target(
        self,
        name: str,
        script: Script | None = None,
        *,
        concurrency: int = 1,
        capacity: int = 1000,
        overflow: Overflow = "wait",
        limiter: Limiter | None = None,
        breaker: BreakerPolicy | None = None,
        policy: RestartPolicy = PATIENT,
        enabled: bool = True,
    ) -> Script:
        script = self.scripts[name] = script or Script()
        mailbox = Mailbox(name, now=self.clock.now, capacity=capacity, overflow=overflow)

        def make() -> ScriptedTarget:
            return ScriptedTarget(script, self.clock.now, concurrency)

        spec = ChildSpec(name, make, mailbox, policy, limiter=limiter, breaker=breaker, stop_timeout_s=1.0)
        self.supervisor.add(spec, enabled=enabled)
        if enabled:
            self.supervisor.start(name)
        return script

    def route(
        self,
        *to: str,
        name: str = "r",
        sources: Sequence[str] = ("source",),
        choose: Chooser | None = None,
        policy: RestartPolicy = PATIENT,
        recover: bool | None = None,
        **plan: Any,
    ) -> Route:
        """A route from `source`, started; `recover` (unclean?) takes over what its journal holds."""
        fallback, dead_letter = plan.get("fallback", ()), plan.get("dead_letter")
        targets = dict.fromkeys((*to, *fallback, *([dead_letter] if dead_letter else [])))
        plan.setdefault("retry", retry())
        if choose is None and len(to) == 1:
            plan["only"] = to[0]
        route = Route(
            RoutePlan(name, tuple(sources), choose or always(to), tuple(targets), **plan),
            mailbox=Mailbox(name, now=self.clock.now, capacity=plan.get("capacity", 1000)),
            targets={target: self.supervisor.children[target] for target in targets},
            journal=self.journal,
            dead_letters=self.dead_letters,
            clock=self.clock,
            events=self.events,
            random=lambda: 0.5,
            trail=self.trail,
        )
        self.routes[name] = route
        for source in sources:
            outlet = self.outlets.get(source)
            if outlet is None:
                outlet = self.outlets[source] = self.outlet(source)
            outlet.routes += (route,)
        if recover is not None:
            route.backlog.recover(unclean=recover)
        self.supervisor.add(ChildSpec(f"route/{name}", lambda: RouteActor(route), route.mailbox, policy))
        self.supervisor.start(f"route/{name}")
        return route

    def outlet(self, source: str) -> SourceOutlet:
        return SourceOutlet(source, dead_letters=self.dead_letters, clock=self.clock, events=self.events)

    def child(self, name: str) -> Child:
        return self.supervisor.children[name]

    # What happens

    def message(self, data: Any = None, **attributes: Any) -> Message:
        self._ids += 1
        return Message(f"m{self._ids}", "source", data, time=self.clock.time(), attributes=attributes)

    def send(self, data: Any = None, *, source: str = "source", **attributes: Any) -> Ticket:
        """Offer a message; raises `BackPressureError` as the outlet does."""
        ticket = Ticket(self.message(data, **attributes))
        self.outlets[source].offer(ticket.message, ticket)
        return ticket

    async def sent(self, *data: Any, **attributes: Any) -> list[Ticket]:
        """Offer these, and let them go as far as they go without time passing."""
        tickets = [self.send(each, **attributes) for each in data]
        await self.settle()
        return tickets

    async def settle(self) -> None:
        """Until nothing moves any more but time."""
        async with asyncio.timeout(20.0):
            await self._turns()
            while self.database._submitted != self._told:
                # Answered after all that was submitted before, lazy statements included.
                self._told = self.database._submitted + 1
                await self.database.read(lambda _: None)
                await self._turns()

    async def _turns(self) -> None:
        for _ in range(TURNS):
            await asyncio.sleep(0)
            self.check()

    async def advance(self, seconds: float) -> None:
        """Move time on, timer by timer."""
        await self.settle()
        until = self.clock.now() + seconds
        while (due := self._next_timer()) is not None and due <= until:
            await self.clock.advance(max(0.0, due - self.clock.now()))
            await self.settle()
        await self.clock.advance(until - self.clock.now())
        await self.settle()

    def _next_timer(self) -> float | None:
        timers = [when for when, _, timer in self.clock._timers if timer.callback is not None]
        return min(timers, default=None)

    async def until(self, holds: Callable[[], bool], *, within_s: float) -> None:
        """Move time on, a second at a time, until something holds."""
        end = self.clock.now() + within_s
        await self.settle()
        while not holds():
            assert self.clock.now() < end, f"not within {within_s} s: {self.picture()}"
            await self.advance(1.0)

    async def commit_fails(self, failing: bool) -> None:
        """Let no row be added, as a full disk does, or let it be again."""
        verdict = "SELECT RAISE(ABORT, 'the disk is full')" if failing else None

        def change(connection: Any) -> None:
            for table in ("journal", "dead_letters"):
                connection.execute(f"DROP TRIGGER IF EXISTS {table}_full")
                if verdict is not None:
                    connection.execute(f"CREATE TRIGGER {table}_full BEFORE INSERT ON {table} BEGIN {verdict}; END")

        await self.database.transact(change)

    # What holds

    def check(self) -> None:
        """Every ledger balances, and no message is lost."""
        for route in self.routes.values():
            balance = route.balance()
            assert balance.difference == 0, f"{route.name}: {balance}"
            assert min(balance.outcomes.values()) >= 0
            timed = sum(route.endings.histogram(self.clock.now()).counts)
            assert timed == sum(balance.outcomes.values()), f"{route.name}: {timed} in the histogram"
        lost = [event for event in self.seen if isinstance(event, MessageLost)]
        assert not lost, lost

    def attempts_add_up(self, name: str) -> bool:
        """`started = succeeded + refused + unknown + in_flight`, once no attempt is abandoned in its hands."""
        child = self.child(name)
        return child.started == child.succeeded + child.refused + child.unknown + child.in_flight

    def all_is_empty(self) -> bool:
        """Whether no container of any route holds anything, and the journal holds no row."""
        for route in self.routes.values():
            leftovers = (
                [*route.under_way],
                route.mailbox.messages,
                route.order._busy,
                route.engaged,
                route.order.waiting,
                route.backlog.size,
                route.intake.committing,
                route.backlog.receipts,
                route.queued,
            )
            if any(leftovers):
                return False
        return not self.journal.routes()

    def picture(self) -> str:
        """Where everything is, for a failed assertion."""
        lines = []
        for route in self.routes.values():
            attempts = route.attempts
            lines.append(
                f"{route.name}: {route.balance()} running={len(attempts.running)} retries={len(attempts.retries)} "
                f"suspended={len(attempts.suspended)} pausing={len(attempts.pausing)} ready={len(route.ready)} "
                f"held={len(route.chain.held)} burying={len(route.burial.pending)} engaged={route.engaged} "
                f"waiting={route.order.waiting} actor={route.actor is not None}"
            )
        lines += [f"{child.name}: {child.state} {child.closed}" for child in self.supervisor.children.values()]
        return "\n".join(lines)

    def outcomes(self, name: str = "r") -> dict[str, int]:
        """What ended how, without the zeros."""
        return {outcome: count for outcome, count in self.routes[name].balance().outcomes.items() if count}

    def heard(self, kind: type[E]) -> list[E]:
        return [event for event in self.seen if isinstance(event, kind)]

    async def letters(self) -> list[DeadLetter]:
        """Oldest first."""
        return list(reversed(await self.dead_letters.page(limit=10_000)))

    async def reasons(self) -> dict[str, int]:
        return dict(Counter(letter.reason for letter in await self.letters()))

    # Its end

    async def killed(self) -> Path:
        """A copy of the database as a kill would leave it now; this process goes on, and may be closed."""
        copy = self.path.with_name(f"{self.path.stem}-killed{self.path.suffix}")
        for suffix in ("", "-wal"):
            if (part := Path(f"{self.path}{suffix}")).exists():
                shutil.copyfile(part, f"{copy}{suffix}")
        return copy

    async def close(self) -> None:
        """As the engine ends a router that was drained."""
        for script in self.scripts.values():
            script.let_go()
        for route in self.routes.values():
            route.intake.close()
        await self.supervisor.stop_all()
        for route in self.routes.values():
            route.close()
        self.journal.clear_hands()
        await self.database.close()
        await self._turns_after_the_end()

    async def _turns_after_the_end(self) -> None:
        for _ in range(TURNS):
            await asyncio.sleep(0)
        gc.collect(0)
        assert not self.heard(MessageLost)


@asynccontextmanager
async def system(path: Path, *, max_bytes: int = 1 << 30, start_s: float = 0.0) -> AsyncIterator[System]:
    """A process on the database in `path` (a folder: `router.db` in it), closed in order at the end."""
    made = System(path / "router.db" if path.is_dir() else path, max_bytes=max_bytes, start_s=start_s)
    await made.open()
    try:
        yield made
    finally:
        await made.close()
