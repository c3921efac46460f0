"""What is special to queues in Redis: several processes, lost answers, a Redis that is away, clusters."""

import asyncio
import json
import time
from pathlib import Path

import pytest

from actors.connections.redis import RedisConnection
from actors.core.errors import StorageError, StoreAwayError
from actors.queues.contract import Added, Completed, Failed, Finish, Limiter, Order, Released, Retried
from actors.queues.job import Backoff, Deduplication, JobOptions, Keep, NewJob
from tests.loop import Run
from tests.queues import Line
from tests.redis import Heard, queue_of, redis
from tests.servers import HOST, RedisServer, free_port
from tests.tcp_proxy import Proxy, proxy

pytestmark = pytest.mark.needs("redis-server")

ORDER = Order("s1/", lambda job: str(json.loads(job.data).get("key", "")))


def url_of(between: Proxy) -> str:
    return f"redis://{HOST}:{between.port}"


async def there(connection: RedisConnection) -> None:
    """Until Redis is there again."""
    up = asyncio.Event()
    end = connection.watch(up.set, lambda _: None)
    async with asyncio.timeout(15):
        await up.wait()
    end()


async def flows_again(between: Proxy, heard: Heard) -> None:
    """End a partition, and wait for a connection made since."""
    opened = heard.kinds().count("ConnectionOpened")
    between.let_flow()
    between.cut()
    async with asyncio.timeout(15):
        while heard.kinds().count("ConnectionOpened") == opened or not heard.connection.is_up:  # noqa: ASYNC110  # nothing tells
            await asyncio.sleep(0.01)


def low_port() -> int:
    """A free one that leaves room for the cluster's own, 10,000 above it."""
    while (port := free_port()) > 55_000:
        pass
    return port


def keyed(queue: Line, id: str, key: str) -> NewJob:
    """As a Node producer adds it: without an order key."""
    return queue.new(id, data=json.dumps({"key": key}))


# Adding


def test_adding_fails_in_time_while_redis_is_away_and_goes_on_afterwards(run: Run, tmp_path: Path) -> None:
    async def scenario(server: RedisServer) -> None:
        async with redis(tmp_path, url=server.url, timeout="500ms") as heard, queue_of(heard.connection) as queue:
            await queue.add("a-1")
            server.pause()
            before = time.monotonic()
            outcomes = await queue.submit(*(queue.new(f"a-{n}") for n in range(2, 300)))
            assert {type(outcome) for outcome in outcomes} == {StoreAwayError}
            assert time.monotonic() - before < 3.0
            server.resume()
            await there(heard.connection)
            assert await queue.add("a-1", "a-2") == ["a-1", "a-2"]

    with RedisServer(tmp_path) as server:
        run(scenario(server))


def test_a_job_whose_answer_got_lost_is_there_once_when_it_is_added_again(
    run: Run, redis_server: RedisServer, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with (
            proxy(redis_server.port) as between,
            redis(tmp_path, url=url_of(between), timeout="500ms") as heard,
            queue_of(heard.connection) as queue,
        ):
            await queue.add("a-0")
            between.swallow(forth=False, back=True)
            (outcome,) = await queue.submit(queue.new("a-1"))
            assert isinstance(outcome, StoreAwayError)
            await flows_again(between, heard)
            assert await queue.add("a-1") == ["a-1"]
            assert (await queue.queue.counts()).waiting == 2

    run(scenario())


def test_a_full_redis_refuses_jobs_and_still_lets_others_be_finished(run: Run, tmp_path: Path) -> None:
    async def scenario(server: RedisServer) -> None:
        async with redis(tmp_path, url=server.url) as heard, queue_of(heard.connection) as queue:
            await queue.add("a-1", "a-2")
            consumer = await queue.consumer()
            (job,) = await queue.take(consumer)
            await heard.connection.execute("CONFIG", "SET", "maxmemory", "100kb")
            outcomes = await queue.submit(queue.new("a-3"), queue.new("a-4"))
            assert [isinstance(each, StorageError) and each.full for each in outcomes] == [True, True]
            assert (await queue.turn(consumer, Completed(job))).lost == ()
            await heard.connection.execute("CONFIG", "SET", "maxmemory", "0")
            counts = await queue.queue.counts()
            assert (counts.waiting, counts.active, counts.completed) == (1, 0, 1)

    with RedisServer(tmp_path) as server:
        run(scenario(server))


def test_one_bad_job_of_many_leaves_the_others_alone(run: Run, redis_server: RedisServer, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with redis(tmp_path, url=redis_server.url) as heard, queue_of(heard.connection, prefix="bad") as queue:
            await heard.connection.execute("SET", "bad:orders:a-2", "no hash")
            outcomes = await queue.submit(*(queue.new(f"a-{n}", envelope="{}") for n in range(1, 4)))
            assert [type(outcome) for outcome in outcomes] == [Added, StorageError, Added] or outcomes[1] == Added(
                "a-2"
            )
            assert (await queue.job("a-3")).envelope == "{}"

    run(scenario())


def test_options_are_in_the_hash_as_node_has_them(run: Run, redis_server: RedisServer, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with redis(tmp_path, url=redis_server.url) as heard, queue_of(heard.connection, prefix="opt") as queue:
            options = JobOptions(
                attempts=3,
                backoff=Backoff("exponential", 1_000, 0.5),
                deduplication=Deduplication("d", 60_000),
                keep_completed=Keep(100, 3_600),
                others={"failParentOnFailure": True},
            )
            await queue.add(queue.new("a-1", options, name="paint", envelope='{"id":"m"}', key="k"))
            row = iter(await heard.connection.execute("HGETALL", "opt:orders:a-1"))
            fields = dict(zip(row, row, strict=True))
            assert json.loads(fields["opts"]) == {
                "attempts": 3,
                "backoff": {"type": "exponential", "delay": 1_000, "jitter": 0.5},
                "de": {"id": "d", "ttl": 60_000},
                "removeOnComplete": {"count": 100, "age": 3_600},
                "fpof": True,
            }
            assert (fields["name"], fields["pm"], fields["pmk"], fields["deid"]) == ("paint", '{"id":"m"}', "k", "d")

    run(scenario())


# Lost answers


def test_a_turn_whose_answer_got_lost_is_neither_done_twice_nor_forgotten(
    run: Run, redis_server: RedisServer, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with (
            proxy(redis_server.port) as between,
            redis(tmp_path, url=url_of(between), timeout="500ms") as heard,
            queue_of(heard.connection) as queue,
        ):
            await queue.add(*(f"a-{n}" for n in range(8)))
            consumer = await queue.consumer()
            first = await queue.take(consumer, 4)
            finished: list[Finish] = [
                Completed(first[0]),
                Failed(first[1], "no"),
                Retried(first[2], 60_000, "no"),
                Released(first[3]),
            ]
            between.swallow(forth=False, back=True)
            for _ in range(2):
                with pytest.raises(StoreAwayError):
                    await consumer.turn(finished, 2)
            await flows_again(between, heard)
            turn = await queue.turn(consumer, *finished, want=2)
            assert turn.lost == ()
            # What was given back is at the front, and so is among those that were claimed again.
            assert sorted(job.id for job in turn.jobs) == ["a-3", "a-4"]
            assert all(job.attempts_started == (2 if job.id == "a-3" else 1) for job in turn.jobs)
            assert (await queue.job("a-2")).attempts_made == 1
            counts = await queue.queue.counts()
            assert (counts.waiting, counts.active, counts.completed) == (3, 2, 1)
            assert (counts.failed, counts.delayed) == (1, 1)

    run(scenario())


def test_what_was_claimed_without_an_answer_is_claimed_once(
    run: Run, redis_server: RedisServer, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with (
            proxy(redis_server.port) as between,
            redis(tmp_path, url=url_of(between), timeout="500ms") as heard,
            queue_of(heard.connection) as queue,
        ):
            await queue.add(*(f"a-{n}" for n in range(6)))
            consumer = await queue.consumer()
            assert await queue.take_ids(consumer, 1) == ["a-0"]
            between.swallow(forth=False, back=True)
            with pytest.raises(StoreAwayError):
                await consumer.turn((), 3)
            await flows_again(between, heard)
            assert [job.id for job in (await queue.turn(consumer, want=1)).jobs] == ["a-1", "a-2", "a-3"]
            assert [job.id for job in (await queue.turn(consumer, want=5)).jobs] == ["a-4", "a-5"]

    run(scenario())


def test_a_turn_that_redis_hears_of_too_late_does_nothing(run: Run, tmp_path: Path) -> None:
    """The server stands still; what it was asked meanwhile is in its socket, and comes when it goes on."""

    async def scenario(server: RedisServer) -> None:
        async with redis(tmp_path, url=server.url, timeout="500ms") as heard, queue_of(heard.connection) as queue:
            await queue.add(*(f"a-{n}" for n in range(4)))
            consumer = await queue.consumer()
            (first,) = await queue.take(consumer)
            server.pause()
            for _ in range(2):
                with pytest.raises(StoreAwayError):
                    await consumer.turn([Completed(first)], 1)
            server.resume()
            await there(heard.connection)
            turn = await queue.turn(consumer, Completed(first), want=3)
            assert turn.lost == ()
            assert [job.id for job in turn.jobs] == ["a-1", "a-2", "a-3"]
            counts = await queue.queue.counts()
            assert (counts.active, counts.completed, counts.waiting) == (3, 1, 0)

    with RedisServer(tmp_path) as server:
        run(scenario(server))


# Waiting


def test_an_idle_consumer_is_woken_long_after_any_socket_would_have_given_up(
    run: Run, redis_server: RedisServer, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with redis(tmp_path, url=redis_server.url, timeout="500ms") as heard, queue_of(heard.connection) as queue:
            consumer = await queue.consumer()
            await queue.turn(consumer, want=1)
            before = time.monotonic()
            await consumer.wait(None)
            assert 4.5 < time.monotonic() - before < 6.0
            waiting = asyncio.create_task(consumer.wait(None))
            await asyncio.sleep(0.3)
            before = time.monotonic()
            await queue.add("a-1")
            await waiting
            assert time.monotonic() - before < 0.2
            assert heard.kinds().count("ConnectionLost") == 0

    run(scenario())


def test_a_marker_that_nobody_waits_for_any_more_is_left_to_others(
    run: Run, redis_server: RedisServer, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with redis(tmp_path, url=redis_server.url) as heard, queue_of(heard.connection) as queue:
            busy, idle = await queue.consumer(), await queue.consumer(name="other")
            await queue.turn(busy, want=1)
            gone = asyncio.create_task(busy.wait(None))
            await asyncio.sleep(0.1)
            gone.cancel()
            await asyncio.wait((gone,))
            waiting = asyncio.create_task(idle.wait(None))
            await asyncio.sleep(0.1)
            await queue.add("a-1")
            async with asyncio.timeout(1):
                await waiting

    run(scenario())


def test_a_consumer_that_waits_looks_again_when_redis_is_back(run: Run, tmp_path: Path) -> None:
    async def scenario(server: RedisServer) -> None:
        async with redis(tmp_path, url=server.url) as heard, queue_of(heard.connection) as queue:
            consumer = await queue.consumer()
            await queue.turn(consumer, want=1)
            waiting = asyncio.create_task(consumer.wait(None))
            await asyncio.sleep(0.1)
            await queue.add("a-1")
            await waiting
            waiting = asyncio.create_task(consumer.wait(None))
            await asyncio.sleep(0.1)
            server.kill()
            server.start()
            async with asyncio.timeout(4):
                await waiting
            await there(heard.connection)
            assert await queue.take_ids(consumer, 1) == ["a-1"]

    with RedisServer(tmp_path, appendfsync="always") as server:
        run(scenario(server))


# Several processes


def test_order_by_key_holds_over_two_processes(run: Run, redis_server: RedisServer, tmp_path: Path) -> None:
    """Two connections are two processes to Redis; each job is worked for a moment, and some fail at first."""

    async def scenario() -> None:
        begun: dict[str, list[str]] = {}
        under_way: set[str] = set()
        left = 120

        async def work(queue: Line, name: str) -> None:
            nonlocal left
            consumer = await queue.consumer(name=name, identity=name, order=ORDER)
            finished: list[Completed | Retried] = []
            while left > 0:
                turn = await queue.turn(consumer, *finished, want=5)
                finished = []
                for job in turn.jobs:
                    key = json.loads(job.data)["key"]
                    assert key not in under_way
                    under_way.add(key)
                    if not job.attempts_made:
                        begun.setdefault(key, []).append(job.id)
                await asyncio.sleep(0.001)
                for job in turn.jobs:
                    under_way.discard(json.loads(job.data)["key"])
                    is_bad = job.id.endswith("3") and not job.attempts_made
                    finished.append(Retried(job, 5, "no") if is_bad else Completed(job))
                    left -= not is_bad
                if not turn.jobs:
                    await consumer.wait(min(turn.wait_ms or 20, 20))
            await queue.turn(consumer, *finished)

        async with (
            redis(tmp_path, url=redis_server.url) as one,
            redis(tmp_path, url=redis_server.url) as two,
            queue_of(one.connection, prefix="two") as ours,
            queue_of(two.connection, prefix="two") as theirs,
        ):
            await ours.add(*(keyed(ours, f"j-{n:03}", f"k{n % 7}") for n in range(120)))
            await asyncio.gather(work(ours, "one"), work(theirs, "two"))
            counts = await ours.queue.counts()
            assert (counts.completed, counts.unfinished, counts.parked) == (120, 0, 0)
            assert begun == {f"k{k}": [f"j-{n:03}" for n in range(120) if n % 7 == k] for k in range(7)}
            assert await one.connection.execute("EXISTS", "two:orders:pm:owners") == 0

    run(scenario())


def test_a_key_is_free_when_somebody_else_has_finished_its_job(
    run: Run, redis_server: RedisServer, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with redis(tmp_path, url=redis_server.url) as heard, queue_of(heard.connection, prefix="free") as queue:
            await queue.add(*(keyed(queue, f"a-{n}", "a") for n in range(3)))
            consumer = await queue.consumer(order=ORDER, stalled_interval_ms=50)
            (first,) = await queue.take(consumer)
            assert await queue.finds_nothing(consumer)
            # As a Node worker or an operator's tool does, who knows nothing of keys.
            await heard.connection.execute("DEL", f"free:orders:{first.id}", f"free:orders:{first.id}:lock")
            await heard.connection.execute("LREM", "free:orders:active", 0, first.id)
            await consumer.look_for_stalled()
            (second,) = await queue.take(consumer)
            assert second.id == "a-1"
            await heard.connection.execute("DEL", "free:orders:a-1", "free:orders:a-1:lock")
            await heard.connection.execute("LREM", "free:orders:active", 0, "a-1")
            # A claim that meets it is as good.
            await queue.add(keyed(queue, "a-3", "a"))
            assert await queue.take_ids(consumer, 1) == ["a-2"]

    run(scenario())


def test_a_long_line_of_one_key_is_worked_through(run: Run, redis_server: RedisServer, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with redis(tmp_path, url=redis_server.url) as heard, queue_of(heard.connection) as queue:
            ids = [f"a-{n:04}" for n in range(1_200)]
            await queue.add(*(queue.new(id, data='{"key":"a"}', key="s1/a") for id in ids), keyed(queue, "b", "b"))
            consumer = await queue.consumer(order=ORDER)
            jobs = await queue.take(consumer, 2)
            assert [job.id for job in jobs] == ["a-0000", "b"]
            worked = []
            while jobs:
                worked += [job.id for job in jobs if job.id != "b"]
                jobs = list((await queue.turn(consumer, *map(Completed, jobs), want=5)).jobs)
            assert worked == ids

    run(scenario())


def test_what_another_order_has_parked_waits_again_in_its_order(
    run: Run, redis_server: RedisServer, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with redis(tmp_path, url=redis_server.url) as heard, queue_of(heard.connection) as queue:
            await queue.add(*(keyed(queue, f"a-{n}", "a") for n in range(4)), "later")
            consumer = await queue.consumer(order=ORDER)
            (first,) = await queue.take(consumer)
            await queue.turn(consumer, want=1)
            assert (await queue.queue.counts()).parked == 3
            other = await queue.consumer(name="other")
            assert (await queue.queue.counts()).parked == 0
            assert await queue.take_ids(other, 3) == ["a-1", "a-2", "a-3"]
            await queue.turn(consumer, Completed(first))

    run(scenario())


def test_jobs_of_an_earlier_process_come_back_when_redis_is_back(run: Run, tmp_path: Path) -> None:
    async def scenario(server: RedisServer) -> None:
        async with redis(tmp_path, url=server.url) as one, queue_of(one.connection, prefix="id") as before:
            await before.add("a-1", "a-2")
            await before.take(await before.consumer(identity="node-1"), 1)
            await before.take(await before.consumer(identity="node-2"), 1)
            before.consumers.clear()
            server.kill()
            async with redis(tmp_path, url=server.url) as two, queue_of(two.connection, prefix="id") as after:
                consumer = await after.consumer(identity="node-1")
                with pytest.raises(StoreAwayError):
                    await consumer.turn((), 1)
                server.start()
                await there(two.connection)
                (job,) = (await after.turn(consumer, want=5)).jobs
                assert (job.id, job.stalled) == ("a-1", 1)
            await there(one.connection)

    with RedisServer(tmp_path, appendfsync="always") as server:
        run(scenario(server))


def test_a_changed_connection_leaves_alone_what_is_in_hand_over_the_one_before(
    run: Run, redis_server: RedisServer, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with (
            redis(tmp_path, url=redis_server.url) as one,
            redis(tmp_path, url=redis_server.url, generation=1) as two,
            queue_of(one.connection, prefix="changed") as before,
            queue_of(two.connection, prefix="changed") as after,
        ):
            await before.add("a-1", "a-2")
            old = await before.consumer()
            (job,) = await before.take(old)
            assert await after.take_ids(await after.consumer(), 1) == ["a-2"]
            assert (await before.turn(old, Completed(job))).lost == ()

    run(scenario())


# Clusters


def test_a_cluster_has_all_of_a_queue_in_one_slot(run: Run, tmp_path: Path) -> None:
    async def scenario(server: RedisServer) -> None:
        async with redis(tmp_path, url=server.url) as heard:
            await heard.connection.execute("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            async with asyncio.timeout(10):
                while "cluster_state:ok" not in await heard.connection.execute("CLUSTER", "INFO"):  # noqa: ASYNC110  # nothing tells
                    await asyncio.sleep(0.05)
            async with queue_of(heard.connection, prefix="{bull}") as queue:
                await queue.add(keyed(queue, "a-1", "a"), keyed(queue, "a-2", "a"), options=None)
                await queue.add("later", options=JobOptions(delay_ms=1, priority=2))
                consumer = await queue.consumer(order=ORDER, limiter=Limiter(100, 1_000))
                waiting = await queue.take(consumer, 1)
                await queue.pass_ms(5)
                turn = await queue.turn(consumer, Retried(waiting[0], 10, "no"), want=1)
                assert [job.id for job in turn.jobs] == ["later"]
                assert (await queue.queue.counts()).parked == 1
                await consumer.look_for_stalled()
                await queue.queue.pause()
                await queue.queue.resume()
                (again,) = await queue.take(consumer, 1)
                assert list(await consumer.renew([again])) == []

    with RedisServer(tmp_path, port=low_port(), options=["--cluster-enabled", "yes"]) as server:
        run(scenario(server))
