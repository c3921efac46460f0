"""A `postgres` target whose server is killed, stopped, locked and cut off."""

import asyncio
from collections.abc import Iterator

import psycopg
import pytest

from actors.core.events import ConnectionFailed, ConnectionLost, ConnectionOpened, Notice
from tests.loop import Run
from tests.postgres_rows import EVENTS, TABLE, event, outcomes, playing, rows
from tests.postgresql import PostgresServer

pytestmark = pytest.mark.needs("postgres", "initdb")


@pytest.fixture
def mortal() -> Iterator[PostgresServer]:
    """For a test that ends it."""
    with PostgresServer() as server:
        yield server


class TestTheServer:
    @pytest.mark.parametrize("how", ["stop", "kill"])
    def test_one_that_ends_and_comes_back(self, run: Run, mortal: PostgresServer, how: str) -> None:
        """It is away at once, also for an actor that is idle, and every message becomes one row."""
        mortal.ask(TABLE)

        async def main() -> None:
            async with playing(mortal, EVENTS) as (played, actor):
                left = [event(number) for number in range(500)]
                first = asyncio.gather(*(outcomes(actor, [message]) for message in left))
                await played.until(lambda: getattr(actor.actor, "about")()["rows"] > 20)  # noqa: B009  # its own
                await asyncio.to_thread(getattr(mortal, how))
                ended = [outcome for (outcome,) in await first]
                assert set(ended) <= {"done", "connect", "unknown"}
                await played.until(lambda: played.standing.away)
                assert await outcomes(actor, [event(1)]) == ["connect"]
                await asyncio.to_thread(mortal.start)
                await played.until(lambda: not played.standing.away)
                again = [message for message, outcome in zip(left, ended, strict=True) if outcome != "done"]
                assert set(await outcomes(actor, again)) <= {"done"}
                kinds = [type(each) for each in played.emitted if not isinstance(each, ConnectionFailed | Notice)]
                assert kinds == [ConnectionOpened, ConnectionLost, ConnectionOpened]

        run(main(), deadline_s=60)
        assert rows(mortal) == 500

    def test_one_that_is_not_there_yet(self, run: Run, mortal: PostgresServer) -> None:
        """The actor is ready, and its target away, until it is."""
        mortal.ask(TABLE)
        mortal.stop()

        async def main() -> None:
            async with playing(mortal, EVENTS) as (played, actor):
                assert played.standing.why == f"no connection to {mortal.address}: Connection refused"
                await asyncio.to_thread(mortal.start)
                await played.until(lambda: not played.standing.away)
                await actor.deliver(event(1))

        run(main())

    def test_an_answer_that_is_lost_with_the_connection_is_unknown(self, run: Run, postgres: PostgresServer) -> None:
        """It waited for a lock as its connection was ended. The repetition is the same row."""
        postgres.ask(TABLE)

        async def main() -> None:
            async with playing(postgres, EVENTS) as (played, actor):
                with psycopg.connect(postgres.url()) as other:
                    other.execute("LOCK TABLE events")
                    waiting = asyncio.ensure_future(outcomes(actor, [event(1)]))
                    blocked = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                    await played.until(lambda: postgres.ask(blocked))
                    postgres.ask(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                    )
                    assert await waiting == ["unknown"]
                await played.until(lambda: not played.standing.away)
                assert await outcomes(actor, [event(1)]) == ["done"]

        run(main())

    def test_one_that_does_not_answer_in_time_loses_its_connection(self, run: Run, postgres: PostgresServer) -> None:
        """A row alone is sent with its commit, so its end is unknown; of several none was committed."""
        postgres.ask(TABLE)

        async def main() -> None:
            async with playing(postgres, EVENTS, timeout="200ms") as (played, actor):
                with psycopg.connect(postgres.url()) as other:
                    other.execute("LOCK TABLE events IN SHARE ROW EXCLUSIVE MODE")
                    assert await outcomes(actor, [event(1)]) == ["unknown"]
                    await played.until(lambda: not played.standing.away)
                    assert await outcomes(actor, [event(1), event(2)]) == ["overload"] * 2
                await played.until(lambda: not played.standing.away)
                assert await outcomes(actor, [event(1), event(2)]) == ["done"] * 2

        run(main())

    def test_stopping_waits_for_nobody(self, run: Run, postgres: PostgresServer) -> None:
        """What is in hand has an unknown end."""
        postgres.ask(TABLE)

        async def main() -> None:
            async with playing(postgres, EVENTS) as (played, actor):
                actor.actor.stop_timeout_s = 3.0
                with psycopg.connect(postgres.url()) as other:
                    other.execute("LOCK TABLE events")
                    waiting = asyncio.ensure_future(outcomes(actor, [event(1)]))
                    blocked = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                    await played.until(lambda: postgres.ask(blocked))
                    actor.actor._task.cancel()
                    assert await waiting == ["unknown"]
                    await actor.over.wait()

        run(main())
