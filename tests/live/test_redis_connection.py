"""The Redis connection against real servers: getting in, going away, coming back, and what the doctor finds."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from actors.connections.redis import RedisConnection
from actors.connections.redis.examination import examine_connection
from actors.connections.redis.options import RedisConnectionOptions
from actors.connections.redis.script import Script
from actors.core.clock import LoopClock
from actors.core.connection import ConnectionContext
from actors.core.errors import RouterError, StorageError, StoreAwayError
from actors.core.events import ConnectionFailed, ConnectionLost, ConnectionOpened, Events, Notice
from actors.core.examination import ExamineContext, Finding
from actors.core.resource import Access
from tests.certificates import self_signed
from tests.loop import Run
from tests.redis import Heard, redis
from tests.servers import HOST, RedisServer, free_port
from tests.tcp_proxy import proxy

pytestmark = pytest.mark.needs("redis-server")

PASSWORD = "correct-horse"


async def eventually(heard: Heard, kind: type[Any]) -> Any:
    """The first event of that kind, which may be still to come."""
    async with asyncio.timeout(10):
        while True:
            for event in heard.events:
                if isinstance(event, kind):
                    return event
            await asyncio.sleep(0.01)


async def back(heard: Heard) -> None:
    """Until Redis is there again."""
    there = asyncio.Event()
    end = heard.connection.watch(there.set, lambda _: None)
    async with asyncio.timeout(15):
        await there.wait()
    end()


async def examined(directory: Path, **options: Any) -> list[Finding]:
    context = ExamineContext("r", LoopClock(), directory, directory, {})
    return list(await examine_connection(RedisConnectionOptions.model_validate(options), context))


# Asking


def test_commands_of_several_callers_are_answered_each(run: Run, redis_server: RedisServer, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with redis(tmp_path, url=redis_server.url) as heard:
            connection = heard.connection
            assert await asyncio.gather(*(connection.execute("ECHO", n) for n in range(100))) == [
                str(n) for n in range(100)
            ]
            assert await connection.several([("ECHO", "a"), ("ECHO", "ü🦊"), ("GET", "nothing-here")]) == [
                "a",
                "ü🦊",
                None,
            ]
            assert connection.access() == Access(f"{redis_server.url}/0", "redis")
            assert (await eventually(heard, ConnectionOpened)).server == redis_server.url

    run(scenario())


def test_a_database_is_chosen_by_the_url(run: Run, redis_server: RedisServer, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with redis(tmp_path, url=f"{redis_server.url}/3") as heard:
            assert "db=3" in await heard.connection.execute("CLIENT", "INFO")

    run(scenario())


def test_a_script_is_loaded_again_where_redis_has_forgotten_it(
    run: Run, redis_server: RedisServer, tmp_path: Path
) -> None:
    async def scenario() -> None:
        script = Script("echo", f"return {{KEYS[1], ARGV[1]}} -- {time.monotonic_ns()}")
        async with redis(tmp_path, url=redis_server.url) as heard:
            for _ in range(2):
                assert await heard.connection.run(script, ["k"], ["v"]) == ["k", "v"]
                assert await heard.connection.execute("SCRIPT", "EXISTS", script.sha) == [1]
                await heard.connection.execute("SCRIPT", "FLUSH")

    run(scenario())


def test_a_refused_command_leaves_the_others_alone(run: Run, redis_server: RedisServer, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with redis(tmp_path, url=redis_server.url) as heard:
            answers = await asyncio.gather(
                heard.connection.execute("NONSENSE"), heard.connection.execute("ECHO", "x"), return_exceptions=True
            )
            assert isinstance(answers[0], StorageError)
            assert not isinstance(answers[0], StoreAwayError)
            assert answers[1] == "x"

    run(scenario())


def test_a_full_redis_is_a_full_store(run: Run, tmp_path: Path) -> None:
    async def scenario(server: RedisServer) -> None:
        async with redis(tmp_path, url=server.url) as heard:
            await heard.connection.execute("CONFIG", "SET", "maxmemory", "100kb")
            with pytest.raises(StorageError, match="maxmemory") as caught:
                await heard.connection.run(Script("set", "return redis.call('SET', KEYS[1], ARGV[1])"), ["k"], ["v"])
            assert caught.value.full

    with RedisServer(tmp_path) as server:
        run(scenario(server))


# Getting in


def test_a_password_of_the_url_or_the_options_lets_in(run: Run, tmp_path: Path) -> None:
    async def scenario(server: RedisServer) -> None:
        ways: list[dict[str, Any]] = [
            {"url": f"redis://:{PASSWORD}@{server.address}"},
            {"url": server.url, "password": PASSWORD},
            {"url": server.url, "username": "joe", "password": PASSWORD},
        ]
        for options in ways:
            async with redis(tmp_path, **options) as heard:
                assert await heard.connection.execute("PING") == "PONG"
                access = heard.connection.access()
                assert access == Access(f"{server.url}/0", "redis", "secret")

    with RedisServer(
        tmp_path, options=["--requirepass", PASSWORD, "--user", "joe", "on", f">{PASSWORD}", "~*", "+@all"]
    ) as server:
        run(scenario(server))


def test_a_wrong_password_is_said_in_words_and_is_shown_to_nobody(run: Run, tmp_path: Path) -> None:
    async def scenario(server: RedisServer) -> None:
        ways: list[tuple[dict[str, Any], str]] = [
            ({"url": f"redis://:wrong-{PASSWORD}@{server.address}"}, "does not know this user"),
            ({"url": server.url}, "wants a password"),
        ]
        for options, words in ways:
            async with redis(tmp_path, **options) as heard:
                with pytest.raises(StoreAwayError, match=words) as caught:
                    await heard.connection.execute("PING")
                failed = await eventually(heard, ConnectionFailed)
                assert words in failed.why
                assert PASSWORD not in f"{failed} {caught.value}"
            (found,) = await examined(tmp_path, **options)
            assert (found.level, words in found.text, PASSWORD in found.text) == ("problem", True, False)

    with RedisServer(tmp_path, options=["--requirepass", PASSWORD]) as server:
        run(scenario(server))


def test_tls_with_an_authority_of_ones_own(run: Run, tmp_path: Path) -> None:
    cert, key = self_signed(tmp_path)
    port = free_port()
    files: list[str | Path] = ["--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert]
    tls: list[str | Path] = ["--tls-port", str(port), *files, "--tls-auth-clients", "optional"]

    async def scenario() -> None:
        url = f"rediss://{HOST}:{port}"
        trusting: dict[str, Any] = {"url": url, "tls": {"ca": cert.name, "cert": cert.name, "key": key.name}}
        async with redis(tmp_path, **trusting) as heard:
            assert await heard.connection.execute("PING") == "PONG"
            assert await heard.connection.execute("ECHO", "x" * 1_000_000) == "x" * 1_000_000
        assert (await examined(tmp_path, **trusting))[0].level == "warning", "its certificate ends soon"
        async with redis(tmp_path, url=url) as heard:
            with pytest.raises(StoreAwayError, match="certificate is not valid"):
                await heard.connection.execute("PING")
        (found,) = await examined(tmp_path, url=url)
        assert (found.level, "not valid" in found.text) == ("problem", True)
        with pytest.raises(RouterError, match="connection r: cannot use the certificates"):
            async with redis(tmp_path, url=url, tls={"ca": "nowhere.pem"}):
                pass

    with RedisServer(tmp_path, options=tls):
        run(scenario())


def test_a_socket_in_the_file_system(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "r.sock"

    async def scenario() -> None:
        async with redis(tmp_path, url=f"unix://{path}?db=1") as heard:
            assert "db=1" in await heard.connection.execute("CLIENT", "INFO")
        assert {finding.level for finding in await examined(tmp_path, url=f"unix://{path}")} == {"ok", "warning"}

    with RedisServer(tmp_path, options=["--unixsocket", path]):
        run(scenario())


# Being away


def test_it_comes_back_after_a_restart_of_redis(run: Run, tmp_path: Path) -> None:
    async def scenario(server: RedisServer) -> None:
        async with redis(tmp_path, url=server.url) as heard:
            states: list[str] = []
            heard.connection.watch(lambda: states.append("up"), lambda why: states.append("down"))
            assert states == ["up"]
            server.kill()
            await eventually(heard, ConnectionLost)
            with pytest.raises(StoreAwayError):
                await heard.connection.execute("PING")
            await eventually(heard, ConnectionFailed)
            server.start()
            await back(heard)
            assert await heard.connection.execute("PING") == "PONG"
            assert (states[0], states[1], states[-1]) == ("up", "down", "up")

    with RedisServer(tmp_path) as server:
        run(scenario(server))


def test_one_that_is_not_there_at_first_is_found_later(run: Run, tmp_path: Path) -> None:
    server = RedisServer(tmp_path)

    async def scenario() -> None:
        async with redis(tmp_path, url=server.url) as heard:
            with pytest.raises(StoreAwayError, match="nobody listens there"):
                await heard.connection.execute("PING")
            server.start()
            await back(heard)
            assert await heard.connection.execute("PING") == "PONG"

    try:
        run(scenario())
    finally:
        server.stop()


def test_one_that_answers_no_more_is_noticed_while_nothing_is_asked(run: Run, tmp_path: Path) -> None:
    async def scenario(server: RedisServer) -> None:
        async with redis(tmp_path, url=server.url, timeout="1s") as heard:
            server.pause()
            before = time.monotonic()
            lost = await eventually(heard, ConnectionLost)
            assert time.monotonic() - before < 2.5
            assert "did not answer within 1 s" in lost.why
            server.resume()
            await back(heard)

    with RedisServer(tmp_path) as server:
        run(scenario(server))


def test_a_command_has_a_deadline(run: Run, tmp_path: Path) -> None:
    async def scenario(server: RedisServer) -> None:
        async with redis(tmp_path, url=server.url, timeout="2s") as heard:
            server.pause()
            before = time.monotonic()
            with pytest.raises(StoreAwayError, match=r"within 0\.2 s"):
                await heard.connection.execute("PING", timeout_s=0.2)
            assert time.monotonic() - before < 1.0
            server.resume()
            assert await heard.connection.execute("ECHO", "after") == "after"

    with RedisServer(tmp_path) as server:
        run(scenario(server))


def test_a_partition_ends_in_a_new_connection(run: Run, redis_server: RedisServer, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            proxy(redis_server.port) as between,
            redis(tmp_path, url=f"redis://{HOST}:{between.port}", timeout="500ms") as heard,
        ):
            between.hold()
            with pytest.raises(StoreAwayError):
                await heard.connection.execute("PING")
            await eventually(heard, ConnectionLost)
            between.let_flow()
            await back(heard)
            assert await heard.connection.execute("PING") == "PONG"

    run(scenario())


def test_what_waits_for_an_answer_gets_none_when_it_is_closed(run: Run, tmp_path: Path) -> None:
    async def scenario(server: RedisServer) -> None:
        async with redis(tmp_path, url=server.url) as heard:
            waiting = heard.connection.waiting_client("waits")
            await waiting.tried()
            pop = asyncio.create_task(waiting.execute("BZPOPMIN", "nothing", 0, timeout_s=60, patience_s=60))
            await asyncio.sleep(0)
            await heard.connection.close()
            with pytest.raises(StoreAwayError):
                await pop

    with RedisServer(tmp_path) as server:
        run(scenario(server))


# How durable it is


@pytest.mark.parametrize(
    ("options", "level", "words"),
    [
        (["--appendonly", "yes", "--appendfsync", "always"], "info", "a crash loses no acknowledged job"),
        (["--appendonly", "yes", "--appendfsync", "everysec"], "warning", "can lose the last two seconds"),
        ([], "warning", "it keeps nothing on disk"),
        (["--save", "60 1"], "warning", "snapshots (save 60 1)"),
        (["--maxmemory-policy", "allkeys-lru"], "warning", "deletes keys when its memory is full (allkeys-lru)"),
    ],
)
def test_its_durability_is_told_when_it_opens_and_by_the_doctor(
    options: list[str], level: str, words: str, run: Run, tmp_path: Path
) -> None:
    async def scenario(server: RedisServer) -> None:
        async with redis(tmp_path, url=server.url) as heard:
            notice = await eventually(heard, Notice)
            assert (notice.level, words in notice.text) == (level, True)
            found = await heard.connection.durability()
        doctor = await examined(tmp_path, url=server.url)
        assert doctor[1:] == found
        assert any(words in finding.text for finding in found)
        assert doctor[0].level == "ok"

    with RedisServer(tmp_path, options=options) as server:
        run(scenario(server))


def test_what_a_managed_redis_does_not_tell_is_said_to_be_unknown(run: Run, tmp_path: Path) -> None:
    async def scenario(server: RedisServer) -> None:
        found = await examined(tmp_path, url=server.url)
        texts = " ".join(finding.text for finding in found)
        assert "how often it syncs that cannot be known" in texts
        assert "a full one refuses new jobs" in texts

    with RedisServer(tmp_path, appendfsync="always", options=["--rename-command", "CONFIG", ""]) as server:
        run(scenario(server))


def test_nobody_there_is_a_problem_for_the_doctor(run: Run, tmp_path: Path, free_port: int) -> None:
    (found,) = run(examined(tmp_path, url=f"redis://{HOST}:{free_port}"))
    assert (found.level, found.text) == ("problem", f"nobody listens at {HOST}:{free_port}")


def test_who_watches_is_told_before_it_is_opened_and_no_more_once_that_ends(
    run: Run, redis_server: RedisServer, tmp_path: Path
) -> None:
    async def scenario() -> None:
        context = ConnectionContext("r", LoopClock(), Events(), tmp_path, tmp_path)
        connection = RedisConnection(RedisConnectionOptions(url=redis_server.url), context)
        told: list[str] = []
        ended: list[str] = []
        connection.watch(lambda: told.append("up"), told.append)
        end = connection.watch(lambda: ended.append("up"), ended.append)
        end()
        await connection.open()
        await connection.close()
        away = f"{redis_server.url}: not connected yet"
        assert told == [away, "up", f"{redis_server.url}: the connection is closed"]
        assert ended == [away]

    run(scenario())
