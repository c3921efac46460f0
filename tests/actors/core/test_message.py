"""A message is a value that survives the journal; a receipt settles once, whatever its parts do."""

import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.errors import RouterError
from actors.core.message import OUTCOMES, Message, Receipt, Settlement, new_id, worse

texts = st.text(st.characters(codec="utf-8") | st.characters(categories=["Cs"]), max_size=20)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**200), 2**200)
    | st.floats(allow_nan=False)
    | texts
    | st.binary(max_size=20)
    | st.datetimes(timezones=st.just(UTC), min_value=datetime(1900, 1, 1), max_value=datetime(2200, 1, 1))  # noqa: DTZ001  # hypothesis wants them naive
)
keys = texts | st.integers() | st.none() | st.booleans()
payloads = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4), max_leaves=12
)
messages = st.builds(
    Message,
    id=texts,
    source=texts,
    data=payloads,
    headers=st.dictionaries(texts, texts, max_size=3),
    type=texts,
    time=st.floats(0, 2e9),
    attributes=st.dictionaries(texts, scalars, max_size=3),
)


def test_ids_of_one_process_differ_and_share_its_prefix() -> None:
    ids = [new_id() for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert len({id_.split("-")[0] for id_ in ids}) == 1


@given(messages)
def test_a_message_comes_back_from_its_bytes_as_it_was(message: Message) -> None:
    """Whatever JSON can hold: integers of any size, and halves of surrogate pairs."""
    assert Message.from_bytes(message.to_bytes()) == message


def test_what_is_not_a_number_comes_back_too() -> None:
    assert math.isnan(Message.from_bytes(Message("1", "s", math.nan).to_bytes()).data)


def test_what_no_message_can_carry_is_named() -> None:
    with pytest.raises(TypeError, match="a message cannot carry a complex"):
        Message("1", "s", 1j).to_bytes()


def test_attributes_read_as_properties_and_are_none_where_absent() -> None:
    bare = Message("1", "s", None)
    names = ["subject", "datacontenttype", "correlationid", "expirytime", "replyto", "traceparent", "tenant"]
    assert [getattr(bare, name) for name in names] == [None] * len(names)
    assert bare.key is None
    rich = bare.with_attributes(**{name: name.upper() for name in names}, partitionkey="k")
    assert [getattr(rich, name) for name in names] == [name.upper() for name in names]
    assert rich.key == "k"


@given(messages, payloads)
def test_a_change_makes_another_message_and_leaves_the_rest(message: Message, data: Any) -> None:
    assert message.with_data(data) == message._replace(data=data)
    assert message.with_headers({"a": "b"}) == message._replace(headers={"a": "b"})
    changed = message.with_attributes(subject="s", tenant="t").with_attributes(tenant=None)
    others = {name: value for name, value in message.attributes.items() if value is not None}
    assert changed.attributes == {**others, "subject": "s"} or "tenant" in message.attributes
    assert changed._replace(attributes=message.attributes) == message


def test_the_parts_of_a_split_are_numbered() -> None:
    whole = Message("1", "s", [1, 2], {"h": "x"}, "t", 3.0, {"subject": "y"})
    assert whole.child(2, "part") == whole._replace(id="1-2", data="part")


# Receipts


class Kept(Receipt):
    """Keeps what its source is told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[Any] = []

    def on_accepted(self) -> None:
        self.told.append("accepted")

    def on_settled(self, settlement: Settlement) -> None:
        self.told.append(settlement)

    def on_refused(self, error: RouterError) -> None:
        self.told.append(error)


DELIVERED = Settlement("delivered")
LOST = RouterError("the journal is full")


def test_a_receipt_is_accepted_and_settled_once() -> None:
    receipt = Kept()
    receipt.accept()
    receipt.accept()
    receipt.settle(DELIVERED)
    receipt.settle(Settlement("expired"))
    receipt.refuse(LOST)
    assert receipt.told == ["accepted", DELIVERED]
    assert (receipt.accepted, receipt.refused, receipt.settlement) == (True, False, DELIVERED)


def test_settling_implies_acceptance_which_is_told_behind_it() -> None:
    """So that a source that answers with how the message ended does not answer twice."""
    receipt = Kept()
    receipt.settle(DELIVERED)
    assert receipt.told == [DELIVERED, "accepted"]


def test_what_was_refused_is_neither_accepted_nor_settled() -> None:
    receipt = Kept()
    receipt.refuse(LOST)
    receipt.refuse(LOST)
    receipt.accept()
    receipt.settle(DELIVERED)
    assert receipt.told == [LOST]


steps = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from(["accept", "refuse", *OUTCOMES])),
    max_size=20,
)


@given(st.integers(1, 4), steps)
def test_a_split_receipt_is_accepted_by_all_of_its_parts_and_refused_by_any(
    count: int, steps: list[tuple[int, str]]
) -> None:
    receipt = Kept()
    parts = receipt.split(count)
    for number, step in steps:
        part = parts[number % count]
        if step == "accept":
            part.accept()
        elif step == "refuse":
            part.refuse(LOST)
        else:
            part.settle(Settlement(step))  # type: ignore[arg-type]  # one of the outcomes
        refused = any(part.refused for part in parts)
        assert receipt.accepted is (not refused and all(part.accepted for part in parts))
        assert receipt.refused is refused
        settlements = [part.settlement for part in parts]
        if all(settlements) and not refused:
            worst = max(settlements, key=lambda one: OUTCOMES.index(one.outcome) if one else -1)
            assert receipt.settlement is not None
            assert worst is not None
            assert receipt.settlement.outcome == worst.outcome
        else:
            assert receipt.settlement is None
    assert len(receipt.told) == len({type(entry) for entry in receipt.told}), "each at most once"


@given(st.lists(st.sampled_from(OUTCOMES), min_size=1))
def test_the_worst_of_several_outcomes_does_not_depend_on_their_order(outcomes: list[Any]) -> None:
    def fold(order: list[Any]) -> str:
        worst: Settlement | None = None
        for outcome in order:
            worst = worse(worst, Settlement(outcome))
        assert worst is not None
        return worst.outcome

    assert fold(outcomes) == fold(outcomes[::-1]) == max(outcomes, key=OUTCOMES.index)


@pytest.mark.parametrize("waits", [(5.0, None, 7.0), (7.0, 5.0, None), (None, 7.0, 7.0)])
def test_what_is_given_back_waits_as_long_as_any_of_its_ends_has_asked_for(waits: tuple[float | None, ...]) -> None:
    worst: Settlement | None = None
    for wait_s in waits:
        worst = worse(worst, Settlement("returned", f"after {wait_s}", None, wait_s))
    assert worst is not None
    assert (worst.outcome, worst.retry_after_s) == ("returned", 7.0)
    assert worst.reason == f"after {waits[0]}"
    assert worse(Settlement("dead_lettered"), worst) == worse(worst, Settlement("dead_lettered")) == worst
