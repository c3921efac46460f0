"""What the API answers about messages, dead letters and changes, and how it says that something went wrong."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from actors.core.message import Outcome
from router.control.documents import Count, Document, Seconds
from router.control.lanes import State
from router.store.audit import AuditOutcome


class MessageLine(Document):
    """One message, in a line."""

    id: str | None
    """None for what is no message, such as a call of pykka's."""
    key: str | None
    age_s: Seconds
    attempt: Count
    size: Count | None
    """Bytes of the message as msgpack; None where nobody knows."""
    preview: str
    """The beginning of its payload, with what `settings.redact` names masked."""
    route: str | None
    target: str | None
    """The actor it is at, or will be tried at next."""
    state: State
    on_hold: bool
    """Whether an operator holds it, now or when its turn comes."""
    retry_in_s: Seconds | None
    last_error: str | None


class LaneCounts(Document):
    """How many messages there are, shown or not."""

    waiting: Count
    in_flight: Count
    retrying: Count
    suspended: Count
    held: Count


class MailboxDocument(Document):
    """What is where, the oldest first."""

    name: str
    waiting: list[MessageLine]
    in_flight: list[MessageLine]
    retrying: list[MessageLine]
    suspended: list[MessageLine]
    held: list[MessageLine]
    counts: LaneCounts
    backlog: Count
    """Messages that are in the journal alone, and are not looked into."""


class _Whole(BaseModel):
    """A message as CloudEvents' JSON format has it; what else is in it are its attributes."""

    model_config = ConfigDict(frozen=True, extra="allow", use_attribute_docstrings=True)

    id: str
    source: str
    type: str
    time: float
    """Epoch seconds."""
    headers: dict[str, Any]
    data: Any = None
    """The payload, with what `settings.redact` names masked."""
    data_base64: str = ""
    """In its place for bytes that are no text."""


class MessageDocument(_Whole):
    """A message in a mailbox, whole; beside what it is stands where it is."""

    key: str | None
    age_s: Seconds
    attempt: Count
    size: Count | None
    route: str | None
    target: str | None
    state: State
    on_hold: bool
    """Whether an operator holds it, now or when its turn comes."""
    retry_in_s: Seconds | None
    last_error: str | None


class Accepted(Document):
    """A message was taken."""

    id: str
    status: Literal["accepted"]


class Reply(BaseModel):
    """What a target answered."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    data: Any = None
    data_base64: str = ""
    """In its place for bytes that are no text."""
    status: int | None
    headers: dict[str, str]
    content_type: str | None


class Ended(Document):
    """A message has come to its end."""

    id: str
    outcome: Outcome
    reply: Reply | None
    reason: str = ""
    """The class of the last failure, where it failed."""


class DeadLetterLine(Document):
    """One dead letter, in a line."""

    id: str
    at: float
    """Epoch seconds."""
    route: str
    """Empty for what came as far as no route."""
    target: str | None
    reason: str
    error: str
    attempts: Count
    key: str | None
    message_id: str
    source: str
    size: Count
    """Bytes."""
    preview: str
    """The beginning of its payload, with what `settings.redact` names masked."""
    replaying: bool


class DeadLettersDocument(Document):
    """A page of dead letters, the newest first."""

    dead_letters: list[DeadLetterLine]
    total: Count
    """Of all that match."""


class DeadLetterDocument(BaseModel):
    """A dead letter, and its message whole where that can be read; what else is in it are the message's attributes."""

    model_config = ConfigDict(frozen=True, extra="allow", use_attribute_docstrings=True)

    id: str
    at: float
    """Epoch seconds."""
    route: str
    target: str | None
    reason: str
    error: str
    attempts: Count
    key: str | None
    message_id: str
    source: str
    size: Count
    replaying: bool
    headers: dict[str, Any] = {}
    data: Any = None
    data_base64: str = ""


class NotReplayed(Document):
    """A dead letter that stays one."""

    id: str
    why: str


class Replayed(Document):
    """What became of dead letters that were sent again."""

    replayed: Count
    failed: list[NotReplayed]
    left: Count
    """How many of those that were meant are still to be asked for: one request takes only so long."""
    more: bool
    """Whether there are more than one request takes."""
    last: str | None
    """The id of the last one that was tried, which the next request may go on behind."""


class Dropped(Document):
    """Dead letters were deleted."""

    dropped: Count
    more: bool
    """Whether there are more than `limit` let this request take."""
    last: str | None
    """The id of the last one, where `limit`, `after` or `through` was given."""


class AuditDocument(Document):
    """One change, or one attempt at a change."""

    number: int
    """Rises."""
    at: float
    """Epoch seconds."""
    who: str
    """`uid 1000 (name)` over the Unix socket, the token's name over TCP, `router` for what it did by itself."""
    role: str
    origin: str
    """`socket`, or the peer's address over TCP."""
    action: str
    object: str
    outcome: AuditOutcome
    """`refused`: nothing was tried."""
    why: str | None
    """The reason that was given, or why it was refused or failed."""
    detail: Any
    revision: int | None
    """The one that came of it."""


class AuditPage(Document):
    """A page of the audit log, the newest first."""

    entries: list[AuditDocument]


class MistakeDocument(Document):
    """One thing that is wrong with a request."""

    field: str = ""
    """Its path in the body, or the name of a query parameter; absent for the whole."""
    message: str
    suggestion: str = ""


class ProblemDocument(BaseModel):
    """What went wrong, as RFC 9457 has it; some problems have more members."""

    model_config = ConfigDict(frozen=True, extra="allow", use_attribute_docstrings=True)

    type: Literal["about:blank"]
    """It says no more than its status does."""
    title: str
    status: int = Field(ge=400, le=599)
    detail: str
    suggestion: str = ""
    """What may have been meant."""
    errors: list[MistakeDocument] = []
    """Everything that is wrong with a request (400)."""
