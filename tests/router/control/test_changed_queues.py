"""A change that leaves jobs behind says so, with how many there are."""

from __future__ import annotations

from functools import partial
from typing import Any

from router.engine import Engine
from router.topology.check import check
from tests.loop import Run
from tests.router.control.sample_router import HEAD, Client, catalog, running

TOPOLOGY = """
connections: {mem: {type: redis, url: "redis://127.0.0.1:1"}}
actors:
  door: {type: door}
  inbound: {type: queue%s}
  pit: {type: sink}
routes:
  take: {from: door, to: inbound}
  work: {from: inbound, to: pit}
"""


class Sample(Engine):
    """Later texts may name the types of the sample router."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        load = partial(check, catalog=catalog(), environ={})
        super().__init__(*arguments, **options, load=lambda text, path: load(text, path=path))


sample = partial(running, engine=Sample)


async def delayed(client: Client, *ids: str) -> None:
    for id_ in ids:
        answered = await client.post("/v1/queues/inbound/jobs", {"id": id_, "data": 1, "options": {"delay_ms": 60_000}})
        assert answered.status == 200


async def asked(client: Client, verb: str, queue: str) -> Any:
    answered = await client.post(f"/v1/{verb}", {"text": HEAD % "" + TOPOLOGY % queue})
    assert answered.status == 200, answered.text
    return answered.document


def test_jobs_that_stay_are_counted_in_the_plan_and_told_when_it_is_done(run: Run) -> None:
    async def scenario() -> None:
        async with sample(TOPOLOGY % "") as client:
            await delayed(client, "a", "b")
            told = (
                "2 jobs stay in queue 'inbound' (sqlite): nobody here works them then; an actor of its own "
                "(store: sqlite, queue: inbound) with a route from it would"
            )
            assert (await asked(client, "plan", ", queue: other"))["plan"]["left_behind"] == [told]
            assert (await asked(client, "plan", ", concurrency: 5"))["plan"]["left_behind"] == []
            document = await asked(client, "apply", ", queue: other")
            assert document["plan"]["left_behind"] == [told]
            assert told in document["remarks"]

    run(scenario())


def test_an_empty_queue_is_left_without_a_word(run: Run) -> None:
    async def scenario() -> None:
        async with sample(TOPOLOGY % "") as client:
            assert (await asked(client, "plan", ", queue: other"))["plan"]["left_behind"] == []

    run(scenario())


def test_what_a_store_that_is_away_has_is_not_known(run: Run) -> None:
    """But that there may be something."""

    async def scenario() -> None:
        async with sample(TOPOLOGY % ", store: mem, when_down: fail") as client:
            (told,) = (await asked(client, "plan", ""))["plan"]["left_behind"]
            assert told.startswith("all jobs, of which the store does not say now how many there are, stay in queue")

    run(scenario())
