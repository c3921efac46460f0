"""What Redis refuses with, in words."""

import pytest

from actors.connections.redis.refusals import refusal
from actors.core.errors import StoreAwayError


@pytest.mark.parametrize(
    "text",
    [
        "OOM command not allowed when used memory > 'maxmemory'.",
        "ERR Error running script (call to f_1): @user_script:3: -OOM command not allowed when used memory.",
    ],
)
def test_a_lack_of_memory_is_a_full_store(text: str) -> None:
    assert refusal("redis://here", text).full


@pytest.mark.parametrize(
    "text", ["LOADING Redis is loading the dataset in memory", "BUSY Redis is busy running a script."]
)
def test_what_passes_by_itself_counts_as_away(text: str) -> None:
    assert isinstance(refusal("redis://here", text), StoreAwayError)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("READONLY You can't write against a read only replica.", "replica"),
        ("NOAUTH Authentication required.", "wants a password"),
        ("WRONGPASS invalid username-password pair or user is disabled.", "does not know this user"),
        ("MOVED 866 127.0.0.1:7000", "one node of a cluster"),
        ("ERR something else", "ERR something else"),
    ],
)
def test_a_refusal_is_told_in_words(text: str, words: str) -> None:
    error = refusal("redis://here", text)
    assert words in str(error)
    assert not isinstance(error, StoreAwayError)
    assert not error.full
