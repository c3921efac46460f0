"""One thing the API can be asked: its path, what a request may hold, who may ask, and who answers. No HTTP server in
sight."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Final, Literal

from pydantic import BaseModel

from router.control.problem import CONTENT_TYPE as PROBLEM
from router.control.problem import Problem
from router.control.roles import STRANGER, Caller
from router.topology.settings import Role

_SENTENCE_END: Final = re.compile(r"\. (?=[A-Z`])")

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
"""Of answers that go on: a JSON document a line."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request, checked."""

    names: Mapping[str, str]
    """The variable parts of the path, decoded."""
    query: Any
    """An instance of the operation's query model; None where it has none."""
    body: Any
    """An instance of the operation's body model; None where it has none."""
    accept: str = ""
    """The header."""
    caller: Caller = STRANGER


@dataclass(frozen=True, slots=True)
class Noted:
    """What the audit log has of a change besides who made which; neither payloads nor secrets."""

    why: str | None = None
    """The reason that was given."""
    detail: Mapping[str, Any] = field(default_factory=dict)
    revision: int | None = None
    """The one that came of it."""


NOTHING_MORE: Final = Noted()


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back."""

    body: bytes
    status: int = 200
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    noted: Noted = NOTHING_MORE

    @classmethod
    def json(cls, document: Any, status: int = 200, *, noted: Noted = NOTHING_MORE) -> Answer:
        return cls(_line(document), status, noted=noted)

    @classmethod
    def of(cls, problem: Problem) -> Answer:
        return cls(_line(problem.as_dict()), problem.status, PROBLEM, problem.headers)


def _line(document: Any) -> bytes:
    """As JSON that ends with a line break: a shell's prompt stands behind what curl prints."""
    return (json.dumps(document) + "\n").encode("ascii")


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer that goes on: lines as they come, until they end, nobody reads them, or the router stops.

    An empty line says nothing: those are sent while nothing comes.
    """

    lines: AsyncGenerator[bytes, None]
    """Closed in any case; without line breaks."""
    content_type: str = NDJSON


@dataclass(frozen=True, slots=True)
class Change:
    """How the audit log calls what an operation changes."""

    action: str
    object: str
    """What is changed, with the variable parts of the path in braces: `{name}`."""

    def object_of(self, names: Mapping[str, str]) -> str:
        return self.object.format_map(names)


@dataclass(frozen=True, slots=True)
class Operation:
    """A method and a path, with braces around its variable parts, and what happens there.

    The docstring of `run` is its description in the OpenAPI document.
    """

    method: Literal["GET", "POST"]
    path: str
    run: Callable[[Call], Awaitable[Answer | Stream]]
    query: type[BaseModel] | None = None
    """None: query parameters are of no matter."""
    body: type[BaseModel] | None = None
    """None: a body is not read."""
    _: KW_ONLY
    role: Role | None
    """Who may ask. None: everybody; `viewer`: who may see what runs; `operator`: who may also see messages, and change
    what becomes of them; `admin`: who may change what runs."""
    answers: Mapping[int, type[BaseModel] | str]
    """What it answers where nothing went wrong, by status: a model of the document, or the media type of text."""
    change: Change | None = None
    """What goes into the audit log; None for what changes nothing."""
    max_body: int = 1024 * 1024
    """How many bytes a body may have; who may not ask is answered before it is read."""
    problems: tuple[int, ...] = ()
    """Statuses of problem details, besides those that follow from its path, its role and what a request may hold."""

    @property
    def summary(self) -> str:
        """The first sentence of its documentation."""
        return self._documentation[0]

    @property
    def description(self) -> str:
        """The rest of it."""
        return self._documentation[1]

    @property
    def _documentation(self) -> tuple[str, str]:
        first, *rest = _SENTENCE_END.split(" ".join((inspect.getdoc(self.run) or "").split()), maxsplit=1)
        return first.removesuffix("."), rest[0] if rest else ""
