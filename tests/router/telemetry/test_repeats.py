"""A storm of equal lines is told in a few lines and a number, and nothing goes uncounted."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from actors.core.clock import ManualClock
from router.telemetry.repeats import Repeats


class Written:
    """What was written: (line, how many it stands for)."""

    def __init__(self, *, burst: int = 2, most_keys: int = 1000) -> None:
        self.lines: list[tuple[str, int]] = []
        self.clock = ManualClock()
        self.repeats: Repeats[str] = Repeats(
            lambda line, count: self.lines.append((line, count)),
            clock=self.clock,
            burst=burst,
            window_s=10.0,
            most_keys=most_keys,
        )

    def add(self, key: str, *lines: str) -> None:
        for line in lines:
            self.repeats.add(key, line)


def test_the_first_lines_of_a_key_are_written_at_once() -> None:
    written = Written()
    written.add("k", "a", "b")
    written.add("other", "c")
    assert written.lines == [("a", 1), ("b", 1), ("c", 1)]


def test_the_rest_of_a_window_is_one_line_with_their_number() -> None:
    """The latest line stands for those that were held."""

    async def scenario() -> None:
        written = Written()
        written.add("k", "a", "b", "c", "d", "e")
        await written.clock.advance(9.9)
        assert written.lines == [("a", 1), ("b", 1)]
        await written.clock.advance(0.1)
        assert written.lines[2:] == [("e", 3)]

    asyncio.run(scenario())


def test_a_storm_that_goes_on_is_one_line_a_window() -> None:
    """It does not get its first lines anew with each window."""

    async def scenario() -> None:
        written = Written()
        for _ in range(3):
            written.add("k", *["x"] * 100)
            await written.clock.advance(10)
        assert written.lines == [("x", 1), ("x", 1), ("x", 98), ("x", 100), ("x", 100)]

    asyncio.run(scenario())


def test_after_a_quiet_window_lines_are_written_at_once_again() -> None:
    async def scenario() -> None:
        written = Written()
        written.add("k", "a", "b", "c")
        await written.clock.advance(20)
        assert written.lines == [("a", 1), ("b", 1), ("c", 1)]
        written.add("k", "d")
        assert written.lines[-1] == ("d", 1)

    asyncio.run(scenario())


def test_closing_writes_what_is_held() -> None:
    written = Written()
    written.add("k", "a", "b", "c", "d")
    written.repeats.close()
    assert written.lines[-1] == ("d", 2)


def test_with_too_many_keys_the_oldest_window_ends_early() -> None:
    """Memory is bounded, and what it held is written."""
    written = Written(burst=1, most_keys=2)
    written.add("k1", "a", "b")
    written.add("k2", "c")
    written.add("k3", "d")
    assert written.lines == [("a", 1), ("c", 1), ("b", 1), ("d", 1)]


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 8))))
def test_the_numbers_add_up(storm: list[tuple[str, int]]) -> None:
    """Whatever comes when, each line is written or counted exactly once."""

    async def scenario() -> None:
        written = Written(most_keys=3)
        for key, pause_s in storm:
            written.add(key, key)
            await written.clock.advance(pause_s)
        written.repeats.close()
        for key in "abcd":
            told = sum(count for line, count in written.lines if line == key)
            assert told == sum(key == each for each, _ in storm)

    asyncio.run(scenario())
