"""What the API answers when operators pause, drain, resume or restart something, and hold, release or drop messages."""

from __future__ import annotations

from actors.core.child import State
from router.control.documents import Count, Document
from router.control.lanes import State as Place
from router.store.pauses import PauseKind


class HeldBackDocument(Document):
    """What else stands still."""

    sources: list[str]
    """Sources that are refused: HTTP answers 503, MQTT waits."""
    routes: list[str]
    """Routes that get nothing because they share a source with it, or that wait for a target."""
    fall_back: list[str]
    """Routes that use their fallback meanwhile."""


class PausedDocument(Document):
    """Something stands still until it is resumed."""

    name: str
    kind: PauseKind
    held_back: HeldBackDocument


class DrainedDocument(PausedDocument):
    """Something takes nothing more in until it is resumed."""

    left: Count
    """Messages that have not ended in time; they go on all the same."""


class ResumedDocument(Document):
    """Something goes on."""

    name: str
    kind: PauseKind
    resumed: bool
    """False where it was neither paused nor drained."""


class RestartedDocument(Document):
    """Something was ended and started anew."""

    name: str
    kind: PauseKind
    state: State
    why: str
    """Why it is not ready; empty where it is."""


class TouchedMessage(Document):
    """One delivery of a message: there are several where it goes to several targets."""

    route: str
    target: str | None
    """The actor it was at, or would have been tried at next."""
    state: Place
    """Where it was."""


class UntouchedMessage(TouchedMessage):
    """A delivery for which it could not be done."""

    why: str


class TouchedDocument(Document):
    """What was done with a message; at least one delivery of it."""

    name: str
    id: str
    done: list[TouchedMessage]
    refused: list[UntouchedMessage]
