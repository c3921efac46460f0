"""A stage for one endpoint: what a router would give it, with an outlet that keeps what comes out."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import pykka

from actors.connections.http_listener import HttpListener
from actors.connections.mqtt import MqttConnection
from actors.connections.mqtt.options import MqttConnectionOptions
from actors.connections.postgres import PostgresConnection
from actors.connections.postgres.options import PostgresConnectionOptions
from actors.connections.redis import RedisConnection
from actors.connections.redis.options import RedisConnectionOptions
from actors.core.actor import AsyncioActor, Drain
from actors.core.clock import Clock, LoopClock
from actors.core.connection import ConnectionContext
from actors.core.errors import Reason, RouterError
from actors.core.events import Event, Events
from actors.core.family import Family
from actors.core.message import Message, Receipt, Settlement
from actors.core.spec import ENDPOINT, Context, EndpointSpec
from actors.core.succession import Owing, Successor
from actors.kit.database import Database
from actors.queues.spill import TABLE as SPILL
from actors.queues.spill import Spills
from actors.queues.sqlite.embedded import EmbeddedQueues
from actors.queues.sqlite.schema import TABLES

T = TypeVar("T")

DEADLINE_S = 5.0

DELIVERED = Settlement("delivered")


def _set() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


@dataclass
class KeepingOutlet:
    """Keeps what is handed on. With `settlement`, that is how each message ends at once."""

    safe: bool = False
    routed: bool = True
    settlement: Settlement | None = None
    refusal: RouterError | None = None
    """Raised by `offer` in place of taking the message."""
    messages: list[Message] = field(default_factory=list)
    receipts: list[Receipt | None] = field(default_factory=list)
    rejected: list[tuple[Message, Reason, str]] = field(default_factory=list)
    has_room: asyncio.Event = field(default_factory=_set)

    def offer(self, message: Message, receipt: Receipt | None = None) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.messages.append(message)
        self.receipts.append(receipt)
        if receipt is not None and self.settlement is not None:
            receipt.settle(self.settlement)

    def offer_again(self, message: Message, receipt: Receipt) -> None:
        self.offer(message, receipt)

    async def room(self) -> None:
        """There is always room, unless a test has cleared `has_room`."""
        await self.has_room.wait()

    async def put(self, message: Message, receipt: Receipt | None = None) -> None:
        self.offer(message, receipt)

    def reject(self, message: Message, receipt: Receipt | None, *, reason: Reason, error: str) -> None:
        self.rejected.append((message, reason, error))

    @property
    def receipt(self) -> Receipt:
        """Of the last message."""
        receipt = self.receipts[-1]
        assert receipt is not None
        return receipt


@dataclass
class KeptStanding:
    """What an actor last said of its remote end, and all it ever said."""

    why: str | None = None
    said: list[str | None] = field(default_factory=list)

    @property
    def away(self) -> bool:
        return self.why is not None

    def available(self) -> None:
        self.why = None
        self.said.append(None)

    def unavailable(self, why: str) -> None:
        self.why = why
        self.said.append(why)


class KeptResources:
    """What actors share, made when it is asked for."""

    def __init__(self, make: Mapping[type[Any], Callable[[], Any]]) -> None:
        self._make = make
        self.made: dict[type[Any], Any] = {}

    def get(self, kind: type[T], name: str = "") -> T:
        if kind not in self.made:
            self.made[kind] = self._make[kind]()
        made: T = self.made[kind]
        return made


class Stage:
    """Starts endpoints, and stops them and what they share at its end; use `stage()`."""

    def __init__(self, clock: Clock, state_dir: Path) -> None:
        self.clock = clock
        self.broker = "mqtt://127.0.0.1:9"
        """Where MQTT actors connect to: a port where nobody listens, unless a test has a broker."""
        self.connection_options: dict[str, Any] = {}
        self.postgres_options: dict[str, Any] = {"url": "postgresql://127.0.0.1:9/nobody"}
        """Where PostgreSQL actors connect to: the same."""
        self.redis_options: dict[str, Any] = {"url": "redis://127.0.0.1:9"}
        """Where queues in Redis are: the same."""
        self.database = Database(state_dir / "router.db", schema=[TABLES, SPILL])
        self.outlet = KeepingOutlet()
        self.standing = KeptStanding()
        self.events = Events()
        self.emitted: list[Event] = []
        self.resources = KeptResources(
            {
                HttpListener: lambda: HttpListener("127.0.0.1", 0, clock=clock),
                MqttConnection: lambda: MqttConnection(
                    MqttConnectionOptions.model_validate(
                        {"url": self.broker, "client_id": "stage", **self.connection_options}
                    ),
                    ConnectionContext("broker", clock, self.events, state_dir, Path()),
                ),
                PostgresConnection: lambda: PostgresConnection(
                    PostgresConnectionOptions.model_validate(self.postgres_options),
                    ConnectionContext("db", clock, self.events, state_dir, Path()),
                ),
                RedisConnection: lambda: RedisConnection(
                    RedisConnectionOptions.model_validate(self.redis_options),
                    ConnectionContext("redis", clock, self.events, state_dir, Path()),
                ),
                EmbeddedQueues: lambda: EmbeddedQueues(self.database, clock=clock, events=self.events),
                Spills: lambda: Spills(self.database, clock=clock, events=self.events),
            }
        )
        self.playing: list[Played] = []
        self.families: dict[str, Family] = {}
        self.events.subscribe(Event, self.emitted.append)

    def context(self, name: str = "it", *, succeeds: bool = False) -> Context:
        family = self.families.setdefault(name, Family(name, self.events))
        return Context(name, self.outlet, self.clock, self.events, self.resources, self.standing, family, succeeds)

    async def start(
        self, endpoint: type[Any], options: Mapping[str, Any], name: str = "it", *, succeeds: bool = False
    ) -> "Played":
        """Start the endpoint with these options, as a topology gives them, and wait until it is ready."""
        spec: EndpointSpec = getattr(endpoint, ENDPOINT)
        actor = spec.start(spec.options.model_validate(options), self.context(name, succeeds=succeeds))
        assert isinstance(actor, AsyncioActor)
        played = Played(actor)
        actor.observer = played
        self.playing.append(played)
        actor._start_actor_loop()
        async with asyncio.timeout(DEADLINE_S):
            await played.ready.wait()
        return played

    async def succeed(
        self, endpoint: type[Any], options: Mapping[str, Any], before: "Played", name: str = "it"
    ) -> "Played":
        """Start the successor of one that runs beside it, and hand over to it; the one before is the test's to end."""
        after = await self.start(endpoint, options, name, succeeds=True)
        assert after.error is None
        assert isinstance(after.actor, Successor)
        after.actor.take_over(before.actor)
        return after

    async def until(self, condition: Callable[[], object]) -> None:
        """Let the loop run until `condition` holds."""
        async with asyncio.timeout(DEADLINE_S):
            while not condition():  # noqa: ASYNC110  # nothing to wait on but the loop itself
                await asyncio.sleep(0)

    @property
    def url(self) -> str:
        """Of the listener that the endpoints share."""
        return self.resources.get(HttpListener).url


class Played:
    """One running endpoint, and how it ended."""

    def __init__(self, actor: AsyncioActor) -> None:
        self.actor = actor
        self.ready = asyncio.Event()
        self.over = asyncio.Event()
        self.error: Exception | None = None

    def started(self, actor: pykka.Actor) -> None:
        self.ready.set()

    def ended(self, actor: pykka.Actor, error: Exception | None) -> None:
        self.error = error
        self.ready.set()
        self.over.set()

    async def deliver(self, message: Message) -> Any:
        """What the endpoint answers; raises what it raises."""
        async with asyncio.timeout(DEADLINE_S):
            return await self.actor.actor_ref.ask(message, block=False)

    async def drain(self) -> None:
        async with asyncio.timeout(DEADLINE_S):
            await self.actor.actor_ref.ask(Drain(), block=False)

    async def retire(self) -> None:
        """As a swap does with one that has a successor."""
        await self.drain()
        async with asyncio.timeout(DEADLINE_S):
            while isinstance(self.actor, Owing) and self.actor.owed:  # noqa: ASYNC110  # nothing to wait on but the actor itself
                await asyncio.sleep(0.001)
        await self.stop()

    async def stop(self) -> None:
        """As a supervisor does; a second time does nothing."""
        if not self.over.is_set():
            self.actor.actor_ref.stop(block=False)
            async with asyncio.timeout(DEADLINE_S):
                await self.over.wait()


@asynccontextmanager
async def stage(clock: Clock | None = None) -> AsyncIterator[Stage]:
    """A stage on the loop's clock, or on `clock`; what still plays is stopped at the end."""
    with TemporaryDirectory() as state_dir:
        made = Stage(clock or LoopClock(), Path(state_dir))
        await made.database.open()
        try:
            yield made
        finally:
            for played in made.playing:
                await played.stop()
            for family in made.families.values():
                family.dismiss()
                await family.gone()
            for shared in made.resources.made.values():
                await shared.close()
            await made.database.close()
