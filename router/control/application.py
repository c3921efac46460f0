"""Operations as aiohttp serves them: requests are checked and answered, and what goes wrong becomes problem details."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from router.control.operation import Answer, Call, Operation, Stream
from router.control.problem import Mistake, Problem, RequestError, problem_of
from router.control.recorder import Recorder
from router.control.requests import read_body, read_query
from router.control.roles import Caller
from router.control.streaming import Streams

logger = logging.getLogger("pointsman.control")

RECEIVE_S: Final = 10.0
"""How long a body may take to arrive."""

LINGER_S: Final = 2.0
"""How long requests may take to end when the server stops, and the rest of a body to come that nobody wants."""
KEEP_ALIVE_S: Final = 75.0

Identify = Callable[[web.Request], Caller]
"""Who makes a request; raises `UnauthorizedError` where that is not to be believed."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


MAX_LINE: Final = 64 * 1024
"""Of a request line, which holds all of a query, or of one header."""


class _Foreseen(logging.Filter):
    """Leaves out what a client sent that is no HTTP: it has its answer, and strangers do not write our log."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.exc_info is None or not isinstance(record.exc_info[1], HttpProcessingError)


_of_protocol = logging.getLogger("pointsman.control.http")
_of_protocol.addFilter(_Foreseen())


def runner(served: web.Application) -> web.AppRunner:
    """What runs an application, on the socket and by TCP alike."""
    return web.AppRunner(
        served,
        handle_signals=False,
        access_log=None,
        logger=_of_protocol,
        shutdown_timeout=LINGER_S,
        lingering_time=LINGER_S,
        keepalive_timeout=KEEP_ALIVE_S,
        max_line_size=MAX_LINE,
        max_field_size=MAX_LINE,
    )


def application(operations: Iterable[Operation], identify: Identify, recorder: Recorder) -> web.Application:
    """What answers them, and only to whom may ask."""
    made = web.Application(middlewares=[_problems])
    streams = Streams()
    made.on_shutdown.append(streams.stop)
    for operation in operations:
        handler = _handler(operation, identify, recorder, streams)
        if operation.method == "GET":
            made.router.add_get(operation.path, handler)
        else:
            made.router.add_post(operation.path, handler)
    return made


def _handler(operation: Operation, identify: Identify, recorder: Recorder, streams: Streams) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        caller = identify(request)

        async def run() -> Answer | Stream:
            caller.must_be(operation.role)
            return await operation.run(await _call(operation, request, caller))

        if operation.change is None or caller.role is None:
            answer = await run()
        else:
            answer = await recorder.run(operation.change, caller, request.match_info, run)
        return _response(answer) if isinstance(answer, Answer) else await streams.send(request, answer)

    return handle


async def _call(operation: Operation, request: web.Request, caller: Caller) -> Call:
    query = body = None
    if operation.query is not None:
        query = read_query(list(request.query.items()), operation.query)
    if operation.body is not None:
        received = await _received(request, operation.max_body)
        body = read_body(received, request.headers.get("Content-Type", ""), operation.body)
    return Call(request.match_info, query, body, request.headers.get("Accept", ""), caller)


async def _received(request: web.Request, max_body: int) -> bytes:
    try:
        async with asyncio.timeout(RECEIVE_S):
            return await request.clone(client_max_size=max_body).read()
    except TimeoutError:
        raise RequestError(Mistake("", "the body took too long to arrive"), status=408) from None
    except web.HTTPRequestEntityTooLarge:
        raise RequestError(Mistake("", f"a body may have {max_body} bytes"), status=413) from None


@web.middleware
async def _problems(request: web.Request, handler: Handler) -> web.StreamResponse:
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
        case _:
            return error.reason


def _response(answer: Answer) -> web.Response:
    headers = {"Content-Type": answer.content_type, **answer.headers}
    return web.Response(body=answer.body, status=answer.status, headers=headers)
