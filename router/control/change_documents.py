"""What the API answers about changes of the running router, and about the revisions that came of them."""

from __future__ import annotations

from typing import Literal

from router.change.diff import ActorFate, RouteFate
from router.control.documents import Count, Document, Seconds
from router.store.revisions import Action, Status


class TopologyProblem(Document):
    """One thing that is wrong with a topology, or worth a warning."""

    file: str
    line: Count
    """From 1; 0 where the whole file is meant."""
    column: Count
    length: Count
    severity: Literal["error", "warning"]
    message: str
    suggestion: str
    source: str
    """The line of the file, with secrets masked."""


class ActorPlan(Document):
    """What becomes of an actor."""

    name: str
    fate: ActorFate
    """`beside`: the new one starts beside the old one; `handed_over`: so too, and takes over what only one can hold;
    `break`: the old one has to end before the new one starts."""
    why: list[str]
    """The options that differ."""
    waiting: Count
    """Messages in its mailbox, which go to its successor."""
    in_hand: Count
    """Messages that it works on, which end where they are."""
    gap: bool
    """Whether it is not there for a moment."""


class RoutePlan(Document):
    """What becomes of a route."""

    name: str
    fate: RouteFate
    why: list[str]
    """The keys that differ."""
    queued: Count
    in_flight: Count


class PlanDocument(Document):
    """What a change does."""

    empty: bool
    """Nothing runs otherwise than before."""
    actors: list[ActorPlan]
    routes: list[RoutePlan]
    connections: list[str]
    """Those that are opened anew."""
    settings: list[str]
    """Those that take effect at the next start."""
    promises: list[str]
    """What is promised no longer."""
    left_behind: list[str]
    """Queues with jobs that nobody here works any more, a sentence each."""


class Planned(Document):
    """What a change would do now. Nothing was done."""

    revision: int | None
    """The one that runs."""
    plan: PlanDocument
    warnings: list[TopologyProblem]


class Side(Document):
    """A route's ledger at one moment."""

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


class RouteReport(Document):
    """One route before and after a change."""

    route: str
    before: Side
    after: Side
    difference: int


class GapDocument(Document):
    """How long an actor was not there."""

    actor: str
    seconds: Seconds


class Report(Document):
    """What became of all messages of the routes that a change touched."""

    difference: Count
    """Zero, or the router has a defect."""
    seconds: Seconds
    """From the switch to the end of what was no longer used."""
    routes: list[RouteReport]
    gaps: list[GapDocument]


class ChangedDocument(Document):
    """What a change did."""

    revision: int | None
    """The one that came of it; none where nothing differed."""
    plan: PlanDocument
    report: Report | None
    remarks: list[str]
    warnings: list[TopologyProblem]


class RevisionLineDocument(Document):
    """A topology that ran, or was to run."""

    number: int
    at: float
    """Epoch seconds."""
    name: str
    """The topology's."""
    action: Action
    who: str
    status: Status
    why: str | None
    """Why it failed."""
    base: int | None
    """The revision that it was made from."""
    path: str | None
    """The file that it is, or that it was edited from."""
    from_file: bool
    """Whether that file held this text."""


class RevisionDocument(RevisionLineDocument):
    """All of a revision."""

    text: str | None
    """As written, with `${…}` as it stands there. Only for admins, since secrets may be written in it."""
    report: Report | None


class RevisionPage(Document):
    """A page of the history, the newest first."""

    running: int | None
    """The number of the one that runs."""
    under_way: str | None
    """The change that is being carried out, and by whom."""
    revisions: list[RevisionLineDocument]
