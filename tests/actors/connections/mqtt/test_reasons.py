"""Reason codes, and what they mean to a route."""

import pytest

from actors.connections.mqtt import reasons


def test_a_code_is_told_by_its_name() -> None:
    """And by its number, which manuals have."""
    assert reasons.name(0x87) == "not authorized (0x87)"
    assert reasons.name(0xF0) == "reason 0xf0"
    assert reasons.with_text(0x97, "slow down") == "quota exceeded (0x97): slow down"


@pytest.mark.parametrize("code", [0x00, 0x10])
def test_what_the_broker_has_is_delivered(code: int) -> None:
    """Whether or not anybody subscribes."""
    assert reasons.refusal(code, "t", require_subscriber=False) is None


def test_no_subscriber_is_a_refusal_where_one_is_required() -> None:
    """One may come, so it is worth trying again."""
    assert reasons.refusal(0x00, "t", require_subscriber=True) is None
    refusal = reasons.refusal(0x10, "t", require_subscriber=True)
    assert refusal is not None
    assert (refusal.reason, refusal.retryable) == ("refused", True)
    assert "no matching subscribers" in str(refusal)


@pytest.mark.parametrize(
    ("code", "reason", "retryable"),
    [(0x87, "refused", False), (0x90, "refused", False), (0x97, "overload", True), (0x80, "refused", True)],
)
def test_refusals(code: int, reason: str, retryable: bool) -> None:
    """Some no repetition changes, and some ask for patience."""
    refusal = reasons.refusal(code, "t", require_subscriber=False)
    assert refusal is not None
    assert (refusal.reason, refusal.retryable) == (reason, retryable)
