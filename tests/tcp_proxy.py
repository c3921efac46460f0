"""A TCP proxy between a client and a server of a test, which can break, hold up, swallow, delay and refuse."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from tests.servers import HOST

CHUNK = 65_536

Tap = Callable[[int, bool, bytes], None]
"""Is told of all that passes: the number of the connection, whether it goes forth (to the server), the bytes."""


class Proxy:
    """Listens on a free port of loopback, with TLS where it has a context; use `proxy`."""

    def __init__(self, target: int, *, tap: Tap | None = None) -> None:
        self.port = 0
        self._target = target
        self._tap = tap
        self._server: asyncio.Server | None = None
        self._flows: asyncio.Event = asyncio.Event()
        self._flows.set()
        self._refuses = False
        self._swallows: frozenset[bool] = frozenset()
        """The directions (forth or not) in which nothing arrives."""
        self._torn: set[asyncio.StreamWriter] = set()
        """Of connections that lack bytes."""
        self._delay_s = 0.0
        self._count = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self, context: ssl.SSLContext | None = None) -> None:
        self._server = await asyncio.start_server(self._accept, HOST, 0, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        self.cut()
        for task in tuple(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def cut(self) -> None:
        """Break all connections (RST)."""
        for writer in tuple(self._writers):
            writer.transport.abort()

    def hold(self) -> None:
        """Let nothing through any more, in either direction; the sockets stay open (a partition)."""
        self._flows.clear()

    def swallow(self, *, forth: bool, back: bool) -> None:
        """Take what comes in these directions, and its end, and pass nothing on (a half-open connection)."""
        self._flows.clear()
        self._swallows = frozenset(way for way, does in ((True, forth), (False, back)) if does)

    def delay(self, seconds: float) -> None:
        """From now on keep everything for so long, in each direction; 0 ends that."""
        self._delay_s = seconds

    def let_flow(self) -> None:
        """The end of the partition. Connections that lack bytes break, as those with a peer that knows nothing do."""
        self._swallows = frozenset()
        for writer in self._torn:
            writer.transport.abort()
        self._torn.clear()
        self._flows.set()

    def refuse(self, refuses: bool = True) -> None:
        """Break new connections at once."""
        self._refuses = refuses

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refuses:
            writer.transport.abort()
            return
        try:
            back, forth = await asyncio.open_connection(HOST, self._target)
        except OSError:
            writer.transport.abort()
            return
        self._count += 1
        for source, sink, is_forth in ((reader, forth, True), (back, writer, False)):
            self._writers.add(sink)
            other = writer if is_forth else forth
            task = asyncio.get_running_loop().create_task(self._pump(source, sink, other, self._count, is_forth))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        other: asyncio.StreamWriter,
        number: int,
        is_forth: bool,
    ) -> None:
        # uvloop says with a RuntimeError that a socket was cut.
        with suppress(OSError, RuntimeError):
            while data := await source.read(CHUNK):
                if self._delay_s:
                    await asyncio.sleep(self._delay_s)
                if is_forth in self._swallows:
                    self._torn |= {sink, other}
                    continue
                await self._passage(is_forth)
                if self._tap is not None:
                    self._tap(number, is_forth, data)
                sink.write(data)
                await sink.drain()
        # The end of one side is no more than other bytes.
        await self._passage(is_forth)
        self._writers.discard(sink)
        self._torn.discard(sink)
        sink.close()

    async def _passage(self, is_forth: bool) -> None:
        if not self._swallows or is_forth in self._swallows:
            await self._flows.wait()


@asynccontextmanager
async def proxy(target: int, context: ssl.SSLContext | None = None, *, tap: Tap | None = None) -> AsyncIterator[Proxy]:
    """A running proxy before the port `target` of loopback."""
    made = Proxy(target, tap=tap)
    await made.start(context)
    try:
        yield made
    finally:
        await made.stop()
