"""A small router that runs, with endpoint types whose behaviour a topology spells out, and a client of its API."""

from __future__ import annotations

import asyncio
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import aiohttp

from actors.connections.redis import RedisConnection
from actors.core.actor import AsyncioActor
from actors.core.errors import DeliveryError
from actors.core.message import Message, Reply
from actors.core.spec import Context, Options, endpoint
from actors.endpoints.queue import Queue
from actors.steps.filter import Filter
from actors.steps.split import Split
from router.catalog import Catalog
from router.control.message_documents import ProblemDocument
from router.control.openapi import statuses_of
from router.control.operation import Operation
from router.control.server import ControlServer
from router.engine import Engine
from router.topology.check import check
from router.topology.model import Topology
from router.topology.problems import render

HEAD = "router: 1\nname: sample\nsettings: {drain_timeout: 0s, redact: [token, phone]%s}\n"

DEADLINE_S = 10.0


class NoOptions(Options):
    """None."""


@endpoint("door", options=NoOptions, source=True)
class Door(AsyncioActor):
    """A source that lets in only what operators send."""

    def __init__(self, options: NoOptions, context: Context) -> None:
        super().__init__()


class SinkOptions(Options):
    """What becomes of a message."""

    does: Literal["take", "reply", "refuse", "reject", "hold", "crash"] = "take"
    """`hold` keeps it until a message "go" comes; `refuse` wants it again later; `reject` wants it never again."""
    away: bool = False
    """Its remote end is away from the start."""


@endpoint("sink", options=SinkOptions, target=True, replies=True)
class Sink(AsyncioActor):
    """A target that does as it is told."""

    concurrency = 100

    def __init__(self, options: SinkOptions, context: Context) -> None:
        super().__init__()
        self._does = options.does
        self._away = options.away
        self._context = context
        self._go = asyncio.Event()

    def on_start(self) -> None:
        if self._away:
            self._context.standing.unavailable("http://me:secret@there does not answer")

    async def on_receive(self, message: Message) -> Any:
        match self._does:
            case "reply":
                return Reply({"you_said": message.data}, {"x-from": "sink"}, 201)
            case "refuse":
                raise DeliveryError("no: http://me:secret@there said 500", retry_after_s=3600.0)
            case "reject":
                raise DeliveryError("not this one", retryable=False)
            case "hold" if message.data == "go":
                self._go.set()
            case "hold":
                await self._go.wait()
            case "crash":
                raise RuntimeError("a defect")
        return None


def catalog() -> Catalog:
    """What the sample router's topologies may name."""
    return Catalog(endpoints=[Door, Sink, Queue], steps=[Filter, Split], connections=[RedisConnection])


def topology_of(text: str, *, settings: str = "", path: Path = Path("/t/sample.yaml")) -> Topology:
    """The topology of a file that has its first lines; `settings` begin with a comma."""
    topology, problems = check(HEAD % settings + text, path=path, catalog=catalog(), environ={})
    assert topology is not None, "\n".join(map(render, problems))
    return topology


@dataclass(frozen=True, slots=True)
class Answered:
    """What the API answered."""

    status: int
    headers: Any
    text: str
    document: Any

    @property
    def detail(self) -> str:
        assert self.headers["Content-Type"] == "application/problem+json"
        assert self.document["status"] == self.status
        assert self.document["title"]
        return str(self.document["detail"])


def fits(operations: Iterable[Operation], method: str, path: str, status: int, document: Any) -> None:
    """Whether what was answered is what the operation says of itself: every test of an answer is one of that too."""
    for operation in operations:
        shape = re.sub(r"{\w+}", "[^/]+", operation.path)
        if operation.method == method and re.fullmatch(shape, path):
            answer = operation.answers.get(status)
            if answer is None:
                assert status in statuses_of(operation), f"{operation.path} does not say that it may answer {status}"
                answer = ProblemDocument
            assert not isinstance(answer, str)
            answer.model_validate(document)


class Client:
    """Talks to the API over its socket, or with another session at another `url`."""

    url = "http://router"

    def __init__(self, session: aiohttp.ClientSession, router: SampleRouter) -> None:
        self._session = session
        self.engine = router.engine
        self.control = router.control

    async def get(self, path: str, **options: Any) -> Answered:
        return await self.ask("GET", path, **options)

    async def post(self, path: str, document: Any) -> Answered:
        return await self.ask("POST", path, json=document)

    async def ask(self, method: str, path: str, **options: Any) -> Answered:
        timeout = aiohttp.ClientTimeout(DEADLINE_S)
        async with self._session.request(method, f"{self.url}{path}", timeout=timeout, **options) as response:
            text = await response.text()
            document = None
            if response.content_type in ("application/json", "application/problem+json") and text:
                document = await response.json(content_type=None)
            if document is not None:
                fits(self.control.operations, method, response.url.raw_path, response.status, document)
            return Answered(response.status, response.headers, text, document)

    async def get_until(self, path: str, holds: Callable[[Any], object]) -> Any:
        """Ask until something holds of the document, and return that."""
        async with asyncio.timeout(DEADLINE_S):
            while not holds(document := (await self.get(path)).document):
                pass
        return document


@dataclass(frozen=True, slots=True)
class SampleRouter:
    engine: Engine
    control: ControlServer


class Changing(Engine):
    """Later texts may name the types of the sample router."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        load = partial(check, catalog=catalog(), environ={})
        super().__init__(*arguments, **options, load=lambda text, path: load(text, path=path))


@asynccontextmanager
async def running(text: str, *, settings: str = "", engine: type[Engine] = Engine) -> AsyncIterator[Client]:
    """A client of a router that runs this topology in a directory of its own; `settings` begin with a comma."""
    # Not pytest's: its paths are too long for a socket.
    directory = Path(tempfile.mkdtemp(prefix="router-"))
    router = engine(topology_of(text, settings=settings), state_dir=directory / "state")
    control = ControlServer(router)
    try:
        await router.start()
        try:
            await control.start()
            connector = aiohttp.UnixConnector(str(directory / "state" / "control.sock"))
            async with aiohttp.ClientSession(connector=connector) as session:
                yield Client(session, SampleRouter(router, control))
        finally:
            await router.stop()
            await control.stop()
    finally:
        shutil.rmtree(directory)
