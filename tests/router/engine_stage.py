"""An engine with endpoint types whose behaviour a test spells out, and what they did, in its order."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal, TypeVar

from actors.connections.mqtt import MqttConnection
from actors.core.actor import AsyncioActor
from actors.core.errors import DeliveryError, RouterError
from actors.core.events import Event
from actors.core.message import Message, Receipt, Settlement, new_id
from actors.core.spec import Context, Options, endpoint
from actors.endpoints.http import Http
from actors.endpoints.mqtt import Mqtt
from actors.endpoints.python import Python as PythonActor
from actors.endpoints.timer import Timer
from actors.endpoints.webhook import Webhook
from actors.endpoints.websocket import Websocket
from actors.steps.dedup import Dedup
from actors.steps.python import Python as PythonStep
from router.catalog import Catalog
from router.engine import Engine
from router.topology.check import check
from router.topology.model import Topology
from router.topology.problems import render

E = TypeVar("E", bound=Event)

HEAD = "router: 1\nname: sample\nsettings: {drain_timeout: %s, http: {port: %d}}\n"
DEADLINE_S = 10.0


class TapOptions(Options):
    """Whether it says that it sends again itself what failed, and how many messages it lets out then."""

    redelivers: bool = False
    concurrency: int = 1


class SinkOptions(Options):
    """What becomes of a message."""

    does: Literal["take", "reply", "refuse", "reject", "hold", "crash"] = "take"
    start: Literal["at_once", "never", "crash"] = "at_once"
    away: bool = False
    keeps: bool = False


class Ticket(Receipt):
    """What a source knows of one message."""

    __slots__ = ("_changed", "error")

    def __init__(self) -> None:
        super().__init__()
        self.error: RouterError | None = None
        self._changed = asyncio.Event()

    def on_accepted(self) -> None:
        self._changed.set()

    def on_settled(self, settlement: Settlement) -> None:
        self._changed.set()

    def on_refused(self, error: RouterError) -> None:
        self.error = error
        self._changed.set()

    async def told(self) -> None:
        """Wait until something is known."""
        async with asyncio.timeout(DEADLINE_S):
            await self._changed.wait()
        self._changed.clear()

    @property
    def outcome(self) -> str | None:
        return self.settlement.outcome if self.settlement is not None else None


class Play:
    """What the actors did, and what tests tell them."""

    def __init__(self) -> None:
        self.did: list[str] = []
        self.taken: list[tuple[str, str]] = []
        """Actor and message id, whenever a sink got one."""
        self.go = asyncio.Event()
        """What sinks that hold a message wait for."""
        self.taps: dict[str, Any] = {}
        self.sinks: dict[str, Any] = {}

    @cached_property
    def catalog(self) -> Catalog:
        play = self

        @endpoint("tap", options=TapOptions, source=True, redelivers=lambda options: options.redelivers)
        class Tap(AsyncioActor):
            """A source that a test sends through."""

            def __init__(self, options: TapOptions, context: Context) -> None:
                super().__init__()
                self.context = context
                self.drained = False

            def on_start(self) -> None:
                play.did.append(f"{self.context.name} starts")
                play.taps[self.context.name] = self

            def on_drain(self) -> None:
                self.drained = True
                play.did.append(f"{self.context.name} drains")

            def on_stop(self) -> None:
                play.did.append(f"{self.context.name} stops")

            def send(self, data: Any = None, id: str = "") -> Ticket:
                ticket = Ticket()
                context = self.context
                message = Message(id or new_id(), context.name, data, {}, "message", context.clock.time(), {})
                context.outlet.offer(message, ticket)
                return ticket

        @endpoint("sink", options=SinkOptions, target=True, replies=True, keeps=lambda options: options.keeps)
        class Sink(AsyncioActor):
            """A target that does as it is told."""

            concurrency = 100

            def __init__(self, options: SinkOptions, context: Context) -> None:
                super().__init__()
                self.options = options
                self.context = context

            async def on_start(self) -> None:  # type: ignore[override]
                play.did.append(f"{self.context.name} starts")
                play.sinks[self.context.name] = self
                if self.options.away:
                    self.context.standing.unavailable("nobody there")
                if self.options.start == "crash":
                    raise RuntimeError("cannot start")
                if self.options.start == "never":
                    await asyncio.Event().wait()

            async def on_receive(self, message: Message) -> Any:
                play.taken.append((self.context.name, message.id))
                match self.options.does:
                    case "refuse":
                        raise DeliveryError("not now", retry_after_s=3600.0)
                    case "reject":
                        raise DeliveryError("never", retryable=False)
                    case "crash":
                        raise RuntimeError("a defect")
                    case "hold":
                        await play.go.wait()
                    case "reply":
                        return {"you_said": message.data}
                return None

            def on_stop(self) -> None:
                play.did.append(f"{self.context.name} stops")

        return Catalog(
            endpoints=[Tap, Sink, Webhook, Websocket, Timer, Mqtt, Http, PythonActor],
            steps=[Dedup, PythonStep],
            connections=[MqttConnection],
        )


class Stage:
    """One engine on a state directory, and what was emitted."""

    def __init__(self, engine: Engine, play: Play) -> None:
        self.engine = engine
        self.play = play
        self.emitted: list[Event] = []
        engine.events.subscribe(Event, self.emitted.append)

    def of(self, kind: type[E]) -> list[E]:
        """The events of a kind so far."""
        return [event for event in self.emitted if isinstance(event, kind)]

    def tap(self, name: str = "tap") -> Any:
        return self.play.taps[name]

    async def until(self, condition: Callable[[], object]) -> None:
        """Let the loop run until `condition` holds."""
        async with asyncio.timeout(DEADLINE_S):
            while not condition():  # noqa: ASYNC110  # nothing to wait on but the loop itself
                await asyncio.sleep(0.001)

    async def outcome(self, ticket: Ticket) -> str | None:
        """How a message has ended."""
        await self.until(lambda: ticket.settlement)
        return ticket.outcome

    @property
    def url(self) -> str:
        return dict(self.engine.listening())["http"]


def topology_of(text: str, play: Play, *, drain: str = "5s", port: int = 0, folder: Path = Path("/t")) -> Topology:
    """The topology of a file that has its first lines."""
    text = HEAD % (drain, port) + text
    topology, problems = check(text, path=folder / "sample.yaml", catalog=play.catalog, environ={})
    assert topology is not None, "\n".join(map(render, problems))
    return topology


def staged(text: str, state: Path, *, drain: str = "5s", port: int = 0, folder: Path = Path("/t")) -> Stage:
    """An engine that has not been started."""
    play = Play()
    topology = topology_of(text, play, drain=drain, port=port, folder=folder)
    load = partial(check, catalog=play.catalog, environ={})
    return Stage(Engine(topology, state_dir=state, load=lambda text, path: load(text, path=path)), play)


@asynccontextmanager
async def running(text: str, state: Path, *, drain: str = "5s", folder: Path = Path("/t")) -> AsyncIterator[Stage]:
    """An engine that runs, and is stopped at the end if a test has not done so."""
    stage = staged(text, state, drain=drain, folder=folder)
    await stage.engine.start()
    try:
        yield stage
    finally:
        if not stage.engine.stopping:
            await stage.engine.stop()


@contextmanager
def state_folder() -> Iterator[Path]:
    """A state directory with a path short enough for a socket, which pytest's are not."""
    folder = tempfile.mkdtemp(prefix="engine-")
    try:
        yield Path(folder, "state")
    finally:
        shutil.rmtree(folder)
