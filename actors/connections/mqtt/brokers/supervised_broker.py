"""A broker as a supervised child process: started when it is opened, looked after, and started anew when it dies."""

from __future__ import annotations

import asyncio
import signal
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import random as _random
from typing import ClassVar, Final

from actors.connections.mqtt.brokers import ports, process_table
from actors.connections.mqtt.brokers.broker_process import BrokerProcess, end_leftover
from actors.connections.mqtt.brokers.client_files import write_client_files
from actors.connections.mqtt.brokers.credentials import Credentials, settle
from actors.connections.mqtt.brokers.house_broker import Address, Addresses, Login
from actors.connections.mqtt.brokers.options import HouseOptions
from actors.connections.mqtt.brokers.probe import NotReadyError, probe
from actors.core.connection import ConnectionContext
from actors.core.errors import RouterError
from actors.core.events import Notice
from actors.kit.backoff import Backoff

CREDENTIALS: Final = "credentials.json"
"""Where in its directory the login of a broker is kept, if it is kept."""

READY_TIMEOUT_S: Final = 15.0
LOOK_S: Final = 0.02
STOP_TIMEOUT_S: Final = 8.0
"""How long it may take to save what it keeps."""

HUNG_TIMEOUT_S: Final = 2.0
"""The same for one that does not answer anyway."""

BACKOFF: Final = Backoff(delay_s=0.1, max_delay_s=10.0, jitter=0.2)
STEADY_S: Final = 60.0
"""A broker that has run for so long starts again without delay."""

PORT_TRIES: Final = 5
"""How often another free port is looked for where somebody took the last one before the broker did."""


@dataclass(frozen=True, slots=True)
class Checks:
    """When a broker that runs is held to hang, and ended so that it can start anew."""

    every_s: float = 10.0
    timeout_s: float = 5.0
    missed: int = 3
    """After so many in a row without an answer."""


class SupervisedBroker(ABC):
    """The part of a `HouseBroker` that does not depend on the program."""

    program: ClassVar[str]
    """How it is called in the log and in errors."""
    death_signal: ClassVar[signal.Signals]
    """What reaches it when the router dies."""

    def __init__(
        self,
        options: HouseOptions,
        context: ConnectionContext,
        *,
        backoff: Backoff = BACKOFF,
        checks: Checks = Checks(),
        random: Callable[[], float] = _random,
    ) -> None:
        self.name = context.name
        self.options = options
        self.directory = context.state_dir / "brokers" / context.name
        self.on_ready: Callable[[], None] = _nothing
        self.on_exit: Callable[[str], None] = _nothing
        self._clock = context.clock
        self._events = context.events
        self._backoff = backoff
        self._checks = checks
        self._random = random
        self._credentials = Credentials()
        self._addresses: Addresses | None = None
        self._process: BrokerProcess | None = None
        self._ready_at = 0.0
        self._stirred = asyncio.Event()
        self._alarmed = False
        self._supervision: asyncio.Task[None] | None = None

    # What a program says of itself

    @abstractmethod
    def wanted(self) -> dict[str, Address]:
        """The listeners by their names in `Addresses`, port 0 standing for a free one."""

    @abstractmethod
    def prepare(self, addresses: Addresses, credentials: Credentials) -> Sequence[str]:
        """Write the configuration into the directory; returns the arguments of `child.py`. Raises `RouterError`."""

    @abstractmethod
    def level(self, line: str) -> str:
        """The log level of a line of its output."""

    def is_alarming(self, line: str) -> bool:
        """Whether a line of its output says that it may have stopped working."""
        return False

    # For the connection

    @property
    def addresses(self) -> Addresses:
        assert self._addresses is not None, "the broker was never started"
        return self._addresses

    @property
    def login(self) -> Login | None:
        return self._credentials.own

    @property
    def credentials(self) -> Path | None:
        return None if self.options.anonymous or self.options.users else self.directory / CREDENTIALS

    @property
    def pid(self) -> int | None:
        return None if self._process is None or self._process.ended else self._process.pid

    async def start(self) -> None:
        if self._supervision is not None:
            return
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._credentials = settle(
                self.options.users, anonymous=self.options.anonymous, kept=self.directory / CREDENTIALS
            )
            leftover = await end_leftover(self.directory, self._clock)
            if leftover is not None:
                self._say(f"process {leftover} was left over by an earlier router, and was ended", "warning")
            process = await self._launch()
        except OSError as error:
            raise RouterError(f"connection {self.name}: cannot start {self.program}: {error}") from error
        self._supervision = asyncio.create_task(self._supervise(process), name=f"broker {self.name}")

    async def stop(self) -> None:
        supervision, self._supervision = self._supervision, None
        if supervision is not None:
            supervision.cancel()
            await asyncio.wait([supervision], timeout=STOP_TIMEOUT_S)
        if self._process is not None:
            await self._process.end(STOP_TIMEOUT_S)

    # One start

    async def _launch(self) -> BrokerProcess:
        """Start it, and wait until it takes connections. Raises `RouterError` where it does not."""
        for tries_left in reversed(range(PORT_TRIES)):
            addresses = self._choose()
            try:
                return await self._launch_at(addresses)
            except NotReadyError as error:
                if tries_left and self._outrun(addresses):
                    continue
                raise RouterError(f"connection {self.name}: {self.program} did not start: {error}") from error
        raise AssertionError("the last try raises")

    async def _launch_at(self, addresses: Addresses) -> BrokerProcess:
        self._alarmed = False
        # The router's own login beside `users` is nobody else's.
        write_client_files(self.directory, addresses.mqtt5, None if self.options.users else self.login)
        process = await BrokerProcess.spawn(
            self.prepare(addresses, self._credentials),
            death_signal=self.death_signal,
            directory=self.directory,
            hear=self._hear,
            on_end=self._stirred.set,
        )
        self._process = process
        is_ready = False
        try:
            await self._until_ready(process, addresses)
            is_ready = True
        finally:
            if not is_ready:
                await process.end(STOP_TIMEOUT_S)
        self._addresses = addresses
        self._ready_at = self._clock.now()
        fields = (("connection", self.name), ("pid", process.pid))
        self._events.emit(Notice(f"{self.program} of connection {self.name} listens on {addresses}", "info", fields))
        return process

    async def _until_ready(self, process: BrokerProcess, addresses: Addresses) -> None:
        """Raises `NotReadyError`. No connection is made before the port is the child's own, and not a stranger's."""
        deadline = self._clock.now() + READY_TIMEOUT_S
        missing = sorted({each.port for each in _each(addresses)})
        while missing:
            if process.ended:
                await process.end(STOP_TIMEOUT_S)  # for the rest of its output
                raise NotReadyError(f"it {process.ending}\n{process.last_words}".rstrip())
            if self._clock.now() > deadline:
                raise NotReadyError(f"it does not listen on port {missing[0]}\n{process.last_words}".rstrip())
            missing = [port for port in missing if not process_table.listens(process.pid, port)]
            if missing:
                await self._clock.sleep(LOOK_S)
        while True:
            try:
                return await probe(addresses, self.login, timeout_s=max(LOOK_S, deadline - self._clock.now()))
            except NotReadyError:
                if process.ended or self._clock.now() > deadline:
                    raise
                await self._clock.sleep(LOOK_S)

    def _choose(self) -> Addresses:
        before = {} if self._addresses is None else _by_name(self._addresses)
        try:
            chosen = ports.choose(self.wanted(), before)
        except RouterError as error:
            raise RouterError(f"connection {self.name}: {self.program} {error}") from error
        return Addresses(chosen["mqtt"], chosen.get("mqtt5", chosen["mqtt"]), chosen.get("websocket"))

    def _outrun(self, addresses: Addresses) -> bool:
        """Whether somebody took a port between our choosing it and the broker's listening."""
        chosen = _by_name(addresses)
        return any(not each.port and not ports.is_free(chosen[name]) for name, each in self.wanted().items())

    # Its life

    async def _supervise(self, process: BrokerProcess) -> None:
        failures = 0
        while True:
            reason = await self._watch(process)
            failures = 0 if self._clock.now() - self._ready_at >= STEADY_S else failures
            self._say(f"{reason}; it starts again", "warning")
            self._tell(partial(self.on_exit, f"{self.program} {reason}"))
            while True:
                failures += 1
                await self._clock.sleep(self._backoff.delay(failures, self._random()))
                try:
                    process = await self._launch()
                except (RouterError, OSError) as error:
                    self._say(f"cannot start: {error}", "warning")
                else:
                    break
            self._tell(self.on_ready)

    async def _watch(self, process: BrokerProcess) -> str:
        """Wait until it has ended, or end it because it no longer answers; returns what happened."""
        missed = 0
        while not await self._ends(process):
            alarmed, self._alarmed = self._alarmed, False
            try:
                await probe(self.addresses, self.login, timeout_s=self._checks.timeout_s, websocket=alarmed)
                missed = 0
            except NotReadyError as error:
                missed += 1
                if alarmed or missed >= self._checks.missed:
                    await process.end(HUNG_TIMEOUT_S)
                    return f"no longer takes connections ({error}), and was ended"
        await process.end(STOP_TIMEOUT_S)
        return process.ending

    async def _ends(self, process: BrokerProcess) -> bool:
        """Wait until it ended (true), or until it is time to see whether it answers."""
        self._stirred.clear()
        if not process.ended and not self._alarmed:
            try:
                async with asyncio.timeout(self._checks.every_s):
                    await self._stirred.wait()
            except TimeoutError:
                pass
        return process.ended

    def _tell(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception as error:  # the broker must be looked after all the same
            self._say(f"whoever wanted to know raised {error!r}", "error")

    def _hear(self, line: str) -> None:
        if self.is_alarming(line):
            self._alarmed = True
            self._stirred.set()
        self._say(line, self.level(line))

    def _say(self, text: str, level: str) -> None:
        # The process that it is about, also where that has ended.
        pid = () if self._process is None else (("pid", self._process.pid),)
        fields = (("connection", self.name), *pid)
        self._events.emit(Notice(f"{self.program} of connection {self.name}: {text}", level, fields))


def _nothing(*_: object) -> None:
    """Until somebody wants to know."""


def _by_name(addresses: Addresses) -> dict[str, Address]:
    named = {"mqtt": addresses.mqtt, "mqtt5": addresses.mqtt5, "websocket": addresses.websocket}
    return {name: each for name, each in named.items() if each is not None}


def _each(addresses: Addresses) -> list[Address]:
    return list(_by_name(addresses).values())
