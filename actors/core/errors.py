"""Every exception this project raises on purpose.

    RouterError
    ├── TopologyError            the file has problems (router.topology)
    ├── ControlError             a request to a running router was refused
    ├── StorageError             the journal, a queue or another store could not write
    │   └── StoreAwayError       it cannot be reached
    ├── StateDirError            the state directory is locked, foreign or too new
    ├── DecodeError              a payload is not what its source demands
    ├── ExpressionError          an expression failed on a message
    ├── BackPressureError        a source offered a message, and a route has no room
    ├── ActorError               something about one actor
    │   ├── MailboxFullError     no room, and nobody waits for it
    │   ├── ActorStoppedError    stopped before it took the message
    │   └── ActorCrashedError    an exception that is no DeliveryError: the actor restarts
    └── DeliveryError            an attempt at delivering failed; `reason` says how

An actor that raises a `DeliveryError` goes on; any other exception is a crash, and its supervisor restarts it.
"""

from __future__ import annotations

from typing import Literal

Reason = Literal[
    "connect",
    "refused",
    "overload",
    "timeout_before_send",
    "full",
    "expression",
    "failed",
    "open",
    "paused",
    "unknown",
    "crashed",
    "quarantined",
    "unroutable",
    "undecodable",
    "invalid",
]
"""Why an attempt failed or a message was dead-lettered: the classes of the delivery contract."""


class RouterError(Exception):
    """The root of the tree."""


class ControlError(RouterError):
    """A request to a running router was refused."""


class StorageError(RouterError):
    """A store could not write; nothing of the statement was kept."""

    def __init__(self, message: str, *, full: bool = False) -> None:
        super().__init__(message)
        self.full = full
        """True where space ran out: on the disk, or a limit that the topology sets."""


class StoreAwayError(StorageError):
    """A store on another machine cannot be reached. What was under way may have been kept, or not."""


class StateDirError(RouterError):
    """The state directory cannot be used: locked by another router, too new, or not ours."""


class DecodeError(RouterError):
    """A payload is not what its source demands."""

    def __init__(self, message: str, *, content_type: str | None = None) -> None:
        super().__init__(message)
        self.content_type = content_type


class ExpressionError(RouterError):
    """An expression or a template failed on a message."""

    def __init__(self, message: str, *, source: str) -> None:
        super().__init__(message)
        self.source = source
        """The expression as the topology has it."""


class BackPressureError(RouterError):
    """A source offered a message, and a route has no room for it; nothing was taken."""

    def __init__(self, message: str, *, route: str, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.route = route
        self.retry_after_s = retry_after_s
        """When it is worth trying again."""


class ActorError(RouterError):
    """Something about one actor, which `actor` names."""

    def __init__(self, message: str, *, actor: str) -> None:
        super().__init__(message)
        self.actor = actor


class MailboxFullError(ActorError):
    """The mailbox has no room, and its policy or its caller does not wait."""

    def __init__(self, *, actor: str, capacity: int) -> None:
        super().__init__(f"the mailbox of {actor} is full ({capacity} messages)", actor=actor)
        self.capacity = capacity


class ActorStoppedError(ActorError):
    """The actor stopped before it took the message."""


class ActorCrashedError(ActorError):
    """The actor raised an exception that is no `DeliveryError`; the cause is chained."""


class DeliveryError(RouterError):
    """An attempt at delivering a message failed.

    `retryable` is false where no repetition can change the answer (400, 404): the route goes to its fallback
    at once. `retry_after_s` is what the remote end asked for. `reason` "unknown" says that the message was
    sent and that no answer came in time: it may have had its effect.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: Reason = "refused",
        retryable: bool = True,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.reason: Reason = reason
        self.retryable = retryable
        self.retry_after_s = retry_after_s
