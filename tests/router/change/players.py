"""Sources, targets and steps that do as a test tells them, and what a source knows of its messages."""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal

from actors.core.actor import AsyncioActor
from actors.core.envelope import Envelope
from actors.core.errors import DeliveryError, RouterError
from actors.core.message import Message, Receipt, Settlement
from actors.core.spec import Context, Options, endpoint
from actors.core.step import Passage, StepContext, StepResult, step
from actors.core.succession import Succession
from actors.steps.dedup import Dedup
from actors.steps.filter import Filter
from actors.steps.map import Map
from actors.steps.split import Split
from router.catalog import Catalog
from router.routing.delivery import Delivery
from tests.router.routing.targets import OK, Answer, Crash, Hang, Refuse, Reply

if TYPE_CHECKING:
    from tests.router.change.virtual import World

HANGS_S: Final = 20.0
"""How long a target hangs that nobody lets go: longer than its route waits for it."""


class FeedOptions(Options):
    """Of a source."""

    note: int = 0
    """Says nothing; it is there to be changed."""
    way: Succession = "break"
    start: Literal["at_once", "late", "crash"] = "at_once"


class PitOptions(Options):
    """Of a target."""

    note: int = 0
    way: Succession = "beside"
    hole: str | None = None
    """What only one can hold."""
    at_once: int = 1
    start: Literal["at_once", "late", "crash"] = "at_once"


class LingerOptions(Options):
    """Of a step that takes its time."""

    seconds: float = 1.0


class Ticket(Receipt):
    """What a source knows of one message."""

    __slots__ = ("error", "message", "settled_times", "world")

    def __init__(self, world: World, message: Message) -> None:
        super().__init__()
        self.world = world
        self.message = message
        self.settled_times = 0
        self.error: RouterError | None = None

    def split(self, parts: int) -> list[Receipt]:
        routes = [route.name for route in self.world.engine.outlets[self.message.source].routes]
        return [Way(self, route, part) for route, part in zip(routes, super().split(parts), strict=True)]

    def settle(self, settlement: Settlement) -> None:
        self.settled_times += 1
        super().settle(settlement)

    def on_refused(self, error: RouterError) -> None:
        self.error = error

    @property
    def outcome(self) -> str | None:
        return self.settlement.outcome if self.settlement is not None else None


class Way(Receipt):
    """A message's way by one route."""

    __slots__ = ("above", "route", "ticket")

    def __init__(self, ticket: Ticket, route: str, above: Receipt) -> None:
        super().__init__()
        self.ticket = ticket
        self.route = route
        self.above = above

    def settle(self, settlement: Settlement) -> None:
        assert self.settlement is None, f"{self.ticket.message.id} has ended twice on {self.route}"
        super().settle(settlement)

    def on_accepted(self) -> None:
        self.ticket.world.kept.add((self.route, self.ticket.message.id))
        self.above.accept()

    def on_refused(self, error: RouterError) -> None:
        self.ticket.world.ended(self.route, self.ticket.message, "refused")
        self.above.refuse(error)

    def on_settled(self, settlement: Settlement) -> None:
        self.ticket.world.ended(self.route, self.ticket.message, settlement.outcome)
        self.above.settle(settlement)


class Script:
    """What the targets of one name do, over all their incarnations."""

    def __init__(self) -> None:
        self.answers: deque[Answer] = deque()
        self.otherwise: Answer = OK
        self.hanging: deque[asyncio.Future[None]] = deque()

    def next(self) -> Answer:
        return self.answers.popleft() if self.answers else self.otherwise

    def let_go(self) -> None:
        for future in self.hanging:
            let_go(future)
        self.hanging.clear()


def catalog_of(world: World) -> Catalog:
    """The types of endpoints and steps that play in a world."""

    @endpoint("feed", options=FeedOptions, source=True, succession=lambda _, after: after.way)
    class Feed(AsyncioActor):
        """A source that a test sends through."""

        def __init__(self, options: FeedOptions, context: Context) -> None:
            super().__init__()
            self.options, self.context = options, context
            self.drained = False
            self.waiting = 0

        async def on_start(self) -> None:  # type: ignore[override]
            await world.begin(self.options.start)
            if not self.context.succeeds:
                self._open()

        def _open(self) -> None:
            world.feeds[self.context.name] = self

        def take_over(self, predecessor: Feed | None) -> None:
            self._open()

        def on_drain(self) -> None:
            self._leave()

        def on_stop(self) -> None:
            self._leave()

        def _leave(self) -> None:
            self.drained = True
            if world.feeds.get(self.context.name) is self:
                del world.feeds[self.context.name]

        def offer(self, message: Message) -> Ticket:
            ticket = Ticket(world, message)
            routes = [route.name for route in world.engine.outlets[self.context.name].routes]
            receipt = Way(ticket, routes[0], ticket) if len(routes) == 1 else ticket
            self.context.outlet.offer(message, receipt)
            world.accepted(ticket, routes)
            return ticket

        def put(self, message: Message) -> None:
            """Wait for room, as a source does that cannot answer "later"."""

            async def waits() -> None:
                ticket = Ticket(world, message)
                await self.context.outlet.put(message, ticket)
                world.tickets.append(ticket)

            self.spawn(waits())

    @endpoint(
        "pit",
        options=PitOptions,
        target=True,
        replies=True,
        claims=lambda options: frozenset() if options.hole is None else frozenset({f"hole {options.hole}"}),
        succession=lambda _, after: after.way,
    )
    class Pit(AsyncioActor):
        """A target that does as its script says."""

        def __init__(self, options: PitOptions, context: Context) -> None:
            super().__init__()
            self.options, self.context = options, context
            self.concurrency = options.at_once
            self.begun: set[Envelope] = set()

        async def on_start(self) -> None:  # type: ignore[override]
            await world.begin(self.options.start)
            if not self.context.succeeds:
                self._dig()

        def _dig(self) -> None:
            if self.options.hole is not None:
                assert world.holes.get(self.options.hole) is None, f"two hold {self.options.hole}"
                world.holes[self.options.hole] = self

        def take_over(self, predecessor: Pit | None) -> None:
            if predecessor is not None:
                predecessor.on_stop()
            self._dig()

        def on_stop(self) -> None:
            if self.options.hole is not None and world.holes.get(self.options.hole) is self:
                del world.holes[self.options.hole]

        async def on_receive(self, message: Message) -> Any:
            # Two routes may have handed over the same message.
            candidates = [envelope for envelope in self.actor_inbox.in_hand if envelope.message is message]
            envelope = next(envelope for envelope in candidates if envelope not in self.begun)
            self.begun.add(envelope)
            try:
                route = envelope.route if isinstance(envelope, Delivery) else None
                return await self._answer(route.name if route is not None else None, message)
            finally:
                self.begun.discard(envelope)

        async def _answer(self, route: str | None, message: Message) -> Any:
            script = world.scripts[self.context.name]
            if route is not None:
                world.sees(route, self.context.name, message)
            match script.next():
                case Reply(value):
                    world.takes(route, self.context.name, message)
                    return value
                case Refuse(reason, retryable, retry_after_s):
                    raise DeliveryError("no", reason=reason, retryable=retryable, retry_after_s=retry_after_s)
                case Crash():
                    world.doubtful.add(root(message))
                    raise RuntimeError("scripted crash")
                case Hang():
                    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                    script.hanging.append(future)
                    timer = world.clock.call_at(world.clock.now() + HANGS_S, partial(let_go, future))
                    await future
                    timer.cancel()
                    world.takes(route, self.context.name, message)
                    return None

    @step("linger", options=LingerOptions, repeatable=True)
    class Linger:
        """Takes its time."""

        def __init__(self, options: LingerOptions, context: StepContext) -> None:
            self._seconds, self._clock = options.seconds, context.clock

        async def __call__(self, message: Message, passage: Passage) -> StepResult:
            await self._clock.sleep(self._seconds)
            return message

    @step("trip", options=Options, repeatable=False)
    class Trip:
        """Crashes its route with every eighth message, each time."""

        def __init__(self, options: Options, context: StepContext) -> None:
            pass

        def __call__(self, message: Message, passage: Passage) -> StepResult:
            if message.data["n"] % 8 == 7:
                raise ZeroDivisionError("scripted")
            return message

    return Catalog(endpoints=[Feed, Pit], steps=[Dedup, Filter, Map, Split, Linger, Trip])


def let_go(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def root(message: Message) -> str:
    """The id of what it was once a part of."""
    return message.id.partition("-")[0]
