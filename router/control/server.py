"""Serves the control API on its Unix socket, by TCP where `settings.control` says so, and monitoring on the address
that `settings.observe` names."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from aiohttp import web

from router.control import observe
from router.control.api import Api
from router.control.application import application, runner
from router.control.audit import AuditOperations
from router.control.changes import ChangeOperations
from router.control.dead_letters import DeadLetterOperations
from router.control.holds import HoldOperations
from router.control.openapi import OpenApi
from router.control.operation import Operation
from router.control.queues import QueueOperations
from router.control.recorder import Recorder
from router.control.roles import Caller, local_caller
from router.control.steering import SteeringOperations
from router.control.taps import TapOperations
from router.control.tcp import TcpListener
from router.control.traces import TraceOperations
from router.control.unix_socket import UnixSocket
from router.telemetry.metrics import Metrics
from router.telemetry.shown import Redaction
from router.telemetry.taps import Taps
from router.telemetry.traces import Traces
from router.topology.settings import Address

if TYPE_CHECKING:
    from router.engine import Engine


class ControlServer:
    """Made before its engine starts, so that no event goes uncounted; started when the engine runs."""

    def __init__(self, engine: Engine) -> None:
        settings = engine.topology.settings
        redaction = Redaction(settings.redact)
        self.metrics = Metrics(engine)
        self._traces = Traces(engine)
        self._engine = engine
        monitoring = observe.operations(engine, self.metrics)
        asked = (
            *monitoring,
            *Api(engine, redaction, self.listening).operations(),
            *SteeringOperations(engine).operations(),
            *HoldOperations(engine).operations(),
            *DeadLetterOperations(engine, redaction).operations(),
            *QueueOperations(engine, redaction).operations(),
            *ChangeOperations(engine).operations(),
            *AuditOperations(engine).operations(),
            *TapOperations(engine, Taps(engine, random=random.random), redaction).operations(),
            *TraceOperations(engine, self._traces).operations(),
        )
        self.operations: tuple[Operation, ...] = (*asked, OpenApi(asked).operation)
        self._observe: observe.ObserveListener | None = None
        if settings.observe is not None:
            self._observe = observe.ObserveListener(settings.observe.listen, engine, monitoring)
        self._tcp: TcpListener | None = None
        if isinstance(settings.control.listen, Address):
            self._tcp = TcpListener(settings.control, engine.topology.directory, engine.clock)
        self._recorder = Recorder(engine)
        self._socket: UnixSocket | None = None
        self._runner: web.AppRunner | None = None
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen. Raises `StateDirError` where the socket cannot be, and `RouterError` where an address of
        `settings.control` or `settings.observe` cannot be listened on; nothing listens then."""
        self._runner = runner(application(self.operations, _local, self._recorder))
        try:
            await self._runner.setup()
            assert self._runner.server is not None, "set up above"
            self._socket = UnixSocket(self._engine.state_dir.control_socket)
            # Not one of aiohttp's sites: uvloop takes a bound Unix socket here alone.
            loop = asyncio.get_running_loop()
            self._server = await loop.create_unix_server(self._runner.server, sock=self._socket.open())
            if self._tcp is not None:
                await self._tcp.open(application(self.operations, self._tcp.identify, self._recorder))
            if self._observe is not None:
                await self._observe.open()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Take no more requests, let those that run end for a moment, and remove the socket."""
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._tcp is not None:
            await self._tcp.close()
        if self._observe is not None:
            await self._observe.close()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        self.metrics.close()
        self._traces.close()

    def listening(self) -> list[tuple[str, str]]:
        """What listens where, the engine's own not included: (what, address)."""
        if self._server is None:
            return []
        found = [("control", str(self._engine.state_dir.control_socket))]
        if self._tcp is not None:
            found.append(("control", self._tcp.url))
        if self._observe is not None:
            found.append(("observe", self._observe.url))
        return found


def _local(request: web.Request) -> Caller:
    return local_caller(request.get_extra_info("socket"))
