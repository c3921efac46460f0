"""So many jobs begin in so long a time."""

import asyncio

from actors.queues.contract import Completed, Limiter
from tests.loop import Run
from tests.queues import A_WHILE_MS, DEADLINE_S, Opens, line


def test_a_limiter_lets_so_many_jobs_begin_in_so_long_a_time(run: Run, opens: Opens) -> None:
    limiter = Limiter(3, 2 * A_WHILE_MS)

    async def scenario() -> None:
        async with line(opens) as queue:
            await queue.add(*[f"j-{n}" for n in range(8)])
            one, other = await queue.consumer(limiter=limiter), await queue.consumer(limiter=limiter)
            assert await queue.take_ids(one, 2) == ["j-0", "j-1"]
            turn = await queue.turn(other, want=5)
            assert [job.id for job in turn.jobs] == ["j-2"]
            assert turn.wait_ms is not None
            assert 0 < turn.wait_ms <= 2 * A_WHILE_MS
            turn = await queue.turn(one, *map(Completed, turn.jobs), want=5)
            assert not turn.jobs
            assert turn.wait_ms is not None
            await queue.pass_ms(2 * A_WHILE_MS + 20)
            assert [job.id for job in (await queue.turn(one, want=5)).jobs] == ["j-3", "j-4", "j-5"]

    run(scenario())


def test_a_limiter_wakes_its_consumer_when_its_time_is_over(run: Run, opens: Opens) -> None:
    async def scenario() -> None:
        async with line(opens) as queue:
            await queue.add("j-1", "j-2")
            consumer = await queue.consumer(limiter=Limiter(1, A_WHILE_MS))
            assert await queue.take_ids(consumer, 1) == ["j-1"]
            waiting = asyncio.create_task(queue.take(consumer))
            async with asyncio.timeout(DEADLINE_S):
                while not waiting.done():
                    await queue.pass_ms(20)
            assert [job.id for job in await waiting] == ["j-2"]

    run(scenario())
