"""Queues as the control API has them: found, shown, paused, and what is done to their jobs."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any, Final

import pytest

from actors.queues.contract import Completed, Consumer, ConsumerOptions, Failed, QueueStore, Retried
from actors.queues.job import JobOptions, NewJob
from router.engine import Engine
from tests.loop import Run
from tests.router.control.sample_router import Answered, Client, running
from tests.servers import RedisServer, free_port

TOPOLOGY: Final = """
%(connections)s
actors:
  door: {type: door}
  inbound: {type: queue, queue: tania-messages%(store)s}
  also: {type: queue, queue: tania-messages%(store)s}
  reports: {type: queue%(store)s}
routes:
  in: {from: door, to: inbound}
"""
"""Nobody works these queues but the tests."""

INBOUND: Final = "/v1/queues/inbound"
JOBS: Final = f"{INBOUND}/jobs"


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=[pytest.mark.live, pytest.mark.needs("redis-server")])])
def topology(request: pytest.FixtureRequest) -> str:
    """With its queues in one of the stores, and nothing in them."""
    if request.param == "sqlite":
        return TOPOLOGY % {"connections": "", "store": ""}
    server: RedisServer = request.getfixturevalue("redis_server")
    connections = f"connections: {{mem: {{type: redis, url: '{server.url}'}}}}"
    return TOPOLOGY % {"connections": connections, "store": f", store: mem, prefix: t{time.monotonic_ns()}"}


def store_of(engine: Engine, actor: str = "inbound") -> QueueStore:
    store: QueueStore = getattr(engine.supervisor.children[actor].actor, "queue")  # noqa: B009  # its type has none
    return store


async def add(client: Client, *ids: str, data: Any = None, path: str = JOBS, **options: Any) -> None:
    for job_id in ids:
        answered = await client.post(path, {"data": data, "id": job_id, "options": options})
        assert answered.document == {"id": job_id}, answered.text


async def worker(client: Client, actor: str = "inbound") -> Consumer:
    return await store_of(client.engine, actor).consumer(ConsumerOptions("me", "test"))


async def fail(client: Client, *ids: str, reason: str = "500 from the CRM", stack: str = "") -> None:
    """Work jobs that wait, and let them fail for good."""
    consumer = await worker(client)
    turn = await consumer.turn([], len(ids))
    assert [job.id for job in turn.jobs] == list(ids)
    await consumer.turn([Failed(job, reason, stack) for job in turn.jobs], 0)
    await consumer.close()


async def ids_in(client: Client, state: str, path: str = JOBS) -> list[str]:
    document = (await client.get(f"{path}?state={state}")).document
    return [job["id"] for job in document["jobs"]]


async def audited(client: Client) -> list[dict[str, Any]]:
    """What was changed, the oldest first."""
    entries: list[dict[str, Any]] = (await client.get("/v1/audit")).document["entries"]
    return entries[::-1]


def test_each_queue_is_listed_once_with_all_its_actors(run: Run, topology: str) -> None:
    async def scenario() -> None:
        async with running(topology) as client:
            await add(client, "a", "b")
            await add(client, "c", delay_ms=60_000)
            first, second = (await client.get("/v1/queues")).document["queues"]
        assert (first["name"], first["actors"]) == ("tania-messages", ["inbound", "also"])
        assert first["store"] in ("sqlite", "redis")
        assert (second["name"], second["actors"]) == ("reports", ["reports"])
        assert (first["counts"]["waiting"], first["counts"]["delayed"], first["counts"]["failed"]) == (2, 1, 0)
        assert (first["available"], first["paused"], first["spilled"], first["parked"]) == (True, False, 0, 0)
        assert 0 <= first["oldest_age_s"] < 10
        assert second["oldest_age_s"] is None
        assert sum(second["counts"].values()) == 0

    run(scenario())


def test_a_queue_goes_by_the_names_of_its_actors_and_by_its_own(run: Run, topology: str) -> None:
    async def scenario() -> None:
        async with running(topology) as client:
            found = [
                (await client.get(f"/v1/queues/{name}")).document for name in ("inbound", "also", "tania-messages")
            ]
            unknown = await client.get("/v1/queues/inbund")
            plain = await client.get("/v1/queues/door")
        assert [document["actors"] for document in found] == [["inbound", "also"]] * 3
        assert (unknown.status, unknown.detail) == (404, "there is no queue 'inbund'")
        assert unknown.document["suggestion"] == "did you mean 'inbound'?"
        assert plain.status == 404

    run(scenario())


def test_what_goes_through_the_actor_is_counted(run: Run, topology: str) -> None:
    """A first look has nothing to take a rate from."""

    async def scenario() -> None:
        async with running(topology) as client:
            await client.post("/v1/actors/door/messages", {"data": 1, "wait": True})
            shown = (await client.get(INBOUND)).document
        assert (shown["added"], shown["counts"]["waiting"]) == (1, 1)
        assert (shown["added_per_s"], shown["finished_per_s"]) == (None, None)

    run(scenario())


def test_jobs_are_shown_a_page_at_a_time_by_their_states(run: Run, topology: str) -> None:
    async def scenario() -> None:
        async with running(topology) as client:
            await add(client, *(f"j{number}" for number in range(5)))
            await add(client, "late", delay_ms=60_000)
            await add(client, "vip", priority=3)
            page = (await client.get(f"{JOBS}?state=waiting&start=1&limit=2")).document
            both = (await client.get(f"{JOBS}?state=delayed,waiting&limit=100")).document
            every = (await client.get(JOBS)).document
            wrong = await client.get(f"{JOBS}?state=lost")
        assert ([job["id"] for job in page["jobs"]], page["total"]) == (["j1", "j2"], 5)
        assert ({job["state"] for job in both["jobs"]}, both["total"]) == ({"delayed", "waiting"}, 6)
        assert ({job["id"] for job in every["jobs"]}, every["total"]) == (
            {*(f"j{n}" for n in range(5)), "late", "vip"},
            7,
        )
        assert page["name"] == "tania-messages"
        assert wrong.status == 400

    run(scenario())


def test_payloads_are_masked_wherever_they_are_shown(run: Run, topology: str) -> None:
    """In lines, in whole jobs, and in what comes with them: envelope, result and progress."""

    async def scenario() -> None:
        async with running(topology) as client:
            store = store_of(client.engine)
            secret = json.dumps({"n": 1, "token": "hunter2"})
            store.add(NewJob("j", "message", secret, 1000, JobOptions(), envelope=secret), lambda _: None)
            consumer = await worker(client)
            (job,) = (await consumer.turn([], 1)).jobs
            await store.progress("j", secret)
            await consumer.turn([Completed(job, secret)], 0)
            await consumer.close()
            whole = await client.get(f"{JOBS}/j")
            page = await client.get(JOBS)
        assert "hunter2" not in whole.text + page.text
        masked = {"n": 1, "token": "***"}
        shown = whole.document
        assert [shown[name] for name in ("data", "envelope", "progress", "return_value")] == [masked] * 4
        assert page.document["jobs"][0]["preview"] == '{"n": 1, "token": "***"}'

    run(scenario())


def test_one_job_is_shown_whole_with_why_it_failed_and_its_log(run: Run, topology: str) -> None:
    """Without the credentials that an address in a reason may hold."""

    async def scenario() -> None:
        async with running(topology) as client:
            backoff = {"type": "exponential", "delay_ms": 2000, "jitter": 0.5}
            await add(client, "j", data={"n": 1}, attempts=1, backoff=backoff, keep_failed={"count": 5})
            await store_of(client.engine).log("j", "sent to http://me:secret@crm")
            await fail(client, "j", reason="http://me:secret@crm said 500", stack="Error\n  at work.py")
            shown = (await client.get(f"{JOBS}/j")).document
            unknown = await client.get(f"{JOBS}/nobody")
        assert (shown["queue"], shown["state"], shown["attempts_made"]) == ("tania-messages", "failed", 1)
        assert shown["options"]["backoff"] == backoff
        assert shown["options"]["keep_failed"] == {"count": 5, "age_s": None}
        assert "secret" not in shown["failed_reason"]
        assert "secret" not in shown["logs"][0]
        assert "work.py" in "\n".join(shown["stacktrace"])
        assert shown["finished_at"] >= shown["processed_at"] >= shown["added_at"] - 1
        assert (unknown.status, unknown.document["name"]) == (404, "nobody")

    run(scenario())


def test_what_others_wrote_into_a_job_is_shown_as_it_is(run: Run, topology: str) -> None:
    """Not everything in a queue is JSON, whatever BullMQ says."""

    async def scenario() -> None:
        async with running(topology) as client:
            store_of(client.engine).add(NewJob("j", "theirs", "{no json", 1000), lambda _: None)
            await client.get_until(JOBS, lambda page: page["total"] == 1)
            whole, page = (await client.get(f"{JOBS}/j")).document, (await client.get(JOBS)).document
        assert whole["data"] == page["jobs"][0]["preview"] == "{no json"
        assert whole["envelope"] is None

    run(scenario())


def test_a_paused_queue_is_worked_by_nobody_until_it_is_resumed(run: Run, topology: str) -> None:
    """Adding goes on, and it is the queue that is paused and not the actor."""

    async def scenario() -> None:
        async with running(topology) as client:
            paused = await client.post(f"{INBOUND}/pause", {"why": "moving"})
            await add(client, "j")
            consumer = await worker(client)
            assert not (await consumer.turn([], 1)).jobs
            stands = (await client.get(INBOUND)).document["paused"]
            actor = (await client.get("/v1/actors/inbound")).document["pause"]
            resumed = await client.post("/v1/queues/also/resume", {})
            assert [job.id for job in (await consumer.turn([], 1)).jobs] == ["j"]
            entries = await audited(client)
        assert paused.document == {"name": "tania-messages", "actors": ["inbound", "also"], "paused": True}
        assert resumed.document["paused"] is False
        assert (stands, actor) == (True, None)
        told = [(entry["action"], entry["object"], entry["why"]) for entry in entries if "queue" in entry["action"]]
        assert told == [
            ("queue pause", "inbound", "moving"),
            ("queue add", "inbound", None),
            ("queue resume", "also", None),
        ]

    run(scenario())


def test_failed_jobs_wait_again_some_or_all(run: Run, topology: str) -> None:
    async def scenario() -> None:
        async with running(topology) as client:
            await add(client, "a", "b", "c")
            await fail(client, "a", "b", "c")
            one = await client.post(f"{INBOUND}/retry", {"ids": ["b", "b"]})
            after_one = await ids_in(client, "waiting"), set(await ids_in(client, "failed"))
            rest = await client.post(f"{INBOUND}/retry", {"all": True})
            none = await client.post(f"{INBOUND}/retry", {"all": True})
            left = await ids_in(client, "failed")
            retried = [entry["detail"] for entry in await audited(client) if entry["action"] == "queue retry"]
        assert (one.document, after_one) == ({"name": "tania-messages", "jobs": 1}, (["b"], {"a", "c"}))
        assert (rest.document["jobs"], none.document["jobs"], left) == (2, 0, [])
        assert retried[0] == {"queue": "tania-messages", "ids": ["b"], "retried": 1}
        assert retried[1] == {"queue": "tania-messages", "all": True, "retried": 2}

    run(scenario())


def test_one_wrong_id_changes_nothing(run: Run, topology: str) -> None:
    """An answer that says how many were changed would leave open which."""

    async def scenario() -> None:
        async with running(topology) as client:
            await add(client, "a", "b")
            await fail(client, "a")
            refused = await client.post(f"{INBOUND}/retry", {"ids": ["a", "b"]})
            failed = await ids_in(client, "failed")
            both = await client.post(f"{INBOUND}/retry", {"ids": ["a"], "all": True})
            neither = await client.post(f"{INBOUND}/promote", {})
        assert refused.status == 409
        assert refused.detail.endswith("no job of tania-messages was changed")
        assert failed == ["a"]
        assert (both.status, neither.status) == (400, 400)

    run(scenario())


def test_delayed_jobs_wait_now_those_that_wait_for_a_retry_too(run: Run, topology: str) -> None:
    async def scenario() -> None:
        async with running(topology) as client:
            await add(client, "again", attempts=5)
            consumer = await worker(client)
            (job,) = (await consumer.turn([], 1)).jobs
            await consumer.turn([Retried(job, 60_000, "not now")], 0)
            await add(client, "late", "later", delay_ms=60_000)
            one = await client.post(f"{INBOUND}/promote", {"ids": ["late"]})
            waiting = await ids_in(client, "waiting")
            rest = await client.post(f"{INBOUND}/promote", {"all": True})
            left = await ids_in(client, "delayed")
        assert (one.document["jobs"], waiting) == (1, ["late"])
        assert (rest.document["jobs"], left) == (2, [])

    run(scenario())


def test_clearing_wants_the_queue_s_own_name(run: Run, topology: str) -> None:
    """That of an actor does not do, since others may have that queue too."""

    async def scenario() -> None:
        async with running(topology) as client:
            await add(client, "a", "b")
            await add(client, "late", delay_ms=60_000)
            wrong = await client.post(f"{INBOUND}/clear", {"states": ["waiting"], "confirm": "inbound"})
            active = await client.post(f"{INBOUND}/clear", {"states": ["active"], "confirm": "tania-messages"})
            there = (await client.get(JOBS)).document["total"]
            cleared = await client.post(f"{INBOUND}/clear", {"states": ["waiting"], "confirm": "tania-messages"})
            left = await ids_in(client, "delayed")
            entries = [(entry["outcome"], entry["detail"]) for entry in await audited(client)][-3:]
        assert (wrong.status, wrong.document["errors"][0]["field"], active.status, there) == (400, "confirm", 400, 3)
        assert (cleared.document, left) == ({"name": "tania-messages", "jobs": 2}, ["late"])
        assert [outcome for outcome, _ in entries] == ["refused", "refused", "done"]
        assert entries[-1][1] == {"queue": "tania-messages", "states": ["waiting"], "cleared": 2}

    run(scenario())


def test_one_job_is_deleted_unless_it_is_at_work(run: Run, topology: str) -> None:
    async def scenario() -> None:
        async with running(topology) as client:
            await add(client, "a", "b")
            consumer = await worker(client)
            assert [job.id for job in (await consumer.turn([], 1)).jobs] == ["a"]
            active = await client.post(f"{JOBS}/a/remove", {})
            removed = await client.post(f"{JOBS}/b/remove", {})
            again = await client.post(f"{JOBS}/b/remove", {})
            total = (await client.get(JOBS)).document["total"]
        assert (active.status, active.detail) == (409, "job a of tania-messages is active: it stays until that is over")
        assert (removed.document, again.status, total) == ({"id": "b"}, 404, 1)

    run(scenario())


def test_a_job_is_added_as_any_producer_would(run: Run, topology: str) -> None:
    """It has no envelope; an id is made where none is given, and one that is there is not added again."""

    async def scenario() -> None:
        async with running(topology) as client:
            body: dict[str, Any] = {
                "data": {"text": "ñandú 🦤", "n": None},
                "name": "daily",
                "options": {"priority": 7},
            }
            made = (await client.post(JOBS, body)).document["id"]
            shown = (await client.get(f"{JOBS}/{made}")).document
            twice: Sequence[Answered] = [await client.post(JOBS, {"data": n, "id": "x"}) for n in (1, 2)]
            kept = (await client.get(f"{JOBS}/x")).document["data"]
            refused = [await client.post(JOBS, {"data": 1, "id": wrong}) for wrong in ("17", "a:b", "")]
            too_much = await client.post(JOBS, {"data": 1, "options": {"priority": 2**21}})
        assert (shown["data"], shown["name"], shown["state"], shown["envelope"]) == (
            body["data"],
            "daily",
            "prioritized",
            None,
        )
        assert shown["options"]["priority"] == 7
        assert ([answered.document["id"] for answered in twice], kept) == (["x", "x"], 1)
        assert [answered.status for answered in (*refused, too_much)] == [400] * 4

    run(scenario())


def test_a_store_that_is_away_is_a_problem_with_words(run: Run) -> None:
    """Its queue is listed all the same, beside those that are there, and nothing is changed."""
    nobody = f"""
connections:
  redis: {{type: redis, url: "redis://me:hunter2@127.0.0.1:{free_port()}"}}
actors:
  near: {{type: queue}}
  far: {{type: queue, store: redis}}
"""

    async def scenario() -> None:
        async with running(nobody) as client:
            near, far = (await client.get("/v1/queues")).document["queues"]
            alone = await client.get("/v1/queues/far")
            refused = [
                await client.get("/v1/queues/far/jobs"),
                await client.get("/v1/queues/far/jobs/x"),
                await client.post("/v1/queues/far/pause", {}),
                await client.post("/v1/queues/far/retry", {"all": True}),
                await client.post("/v1/queues/far/jobs", {"data": 1}),
            ]
            failed = [entry["outcome"] for entry in await audited(client)]
        assert (near["available"], far["available"], far["store"]) == (True, False, "redis")
        assert (far["counts"], far["paused"], far["oldest_age_s"]) == (None, None, None)
        assert far["unavailable_why"]
        assert "hunter2" not in far["unavailable_why"]
        assert (alone.status, alone.document["available"]) == (200, False)
        assert [answered.status for answered in refused] == [503] * 5
        assert all(answered.detail.startswith("the store of far is not to be reached: ") for answered in refused)
        assert failed == ["failed"] * 3

    run(scenario())
