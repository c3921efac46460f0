"""A queue keeps what is sent to it, and its routes work that off."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from actors.core.clock import ManualClock, settle
from actors.core.errors import DeliveryError, ExpressionError
from actors.core.message import Message, Settlement
from actors.endpoints.queue import Queue, QueueOptions
from actors.queues.contract import Queued
from actors.queues.identity import FILE
from actors.queues.job import MAX_PRIORITY, Backoff, Deduplication, Job, JobOptions, Keep
from tests.loop import Run
from tests.stage import DEADLINE_S, DELIVERED, Played, Stage, stage

PARKED = {"attempts": 1}


def message(data: Any = None, id: str = "m-1", **given: Any) -> Message:
    return Message(id, "in", data, **given)


async def kept(played: Played) -> list[Job]:
    queue: Queue = played.actor  # type: ignore[assignment]  # that is what was started
    return await queue.queue.jobs(["waiting", "prioritized", "delayed", "active", "completed", "failed"])


async def only(played: Played) -> Job:
    (job,) = await kept(played)
    return job


def unrouted(on: Stage) -> Stage:
    """No route begins at it: what is added stays."""
    on.outlet.routed = False
    on.outlet.has_room.clear()
    return on


def test_a_message_is_kept_when_it_is_answered(run: Run) -> None:
    """Its payload is the job's data, and its type the job's name."""

    async def main() -> None:
        async with stage(ManualClock()) as on:
            queue = await unrouted(on).start(Queue, {})
            await queue.deliver(message({"to": "ñ"}, type="greet"))
            job = await only(queue)
            assert (job.name, json.loads(job.data), job.state) == ("greet", {"to": "ñ"}, "waiting")
            assert job.id.startswith("pm-")
            assert job.timestamp_ms == 1_700_000_000_000
            assert isinstance(queue.actor, Queued)
            assert (queue.actor.added, queue.actor.spilled) == (1, 0)

    run(main())


def test_a_message_that_comes_twice_is_one_job(run: Run) -> None:
    """The same id from the same route; another one is another job."""

    async def main() -> None:
        async with stage() as on:
            queue = await unrouted(on).start(Queue, {})
            for id_ in ("m-1", "m-1", "m-2"):
                await queue.deliver(message(id=id_))
            assert len(await kept(queue)) == 2

    run(main())


def test_it_comes_out_again_as_it_was(run: Run) -> None:
    """With its id, headers and attributes; its source is the queue."""

    async def main() -> None:
        async with stage() as on:
            on.outlet.settlement = DELIVERED
            queue = await on.start(Queue, {}, name="inbound")
            sent = message(
                b"\x00\xff", headers={"a": "ñ"}, type="t", time=5.5, attributes={"subject": "s", "tenant": "x"}
            )
            await queue.deliver(sent)
            await on.until(lambda: on.outlet.messages)
            assert on.outlet.messages == [sent._replace(source="inbound")]
            await on.until(lambda: queue.actor.finished["completed"] == 1)  # type: ignore[attr-defined]  # a `Queue`

    run(main())


def test_what_the_file_says_of_jobs_goes_into_them(run: Run) -> None:
    """Whoever works them goes by it."""

    async def main() -> None:
        async with stage() as on:
            options = {
                "attempts": 3,
                "backoff": {"type": "fixed", "delay": "2s", "jitter": 0},
                "priority": "{{ {'high': 1, 'low': 10}[headers.priority] }}",
                "delay": "{{ data.later }}",
                "job_name": "job-{{ data.kind }}",
                "deduplication": {"id": "{{ data.kind }}", "ttl": "1m", "extend": True, "replace": True},
            }
            queue = await unrouted(on).start(Queue, options)
            await queue.deliver(message({"kind": "x", "later": "1m"}, headers={"priority": "low"}))
            job = await only(queue)
            assert (job.name, job.state) == ("job-x", "delayed")
            assert job.options == JobOptions(
                priority=10,
                delay_ms=60_000,
                attempts=3,
                backoff=Backoff("fixed", 2000, 0),
                deduplication=Deduplication("x", 60_000, True, True),
            )

    run(main())


@pytest.mark.parametrize(
    ("options", "data", "expected"),
    [
        ({"priority": "{{ data }}"}, "7", 7),
        ({"priority": "{{ data }}"}, 2.0, 2),
        ({"priority": "{{ data }}"}, MAX_PRIORITY, MAX_PRIORITY),
        ({"priority": 3}, None, 3),
        ({"delay": "{{ data }}"}, 1500, 1500),
        ({"delay": "{{ data }}"}, "1m", 60_000),
        ({"delay": "{{ data }}"}, "", 0),
        ({"delay": "250ms"}, None, 250),
    ],
)
def test_priorities_and_delays_are_read_from_what_messages_have(
    run: Run, options: dict[str, Any], data: Any, expected: int
) -> None:
    """A delay that is a number is milliseconds, as in BullMQ."""

    async def main() -> None:
        async with stage() as on:
            queue = await unrouted(on).start(Queue, options)
            await queue.deliver(message(data))
            found = (await only(queue)).options
            assert (found.priority or found.delay_ms) == expected

    run(main())


@pytest.mark.parametrize(
    ("options", "data"),
    [
        ({"priority": "{{ data }}"}, -1),
        ({"priority": "{{ data }}"}, MAX_PRIORITY + 1),
        ({"priority": "{{ data }}"}, 1.5),
        ({"priority": "{{ data }}"}, True),
        ({"priority": "{{ data }}"}, "high"),
        ({"priority": "{{ data }}"}, None),
        ({"delay": "{{ data }}"}, -1),
        ({"delay": "{{ data }}"}, True),
        ({"delay": "{{ data }}"}, "soon"),
        ({"delay": "{{ data }}"}, {}),
        ({}, float("nan")),
    ],
)
def test_what_cannot_be_a_job_is_refused_for_good(run: Run, options: dict[str, Any], data: Any) -> None:
    """No repetition changes it, and nothing is kept."""

    async def main() -> None:
        async with stage() as on:
            queue = await unrouted(on).start(Queue, options)
            with pytest.raises(DeliveryError) as refused:
                await queue.deliver(message(data))
            assert (refused.value.reason, refused.value.retryable) == ("invalid", False)
            broken = await on.start(Queue, {"job_name": "{{ data.a.b }}"}, name="broken")
            with pytest.raises(ExpressionError):
                await broken.deliver(message(1))
            assert await kept(queue) == []

    run(main())


def test_jobs_of_one_key_are_worked_one_after_the_other(run: Run) -> None:
    """Those of other keys beside them; a job that somebody else added has its key made."""

    async def main() -> None:
        async with stage() as on:
            on.outlet.has_room.clear()
            queue = await on.start(Queue, {"concurrency": 5, "order_by": "{{ data.k }}"})
            for number, key in enumerate("aabba"):
                await queue.deliver(message({"k": key, "n": number}, id=f"m-{number}"))
            on.outlet.has_room.set()
            await on.until(lambda: len(on.outlet.messages) == 2)
            await settle()
            assert [each.data["n"] for each in on.outlet.messages] == [0, 2]
            for receipt in tuple(on.outlet.receipts):
                assert receipt is not None
                receipt.settle(DELIVERED)
            await on.until(lambda: len(on.outlet.messages) == 4)
            assert sorted(each.data["n"] for each in on.outlet.messages[2:]) == [1, 3]

    run(main())


def test_a_job_without_a_key_is_worked_all_the_same(run: Run) -> None:
    """What others add need not have what the expression asks for."""

    async def main() -> None:
        async with stage() as on:
            on.outlet.has_room.clear()
            on.outlet.settlement = DELIVERED
            plain = await on.start(Queue, {"queue": "q"}, name="plain")
            await plain.deliver(message(1))
            on.outlet.has_room.set()
            queue = await on.start(Queue, {"queue": "q", "order_by": "{{ data.k.x }}"})
            await plain.drain()
            await plain.deliver(message(2, id="m-2"))
            await on.until(lambda: len(on.outlet.messages) == 2)
            assert isinstance(queue.actor, Queue)

    run(main())


def test_a_failed_attempt_is_tried_again_and_the_last_one_fails_it(run: Run) -> None:
    """As the routes say: they give it back until the attempts are used up."""

    async def main() -> None:
        clock = ManualClock()
        async with stage(clock) as on:
            queue = await on.start(Queue, {"attempts": 2, "backoff": {"delay": "5s", "jitter": 0}})
            await queue.deliver(message(1))
            await on.until(lambda: on.outlet.messages)
            on.outlet.receipt.settle(Settlement("returned", "refused: 500"))
            await on.until(lambda: not queue.actor.owed)  # type: ignore[attr-defined]  # a `Queue`
            await clock.advance(4.9)
            assert len(on.outlet.messages) == 1
            await clock.advance(0.2)
            await on.until(lambda: len(on.outlet.messages) == 2)
            on.outlet.receipt.settle(Settlement("dead_lettered", "refused: 500"))
            await on.until(lambda: not queue.actor.owed)  # type: ignore[attr-defined]  # a `Queue`
            job = await only(queue)
            assert (job.state, job.attempts_made, job.failed_reason) == ("failed", 2, "refused: 500")

    run(main())


def test_a_queue_that_no_route_begins_at_is_not_worked(run: Run) -> None:
    """Somebody else may work it."""

    async def main() -> None:
        clock = ManualClock()
        async with stage(clock) as on:
            queue = await unrouted(on).start(Queue, {})
            await queue.deliver(message(1))
            await clock.advance(60)
            assert (await only(queue)).state == "waiting"

    run(main())


def test_two_of_one_name_work_one_queue(run: Run) -> None:
    """As while one takes the other's place: each job is worked once."""

    async def main() -> None:
        async with stage() as on:
            first = await on.start(Queue, {"concurrency": 2})
            for number in range(4):
                await first.deliver(message(number, id=f"m-{number}"))
            await on.until(lambda: len(on.outlet.messages) == 2)
            second = await on.start(Queue, {"concurrency": 2})
            await on.until(lambda: len(on.outlet.messages) == 4)
            retiring = asyncio.create_task(first.retire())
            await settle()
            for receipt in tuple(on.outlet.receipts):
                assert receipt is not None
                receipt.settle(DELIVERED)
            await retiring
            await on.until(lambda: not second.actor.owed)  # type: ignore[attr-defined]  # a `Queue`
            assert {job.state for job in await kept(second)} == {"completed"}
            assert len(on.outlet.messages) == 4

    run(main())


def test_schedulers_add_jobs_by_the_clock(run: Run) -> None:
    """Those that have left the file end with their actor's next start; those that stay keep their time."""

    async def main() -> None:
        clock = ManualClock()
        async with stage(clock) as on:
            on.outlet.settlement = DELIVERED
            schedulers = {"beat": {"every": "10s", "data": {"a": 1}}, "daily": {"cron": "0 8 * * *", "name": "report"}}
            queue = await on.start(Queue, {"schedulers": schedulers})
            actor = queue.actor
            assert isinstance(actor, Queue)

            async def known() -> list[str]:
                return sorted(each.id for each in await actor.queue.schedulers())

            async with asyncio.timeout(DEADLINE_S):
                while await known() != ["pm.it.beat", "pm.it.daily"]:
                    await settle()
            await clock.advance(25)
            await on.until(lambda: len(on.outlet.messages) >= 2)
            beat = on.outlet.messages[0]
            assert (beat.data, beat.type, beat.subject, beat.source) == ({"a": 1}, "beat", "beat", "it")
            await queue.stop()
            await on.start(Queue, {"schedulers": {"daily": schedulers["daily"]}})
            async with asyncio.timeout(DEADLINE_S):
                while await known() != ["pm.it.daily"]:
                    await settle()

    run(main())


def test_its_identity_stays(run: Run) -> None:
    """What an earlier process of this router had in hand comes back to its successor."""

    async def main() -> None:
        async with stage() as on:
            first = await on.start(Queue, {})
            path = Path(on.database.path).parent / FILE
            made = path.read_text()
            await first.stop()
            await on.start(Queue, {})
            assert path.read_text() == made
            assert path.stat().st_mode & 0o777 == 0o600

    run(main())


@pytest.mark.parametrize(("when_down", "standing"), [("wait", True), ("fail", False)])
def test_while_redis_is_away_adding_is_refused(run: Run, when_down: str, standing: bool) -> None:
    """With `wait` its routes know beforehand, and use their fallback or wait."""

    async def main() -> None:
        async with stage() as on:
            queue = await on.start(Queue, {"store": "redis", "when_down": when_down})
            assert on.standing.away is standing
            with pytest.raises(DeliveryError) as refused:
                await queue.deliver(message(1))
            assert (refused.value.reason, refused.value.retryable) == ("connect", True)
            assert queue.actor.spilled == 0  # type: ignore[attr-defined]  # a `Queue`

    run(main())


def test_while_redis_is_away_messages_are_spilled(run: Run) -> None:
    """Each is safe when it is answered, and its route never waits."""

    async def main() -> None:
        async with stage() as on:
            queue = await on.start(Queue, {"store": "redis", "when_down": "spill"})
            await queue.deliver(message(1))
            await queue.deliver(message(2, id="m-2"))
            assert not on.standing.away
            actor = queue.actor
            assert isinstance(actor, Queue)
            assert (actor.spilled, actor.added) == (2, 2)
            assert actor.about()["spilled"] == 2
            await queue.stop()
            again = await on.start(Queue, {"store": "redis"})
            assert again.actor.spilled == 2  # type: ignore[attr-defined]  # a `Queue`

    run(main())


def test_what_is_kept_is_bounded_unless_the_file_says_otherwise() -> None:
    """A number is how many; an age alone has no number."""
    default = QueueOptions.model_validate({}).keep
    assert (default.completed.meant(), default.failed.meant()) == (Keep(10_000, 86_400), Keep(10_000, 30 * 86_400))
    given = QueueOptions.model_validate({"keep": {"completed": 5, "failed": {"age": "90s"}}}).keep
    assert (given.completed.meant(), given.failed.meant()) == (Keep(5), Keep(None, 90))


@pytest.mark.parametrize("name", ["bull:orders", "a\nb", ""])
def test_a_name_that_bullmq_does_not_take_is_refused_in_words(name: str) -> None:
    """And not by a pattern that one has to read."""
    with pytest.raises(ValidationError) as refused:
        QueueOptions.model_validate({"queue": name})
    (error,) = refused.value.errors()
    assert "pattern" not in error["msg"]
    assert QueueOptions.model_validate({"queue": "tania-messages 🦊"}).queue == "tania-messages 🦊"
