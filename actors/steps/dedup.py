"""Lets the first message of a key pass, and ends its copies as deduplicated."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from actors.core.events import Notice
from actors.core.message import Message, Outcome, Settlement
from actors.core.spec import Options
from actors.core.step import DEDUPLICATED, HOLD, Passage, StepContext, StepResult, step
from actors.kit.expressions import Template
from actors.kit.units import Between, Duration

ENDED_WELL: Final[frozenset[Outcome]] = frozenset(("delivered", "filtered", "deduplicated", "merged"))
"""How a message ends that makes its copies superfluous."""

LONGEST_KEY: Final = 128
"""In characters; of longer keys a hash is kept, so that `max_keys` bounds the memory."""

FORGOTTEN_AT_ONCE: Final = 100
"""Expired keys that one message removes: after a quiet night the first one shall not remove a million."""


class DedupOptions(Options):
    """What makes two messages copies of each other, and for how long."""

    key: Template
    """What copies have in common: `"{{ data.message_id }}"`. A message with an empty key is not deduplicated."""
    window: Annotated[Duration, Between("1s", "366d")] = Field(default=Duration("1h"), alias="for")
    """How long a key is remembered, from the moment at which its first message came."""
    max_keys: int = Field(default=1_000_000, ge=1, le=100_000_000)
    """Keys remembered at once, about 200 bytes each; beyond it the oldest are forgotten before their time."""

    @field_validator("key")
    @classmethod
    def _differs(cls, key: Template) -> Template:
        if key.is_constant:
            reason = f"all messages would be copies of the first: '{key.source}' is the key of each"
            raise PydanticCustomError("constant_key", "{reason}", {"reason": reason})
        return key


@step("dedup", options=DedupOptions, repeatable=True)
class Dedup:
    """Lets the first message of a key pass, and ends its copies as deduplicated.

        steps:
          - dedup: {key: "{{ data.message_id }}", for: 1h}

    The key is reserved for the message that came first. Its copies are deduplicated once that one has ended
    well: delivered, filtered, merged, or deduplicated by another step. While it is under way they wait, which
    is neither acknowledged nor lost; where it fails (dead-lettered, expired, dropped) the key is free again,
    and the copy that has waited longest takes its place. Copies that wait count towards the route's
    `max_waiting`, beyond which its sources are held back.

    Keys are remembered over restarts, by each step of each route for itself. A message that comes again after
    a crash meets its own reservation and passes. Whether two messages are copies is for the key alone to say,
    so two requests with one id are copies too. A message whose key is empty passes, and is counted. A key
    that cannot be rendered fails the message with reason `expression`: write `{{ data.id | default('') }}`
    where it may be absent.
    """

    __slots__ = ("_events", "_memory", "_route", "_template", "_time", "empty_keys")

    def __init__(self, options: DedupOptions, context: StepContext) -> None:
        self._template = options.key
        self._time = context.clock.time
        self._events = context.events
        self._route = context.route
        self._memory = Memory(options, context)
        self.empty_keys = 0
        """Messages that passed because their key was empty."""

    def inherit(self, predecessor: Dedup) -> bool:
        """Share the memory of `predecessor`, which messages that are among its steps still ask.

        With another key template its keys mean nothing here; false then.
        """
        if predecessor._template != self._template:
            return False
        memory, limits = predecessor._memory, self._memory
        memory.window_s, memory.max_keys = limits.window_s, limits.max_keys
        memory.make_room()
        self._memory = memory
        return True

    def __call__(self, message: Message, passage: Passage) -> StepResult:
        now_s = self._time()
        key = self._key(message, now_s)
        if not key:
            return message
        memory = self._memory
        reservation = memory.unsettled.get(key)
        if reservation is None:
            if memory.remembers(key, now_s):
                return DEDUPLICATED
            memory.forget(now_s)
        elif reservation.passage is passage:
            return message
        elif reservation.passage is not None:
            reservation.waiting.append((message, passage))
            return HOLD
        else:
            # Its message died with an earlier process, and may be this one. It need not bear the same id: what
            # was in no journal comes again under another one, or never. So whoever comes first takes its place.
            memory.release(reservation)
        memory.reserve(key, message.id, passage, [])
        return message

    def adopt(self, message_id: str, passage: Passage) -> None:
        """Take up the reservations of a message that passed in an earlier life, and goes on behind this step."""
        self._memory.adopt(message_id, passage)

    @property
    def keys(self) -> int:
        """How many are remembered."""
        return len(self._memory)

    @property
    def forgotten_early(self) -> int:
        """Keys that made room for others before their time."""
        return self._memory.forgotten_early

    def _key(self, message: Message, now_s: float) -> str:
        value = self._template.render(message, now_s)
        key = value if isinstance(value, str) else "" if value is None else _text(value)
        if not key:
            self.empty_keys += 1
            if self.empty_keys == 1:
                text = f"route {self._route}: a message passes with an empty dedup key; more are only counted"
                self._events.emit(Notice(text, "warning", (("route", self._route), ("message_id", message.id))))
        elif len(key) > LONGEST_KEY:
            key = hashlib.blake2b(key.encode(errors="surrogatepass"), digest_size=32).hexdigest()
        return key


class Memory:
    """The keys that a step knows. Where another step takes its place in a running route, both have the same memory."""

    __slots__ = (
        "_events",
        "_orphans",
        "_reservations",
        "_route",
        "_settled",
        "_step",
        "_time",
        "forgotten_early",
        "max_keys",
        "unsettled",
        "window_s",
    )

    def __init__(self, options: DedupOptions, context: StepContext) -> None:
        self.window_s = float(options.window)
        self.max_keys = options.max_keys
        self._time = context.clock.time
        self._events = context.events
        self._route = context.route
        # Not its position: it may come to stand elsewhere, with all that it knows. Of two that make their keys alike,
        # the second sees perhaps what the first one's messages were split into.
        twins = sum(other.key == options.key for other in context.earlier)
        self._step = f"dedup {options.key.source} {twins}"
        self._reservations = context.reservations
        self.unsettled: dict[str, Reservation] = {}
        self._settled: OrderedDict[str, float] = OrderedDict()
        """When each key expires; in the order of settling, which is nearly that of expiring."""
        self._orphans: dict[str, list[Reservation]] = {}
        """By message id: reservations of an earlier life whose message has not come back yet."""
        self.forgotten_early = 0
        self._load()

    def __len__(self) -> int:
        return len(self.unsettled) + len(self._settled)

    def reserve(self, key: str, owner: str, passage: Passage, waiting: list[tuple[Message, Passage]]) -> None:
        """The key is the message's that has this id, and this way through the route, until it has ended."""
        expires = self._time() + self.window_s
        self.unsettled[key] = reservation = Reservation(self, key, owner, expires, waiting)
        reservation.number = self._reservations.reserve(self._route, self._step, key, owner, expires)
        reservation.watch(passage)

    def release(self, reservation: Reservation) -> None:
        """Forget it on disk; what follows is the caller's to say."""
        self._reservations.release(reservation.number)

    def adopt(self, message_id: str, passage: Passage) -> None:
        """Take up the reservations of a message that passed in an earlier life."""
        for reservation in self._orphans.pop(message_id, ()):
            if self.unsettled.get(reservation.key) is reservation:
                reservation.watch(passage)

    def settled(self, reservation: Reservation, settlement: Settlement) -> None:
        """The message that a key is reserved for has ended."""
        key, waiting = reservation.key, reservation.waiting
        if settlement.outcome in ENDED_WELL:
            del self.unsettled[key]
            self._settled[key] = reservation.expires
            self._reservations.settle(reservation.number)
            self.make_room()
            for _, passage in waiting:
                passage.conclude(DEDUPLICATED)
        elif waiting:
            message, passage = waiting.pop(0)
            self.release(reservation)
            self.reserve(key, message.id, passage, waiting)
            passage.resume(message)
        else:
            del self.unsettled[key]
            self.release(reservation)

    def remembers(self, key: str, now_s: float) -> bool:
        """Whether its message has ended well, not too long ago."""
        expires = self._settled.get(key)
        if expires is None:
            return False
        if expires > now_s:
            return True
        del self._settled[key]
        return False

    def forget(self, now_s: float) -> None:
        """Remove the oldest of what has expired; what is left of it is looked at before it counts."""
        for _ in range(FORGOTTEN_AT_ONCE):
            key = next(iter(self._settled), None)
            if key is None or self._settled[key] > now_s:
                return
            del self._settled[key]

    def make_room(self) -> None:
        """Keep to `max_keys`."""
        while len(self) > self.max_keys and self._settled:
            self._settled.popitem(last=False)
            self.forgotten_early += 1
            if self.forgotten_early == 1:
                text = f"route {self._route}: dedup holds max_keys ({self.max_keys}) and forgets the oldest"
                self._events.emit(Notice(text, "warning", (("route", self._route),)))

    def _load(self) -> None:
        now_s = self._time()
        rows = self._reservations.load(self._route, self._step)
        for row in sorted(rows, key=lambda row: row.expires):
            if row.expires <= now_s:
                continue
            if row.settled:
                self._settled[row.key] = row.expires
            else:
                reservation = self.unsettled[row.key] = Reservation(self, row.key, row.owner, row.expires, [])
                reservation.number = row.number
                self._orphans.setdefault(row.owner, []).append(reservation)
        self.make_room()


class Reservation:
    """A key, the message it is reserved for, and the copies that wait for its end."""

    __slots__ = ("expires", "key", "memory", "number", "owner", "passage", "waiting")

    def __init__(
        self,
        memory: Memory,
        key: str,
        owner: str,
        expires: float,
        waiting: list[tuple[Message, Passage]],
    ) -> None:
        self.memory = memory
        self.key = key
        self.owner = owner
        """The id of the message."""
        self.expires = expires
        """Epoch seconds. It counts once the message has ended."""
        self.passage: Passage | None = None
        """The message's way through the route; None after a restart until it has come back, and at the end."""
        self.waiting = waiting
        self.number = 0
        """What the store knows it by."""

    def watch(self, passage: Passage) -> None:
        """The message is under way."""
        self.passage = passage
        passage.watch(self._ended)

    def _ended(self, settlement: Settlement) -> None:
        self.passage = None
        self.memory.settled(self, settlement)


def _text(value: Any) -> str:
    """The same text for equal values, whatever the order of their fields."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return str(value)
