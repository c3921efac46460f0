"""Pure decisions: which targets a message goes to, and what follows a failed attempt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from actors.core.errors import Reason
from actors.core.message import Message
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


OnUnknown = Literal["retry", "fallback", "dead_letter"]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a target is tried, and with what pauses."""

    attempts: int = 5
    backoff: Backoff = field(default_factory=Backoff)
    on_unknown: OnUnknown = "retry"


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
