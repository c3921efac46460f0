"""Pure decisions: which targets a message goes to, and what follows a failed attempt."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from math import log
from typing import Literal

from actors.core.errors import Reason
from actors.core.message import Message
from actors.core.redelivery import Redelivery
from actors.kit.backoff import Backoff

Targets = tuple[str, ...]
Chooser = Callable[[Message], Targets]
"""The names of the actors a message goes to; an empty tuple says that it is unroutable."""

Condition = Callable[[Message], bool]


def always(targets: Targets) -> Chooser:
    """Every message goes to all of `targets`."""
    return lambda _: targets


def first_match(cases: Sequence[tuple[Condition, Targets]], otherwise: Targets) -> Chooser:
    """A message goes where the first condition that holds says, else to `otherwise`."""
    fixed = tuple(cases)

    def choose(message: Message) -> Targets:
        for holds, targets in fixed:
            if holds(message):
                return targets
        return otherwise

    return choose


def weighted(weights: Mapping[str, float], key_of: Callable[[Message], str]) -> Chooser:
    """A message goes to one of the targets, in proportion to their weights, and to the same one for the same key.

    Weighted rendezvous hashing: each target draws a number from (0, 1) by hashing its name and the key, and the
    highest `-weight / ln(draw)` wins. Since no target's score depends on another's, a weight that grows moves
    keys to its own target alone, and one that shrinks moves keys from there alone. The order of the mapping
    and the process do not matter. An empty key is the message's id; without a weight above 0 there is no target.
    """
    # Sorted, so that of equal scores the first name wins wherever it stands in the mapping. No name holds a NUL.
    lines = [(name.encode() + b"\0", -weight, (name,)) for name, weight in sorted(weights.items()) if weight > 0]
    if len(lines) < 2:
        return always(lines[0][2] if lines else ())

    def choose(message: Message) -> Targets:
        key = (key_of(message) or message.id).encode(errors="surrogatepass")
        chosen: Targets = ()
        highest = -1.0
        for prefix, negative, targets in lines:
            number = int.from_bytes(blake2b(prefix + key, digest_size=8).digest()) >> 12
            # 52 bits and a half: a float holds that exactly, and neither 0 nor 1 can come of it.
            score = negative / log((number + 0.5) * 2.0**-52)
            if score > highest:
                highest, chosen = score, targets
        return chosen

    return choose


OnUnknown = Literal["retry", "fallback", "dead_letter"]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a target is tried, and with what pauses."""

    attempts: int = 5
    backoff: Backoff = field(default_factory=Backoff)
    on_unknown: OnUnknown = "retry"


def redelivered(policy: RetryPolicy, redelivery: Redelivery, *, unrepeatable: bool) -> RetryPolicy:
    """A route's policy for what its source sends again by itself: as often as that says.

    What is `unrepeatable` has no attempt but this one: the next would be at the target that may have it already.
    """
    attempts = redelivery.attempt if unrepeatable else redelivery.attempts
    return RetryPolicy(attempts, policy.backoff, policy.on_unknown)


@dataclass(frozen=True, slots=True)
class TryAgain:
    """The same target, after `delay_s`."""

    delay_s: float


@dataclass(frozen=True, slots=True)
class TryNext:
    """The next fallback, now."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The dead letter."""


def after_failure(
    policy: RetryPolicy,
    *,
    reason: Reason,
    retryable: bool,
    retry_after_s: float | None,
    attempt: int,
    more_targets: bool,
    random: float,
) -> TryAgain | TryNext | GiveUp:
    """What follows when attempt number `attempt` (from 1) at a target failed.

    Retry with backoff, then the fallbacks, then the dead letter; what no repetition can change skips the
    retries, and `unknown` follows `on_unknown`. `retry_after_s`, which the remote end asked for, is kept if
    it is longer than the backoff. `random` is from [0, 1).
    """
    following: TryNext | GiveUp = TryNext() if more_targets else GiveUp()
    if reason == "unknown" and policy.on_unknown != "retry":
        return following if policy.on_unknown == "fallback" else GiveUp()
    if reason == "crashed" and attempt >= policy.attempts:
        return GiveUp()
    if not retryable or attempt >= policy.attempts:
        return following
    return TryAgain(max(policy.backoff.delay(attempt, random), retry_after_s or 0.0))
