"""What travels: an immutable message, and the receipt beside it that settles exactly once."""

from __future__ import annotations

import os
import time as _time
from collections.abc import Mapping, Sequence
from itertools import count
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple

import msgpack

from actors.core.errors import RouterError
from actors.core.redelivery import WHOLE, Redelivery

Outcome = Literal["delivered", "filtered", "deduplicated", "merged", "dropped", "expired", "dead_lettered", "returned"]
"""How a message ends on a route; `returned`: given back to the queue it came from, which sends it again."""

OUTCOMES: Final[tuple[Outcome, ...]] = (
    "delivered",
    "filtered",
    "deduplicated",
    "merged",
    "dropped",
    "expired",
    "dead_lettered",
    "returned",
)

BIG_INTEGER: Final = 1
"""The type of msgpack's extension for what has more than 64 bits."""

NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})
NO_ATTRIBUTES: Final[Mapping[str, Any]] = MappingProxyType({})

_prefix = f"{int(_time.time()) & 0xFFFFFF:06x}{os.urandom(3).hex()}"
_counter = count(1)


def new_id() -> str:
    """An id that no other process makes: a random prefix of this process and a counter (0.1 µs, no UUID)."""
    return f"{_prefix}-{next(_counter)}"


class Message(NamedTuple):
    """A CloudEvents 1.0 event with string headers; immutable, and ignorant of acknowledgement.

    A named tuple, since it is the cheapest immutable value there is: 0.2 µs, where a frozen dataclass takes
    2 to 3. What few messages carry lives in `attributes`, keyed by the CloudEvents name: `subject`,
    `datacontenttype`, `correlationid`, `partitionkey`, `expirytime` (epoch seconds), `replyto`,
    `traceparent`, `tenant`; the properties below read them and are None where absent.
    """

    id: str
    """Unique within `source`; the idempotency key of every delivery."""
    source: str
    """The actor the message came in by."""
    data: Any
    """The decoded payload: JSON-like values, text or bytes."""
    headers: Mapping[str, str] = NO_HEADERS
    type: str = "message"
    time: float = 0.0
    """When it came in, epoch seconds."""
    attributes: Mapping[str, Any] = NO_ATTRIBUTES

    @property
    def subject(self) -> str | None:
        return self.attributes.get("subject")

    @property
    def datacontenttype(self) -> str | None:
        return self.attributes.get("datacontenttype")

    @property
    def correlationid(self) -> str | None:
        return self.attributes.get("correlationid")

    @property
    def key(self) -> str | None:
        """The partition key."""
        return self.attributes.get("partitionkey")

    @property
    def expirytime(self) -> float | None:
        """Epoch seconds after which nobody wants it any more."""
        return self.attributes.get("expirytime")

    @property
    def replyto(self) -> str | None:
        return self.attributes.get("replyto")

    @property
    def traceparent(self) -> str | None:
        return self.attributes.get("traceparent")

    @property
    def tenant(self) -> str | None:
        return self.attributes.get("tenant")

    def with_data(self, data: Any) -> Message:
        """The same message with another payload."""
        return Message(self.id, self.source, data, self.headers, self.type, self.time, self.attributes)

    def with_headers(self, headers: Mapping[str, str]) -> Message:
        """The same message with these headers in place of its own."""
        return Message(self.id, self.source, self.data, headers, self.type, self.time, self.attributes)

    def with_attributes(self, **attributes: Any) -> Message:
        """The same message with these attributes set, or removed where they are None."""
        merged = {name: value for name, value in {**self.attributes, **attributes}.items() if value is not None}
        return Message(self.id, self.source, self.data, self.headers, self.type, self.time, merged)

    def child(self, number: int, data: Any) -> Message:
        """The `number`-th part of a split, from 1: its id is the parent's with `-number` behind."""
        return Message(f"{self.id}-{number}", self.source, data, self.headers, self.type, self.time, self.attributes)

    def to_bytes(self) -> bytes:
        """The message as msgpack, for journals and for other processes."""
        packed: bytes = msgpack.packb(
            [
                self.id,
                self.source,
                self.data,
                dict(self.headers) or None,
                self.type,
                self.time,
                dict(self.attributes) or None,
            ],
            datetime=True,
            default=_packable,
            unicode_errors="surrogatepass",
        )
        return packed

    @classmethod
    def from_bytes(cls, packed: bytes) -> Message:
        """The inverse of `to_bytes`."""
        id_, source, data, headers, type_, time, attributes = msgpack.unpackb(
            packed, timestamp=3, strict_map_key=False, ext_hook=_unpacked, unicode_errors="surrogatepass"
        )
        return cls(id_, source, data, headers or NO_HEADERS, type_, time, attributes or NO_ATTRIBUTES)


def _packable(value: Any) -> msgpack.ExtType:
    """JSON knows integers of any size, and msgpack only those of 64 bits."""
    if type(value) is int:
        return msgpack.ExtType(BIG_INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))
    raise TypeError(f"a message cannot carry a {type(value).__name__}")


def _unpacked(code: int, packed: bytes) -> Any:
    return int.from_bytes(packed, "big", signed=True) if code == BIG_INTEGER else msgpack.ExtType(code, packed)


class Settlement(NamedTuple):
    """How a receipt settled."""

    outcome: Outcome
    reason: str | None = None
    """For `dropped`, `dead_lettered` and `returned`: why."""
    reply: Any = None
    """What the target answered, where it answers."""
    retry_after_s: float | None = None
    """For `returned`: when it may be sent again at the earliest, where the remote end has said that."""


class Receipt:
    """Travels beside a message from its source and settles exactly once.

    A source makes one for each message that somebody waits for, and overrides `on_accepted` and `on_settled`.
    Both run on the loop's thread and must not block. `accept` says that every route has the message safe: in
    its journal, in a queue, or settled. `refuse` says that it could not be made safe: the source must not
    acknowledge.
    """

    __slots__ = ("accepted", "refused", "settlement")

    def __init__(self) -> None:
        self.accepted = False
        self.refused = False
        self.settlement: Settlement | None = None

    @property
    def until_accepted(self) -> bool:
        """Whether its source waits for nothing behind `accept`: then nobody need keep it any longer."""
        return False

    @property
    def late(self) -> bool:
        """Whether nobody waits for its end any more, so that a reply reaches nobody."""
        return False

    @property
    def redelivery(self) -> Redelivery | None:
        """Where its source sends again by itself what failed: which attempt this is. Routes do not repeat it then."""
        return None

    def accept(self) -> None:
        """Every route has the message safe; a second call does nothing."""
        if not self.accepted and not self.refused:
            self.accepted = True
            self.on_accepted()

    def settle(self, settlement: Settlement) -> None:
        """The message ended; settling implies acceptance. A second call does nothing."""
        if self.settlement is None and not self.refused:
            self.settlement = settlement
            self.on_settled(settlement)
            self.accept()

    def refuse(self, error: RouterError) -> None:
        """A route could not keep the message (a `StorageError`, say); after the first call the rest does nothing."""
        if self.settlement is None and not self.accepted and not self.refused:
            self.refused = True
            self.on_refused(error)

    def on_accepted(self) -> None:
        """For the source: it may acknowledge now."""

    def on_refused(self, error: RouterError) -> None:
        """For the source: it must not acknowledge; whoever sent the message should send it again."""

    def on_settled(self, settlement: Settlement) -> None:
        """For the source: the message ended like this."""

    def split(self, parts: int) -> list[Receipt]:
        """Receipts for `parts` ways; this one is accepted when all are, and settles when all have settled."""
        fan = _Fan(self, parts)
        return [_Part(fan) for _ in range(parts)]

    def split_by(self, routes: Sequence[str]) -> list[Receipt]:
        """As `split`, for whole routes: those on which the message has ended are not offered it again."""
        if self.redelivery is None:
            return self.split(len(routes))
        fan = _Fan(self, len(routes))
        return [_RoutePart(fan, route) for route in routes]


_SEVERITY: Final = {outcome: number for number, outcome in enumerate(OUTCOMES)}


class _Fan:
    """What the parts of a split receipt have in common."""

    __slots__ = ("accepting", "receipt", "settling", "worst")

    def __init__(self, receipt: Receipt, parts: int) -> None:
        self.receipt = receipt
        self.accepting = parts
        self.settling = parts
        self.worst: Settlement | None = None


class _Part(Receipt):
    __slots__ = ("_fan",)

    def __init__(self, fan: _Fan) -> None:
        super().__init__()
        self._fan = fan

    @property
    def until_accepted(self) -> bool:
        return self._fan.receipt.until_accepted

    @property
    def redelivery(self) -> Redelivery | None:
        return self._fan.receipt.redelivery

    def on_accepted(self) -> None:
        fan = self._fan
        fan.accepting -= 1
        if not fan.accepting:
            fan.receipt.accept()

    def on_refused(self, error: RouterError) -> None:
        self._fan.receipt.refuse(error)

    def on_settled(self, settlement: Settlement) -> None:
        fan = self._fan
        fan.settling -= 1
        fan.worst = worse(fan.worst, settlement)
        if not fan.settling:
            fan.receipt.settle(fan.worst)


class _RoutePart(_Part):
    """The way through one of several routes, of a message that its source sends again where one of them fails."""

    __slots__ = ("_route",)

    def __init__(self, fan: _Fan, route: str) -> None:
        super().__init__(fan)
        self._route = route

    def on_settled(self, settlement: Settlement) -> None:
        redelivery = self.redelivery
        if redelivery is not None and settlement.outcome != "returned":
            redelivery.record(self._route, WHOLE)
        super().on_settled(settlement)


def worse(one: Settlement | None, other: Settlement) -> Settlement:
    """Of two settlements the one that decides what follows: `returned`, then what an operator would rather hear of.

    A message of which one way is to be repeated is repeated, and not before all ends that said when have said so.
    """
    if one is None or _SEVERITY[other.outcome] > _SEVERITY[one.outcome]:
        return other
    if (other.retry_after_s or 0.0) > (one.retry_after_s or 0.0):
        return one._replace(retry_after_s=other.retry_after_s)
    return one


class Reply(NamedTuple):
    """What a target answered."""

    data: Any = None
    headers: Mapping[str, str] = NO_HEADERS
    status: int = 200
    """As HTTP has it."""
    content_type: str | None = None
