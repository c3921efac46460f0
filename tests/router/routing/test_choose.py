"""Pure decisions: which targets, and what follows a failed attempt."""

from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from actors.core.errors import Reason
from actors.core.message import Message
from actors.core.redelivery import Redelivery
from actors.kit.backoff import Backoff
from router.routing.choose import (
    GiveUp,
    OnUnknown,
    RetryPolicy,
    TryAgain,
    TryNext,
    after_failure,
    always,
    first_match,
    redelivered,
)

REASONS: st.SearchStrategy[Reason] = st.sampled_from(get_args(Reason))
POLICIES = st.builds(
    RetryPolicy,
    attempts=st.integers(1, 10),
    backoff=st.builds(Backoff, st.just("exponential"), st.just(1.0), st.just(60.0), st.floats(0.0, 1.0)),
    on_unknown=st.sampled_from(get_args(OnUnknown)),
)
RANDOM = st.floats(0.0, 1.0, exclude_max=True)


def message(data: object) -> Message:
    return Message("m", "source", data)


def test_always_gives_the_same_targets() -> None:
    assert always(("a", "b"))(message(1)) == ("a", "b")


def test_the_first_case_that_holds_is_taken_else_the_otherwise() -> None:
    cases = [(lambda m: m.data > 5, ("large",)), (lambda m: m.data > 2, ("middle",))]
    choose = first_match(cases, ("small",))
    assert [choose(message(data)) for data in (9, 3, 1)] == [("large",), ("middle",), ("small",)]
    assert first_match(cases, ())(message(1)) == ()


@given(
    policy=POLICIES,
    reason=REASONS,
    retryable=st.booleans(),
    retry_after_s=st.none() | st.floats(0.0, 1e6),
    attempt=st.integers(1, 12),
    more_targets=st.booleans(),
    random=RANDOM,
)
def test_what_follows_a_failed_attempt(
    policy: RetryPolicy,
    reason: Reason,
    retryable: bool,
    retry_after_s: float | None,
    attempt: int,
    more_targets: bool,
    random: float,
) -> None:
    """A retry only where it can help and one is left, never sooner than asked; a fallback only where there is one."""
    move = after_failure(
        policy,
        reason=reason,
        retryable=retryable,
        retry_after_s=retry_after_s,
        attempt=attempt,
        more_targets=more_targets,
        random=random,
    )
    match move:
        case TryAgain(delay_s):
            assert retryable
            assert attempt < policy.attempts
            assert reason != "unknown" or policy.on_unknown == "retry"
            assert delay_s >= (retry_after_s or 0.0)
            assert delay_s <= max(policy.backoff.max_delay_s, retry_after_s or 0.0)
        case TryNext():
            assert more_targets
            assert reason != "unknown" or policy.on_unknown != "dead_letter"
        case GiveUp():
            quarantined = reason == "crashed" and attempt >= policy.attempts
            forbidden = reason == "unknown" and policy.on_unknown == "dead_letter"
            assert quarantined or forbidden or not more_targets


@given(policy=POLICIES, random=RANDOM, targets=st.integers(1, 4))
def test_every_message_comes_to_an_end(policy: RetryPolicy, random: float, targets: int) -> None:
    """So many attempts at each target, then the next, then the dead letter."""
    tried = [0] * targets
    target, attempt = 0, 1
    while True:
        tried[target] += 1
        move = after_failure(
            policy,
            reason="refused",
            retryable=True,
            retry_after_s=None,
            attempt=attempt,
            more_targets=target + 1 < targets,
            random=random,
        )
        if isinstance(move, GiveUp):
            break
        target, attempt = (target + 1, 1) if isinstance(move, TryNext) else (target, attempt + 1)
    assert tried == [policy.attempts] * targets


@given(POLICIES, st.integers(1, 9), st.integers(1, 9), st.booleans(), REASONS, st.booleans(), RANDOM)
def test_a_source_that_sends_again_says_how_often(
    policy: RetryPolicy, attempt: int, attempts: int, unrepeatable: bool, reason: Reason, more: bool, random: float
) -> None:
    """Whatever the route's own policy says; and never what is not to be repeated."""
    move = after_failure(
        redelivered(policy, Redelivery(attempt, attempts), unrepeatable=unrepeatable),
        reason=reason,
        retryable=True,
        retry_after_s=None,
        attempt=attempt,
        more_targets=more,
        random=random,
    )
    is_left = attempt < attempts and not unrepeatable
    repeats = reason != "unknown" or policy.on_unknown == "retry"
    assert isinstance(move, TryAgain) is (is_left and repeats)
