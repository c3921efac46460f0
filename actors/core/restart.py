"""What to do when an actor ended: pure decisions, as OTP's supervisors make them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Restart = Literal["permanent", "transient", "temporary"]
"""permanent: always started again; transient: after a crash; temporary: never."""

Strategy = Literal["one_for_one", "one_for_all", "rest_for_one"]


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """How often, and how soon, an actor is started again."""

    restart: Restart = "permanent"
    max_restarts: int = 5
    """More than these within `within_s`, and the actor is failed."""
    within_s: float = 30.0
    min_delay_s: float = 0.1
    max_delay_s: float = 30.0
    jitter: float = 0.2
    """The share by which a delay is made longer or shorter at random."""


@dataclass(frozen=True, slots=True)
class Again:
    """Start it again after `delay_s`; `history` is what to pass in next time."""

    delay_s: float
    history: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Leave:
    """It ended as it may: it stays ended."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """It restarted too often: failed, until an operator restarts it."""

    restarts: int


def decide(
    policy: RestartPolicy, history: Sequence[float], now: float, *, crashed: bool, random: float
) -> Again | Leave | GiveUp:
    """What follows when an actor ended at `now`.

    `history` holds the times of its earlier restarts (monotonic seconds, ascending); those before the window
    of `within_s` are forgotten, which is how the count resets after a quiet period. `random` is from [0, 1).
    The delay doubles with each restart in the window, from `min_delay_s` to `max_delay_s`.
    """
    if policy.restart == "temporary" or (policy.restart == "transient" and not crashed):
        return Leave()
    recent = tuple(at for at in history if now - at < policy.within_s)
    if len(recent) >= policy.max_restarts:
        return GiveUp(len(recent))
    delay = min(policy.max_delay_s, policy.min_delay_s * 2.0 ** min(len(recent), 60))
    delay *= 1.0 + policy.jitter * (2.0 * random - 1.0)
    return Again(min(delay, policy.max_delay_s), (*recent, now))


def affected(strategy: Strategy, children: Sequence[str], crashed: str) -> tuple[str, ...]:
    """Who restarts when `crashed` of the group `children` (in start order) crashed, in start order."""
    if strategy == "one_for_one":
        return (crashed,)
    if strategy == "one_for_all":
        return tuple(children)
    return tuple(children[list(children).index(crashed) :])
