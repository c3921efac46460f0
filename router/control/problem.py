"""RFC 9457 problem details, and which of them an exception becomes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from actors.core.errors import (
    BackPressureError,
    ControlError,
    DeliveryError,
    MailboxFullError,
    RouterError,
    StorageError,
)
from router.change.changes import ChangeInProgressError
from router.change.code import CodeRefusedError
from router.change.preparation import NotReadyError
from router.telemetry.shown import without_credentials
from router.topology.problems import TopologyError, did_you_mean
from router.topology.settings import Role

CONTENT_TYPE: Final = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Problem:
    """An answer that says what went wrong."""

    status: int
    detail: str
    members: Mapping[str, Any] = field(default_factory=dict)
    """What machines may want to read, beside what every problem has."""
    headers: Mapping[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The document: of type `about:blank`, which says no more than its status does."""
        return {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            **self.members,
        }


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong with a request."""

    field: str
    """Its path in the body, such as `filter.since`, or the name of a query parameter; empty for the whole."""
    message: str
    suggestion: str = ""

    def as_dict(self) -> dict[str, str]:
        found = {"field": self.field, "message": self.message, "suggestion": self.suggestion}
        return {name: value for name, value in found.items() if value or name == "message"}

    def __str__(self) -> str:
        text = f"{self.field}: {self.message}" if self.field else self.message
        return f"{text}; {self.suggestion}" if self.suggestion else text


class RequestError(ControlError):
    """A request is not what its path takes."""

    def __init__(self, *mistakes: Mistake, status: int = 400) -> None:
        super().__init__("; ".join(str(mistake) for mistake in mistakes))
        self.mistakes = mistakes
        self.status = status


class UnknownError(ControlError):
    """What a request names is not there."""

    def __init__(self, what: str, name: str, known: Iterable[str] = ()) -> None:
        super().__init__(f"there is no {what} {name!r}")
        self.name = name
        self.suggestion = did_you_mean(name, known)


class UnauthorizedError(ControlError):
    """Who asks has shown no token, or none of ours."""

    def __init__(self, *, wrong: bool) -> None:
        """`wrong`: there was one."""
        super().__init__("this token is not known here" if wrong else "this needs a token: Authorization: Bearer …")
        self.challenge = 'Bearer realm="pointsman"' + (', error="invalid_token"' if wrong else "")
        """Of the header WWW-Authenticate, without which a 401 must not be (RFC 9110, 11.6.1)."""


class ForbiddenError(ControlError):
    """Who asks has another role than this needs."""

    def __init__(self, *, needed: Role, has: Role) -> None:
        super().__init__(f"this needs the role {needed}, and this token's is {has}")
        self.needed = needed
        self.has = has


class BusyError(ControlError):
    """There is too much of something at once; later there may be less."""


def problem_of(error: Exception) -> Problem | None:
    """What an exception that is raised on purpose becomes; None for a defect, of which nothing is told."""
    text = without_credentials(str(error))
    match error:
        case RequestError():
            return Problem(error.status, text, {"errors": [mistake.as_dict() for mistake in error.mistakes]})
        case UnknownError():
            members: dict[str, Any] = {"name": error.name}
            if error.suggestion:
                members["suggestion"] = error.suggestion
            return Problem(404, text, members)
        case UnauthorizedError():
            return Problem(401, text, {}, {"WWW-Authenticate": error.challenge})
        case ForbiddenError():
            challenge = f'Bearer realm="pointsman", error="insufficient_scope", scope="{error.needed}"'
            return Problem(403, text, {"needs": error.needed, "has": error.has}, {"WWW-Authenticate": challenge})
        case CodeRefusedError():
            return Problem(403, text, {"references": sorted(map(str, error.found))})
        case ChangeInProgressError():
            return Problem(409, text, {"holder": error.holder})
        case BusyError():
            return Problem(503, text, {}, retry_after(1.0))
        case ControlError():
            return Problem(409, text)
        case NotReadyError():
            return Problem(409, text, {"actor": error.actor, "why": without_credentials(error.why)})
        case TopologyError():
            return Problem(422, str(error.args[0]), {"problems": [problem.as_dict() for problem in error.problems]})
        case BackPressureError():
            return Problem(503, text, {"route": error.route}, retry_after(error.retry_after_s))
        case MailboxFullError():
            return Problem(503, text, {"actor": error.actor}, retry_after(1.0))
        case DeliveryError():
            members = {"reason": error.reason, "retryable": error.retryable}
            return Problem(502, text, members, retry_after(error.retry_after_s))
        case StorageError():
            return Problem(503, text, {"full": error.full}, retry_after(10.0 if error.full else 1.0))
        case TimeoutError():
            return Problem(504, text or "it took too long")
        case RouterError():
            return Problem(503, text)
        case _:
            return None


def retry_after(delay_s: float | None) -> dict[str, str]:
    """The header, in whole seconds; none where nobody knows."""
    return {} if delay_s is None else {"Retry-After": str(max(1, math.ceil(delay_s)))}
