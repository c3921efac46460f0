"""What a start says of queues: where each is kept, and how durable that is."""

from __future__ import annotations

from router.cli.queue_stores import SHOWN, queue_stores
from tests.loop import Run
from tests.router.control.sample_router import running
from tests.servers import free_port

IN_THE_HOUSE = "in the state directory; it is on disk before it is acknowledged"


def told(run: Run, text: str) -> list[tuple[str, str]]:
    async def scenario() -> list[tuple[str, str]]:
        async with running(text) as client:
            return await queue_stores(client.engine)

    return run(scenario())


def test_a_queue_in_the_house_is_on_disk_before_it_is_acknowledged(run: Run) -> None:
    """It is told once, with all actors that have it, and by its own name where that is another."""
    text = """
actors:
  in: {type: queue, queue: jobs}
  out: {type: queue, queue: jobs}
  reports: {type: queue}
"""
    assert told(run, text) == [("in, out", f"jobs, {IN_THE_HOUSE}"), ("reports", IN_THE_HOUSE)]


def test_a_redis_that_is_away_holds_up_no_start(run: Run) -> None:
    """Nobody knows then how durable it is."""
    text = f"""
connections: {{mem: {{type: redis, url: "redis://127.0.0.1:{free_port()}"}}}}
actors: {{far: {{type: queue, store: mem}}}}
"""
    assert told(run, text) == [("far", "in mem; it is not to be reached now")]


def test_of_many_queues_the_rest_is_counted(run: Run) -> None:
    """A start's first lines fit a screen."""
    actors = ", ".join(f"q{number}: {{type: queue}}" for number in range(SHOWN + 5))
    lines = told(run, f"actors: {{{actors}}}")
    assert len(lines) == SHOWN + 1
    assert lines[-1] == ("5 more", "router queue list")


def test_without_a_queue_there_is_nothing_to_say(run: Run) -> None:
    assert told(run, "actors: {door: {type: door}}") == []
