"""One listener: its sample, its bounds, and how much of the time it takes."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from actors.core.clock import ManualClock
from actors.core.message import Message
from actors.kit.expressions import Expression
from router.telemetry.tap import BOUND, Copy, Tap
from tests.loop import Run


def listener(clock: ManualClock, **options: Any) -> Tap:
    given: dict[str, Any] = {"where": None, "sample": 1.0, "per_s": 10_000.0, "random": random.Random(7).random}
    return Tap(["s"], clock=clock, **{**given, **options})


def passes(tap: Tap, count: int = 1, data: Any = None) -> None:
    """As what passes a tap does it."""
    for number in range(count):
        if tap.skips:
            tap.skips -= 1
        else:
            tap.see("s", "source", Message(f"m{number}", "s", data))


async def shown(tap: Tap) -> list[Copy]:
    """All that is to be shown now; each time it is asked it looks at one message at least."""
    looks = [await tap.next(0.0) for _ in range(BOUND + 1)]
    return [one for one in looks if isinstance(one, Copy)]


def test_a_sample_has_its_share_of_what_passes(run: Run) -> None:
    async def scenario() -> None:
        tap = listener(ManualClock(), sample=0.1)
        passes(tap, 4000)
        assert 330 < len(await shown(tap)) < 470

    run(scenario())


def test_what_nobody_looks_at_is_bounded_and_counted(run: Run) -> None:
    async def scenario() -> None:
        tap = listener(ManualClock())
        passes(tap, BOUND + 12)
        remark = tap.remark()
        assert remark is not None
        assert remark.left_out == 12
        assert tap.remark() is None
        assert len(await shown(tap)) == BOUND

    run(scenario())


def test_the_limit_is_for_what_is_shown_and_fills_up_again(run: Run) -> None:
    async def scenario() -> None:
        clock = ManualClock()
        await clock.advance(100.0)
        tap = listener(clock, per_s=0.5)
        passes(tap, 10)
        assert len(await shown(tap)) == 1
        await clock.advance(1.9)
        passes(tap, 10)
        assert await shown(tap) == []
        await clock.advance(0.2)
        passes(tap, 10)
        assert len(await shown(tap)) == 1
        remark = tap.remark()
        assert remark is not None
        assert remark.left_out == 28

    run(scenario())


def test_a_condition_is_asked_first_and_the_limit_is_for_what_it_holds_for(run: Run) -> None:
    async def scenario() -> None:
        tap = listener(ManualClock(), per_s=1.0, where=Expression("data > 1"))
        for data in (1, 2, 3):
            passes(tap, data=data)
        assert [copy.message.data for copy in await shown(tap)] == [2]
        remark = tap.remark()
        assert remark is not None
        assert remark.left_out == 1

    run(scenario())


class Ticking(ManualClock):
    """Time passes whenever it is asked for: evaluating takes 1 ms here."""

    def now(self) -> float:
        self._now += 0.0005
        return self._now


def test_looking_at_many_leaves_most_of_the_time_to_the_flow(run: Run) -> None:
    """It pauses for nineteen times as long as it has taken."""

    async def scenario() -> None:
        clock = Ticking()
        slept: list[float] = []

        async def sleep(delay_s: float) -> None:
            slept.append(delay_s)

        clock.sleep = sleep  # type: ignore[method-assign]  # to see how long without waiting for it
        tap = listener(clock, where=Expression("data == 1"))
        passes(tap, 100, data=2)
        async with asyncio.timeout(5.0):
            await tap.next(0.2)
        assert slept
        assert all(0.0379 <= delay_s <= 0.06 for delay_s in slept)

    run(scenario())
