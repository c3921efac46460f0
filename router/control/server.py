"""Serves the control API on its Unix socket, and monitoring on the address that `settings.observe` names."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from aiohttp import web

from router.control import observe
from router.control.api import Api
from router.control.dead_letters import DeadLetterOperations
from router.control.operation import Answer, Call, Operation
from router.control.problem import Mistake, Problem, RequestError, problem_of
from router.control.requests import read_body, read_query
from router.control.unix_socket import UnixSocket
from router.telemetry.metrics import Metrics
from router.telemetry.shown import Redaction

if TYPE_CHECKING:
    from router.engine import Engine

logger = logging.getLogger("pointsman.control")

MAX_BODY: Final = 1024 * 1024
RECEIVE_S: Final = 10.0
"""How long a body may take to arrive."""
LINGER_S: Final = 2.0
"""How long requests may take to end when the server stops."""


class ControlServer:
    """Made before its engine starts, so that no event goes uncounted; started when the engine runs."""

    def __init__(self, engine: Engine) -> None:
        settings = engine.topology.settings
        redaction = Redaction(settings.redact)
        self.metrics = Metrics(engine)
        self._engine = engine
        monitoring = observe.operations(engine, self.metrics)
        self._operations = (
            *monitoring,
            *Api(engine, redaction, self.listening).operations(),
            *DeadLetterOperations(engine, redaction).operations(),
        )
        self._observe: observe.ObserveListener | None = None
        if settings.observe is not None:
            self._observe = observe.ObserveListener(settings.observe.listen, engine, monitoring)
        self._socket: UnixSocket | None = None
        self._runner: web.AppRunner | None = None
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen. Raises `StateDirError` where the socket cannot be, and `RouterError` where the address of
        `settings.observe` cannot be listened on; nothing listens then."""
        self._runner = web.AppRunner(
            self._application(), handle_signals=False, access_log=None, shutdown_timeout=LINGER_S
        )
        try:
            await self._runner.setup()
            assert self._runner.server is not None, "set up above"
            self._socket = UnixSocket(self._engine.state_dir.control_socket)
            # Not one of aiohttp's sites: uvloop takes a bound Unix socket here alone.
            loop = asyncio.get_running_loop()
            self._server = await loop.create_unix_server(self._runner.server, sock=self._socket.open())
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
        if self._observe is not None:
            await self._observe.close()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        self.metrics.close()

    def listening(self) -> list[tuple[str, str]]:
        """What listens where, the engine's own not included: (what, address)."""
        if self._server is None:
            return []
        found = [("control", str(self._engine.state_dir.control_socket))]
        if self._observe is not None:
            found.append(("observe", self._observe.url))
        return found

    def _application(self) -> web.Application:
        application = web.Application(client_max_size=MAX_BODY, middlewares=[_problems])
        for operation in self._operations:
            if operation.method == "GET":
                application.router.add_get(operation.path, _handler(operation))
            else:
                application.router.add_post(operation.path, _handler(operation))
        return application


def _handler(operation: Operation) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        query = body = None
        if operation.query is not None:
            query = read_query(list(request.query.items()), operation.query)
        if operation.body is not None:
            body = read_body(await _received(request), request.headers.get("Content-Type", ""), operation.body)
        call = Call(request.match_info, query, body, request.headers.get("Accept", ""))
        return _response(await operation.run(call))

    return handle


async def _received(request: web.Request) -> bytes:
    try:
        async with asyncio.timeout(RECEIVE_S):
            return await request.read()
    except TimeoutError:
        raise RequestError(Mistake("", "the body took too long to arrive"), status=408) from None


@web.middleware
async def _problems(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """The one place where what went wrong becomes an answer."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
        return _response(Answer.of(Problem(error.status, _detail(request, error), {}, headers)))
    except Exception as error:
        problem = problem_of(error)
        if problem is None:
            logger.exception("%s %s failed", request.method, request.path)
            problem = Problem(500, "this failed inside the router; its log says more")
        return _response(Answer.of(problem))


def _detail(request: web.Request, error: web.HTTPException) -> str:
    match error:
        case web.HTTPNotFound():
            return f"nothing is at {request.path}"
        case web.HTTPMethodNotAllowed():
            return f"{request.path} takes {', '.join(sorted(error.allowed_methods))}"
        case web.HTTPRequestEntityTooLarge():
            return f"a body may have {MAX_BODY} bytes"
        case _:
            return error.reason


def _response(answer: Answer) -> web.Response:
    headers = {"Content-Type": answer.content_type, **answer.headers}
    return web.Response(body=answer.body, status=answer.status, headers=headers)
