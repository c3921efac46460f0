"""A TCP proxy between a client and a server of a test, which can break, hold up and refuse connections."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from tests.servers import HOST

CHUNK = 65_536


class Proxy:
    """Listens on a free port of loopback, with TLS where it has a context; use `proxy`."""

    def __init__(self, target: int) -> None:
        self.port = 0
        self._target = target
        self._server: asyncio.Server | None = None
        self._flows: asyncio.Event = asyncio.Event()
        self._flows.set()
        self._refuses = False
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

    def let_flow(self) -> None:
        """The end of the partition."""
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
        for source, sink in ((reader, forth), (back, writer)):
            self._writers.add(sink)
            task = asyncio.get_running_loop().create_task(self._pump(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        # uvloop says with a RuntimeError that a socket was cut.
        with suppress(OSError, RuntimeError):
            while data := await source.read(CHUNK):
                await self._flows.wait()
                sink.write(data)
                await sink.drain()
        self._writers.discard(sink)
        sink.close()


@asynccontextmanager
async def proxy(target: int, context: ssl.SSLContext | None = None) -> AsyncIterator[Proxy]:
    """A running proxy before the port `target` of loopback."""
    made = Proxy(target)
    await made.start(context)
    try:
        yield made
    finally:
        await made.stop()
