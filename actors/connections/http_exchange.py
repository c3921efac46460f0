"""One HTTP request with its body, the one answer to it, and RFC 9457 problem details."""

from __future__ import annotations

import json
from asyncio import BaseTransport
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final, Protocol

from actors.connections.http_paths import NO_PARAMETERS

JSON: Final = "application/json"
PROBLEM: Final = "application/problem+json"

Headers = Iterable[tuple[str, str]]


class Responder(Protocol):
    """Whoever carries an answer to the client."""

    def answer(self, exchange: Exchange, status: int, body: bytes, content_type: str, headers: Headers) -> None: ...

    def switch(self, exchange: Exchange, successor: Successor, headers: Headers) -> bool: ...


class Successor(Protocol):
    """What goes on with a connection that has left HTTP: an `asyncio.Protocol` that the listener counts and times.

    It is told of its transport by `connection_made`, and tells the listener by `left` when that is gone.
    """

    deadline: float
    """Monotonic seconds at which the listener calls `expire`, some tenths of a second late."""

    def connection_made(self, transport: BaseTransport) -> None: ...

    def data_received(self, data: bytes) -> None: ...

    def connection_lost(self, error: BaseException | None) -> None: ...

    def expire(self) -> None:
        """The deadline has passed: do what is due, and set the next one."""
        ...

    def drain(self) -> None:
        """The listener takes nothing new."""
        ...

    def abort(self) -> None:
        """Close at once."""
        ...


class Exchange:
    """One request, complete with its body, and the one answer to it.

    A handler gets it and answers now or later, with no task of its own in between; the client's next
    request waits on its connection meanwhile.
    """

    __slots__ = ("_responder", "body", "headers", "method", "parameters", "path", "query", "remote")

    def __init__(
        self,
        responder: Responder,
        method: str,
        path: str,
        query: str,
        headers: Mapping[str, str],
        body: bytes,
        remote: str,
        parameters: Mapping[str, str] = NO_PARAMETERS,
    ) -> None:
        self._responder: Responder | None = responder
        self.method = method
        self.path = path
        self.query = query
        """As it was sent, without the question mark."""
        self.headers = headers
        """Names in lower case; the lines of one name are joined by a comma."""
        self.body = body
        """As it was sent: what a signature covers, and still compressed where the client compressed it."""
        self.remote = remote
        """The client's address."""
        self.parameters = parameters
        """Of the path, decoded, where the handler was added at one with parameters."""

    @property
    def open(self) -> bool:
        """Whether somebody still waits for the answer."""
        return self._responder is not None

    def respond(self, status: int, body: bytes = b"", content_type: str = JSON, headers: Headers = ()) -> None:
        """Answer; does nothing where the client is gone or has its answer.

        Raises `ValueError` for a header that would break out of its line.
        """
        responder = self._responder
        if responder is not None:
            responder.answer(self, status, body, content_type, headers)
            self._responder = None

    def refuse(self, status: int, detail: str, headers: Headers = (), **members: Any) -> None:
        """Answer with problem details; `members` are extensions of theirs."""
        self.respond(status, problem(status, detail, **members), PROBLEM, headers)

    def switch(self, successor: Successor, headers: Headers = ()) -> bool:
        """Answer 101, and leave the connection to `successor`, with all that comes after the request.

        False where the client is gone, or did not ask to go over to WebSocket; nothing was answered then.
        """
        responder = self._responder
        if responder is None or not responder.switch(self, successor, headers):
            return False
        self._responder = None
        return True

    def abandon(self) -> None:
        """The client is gone: an answer goes nowhere."""
        self._responder = None


def problem(status: int, detail: str, **members: Any) -> bytes:
    """Problem details of the type that says no more than its status; they end with a line break, for terminals."""
    document = {"type": "about:blank", "title": phrase(status), "status": status, "detail": detail}
    return (json.dumps(document | members, ensure_ascii=False) + "\n").encode()


def phrase(status: int) -> str:
    """What RFC 9110 calls a status."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Status"


def field_line(name: str, value: str) -> bytes:
    """A header as it is sent; raises `ValueError` where it holds what would end its line."""
    line = f"{name}: {value}"
    if "\r" in line or "\n" in line or "\0" in line:
        raise ValueError(f"the header {name!r} holds a line break")
    return line.encode("latin-1", "replace") + b"\r\n"
