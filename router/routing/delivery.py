"""One message on its way through one route, and the attempts at handing it to a target."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Literal

from actors.core.child import Child
from actors.core.errors import ActorCrashedError, DeliveryError, ExpressionError, MailboxFullError, Reason
from actors.core.mailbox import Envelope
from actors.core.message import Message, Receipt, Settlement
from actors.core.redelivery import Redelivery
from actors.core.step import Verdict

if TYPE_CHECKING:
    from router.routing.chain import Chain
    from router.routing.route import Route

Role = Literal["message", "split", "fan_out", "branch"]
"""A message; one that ended as several; one that goes to several targets; its way to one of those."""

DELIVERED: Final = Settlement("delivered")

PAST_STEPS: Final = 2**31 - 1
"""The position of what has all steps behind it, however many its route has by then."""


class Details:
    """What only some deliveries have, made when it is needed: most messages go straight to one target."""

    __slots__ = (
        "candidate",
        "candidates",
        "chain",
        "crashes",
        "done",
        "former",
        "held",
        "kept_key",
        "key",
        "last",
        "letter",
        "number",
        "parent",
        "path",
        "pending",
        "position",
        "role",
        "stale",
        "start",
        "suspect",
        "unrepeatable",
        "watchers",
        "way",
        "ways",
        "worst",
    )

    def __init__(self) -> None:
        self.role: Role = "message"
        self.key: str | None = None
        """What `order_by` made of it."""
        self.kept_key: str | None = None
        """What it had made of it before a crash, which the journal kept."""
        self.position = 0
        """How many steps it has behind it."""
        self.former: Chain | None = None
        """The steps that it was among when its route was given others: it goes through these to their end."""
        self.start = 0
        """How many it had behind it from the beginning, as a part of a split."""
        self.candidates: tuple[str, ...] = ()
        """The target and its fallbacks."""
        self.candidate = 0
        """Which of them is tried now."""
        self.stale = False
        """Its attempt began under another plan of the route: where it goes next is chosen anew."""
        self.held = False
        """An operator holds it: when its turn comes it is put on hold, until it is released."""
        self.crashes = 0
        """How often the route crashed with it in hand."""
        self.suspect = False
        """It was in the journal when the router died, so it is marked before it is taken in hand again."""
        self.unrepeatable = False
        """An attempt may have had its effect, and `on_unknown` says that it is not repeated: no source may do it."""
        self.parent: Delivery | None = None
        self.number = 0
        """As a part of a split: which, from 1."""
        self.path = ""
        """As a part of a part: which of that, and so on, each with a slash behind."""
        self.pending = 0
        """As a parent: how many parts or branches have not ended."""
        self.worst: Settlement | None = None
        self.ways: tuple[str, ...] = ()
        """As the parent of branches: the targets that they were chosen for."""
        self.way = ""
        """As a branch: the target that it was chosen for."""
        self.chain: deque[Delivery] | None = None
        """Parts that follow one after the other, since the route keeps an order."""
        self.done: frozenset[tuple[int, str]] = frozenset()
        """(part, target) of what had settled before a crash, or in an earlier attempt of its source."""
        self.watchers: list[Callable[[Settlement], None]] | None = None
        self.letter: str | None = None
        """The dead letter that it replays."""
        self.last: tuple[Reason, str] | None = None
        """Why the last attempt failed."""


class Delivery(Envelope):
    """A message in a route's hands; in a target's mailbox it is the envelope and the one to reply to.

    One object serves from acceptance to the end, since making a second one for the attempt is a tenth of what
    a hop costs. When an attempt ends without an answer, the target keeps this one and the route goes on with
    a `successor`, so that a late answer meets nobody.
    """

    __slots__ = ("accepted_at", "attempt", "details", "entered", "receipt", "route", "row", "target")

    message: Message

    def __init__(self, route: Route, message: Message, receipt: Receipt | None, now: float) -> None:
        self.message = message
        self.enqueued_at = self.accepted_at = now
        self.receipt = receipt
        self.route: Route | None = route
        """None as soon as it has ended, or somebody else goes on with it."""
        self.row = 0
        """Its row in the journal; 0 where it has none."""
        self.target: Child | None = None
        self.attempt = 1
        self.details: Details | None = None
        self.entered: Message | None = None
        """As it was before the steps, where they have changed it."""

    def more(self) -> Details:
        """Its details, made where it has none."""
        if self.details is None:
            self.details = Details()
        return self.details

    def choose_anew(self) -> None:
        """Where it goes is chosen again when it goes on, behind the steps; its attempt stays as it is."""
        details = self.more()
        details.candidates, details.candidate, details.stale = (), 0, False
        details.position = PAST_STEPS

    def successor(self) -> Delivery:
        """Another one that goes on in its place."""
        route = self.route
        assert route is not None
        other = Delivery(route, self.message, self.receipt, self.enqueued_at)
        other.row, other.attempt, other.details = self.row, self.attempt, self.details
        other.entered, other.accepted_at = self.entered, self.accepted_at
        self.route = None
        self.receipt = None
        return other

    @property
    def sender(self) -> str:
        return self.route.name if self.route is not None else ""

    @property
    def redelivery(self) -> Redelivery | None:
        """What its source says of it, where that sends again by itself what failed."""
        receipt = self.root.receipt
        return receipt.redelivery if receipt is not None else None

    @property
    def root(self) -> Delivery:
        """The one that was accepted, of which this may be a part or a branch."""
        above = self.details.parent if self.details is not None else None
        return self if above is None else above.root

    @property
    def place(self) -> tuple[int, str]:
        """Which part of the root it is (0: all of it), and the target it was chosen for, as the journal has it.

        A part of a part has its path before the target's name; one that came to no target has no name there.
        """
        details = self.more()
        chosen = details.way or (
            details.candidates[0] if details.candidates else self.target.name if self.target else ""
        )
        return details.number, details.path + chosen

    @property
    def is_message(self) -> bool:
        """Whether it counts in the ledger: not one that was split, nor one of several branches."""
        return self.details is None or self.details.role in ("message", "fan_out")

    def __repr__(self) -> str:
        # Pykka's shows `reply_to`, which is the delivery itself; removing from a deque may ask for it.
        return f"Delivery({self.message.id!r}, attempt={self.attempt})"

    def __del__(self) -> None:
        if self.route is not None:
            self.route.lost(self)

    # As an envelope: the target's actor replies here

    @property
    def reply_to(self) -> Delivery:  # type: ignore[override]  # a slot in Envelope; here always the delivery itself
        return self

    def answer(self, reply: Any) -> None:
        """The target took it."""
        if self.route is not None:
            self.route.attempts.succeeded(self, reply)
        elif self.target is not None:
            self.target.late += 1

    def set(self, value: Any = None) -> None:
        """The target took it, in pykka's words."""
        self.answer(value)

    def set_exception(self, exc_info: Any = None) -> None:
        """The target did not take it, or crashed."""
        if self.route is not None:
            self.route.attempts.failed(self, as_delivery_error(exc_info[1]))
        elif self.target is not None:
            self.target.late += 1

    def readdressed(self, to: Child) -> None:
        """The target was replaced while this waited for it: its attempt is still to come, at the other."""
        assert self.target is not None, "its attempt is under way"
        self.target.started -= 1
        to.started += 1
        self.target = to

    def dropped(self, reason: str) -> None:
        """The target's mailbox gave it up, as its policy says."""
        if self.route is not None:
            self.route.attempts.dropped(self, reason)

    # As a passage: the route's steps hold on to it

    def watch(self, settled: Callable[[Settlement], None]) -> None:
        details = self.more()
        if details.watchers is None:
            details.watchers = []
        details.watchers.append(settled)

    def resume(self, message: Message) -> None:
        if self.route is not None:
            self.route.holder(self).resume(self, message)

    def conclude(self, verdict: Verdict) -> None:
        if self.route is not None:
            self.route.holder(self).conclude(self, verdict)


def as_delivery_error(error: BaseException) -> DeliveryError:
    """What a target raised, as a failed attempt: its reason and whether repeating it can help."""
    match error:
        case DeliveryError():
            return error
        case ExpressionError():
            return DeliveryError(str(error), reason="expression", retryable=False)
        case ActorCrashedError():
            return DeliveryError(str(error), reason="crashed")
        case MailboxFullError():
            return DeliveryError(str(error), reason="full")
        case _:
            return DeliveryError(f"{type(error).__name__}: {error}", reason="crashed")
