"""What a source that sends again by itself says of a message, and what it learns for the next attempt."""

from actors.core.message import Receipt, Settlement
from actors.core.redelivery import WHOLE, Redelivery

DELIVERED = Settlement("delivered")


class Again(Receipt):
    """Of a message that is sent again."""

    __slots__ = ("_redelivery",)

    def __init__(self, redelivery: Redelivery) -> None:
        super().__init__()
        self._redelivery = redelivery

    @property
    def redelivery(self) -> Redelivery:
        return self._redelivery


def test_only_the_last_attempt_is_the_last() -> None:
    assert [Redelivery(attempt, 3).is_last for attempt in (1, 2, 3, 4)] == [False, False, True, True]
    assert Redelivery().is_last


def test_what_ends_in_an_attempt_joins_what_had_ended_before() -> None:
    """And what was given is left as it was."""
    before = {"r": frozenset({(1, "a")})}
    redelivery = Redelivery(2, 3, before)
    assert redelivery.done == before
    redelivery.record("r", (2, "a"))
    redelivery.record("s", WHOLE)
    assert redelivery.done == {"r": {(1, "a"), (2, "a")}, "s": {(0, "")}}
    assert redelivery.done_on("r") == {(1, "a"), (2, "a")}
    assert redelivery.done_on("t") == frozenset()
    assert before == {"r": frozenset({(1, "a")})}


def test_of_a_message_of_which_nothing_has_ended_nothing_is_known() -> None:
    redelivery = Redelivery()
    assert redelivery.done == {}
    assert redelivery.done_on("r") == frozenset()
    redelivery.record("r", WHOLE)
    assert Redelivery().done == {}


def test_most_receipts_have_none() -> None:
    receipt = Receipt()
    assert receipt.redelivery is None
    assert [part.redelivery for part in (*receipt.split(2), *receipt.split_by(["r", "s"]))] == [None] * 4


def test_parts_of_a_receipt_pass_it_on() -> None:
    redelivery = Redelivery(1, 2)
    (part, _) = Again(redelivery).split(2)
    (nested,) = part.split(1)
    assert part.redelivery is nested.redelivery is redelivery


def test_whole_routes_are_recorded_where_they_ended_and_not_where_they_gave_it_back() -> None:
    receipt = Again(Redelivery(1, 2))
    ended, failed, dead = receipt.split_by(["ended", "failed", "dead"])
    ended.settle(DELIVERED)
    failed.settle(Settlement("returned", "no", None, 3.0))
    assert not receipt.accepted
    dead.settle(Settlement("dead_lettered"))
    assert receipt.settlement == Settlement("returned", "no", None, 3.0)
    assert receipt.redelivery.done == {"ended": {WHOLE}, "dead": {WHOLE}}
