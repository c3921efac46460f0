"""The listener that inbound HTTP actors share: one socket, and a table of paths that changes under it."""

from __future__ import annotations

import asyncio
import errno
import os
import ssl
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from actors.connections.http_exchange import Successor, field_line, phrase
from actors.connections.http_table import LOOPBACK_NAMES, Entry, Handler, Limits, PathTable, Refusal
from actors.core.clock import Clock, Timer
from actors.core.errors import RouterError

if TYPE_CHECKING:
    from actors.connections.http_connection import Connection

SWEEP_S: Final = 1.0
BACKLOG: Final = 512
MAX_BODY: Final = 1024 * 1024

FILES_LEFT_TO_OTHERS: Final = 128
"""Of the open files the system allows: what the rest of the router needs."""


@dataclass(frozen=True, slots=True)
class Tls:
    """Files in PEM format."""

    cert: str
    key: str


class HttpListener:
    """Listens on one address, for handlers at paths.

    Paths may be added before it is open. A loopback listener refuses a Host that does not name loopback,
    unless `hosts` names others; with `hosts`, any listener refuses all other names.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 8080,
        *,
        clock: Clock,
        tls: Tls | None = None,
        hosts: Iterable[str] = (),
        limits: Limits | None = None,
    ) -> None:
        self.host = host
        self.port = port
        """What it was asked for; `address` has the real one."""
        self.tls = tls
        self.limits = limits or Limits()
        self.draining = False
        self.buffered = 0
        self.recently = clock.now()
        self.now: Callable[[], float] = clock.now
        self._clock = clock
        self._connections: set[Connection | Successor] = set()
        self._most_connections = most_connections(self.limits.connections)
        self._emptied: asyncio.Event = asyncio.Event()
        self._heads: dict[tuple[int, str], bytes] = {}
        self._date = ""
        self._sweep_timer: Timer | None = None
        self._server: asyncio.Server | None = None
        self._opening = asyncio.Lock()
        names = frozenset(hosts)
        self._table = PathTable((names | LOOPBACK_NAMES) if is_loopback(host) else (names or None))
        self.find: Callable[[str, str, str | None], Entry | Refusal] = self._table.find

    # For actors

    def add(
        self, methods: Sequence[str], path: str, handler: Handler, *, max_body: int = MAX_BODY
    ) -> Callable[[], None]:
        """Lead requests for `path` to `handler` from now on; returns what ends that.

        A segment `{name}` of the path is a parameter, and stands for any one segment that is not empty.
        The handler is called on the loop with the body complete, and answers the exchange now or later. A
        body of more than `max_body` bytes is refused while it arrives. Raises `PathTakenError`.
        """
        return self._table.add(methods, path, handler, max_body=max_body)

    def replace(
        self,
        remove: Callable[[], None],
        methods: Sequence[str],
        path: str,
        handler: Handler,
        *,
        max_body: int = MAX_BODY,
    ) -> Callable[[], None]:
        """The same in place of what `remove` ends, with no request in between that meets neither.

        Raises `PathTakenError` where a third one has the path, and changes nothing then.
        """
        return self._table.replace(remove, methods, path, handler, max_body=max_body)

    # For the engine

    async def bind(self) -> None:
        """Take the address; connections are refused before `open`. Raises `RouterError` where it is not to be had."""
        async with self._opening:
            await self._bind()

    async def open(self) -> None:
        """Listen; does nothing where it does already. Raises `RouterError` where it cannot."""
        async with self._opening:
            server = await self._bind()
            try:
                await server.start_serving()
            except OSError as error:
                self._stop_listening()
                raise self._cannot_listen(error) from error

    async def _bind(self) -> asyncio.Server:
        if self._server is None:
            from actors.connections.http_connection import Connection

            self.draining = False
            try:
                self._server = await asyncio.get_running_loop().create_server(
                    lambda: Connection(self),
                    self.host,
                    self.port,
                    ssl=None if self.tls is None else tls_context(self.tls),
                    ssl_handshake_timeout=None if self.tls is None else self.limits.receive_timeout_s,
                    backlog=BACKLOG,
                    start_serving=False,
                )
            except OSError as error:
                raise self._cannot_listen(error) from error
        return self._server

    def _cannot_listen(self, error: OSError) -> RouterError:
        why = "the port is in use" if error.errno == errno.EADDRINUSE else error.strerror
        if error.errno == errno.EACCES:
            # The loop's own text repeats the address.
            why = os.strerror(error.errno).lower()
        return RouterError(f"cannot listen on {self.host}:{self.port}: {why}")

    @property
    def listening(self) -> bool:
        return self._server is not None and self._server.is_serving()

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens; the port is the real one where 0 was asked for. It must be open."""
        assert self._server is not None, "the listener is not open"
        host, port, *_ = self._server.sockets[0].getsockname()
        return host, port

    @property
    def url(self) -> str:
        """The address as a client writes it."""
        host, port = self.address
        name = f"[{host}]" if ":" in host else host
        return f"{'http' if self.tls is None else 'https'}://{name}:{port}"

    async def drain(self, timeout_s: float) -> bool:
        """Take nothing new, and wait until every answer is given; false where that took too long."""
        self._stop_listening()
        self.draining = True
        for connection in tuple(self._connections):
            connection.drain()
        return await self._all_left(timeout_s)

    async def close(self) -> None:
        """Stop listening, and cut what connections there are; call `drain` before to let them end."""
        self._stop_listening()
        for connection in tuple(self._connections):
            connection.abort()
        await self._all_left(timeout_s=5.0)
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()
            self._sweep_timer = None

    async def _all_left(self, timeout_s: float) -> bool:
        self._emptied.clear()
        if not self._connections:
            return True
        try:
            await asyncio.wait_for(self._emptied.wait(), timeout_s)
        except TimeoutError:
            return False
        return True

    def _stop_listening(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()

    def __len__(self) -> int:
        """Connections that are open."""
        return len(self._connections)

    # For its connections

    def joined(self, connection: Connection) -> bool:
        self._connections.add(connection)
        if self._sweep_timer is None:
            self._sweep()
        return len(self._connections) <= self._most_connections and not self.draining

    def became(self, connection: Connection, successor: Successor) -> None:
        self._connections.discard(connection)
        self._connections.add(successor)

    def left(self, connection: Connection | Successor) -> None:
        self._connections.discard(connection)
        if not self._connections:
            self._emptied.set()

    def head(self, status: int, content_type: str) -> bytes:
        """The start of an answer, up to what differs from one to the next; kept until the date changes."""
        head = self._heads.get((status, content_type))
        if head is None:
            status_line = f"HTTP/1.1 {status} {phrase(status)}\r\n".encode()
            head = status_line + field_line("Content-Type", content_type) + field_line("Date", self._date)
            self._heads[(status, content_type)] = head
        return head

    def _sweep(self) -> None:
        """One timer for all connections: close those whose deadline has passed, and change the date."""
        self.recently = now = self._clock.now()
        self._date = formatdate(self._clock.time(), usegmt=True)
        self._heads.clear()
        for connection in [each for each in self._connections if each.deadline <= now]:
            connection.expire()
        self._sweep_timer = self._clock.call_at(now + SWEEP_S, self._sweep) if self._connections else None


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens there."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def most_connections(wanted: int) -> int:
    """No more than the system has files for, or accepting would fail for everybody."""
    import resource

    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return wanted if files == resource.RLIM_INFINITY else min(wanted, files - FILES_LEFT_TO_OTHERS)


def tls_context(tls: Tls) -> ssl.SSLContext:
    """For a server; raises `RouterError` where the certificate cannot be used."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(tls.cert, tls.key)
    except (OSError, ssl.SSLError) as error:
        raise RouterError(f"cannot use the certificate {tls.cert} with {tls.key}: {error}") from error
    return context
