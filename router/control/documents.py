"""What the API answers about the router, its actors and its routes. `views.py` makes these documents; here is what is
in them, for the OpenAPI document and for whoever reads it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel

from actors.core.child import State
from actors.core.mailbox import Overflow
from router.store.pauses import PauseState

Count = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0)]


class Document(BaseModel):
    """The root of what is answered: nothing else is in it."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Health(Document):
    """The process answers."""

    status: Literal["ok"]


class Waiting(Document):
    """What is switched on, and does not take messages."""

    name: str
    kind: Literal["actor", "route"]
    state: State
    why: str
    restarts: Count


class PauseDocument(Document):
    """Who has paused or drained something, so that it stands still until it is resumed."""

    state: PauseState
    who: str
    why: str
    """May be empty."""
    at: float
    """Epoch seconds."""


class PausedPart(PauseDocument):
    """What is paused or drained."""

    name: str
    kind: Literal["actor", "route"]


class Readiness(Document):
    """Whether everything runs that is switched on. A remote end that is away is no matter, nor is a pause."""

    ready: bool
    stopping: bool
    waiting: list[Waiting] = []
    """What does not run; only for those who have a role."""
    paused: list[PausedPart] = []
    """What operators have paused or drained, also what the topology has no more; only for those who have a role."""


class Listening(Document):
    """One address."""

    what: str
    address: str


class ConnectionDocument(Document):
    """How a program on the router's machine gets to where a connection leads; no secret is told."""

    name: str
    type: str
    url: str
    protocol: str
    login: Literal["none", "kept", "secret"]
    credentials: str | None
    """The file that the login is in, where the router keeps it in one."""


class JournalFill(Document):
    """What durable routes have accepted and not yet settled."""

    rows: Count
    bytes: Count


class RouterDocument(Document):
    """The router as a whole."""

    name: str
    node: str | None
    """What this process is called among those of one topology."""
    only: list[str]
    """What it runs of the topology, with what that needs; empty: all."""
    version: str
    pid: int
    started_at: float
    """Epoch seconds."""
    uptime_s: Seconds
    stopping: bool
    topology: str | None
    """The path of its file."""
    state_dir: str
    drain_timeout_s: Seconds
    listening: list[Listening]
    connections: list[ConnectionDocument]
    journal: JournalFill
    dead_letters: Count


class MailboxFill(Document):
    """How full a mailbox is."""

    depth: Count
    capacity: Count
    high_water: Count
    oldest_age_s: Seconds | None
    in_hand: Count
    lobby: Count
    """What waits for room."""
    overflow: Overflow


class MemberCounts(Document):
    """What became of messages."""

    handled: Count
    failed: Count
    dropped: Count


class MemberDocument(Document):
    """One child that an actor has started for itself, such as one for each client."""

    name: str
    kind: Literal["child"]
    state: Literal["starting", "ready", "stopping"]
    mailbox: MailboxFill
    counts: MemberCounts
    about: dict[str, str | int]
    """What it tells of itself."""


class FamilyDocument(Document):
    """The children of an actor together."""

    count: Count
    started: Count
    """How many there ever were."""
    crashed: Count
    counts: MemberCounts
    shown: list[MemberDocument]
    """Those with the most in their mailboxes, as many as were asked for."""


class ActorCounts(MemberCounts):
    """What became of deliveries to it, and of the messages in its mailbox."""

    started: Count
    succeeded: Count
    refused: Count
    unknown: Count
    """Attempts of which nobody knows whether they had their effect."""
    in_flight: Count
    late: Count


class ActorDocument(Document):
    """One actor."""

    name: str
    kind: Literal["actor"]
    type: str
    roles: list[Literal["source", "target"]]
    state: State
    why: str
    """Why it is not ready; empty where it is."""
    mailbox: MailboxFill
    counts: ActorCounts
    restarts: Count
    last_error: str
    """What it was restarted for the last time; empty where it never was."""
    pause: PauseDocument | None
    available: bool
    """Whether it takes deliveries; false while its remote end is away."""
    unavailable_why: str
    about: dict[str, str | int]
    """What it tells of itself."""
    children: FamilyDocument | None


class LedgerDocument(Document):
    """Every message that a route has accepted is in one of the others, or the difference is not zero."""

    accepted: Count
    split_out: Count
    delivered: Count
    filtered: Count
    deduplicated: Count
    merged: Count
    dropped: Count
    expired: Count
    dead_lettered: Count
    returned: Count
    queued: Count
    in_flight: Count
    difference: int


class LatencyDocument(Document):
    """How long messages took from their acceptance to their end: half of them no longer than `p50`, and so on."""

    p50: Seconds
    p95: Seconds
    p99: Seconds


class RouteDocument(Document):
    """One route."""

    name: str
    kind: Literal["route"]
    sources: list[str]
    targets: list[str]
    state: State
    why: str
    """Why it is not ready; empty where it is."""
    durable: bool
    mailbox: MailboxFill
    backlog: Count
    """What is in the journal and not yet in memory."""
    ledger: LedgerDocument
    retries: Count
    refused_at_source: Count
    retrying: Count
    suspended: Count
    on_hold: Count
    """Messages that operators hold, and whose turn has come."""
    held_back: bool
    restarts: Count
    last_error: str
    """What its actor was restarted for the last time; empty where it never was."""
    pause: PauseDocument | None
    oldest_age_s: Seconds | None
    latency: LatencyDocument | None
    """Of those that ended within the last minute and are remembered; None where there are none."""


class ActorsDocument(Document):
    """All that runs, in the order of the topology."""

    actors: list[ActorDocument]
    routes: list[RouteDocument]


class OneDocument(RootModel[Annotated[ActorDocument | RouteDocument | MemberDocument, Field(discriminator="kind")]]):
    """An actor, a route, or a child that an actor has started for itself."""
