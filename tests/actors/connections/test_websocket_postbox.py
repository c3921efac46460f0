"""One client's mailbox is bounded in messages and in bytes, whatever is posted to it and however slowly it is read."""

import asyncio
from collections.abc import Callable
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.connections.websocket_postbox import Parcel, Postbox, Slow
from actors.core.message import Message


def parcel(text: str, key: str = "", size: int = 10) -> Parcel:
    return Parcel(Message(text, "it", text), 0.0, b"x" * size, key)


def made(slow: Slow = "drop_oldest", capacity: int = 3, max_bytes: int = 100) -> Postbox:
    return Postbox("it", now=lambda: 0.0, capacity=capacity, max_bytes=max_bytes, slow=slow)


def on_loop(body: Callable[[], None]) -> None:
    async def main() -> None:
        body()

    asyncio.run(main())


def waiting(box: Postbox) -> list[str]:
    return [envelope.message.id for envelope in box]


def test_the_oldest_goes_where_there_is_no_room() -> None:
    """By count or by bytes; what was dropped is counted."""

    def body() -> None:
        box = made()
        assert all(box.post(parcel(text)) for text in "abcd")
        assert (waiting(box), box.dropped) == (["b", "c", "d"], 1)
        assert box.post(parcel("large", size=85))
        assert (waiting(box), box.waiting_bytes, box.dropped) == (["d", "large"], 95, 3)

    on_loop(body)


def test_a_client_that_shall_go_is_said_to_have_no_room() -> None:
    """What waits stays; nothing is lost without the client's knowing."""

    def body() -> None:
        box = made("disconnect")
        assert all(box.post(parcel(text)) for text in "abc")
        assert not box.post(parcel("d"))
        assert (waiting(box), box.dropped) == (["a", "b", "c"], 0)
        other = made("disconnect")
        assert other.post(parcel("a", size=60))
        assert not other.post(parcel("b", size=60))

    on_loop(body)


def test_the_newest_of_a_key_takes_the_place_of_the_one_before() -> None:
    """So that progress is thinned out for a slow client, and the last of each key never is."""

    def body() -> None:
        box = made("disconnect", capacity=2)
        for text, key in [("a1", "a"), ("b1", "b"), ("a2", "a"), ("a3", "a"), ("b2", "b")]:
            assert box.post(parcel(text, key))
        assert (waiting(box), box.conflated, box.dropped) == (["a3", "b2"], 3, 3)
        box.taken(box.take())
        assert box.post(parcel("a4", "a"))
        assert waiting(box) == ["b2", "a4"]

    on_loop(body)


def test_messages_without_a_key_are_never_conflated() -> None:
    """An empty key is none."""

    def body() -> None:
        box = made()
        assert box.post(parcel("a"))
        assert box.post(parcel("b"))
        assert waiting(box) == ["a", "b"]

    on_loop(body)


Act = tuple[Literal["post"], str, int] | Literal["take"]
acts = st.lists(
    st.just("take") | st.tuples(st.just("post"), st.sampled_from(["", "a", "b", "c"]), st.integers(1, 100)), max_size=60
)


@given(acts, st.sampled_from(["drop_oldest", "disconnect"]), st.integers(1, 5))
def test_its_bounds_hold_and_its_counts_add_up(acts: list[Act], slow: Slow, capacity: int) -> None:
    """Against a list: the newest of each key that was let in is there or was taken, unless it was dropped as oldest."""

    def body() -> None:
        box = made(slow, capacity)
        taken = refused = 0
        newest: dict[str, str] = {}
        for number, act in enumerate(acts):
            if act == "take":
                if box.messages:
                    envelope = box.take()
                    box.taken(envelope)
                    taken += 1
            else:
                _, key, size = act
                posted = parcel(str(number), key, size)
                if box.post(posted):
                    newest[key] = str(number)
                else:
                    refused += 1
                    break  # the client is gone
            assert len(box) <= capacity
            assert box.waiting_bytes == sum(len(each.frame) for each in box if isinstance(each, Parcel)) <= 100
            keys = [each.key for each in box if isinstance(each, Parcel) and each.key]
            assert len(keys) == len(set(keys))
            for each in box:
                assert isinstance(each, Parcel)
                assert not each.key or newest[each.key] == each.message.id
        assert box.received == taken + box.dropped + len(box)
        if slow == "disconnect":
            assert box.dropped == box.conflated

    on_loop(body)


def test_a_capacity_of_none_is_refused() -> None:
    """As for every mailbox."""

    def body() -> None:
        with pytest.raises(ValueError, match="at least 1"):
            made(capacity=0)

    on_loop(body)
