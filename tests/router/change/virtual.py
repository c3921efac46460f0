"""An engine in virtual time, with sources and targets that do as a test tells them, and what must always hold."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from actors.core.child import Child
from actors.core.clock import ManualClock
from actors.core.envelope import Envelope
from actors.core.errors import RouterError
from actors.core.events import ActorCrashed, ActorFailed, AttemptFailed, Event, MessageLost, Notice
from actors.core.message import Message
from router.change.assembly import ROUTE
from router.change.changed import Changed
from router.engine import Engine
from router.routing.delivery import Delivery
from router.topology.check import check
from router.topology.model import Topology
from router.topology.problems import render
from tests.router.change.players import Script, Ticket, catalog_of, root
from tests.router.routing.targets import OK

T = TypeVar("T")
E = TypeVar("E", bound=Event)

FILE: Final = Path("/t/sample.yaml")
"""Where the topologies are said to come from."""
TURNS: Final = 8
"""Of the loop: more than any chain of callbacks here takes."""
ROUNDS: Final = 6
"""How often the loop is let settle before time moves on for the sake of a task."""
TIMERS_AT_MOST: Final = 4000
"""How many may come due until something has happened."""
TESTER: Final = "the test"

Document = dict[str, Any]
"""A topology as a file has it."""


class World:
    """One router. `settle` and `advance` look at every ledger after every turn of the loop."""

    def __init__(self, folder: Path, document: Document) -> None:
        self.clock = ManualClock()
        self.seen: list[Event] = []
        self.wrong: list[Event] = []
        """Those that must not be."""
        self.scripts: dict[str, Script] = defaultdict(Script)
        self.feeds: dict[str, Any] = {}
        self.holes: dict[str, Any] = {}
        """Who holds what only one can."""
        self.tickets: list[Ticket] = []
        self.first: dict[str, list[tuple[str, str]]] = defaultdict(list)
        """By route: (message, target) of each first attempt there, in order."""
        self.done: Counter[tuple[str, str, str]] = Counter()
        """(route, target, message) of attempts that ended well."""
        self.outcomes: dict[tuple[str, str], str] = {}
        """By (route, message)."""
        self.kept: set[tuple[str, str]] = set()
        """(route, message) of what was made safe, or has ended."""
        self.doubtful: set[str] = set()
        """Messages that had an attempt of which nobody knows whether it had its effect."""
        self.replayed: set[str] = set()
        self._live: dict[str, dict[int, Message]] = defaultdict(dict)
        """By route: what has not ended, by number."""
        self._orders: dict[str, tuple[str | None, int]] = {}
        """By route: what it orders by, and the number of the last message before that."""
        self._sent = 0
        self._told = 0
        self._replays: set[asyncio.Task[None]] = set()
        self._running: Topology | None = None
        self.catalog = catalog_of(self)
        topology = self.topology(document)
        assert topology is not None, f"{document}\n{self.problems}"
        load = partial(check, catalog=self.catalog, environ={})
        self.engine = Engine(
            topology,
            state_dir=folder / "state",
            clock=self.clock,
            random=lambda: 0.5,
            load=lambda text, path: load(text, path=path),
        )
        self.engine.events.subscribe(Event, self._hear)

    def topology(self, document: Mapping[str, Any]) -> Topology | None:
        """None where it has a problem."""
        text = json.dumps({"router": 1, "name": "sample", "settings": {"drain_timeout": "5s"}, **document})
        topology, problems = check(text, path=FILE, catalog=self.catalog, environ={})
        self.problems = "\n".join(map(render, problems))
        return topology

    # Its parts

    async def begin(self, start: str) -> None:
        if start == "late":
            await self.clock.sleep(15.0)
        elif start == "crash":
            raise RuntimeError("cannot start")

    # What happens

    async def start(self) -> None:
        await self.finish(self.engine.start())

    async def stop(self) -> None:
        for script in self.scripts.values():
            script.let_go()
        await self.finish(self.engine.stop())
        await asyncio.sleep(0)
        assert not self.wrong

    def message(self, source: str, n: int = 0, **data: Any) -> Message:
        lifetime_s = data.pop("lifetime_s", None)
        attributes = {} if lifetime_s is None else {"expirytime": self.clock.time() + lifetime_s}
        return Message(f"m{n}", source, {"n": n, **data}, {}, "message", self.clock.time(), attributes)

    def send(self, source: str, **data: Any) -> Ticket | None:
        """Offer a message; None where the source is not there. Raises `BackPressureError` as the outlet does."""
        feed = self.feeds.get(source)
        if feed is None:
            return None
        self._look_at_orders()
        self._sent += 1
        ticket: Ticket = feed.offer(self.message(source, self._sent, **data))
        return ticket

    def put(self, source: str, **data: Any) -> None:
        """Let a source wait for room; its message has no key, since nobody knows when its turn is."""
        if (feed := self.feeds.get(source)) is not None:
            self._sent += 1
            feed.put(self.message(source, self._sent, **{**data, "key": "", "other": ""}))

    async def crash(self, name: str) -> None:
        """Let an actor end by an exception of its own."""
        actor = self.engine.supervisor.children[name].actor
        assert actor is not None
        actor._crash(RuntimeError("scripted crash"))
        await self.settle()

    def replay(self, letter: str, mode: str) -> None:
        """Send a dead letter again, as an operator does who does not wait for it."""

        async def work() -> None:
            # It failed again, or cannot be sent: its letter stays.
            with contextlib.suppress(RouterError, TimeoutError):
                await self.engine.replay(letter, mode=mode)

        task = asyncio.get_running_loop().create_task(work())
        self._replays.add(task)
        task.add_done_callback(self._replays.discard)

    def document(self) -> Document:
        """What runs, as its file has it."""
        document: Document = json.loads(self.engine.topology.text)
        return {name: document.get(name, {}) for name in ("actors", "routes", "groups")}

    async def change(self, document: Mapping[str, Any]) -> Changed:
        """To its end; time moves on meanwhile."""
        topology = self.topology(document)
        assert topology is not None, self.problems
        return await self.finish(self.apply(topology))

    async def apply(self, topology: Topology) -> Changed:
        """Change to a topology that is in no file."""
        return await self.engine.changes.apply(topology, who=TESTER, from_file=False)

    async def finish(self, work: Coroutine[Any, Any, T] | asyncio.Task[T]) -> T:
        """Let `work` end, and time move on as far as it takes."""
        task = work if isinstance(work, asyncio.Task) else asyncio.get_running_loop().create_task(work)
        for _ in range(TIMERS_AT_MOST):
            for _ in range(ROUNDS):
                await self.settle(task.done)
                if task.done():
                    return task.result()
            if (due := self._next_timer()) is not None:
                await self._advance_to(due)
            else:
                await asyncio.wait([task], timeout=0.01)
        raise AssertionError(f"it does not end: {task.get_stack()}\n{self.picture()}")

    async def settle(self, enough: Callable[[], bool] = lambda: False) -> None:
        """Until nothing moves any more but time."""
        async with asyncio.timeout(20.0):
            await self.turns(TURNS)
            while (database := self._database) is not None and not enough() and database._submitted != self._told:
                # Answered after all that was submitted before, lazy statements included.
                self._told = database._submitted + 1
                await database.read(lambda _: None)
                await self.turns(TURNS)

    async def turns(self, number: int) -> None:
        for _ in range(number):
            await asyncio.sleep(0)
            self.check()

    async def advance(self, seconds: float) -> None:
        """Move time on, timer by timer."""
        await self.settle()
        until = self.clock.now() + seconds
        while (due := self._next_timer()) is not None and due <= until:
            await self._advance_to(due)
        self.clock._now = until
        await self.settle()

    async def _advance_to(self, due: float) -> None:
        # As `ManualClock.advance` does, which would let the loop take 20 turns for each timer.
        while (when := self._next_timer()) is not None and when <= due:
            _, _, timer = heapq.heappop(self.clock._timers)
            self.clock._now = max(self.clock._now, when)
            assert timer.callback is not None
            timer.callback()
            await self.settle()

    def _next_timer(self) -> float | None:
        timers = self.clock._timers
        while timers and timers[0][2].callback is None:
            heapq.heappop(timers)
        return timers[0][0] if timers else None

    @property
    def _database(self) -> Any:
        stores = getattr(self.engine.assembly, "stores", None)
        database = stores.database if stores is not None else None
        return database if database is not None and database._writer is not None else None

    # What was heard of it

    def _hear(self, event: Event) -> None:
        if not isinstance(event, ActorCrashed | ActorFailed):
            # Those hold an exception, and by its traceback whatever was at work.
            self.seen.append(event)
        if isinstance(event, MessageLost) or (isinstance(event, Notice) and "add up" in event.text):
            self.wrong.append(event)
        if isinstance(event, AttemptFailed) and event.reason in ("unknown", "crashed"):
            self.doubtful.add(event.message_id.partition("-")[0])

    def heard(self, kind: type[E]) -> list[E]:
        return [event for event in self.seen if isinstance(event, kind)]

    def _look_at_orders(self) -> None:
        running = self.engine.assembly.running
        if running is self._running or running is None:
            return
        self._running = running
        before, self._orders = self._orders, {}
        for name, definition in running.routes.items():
            order = str(definition.order_by.source) if definition.order_by is not None else None
            known = before.get(name)
            self._orders[name] = known if known is not None and known[0] == order else (order, self._sent)

    def accepted(self, ticket: Ticket, routes: list[str]) -> None:
        """A source has handed it on."""
        self.tickets.append(ticket)
        message = ticket.message
        for route in routes:
            if (route, message.id) not in self.outcomes:
                self._live[route][message.data["n"]] = message

    def ended(self, route: str, message: Message, outcome: str) -> None:
        """Its way by one route is over."""
        assert (route, message.id) not in self.outcomes
        self.outcomes[route, message.id] = outcome
        self._live[route].pop(message.data["n"], None)

    def sees(self, route: str, target: str, message: Message) -> None:
        """A target gets a message: what it should have had to wait for has ended."""
        self._look_at_orders()
        assert message.id.count("-") < 2, f"{message.id} was split again"
        self.first[route].append((message.id, target))
        if root(message) in self.replayed or message.data.get("put"):
            return
        order, since = self._orders.get(route, (None, 0))
        n = message.data["n"]
        if order is None or n <= since:
            return
        field = "key" if "key" in order else "other"
        key = message.data[field]
        older = [m for m, other in self._live[route].items() if m < n and key and other.data[field] == key]
        assert not older, f"{route}: {message.id} of key {key} is before {older}"

    def takes(self, route: str | None, target: str, message: Message) -> None:
        """A target answers well."""
        if route is not None:
            self.done[route, target, message.id] += 1
            if root(message) not in self.doubtful | self.replayed:
                assert self.done[route, target, message.id] == 1, f"{route} has led {message.id} to {target} twice"

    # What must hold

    def check(self) -> None:
        """Every ledger balances, every actor's attempts add up, and no message is lost."""
        if self.engine.stopping:
            return
        for route in self.engine.routes.values():
            balance = route.balance()
            assert balance.difference == 0, f"{balance}\n{self.picture()}"
        supervisor = self.engine.supervisor
        for child in (*supervisor.children.values(), *supervisor._unnamed):
            if not child.name.startswith(ROUTE):
                settled = child.succeeded + child.refused + child.unknown
                assert child.started == settled + attempts(child), f"{child.name}: {account(child)}"
        assert not self.wrong, self.wrong

    def check_rest(self) -> None:
        """Between two changes: nothing is left of what ran before."""
        engine, running = self.engine, self.engine.topology
        supervisor, routes = engine.supervisor, engine.routes
        assert set(supervisor.children) == {*running.actors, *(ROUTE + name for name in running.routes)}
        assert set(routes) == set(running.routes)
        assert set(engine.outlets) == set(running.actors)
        assert not supervisor._unnamed
        assert not supervisor._endings
        assert set(supervisor.families) <= set(running.actors)
        for name, child in supervisor.children.items():
            wanted = [route.attempts.look_again for route in routes.values() if child in route.targets.values()]
            assert sorted(map(id_of, child._watchers)) == sorted(map(id_of, wanted)), name
        for route in routes.values():
            assert set(route.targets) == set(route.plan.targets)
            for name, child in route.targets.items():
                assert supervisor.children[name] is child, f"{route.name} leads to a former {name}"
        for name, outlet in engine.outlets.items():
            assert not outlet.refuses, f"{name} {outlet.refuses}"
            begin = [route.name for route in running.routes.values() if name in route.sources]
            assert [route.name for route in outlet.routes] == begin
        members = {name for group in running.groups.values() for name in group.actors}
        assert set(supervisor._groups._by_member) == members

    async def heal(self) -> None:
        """All targets are well from now on, and what had failed is started again."""
        for script in self.scripts.values():
            script.answers.clear()
            script.otherwise = OK
        for name, child in self.engine.supervisor.children.items():
            if child.state == "failed":
                await self.engine.supervisor.restart(name)
            if not name.startswith(ROUTE):
                child.available()

    async def ends(self, *, within_s: float = 1200.0) -> None:
        """Until all that was accepted has ended."""
        end = self.clock.now() + within_s
        while True:
            for script in self.scripts.values():
                script.let_go()
            for name, child in self.engine.supervisor.children.items():
                if child.state == "failed":
                    await self.engine.supervisor.restart(name)
            await self.settle()
            if self.is_empty():
                return
            assert self.clock.now() < end, self.picture()
            await self.advance(1.0)

    def is_empty(self) -> bool:
        """Whether no container of any route holds anything, and the journal holds no row."""
        for route in self.engine.routes.values():
            left = ([*route.under_way], route.queued, route.order._busy, route.order._crowded, route.order.waiting)
            if any(left) or route.engaged or route.intake.committing or route.backlog.receipts:
                return False
        return not self.engine.journal.routes()

    def check_end(self) -> None:
        """Once all has ended: each message by one outcome, and its source was told once."""
        for ticket in self.tickets:
            assert ticket.error is None, f"{ticket.message.id}: {ticket.error}"
            assert ticket.settled_times == 1, f"{ticket.message.id} was settled {ticket.settled_times} times"
        assert not any(self._live.values()), self._live
        for (name, id), outcome in self.outcomes.items():
            if outcome == "delivered":
                taken = [key for key in self.done if key[0] == name and key[2].partition("-")[0] == id]
                assert taken, f"{name} says that {id} was delivered, and no target has it"
        for route in self.engine.routes.values():
            assert not route.former, f"{route.name} keeps former steps"
            assert not route.attempts._deadlines or not route.attempts.running

    def picture(self) -> str:
        """Where everything is, for a failed assertion."""
        lines = []
        for route in self.engine.routes.values():
            attempts = route.attempts
            lines.append(
                f"{route.name}: {route.balance()} running={list(attempts.running)} retries={len(attempts.retries)} "
                f"suspended={len(attempts.suspended)} pausing={len(attempts.pausing)} ready={len(route.ready)} "
                f"held={len(route.under_way.held)} burying={len(route.burial.pending)} engaged={route.engaged} "
                f"order={route.order._busy} crowded={route.order._crowded} branches={list(route.branches)} "
                f"actor={route.actor is not None} backlog={route.backlog.size} "
                f"committing={route.intake.committing} receipts={route.backlog.receipts}"
            )
        for child in self.engine.supervisor.children.values():
            lines.append(f"{child.name}: {child.state} {child.closed} {account(child)}")
        lines += [str(event) for event in self.seen if isinstance(event, AttemptFailed)][-5:]
        return "\n".join(lines)


def attempts(child: Child) -> int:
    """Those under way at an actor, counted from its mailbox; nobody waits any more for what was given up in hand."""
    mailbox = child.mailbox
    return sum(map(is_awaited, (*mailbox.messages, *mailbox.lobby, *mailbox.in_hand)))


def is_awaited(envelope: Envelope) -> bool:
    if isinstance(envelope, Delivery):
        return envelope.route is not None
    return getattr(envelope, "ended", None) is not None


def account(child: Child) -> str:
    return (
        f"started={child.started} succeeded={child.succeeded} refused={child.refused} unknown={child.unknown} "
        f"in_flight={attempts(child)}"
    )


def id_of(bound: Any) -> tuple[int, str]:
    return id(bound.__self__), bound.__name__
