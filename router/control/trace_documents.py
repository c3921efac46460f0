"""What the API answers about one message's way."""

from __future__ import annotations

from actors.core.message import Outcome
from router.control.documents import Count, Document, Seconds
from router.control.lanes import State
from router.telemetry.traces import What


class HappeningDocument(Document):
    """One thing that happened to a message, or around it."""

    at: float
    """Epoch seconds."""
    after_s: Seconds
    """Since the first of them."""
    what: What
    """`accepted` by a route, `handed_over` to a target, `attempt_failed`, `ended`, still `under_way`; its route was
    `suspended` and `resumed`; another revision runs since (`switched`); `reply_lost`: nobody waited for it any more;
    `lost`, which is a defect."""
    id: str | None
    """The message's, or that of a part of it, such as `id-2`; None for what happened to the route or to the router."""
    route: str | None
    target: str | None
    targets: list[str]
    """Of a message that went to several."""
    attempt: Count | None
    steps: list[str]
    """That it had behind it."""
    step: str | None
    """That ended it, or that split it."""
    whole: bool
    """Whether it was split into parts, which have all ended; the outcome is that of the worst."""
    outcome: Outcome | None
    reason: str | None
    """Why it ended like this, or the class of the failure."""
    error: str | None
    retry_in_s: Seconds | None
    state: State | None
    """Where it is."""
    letter: str | None
    """The dead letter that it replays."""
    source: str | None
    """By which it came in."""
    revision: Count | None


class TraceDocument(Document):
    """One message's way, in order, over all routes that it took."""

    id: str
    under_way: bool
    """Whether some of it has not ended."""
    happenings: list[HappeningDocument]
    remembered: Count
    """Ends of messages, and of their parts and branches, that are remembered."""
    since: float | None
    """When the first of these was: epoch seconds."""
