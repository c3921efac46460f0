"""The names of a queue's keys in Redis."""

import pytest

from actors.queues.bullmq.keys import Keys


def test_keys_are_bullmqs() -> None:
    keys = Keys("bull", "paint")
    assert (keys.root, keys.wait, keys.waiting_children) == (
        "bull:paint:",
        "bull:paint:wait",
        "bull:paint:waiting-children",
    )
    assert (keys.job("7"), keys.lock("7"), keys.logs("7")) == ("bull:paint:7", "bull:paint:7:lock", "bull:paint:7:logs")


def test_all_keys_of_a_queue_have_the_hash_tag_of_its_prefix() -> None:
    keys = Keys("{bull}", "paint")
    names = [getattr(keys, name) for name in Keys.__slots__ if name != "qualified"]
    assert all(name.startswith("{bull}:paint:") for name in [*names, keys.line("k"), keys.turn("t"), keys.tokens("i")])


@pytest.mark.parametrize("name", ["", "a:b"])
def test_a_name_that_bullmq_does_not_take_is_refused(name: str) -> None:
    with pytest.raises(ValueError):
        Keys("bull", name)
