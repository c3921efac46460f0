"""Keeps one client of Redis connected: it tries again, with backoff and jitter, for ever."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from random import random as _random
from typing import Any, Final

import hiredis

from actors.connections.redis.dial import Login, dial, forget, reason
from actors.connections.redis.refusals import refusal
from actors.connections.redis.script import Script
from actors.connections.redis.wire import Argument, Reply, Wire
from actors.core.clock import Clock
from actors.core.errors import StoreAwayError
from actors.core.events import ConnectionFailed, ConnectionLost, ConnectionOpened, Events
from actors.kit.backoff import Backoff

BACKOFF: Final = Backoff(delay_s=0.1, max_delay_s=2.0, jitter=0.3)
"""A queue's producers wait for it, and there are few clients that could all come at once."""

STEADY_S: Final = 10.0
"""A connection that lasted so long was a good one: the next wait begins at the shortest again."""


class Link:
    """One client: its socket, made anew as often as it breaks, and what is asked over it."""

    def __init__(
        self,
        login: Login,
        *,
        connection: str,
        client: str,
        timeout_s: float,
        clock: Clock,
        events: Events,
        backoff: Backoff = BACKOFF,
        random: Callable[[], float] = _random,
    ) -> None:
        self._login = login
        self._connection = connection
        self._client = client
        self._timeout_s = timeout_s
        self._clock = clock
        self._events = events
        self._backoff = backoff
        self._random = random
        self._wire: Wire | None = None
        self._given: set[str] = set()
        """Scripts that the server has by this connection."""
        self._why = "not connected yet"
        self._watchers: list[tuple[Callable[[], None], Callable[[str], None]]] = []
        self._attempts = 0
        self._tried = asyncio.Event()
        self._up = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    # Being there

    def open(self) -> None:
        """Begin to connect."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._keep(), name=f"redis {self._client}")

    async def tried(self) -> None:
        """Wait until the first attempt has ended, well or badly."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2 * self._timeout_s + 1.0):
                await self._tried.wait()

    async def up(self, timeout_s: float) -> bool:
        """Wait until it is connected; false where that takes longer."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._up.wait()
        return self.is_up

    async def close(self) -> None:
        """Disconnect; what waits for an answer gets none."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))

    @property
    def is_up(self) -> bool:
        return self._wire is not None

    def watch(self, available: Callable[[], None], unavailable: Callable[[str], None]) -> Callable[[], None]:
        """Be told at once, and whenever that changes, whether the server is there; returns what ends it."""
        watcher = (available, unavailable)
        self._watchers.append(watcher)
        if self._wire is not None:
            available()
        else:
            unavailable(self._told)

        def end() -> None:
            if watcher in self._watchers:
                self._watchers.remove(watcher)

        return end

    # Asking

    async def execute(
        self, *command: Argument, timeout_s: float | None = None, patience_s: float | None = None
    ) -> Reply:
        """What Redis answers; commands of several callers are on their way at the same time, in their order.

        Raises `StoreAwayError` where there is no connection, or no answer in `timeout_s`: it may have been done
        then. Raises `StorageError` where Redis refuses. `patience_s` is how long the server may take at all.
        """
        return await self._answered(self._send(command, timeout_s, patience_s), timeout_s or self._timeout_s)

    async def several(self, commands: Sequence[tuple[Argument, ...]], *, timeout_s: float | None = None) -> list[Reply]:
        """The answers to these, which go in one exchange; raises what the first raises that failed."""
        patience_s = timeout_s or self._timeout_s
        answers = [self._send(command, timeout_s, None) for command in commands]
        try:
            return [await self._answered(answer, patience_s) for answer in answers]
        finally:
            for answer in answers:
                answer.cancel()

    def run(
        self,
        script: Script,
        keys: Sequence[str],
        args: Sequence[Argument] = (),
        *,
        timeout_s: float | None = None,
    ) -> Coroutine[Any, Any, Reply]:
        """What the script returns, to be awaited; it is loaded where Redis does not have it. Raises as `execute`.

        It has set out when this returns.
        """
        parts = (len(keys), *keys, *args)
        return self._script_answered(self._send_script(script, parts, timeout_s), script, parts, timeout_s)

    def call(
        self, script: Script, keys: Sequence[str], args: Sequence[Argument], done: Callable[[Reply | Exception], None]
    ) -> None:
        """`run` for exchanges of which there are many: `done` is told what it returns, or why it does not.

        It costs no task and no timer. Its deadline is the connection's, which is given up where no answer comes.
        """
        parts = (len(keys), *keys, *args)
        # Not a closure that knows itself: the garbage collector would have one of each exchange to find.
        told = partial(self._called, script, parts, done)
        self._send_script(script, parts, None).add_done_callback(told)

    def _called(
        self,
        script: Script,
        parts: tuple[Argument, ...],
        done: Callable[[Reply | Exception], None],
        answer: asyncio.Future[Reply],
    ) -> None:
        error = answer.exception()
        told = None if error is None else self._in_words(error)
        if error is not None and _is_unknown_script(error):
            try:
                again = self._send(("EVAL", script.text, *parts), None, None)
            except StoreAwayError as away:
                told = away
            else:
                again.add_done_callback(partial(self._called, script, parts, done))
                return
        try:
            done(answer.result() if told is None else told)
        except Exception as raised:
            # The loop would write into the log all that was sent.
            message = f"{self._login.server}: what was told of an answer raised"
            asyncio.get_running_loop().call_exception_handler({"message": message, "exception": raised})

    def _send_script(
        self, script: Script, parts: tuple[Argument, ...], timeout_s: float | None
    ) -> asyncio.Future[Reply]:
        # A server that was started anew has no scripts. It is given the text at first, and not when it has refused the
        # digest: what was sent meanwhile would overtake.
        name = ("EVALSHA", script.sha) if script.sha in self._given else ("EVAL", script.text)
        answer = self._send((*name, *parts), timeout_s, None)
        self._given.add(script.sha)
        return answer

    async def _script_answered(
        self, answer: asyncio.Future[Reply], script: Script, parts: tuple[Argument, ...], timeout_s: float | None
    ) -> Reply:
        patience_s = timeout_s or self._timeout_s
        try:
            return await self._answered(answer, patience_s)
        except _UnknownScriptError:
            # After SCRIPT FLUSH. EVAL keeps it under its digest.
            answer = self._send(("EVAL", script.text, *parts), timeout_s, None)
            return await self._answered(answer, patience_s)

    def _send(
        self, command: tuple[Argument, ...], timeout_s: float | None, patience_s: float | None
    ) -> asyncio.Future[Reply]:
        wire = self._wire
        if wire is None:
            raise StoreAwayError(self._told)
        return wire.send(command, patience_s or max(timeout_s or 0.0, self._timeout_s))

    async def _answered(self, answer: asyncio.Future[Reply], timeout_s: float) -> Reply:
        try:
            async with asyncio.timeout(timeout_s):
                return await answer
        except TimeoutError:
            raise StoreAwayError(f"{self._login.server} did not answer within {timeout_s:g} s") from None
        except (ConnectionError, hiredis.ReplyError) as error:
            if _is_unknown_script(error):
                raise _UnknownScriptError(str(error)) from None
            raise self._in_words(error) from error

    def _in_words(self, error: BaseException) -> Exception:
        """What an answer that is an error means."""
        server = str(self._login.server)
        if isinstance(error, hiredis.ReplyError):
            return refusal(server, str(error))
        return StoreAwayError(f"{server}: {error}")

    # The task

    async def _keep(self) -> None:
        try:
            while True:
                why = await self._attempt()
                self._attempts += 1
                self._down(why)
                self._tried.set()
                await self._clock.sleep(self._backoff.delay(self._attempts, self._random()))
        finally:
            self._down("the connection is closed")

    def _down(self, why: str) -> None:
        self._wire, self._why = None, why
        self._up.clear()
        for _, unavailable in tuple(self._watchers):
            unavailable(self._told)

    @property
    def _told(self) -> str:
        """Why it is away, and which one."""
        server = str(self._login.server)
        return self._why if server in self._why else f"{server}: {self._why}"

    async def _attempt(self) -> str:
        """One connection from its first attempt to its end; returns why it ended."""
        lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        wire: Wire | None = None
        since = None
        try:
            wire = await dial(self._login, self._clock, self._timeout_s, lost)
            since = self._clock.now()
            self._wire = wire
            self._given.clear()
            self._up.set()
            self._tried.set()
            self._events.emit(ConnectionOpened(self._connection, self._client, str(self._login.server)))
            for available, _ in tuple(self._watchers):
                available()
            why = await self._watch_over(wire, lost)
            self._events.emit(ConnectionLost(self._connection, self._client, why))
        except Exception as error:
            why = reason(error)
            self._events.emit(ConnectionFailed(self._connection, self._client, why))
        finally:
            self._wire = None
            self._up.clear()
            if wire is not None:
                wire.close("the connection was closed")
        if since is not None and self._clock.now() - since >= STEADY_S:
            self._attempts = 0
        return why

    async def _watch_over(self, wire: Wire, lost: asyncio.Future[str]) -> str:
        """Until it is lost. A server that is silent too long is dead: TCP may not notice it for hours."""
        interval_s = self._timeout_s / 4
        while not lost.done():
            await asyncio.wait((lost,), timeout=interval_s)
            now = self._clock.now()
            if wire.overdue(now):
                wire.close(f"it did not answer within {self._timeout_s:g} s")
            elif wire.is_idle and now - wire.heard >= interval_s:
                # Nobody waits for the answer but `overdue`.
                wire.send(("PING",), self._timeout_s).add_done_callback(forget)
        return lost.result()


def _is_unknown_script(error: BaseException) -> bool:
    return isinstance(error, hiredis.ReplyError) and str(error).startswith("NOSCRIPT")


class _UnknownScriptError(Exception):
    """Redis does not have the script of this digest."""
