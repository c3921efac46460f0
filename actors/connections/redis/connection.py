"""A Redis connection of the topology: one client for all commands, and one for each who waits in Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar, cast

from actors.connections.client_tls import ClientTlsOptions, tls_context
from actors.connections.redis.dial import Login
from actors.connections.redis.link import Link
from actors.connections.redis.options import RedisConnectionOptions
from actors.connections.redis.script import Script
from actors.connections.redis.wire import Argument, Reply
from actors.core.clock import Clock
from actors.core.connection import ConnectionContext, connection
from actors.core.errors import RouterError, StoreAwayError
from actors.core.events import Events, Notice
from actors.core.examination import ExamineContext, Finding
from actors.core.resource import Access

T = TypeVar("T")


async def _examine(options: RedisConnectionOptions, context: ExamineContext) -> Sequence[Finding]:
    from actors.connections.redis.examination import examine_connection

    return await examine_connection(options, context)


@connection("redis", options=RedisConnectionOptions, examine=_examine)
class RedisConnection:
    """A Redis that queues are kept in.

    All commands go over one connection, many of them on their way at a time; whoever waits in Redis for something
    to happen has one of its own. Each reconnects by itself, with backoff and jitter, for ever. Nothing is kept for
    later while Redis is away: what is asked then is refused at once.
    """

    def __init__(self, options: RedisConnectionOptions, context: ConnectionContext) -> None:
        self.options = options
        self._context = context
        self._opening = asyncio.Lock()
        self._login: Login | None = None
        self._link: Link | None = None
        self._waiting: set[Link] = set()
        self._watchers: list[tuple[Callable[[], None], Callable[[str], None]]] = []
        self._away: str | None = f"{options.server}: not connected yet"
        """Why Redis is not there; None: it is."""
        self._belongings: dict[Callable[[RedisConnection], Any], Any] = {}
        self._telling: asyncio.Task[None] | None = None
        self._is_told = False

    @property
    def name(self) -> str:
        """The connection's in the topology."""
        return self._context.name

    @property
    def clock(self) -> Clock:
        return self._context.clock

    @property
    def is_successor(self) -> bool:
        """Whether this process has had this connection before: that one may still be open."""
        return self._context.generation > 0

    @property
    def events(self) -> Events:
        return self._context.events

    @property
    def timeout_s(self) -> float:
        """How long a command may take where nothing else is said."""
        return float(self.options.timeout)

    async def open(self) -> None:
        """Read the certificates, and try to connect; does so once.

        Raises `RouterError` where a certificate cannot be used. That Redis is away is no error: it is tried for ever.
        """
        async with self._opening:
            if self._link is None:
                if self._login is None:
                    self._login = await self._make_login()
                link = self._link = self._make_link("commands")
                link.open()
                link.watch(self._available, self._unavailable)
            await self._link.tried()

    async def close(self) -> None:
        """Disconnect; what waits for an answer gets none."""
        async with self._opening:
            if self._telling is not None:
                self._telling.cancel()
                await asyncio.wait((self._telling,))
                self._telling = None
            for link in tuple(self._waiting):
                await link.close()
            self._waiting.clear()
            link_, self._link = self._link, None
            if link_ is not None:
                await link_.close()

    def access(self) -> Access | None:
        """How others get to this Redis."""
        if self._link is None:
            return None
        server, proof = self.options.server, self.options.login[1]
        url = str(server) if server.path is not None else f"{server}/{server.db}"
        return Access(url, "redis", "none" if proof is None else "secret")

    @property
    def is_up(self) -> bool:
        """Whether it is connected now."""
        return self._link is not None and self._link.is_up

    def watch(self, available: Callable[[], None], unavailable: Callable[[str], None]) -> Callable[[], None]:
        """Be told at once, and whenever that changes, whether Redis is there; returns what ends it."""
        watcher = (available, unavailable)
        self._watchers.append(watcher)
        if self._away is None:
            available()
        else:
            unavailable(self._away)

        def end() -> None:
            if watcher in self._watchers:
                self._watchers.remove(watcher)

        return end

    def _available(self) -> None:
        self._away = None
        for available, _ in tuple(self._watchers):
            available()
        if not self._is_told and self._telling is None:
            self._telling = asyncio.get_running_loop().create_task(self._tell(), name=f"redis {self.name}: durability")

    def _unavailable(self, why: str) -> None:
        if why == self._away:
            # Another attempt has failed as the one before.
            return
        self._away = why
        for _, unavailable in tuple(self._watchers):
            unavailable(why)

    def belonging(self, make: Callable[[RedisConnection], T]) -> T:
        """What `make` once made of this connection: for what all its users share, such as the queues in it."""
        found = self._belongings.get(make)
        if found is None:
            found = self._belongings[make] = make(self)
        return cast("T", found)

    # Asking

    async def execute(self, *command: Argument, timeout_s: float | None = None) -> Reply:
        """What Redis answers to a command.

        Raises `StoreAwayError` where it cannot be reached, or does not answer in `timeout_s`: then it may have been
        done. Raises `StorageError` where Redis refuses, `full` where it has no memory left.
        """
        return await self._open_link().execute(*command, timeout_s=timeout_s)

    async def several(self, commands: Sequence[tuple[Argument, ...]], *, timeout_s: float | None = None) -> list[Reply]:
        """The answers to commands that go in one exchange; raises as `execute`, for the first that fails."""
        return await self._open_link().several(commands, timeout_s=timeout_s)

    def run(
        self, script: Script, keys: Sequence[str], args: Sequence[Argument] = (), *, timeout_s: float | None = None
    ) -> Coroutine[Any, Any, Reply]:
        """What a script returns, to be awaited; Redis is given its text where it does not have it. Raises as `execute`.

        It has set out when this returns.
        """
        return self._open_link().run(script, keys, args, timeout_s=timeout_s)

    def call(
        self, script: Script, keys: Sequence[str], args: Sequence[Argument], done: Callable[[Reply | Exception], None]
    ) -> None:
        """`run` without a task: `done` is told what the script returns, or why it does not."""
        self._open_link().call(script, keys, args, done)

    def waiting_client(self, client: str) -> Link:
        """A client of its own, connecting already, for commands that wait in Redis; whoever asks for it closes it."""
        link = self._make_link(client)
        self._waiting.add(link)
        link.open()
        return link

    async def release(self, link: Link) -> None:
        """Close what `waiting_client` made."""
        self._waiting.discard(link)
        await link.close()

    # How durable it is

    async def durability(self) -> Sequence[Finding]:
        """What a crash of this Redis, or a lack of memory, does to what it was told; raises `StoreAwayError`."""
        from actors.connections.redis.durability import ask, findings

        return findings(await ask(self._open_link()))

    async def _tell(self) -> None:
        try:
            found = await self.durability()
        except RouterError:
            # Asked again when it is connected again.
            return
        finally:
            self._telling = None
        self._is_told = True
        levels = {finding.level for finding in found}
        level = "error" if "problem" in levels else "warning" if "warning" in levels else "info"
        texts = [each.text for each in found if level == "info" or each.level != "ok"]
        server = self.options.server
        text = f"connection {self.name}: what is durable in {server} is as durable as that is: {'; '.join(texts)}"
        self._context.events.emit(Notice(text, level))

    # Made once

    async def _make_login(self) -> Login:
        options, tls = self.options, None
        if options.server.tls:
            try:
                tls = await asyncio.to_thread(tls_context, options.tls or ClientTlsOptions(), self._context.directory)
            except RouterError as error:
                raise RouterError(f"connection {self.name}: {error}") from error
        return Login(options.server, *options.login, tls)

    def _make_link(self, client: str) -> Link:
        assert self._login is not None, "open() comes first"
        return Link(
            self._login,
            connection=self.name,
            client=client,
            timeout_s=self.timeout_s,
            clock=self._context.clock,
            events=self._context.events,
        )

    def _open_link(self) -> Link:
        if self._link is None:
            raise StoreAwayError(f"{self.options.server}: not connected yet")
        return self._link
