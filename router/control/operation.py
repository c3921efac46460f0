"""One thing the API can be asked: its path, what a request may hold, and who answers. No HTTP server in sight."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from pydantic import BaseModel

from router.control.problem import CONTENT_TYPE as PROBLEM
from router.control.problem import Problem

JSON: Final = "application/json"


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


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back."""

    body: bytes
    status: int = 200
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, document: Any, status: int = 200) -> Answer:
        return cls(json.dumps(document).encode("ascii"), status)

    @classmethod
    def of(cls, problem: Problem) -> Answer:
        body = json.dumps(problem.as_dict()).encode("ascii")
        return cls(body, problem.status, PROBLEM, problem.headers)


@dataclass(frozen=True, slots=True)
class Operation:
    """A method and a path, with braces around its variable parts, and what happens there."""

    method: Literal["GET", "POST"]
    path: str
    run: Callable[[Call], Awaitable[Answer]]
    query: type[BaseModel] | None = None
    """None: query parameters are of no matter."""
    body: type[BaseModel] | None = None
    """None: a body is not read."""
