"""A start: what begins in which order, what it does not wait for, and what ends it with nothing left behind."""

from __future__ import annotations

import asyncio
import socket
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.core.errors import ActorError, RouterError, StateDirError, StorageError
from actors.core.events import ActorReady, Notice
from router.store.state_dir import StateDir
from tests.loop import Run
from tests.router.engine_stage import Stage, running, staged, state_folder
from tests.servers import HOST

SIMPLE = """
actors: {tap: {type: tap}, sink: {type: sink}}
routes: {r: {from: tap, to: sink, durable: true}}
"""
WEBHOOK = """
actors: {hook: {type: webhook, path: /hook}, tap: {type: tap}, sink: {type: sink}}
routes: {r: {from: hook, to: sink}, s: {from: tap, to: sink, durable: true}}
"""

USERS_ACTORS = """
import pykka
from actors.core.actor import AsyncioActor
from actors.core.message import Message

class Asking(AsyncioActor):
    def __init__(self, outlet, greeting):
        super().__init__()
        self.outlet, self.greeting = outlet, greeting

    def on_receive(self, message):
        self.outlet.offer(message.with_data(f"{self.greeting} {message.data}"))

class Blocking(pykka.ThreadingActor):
    def __init__(self, outlet):
        super().__init__()
        self.outlet = outlet

    def on_receive(self, message):
        self.outlet.offer(message.with_data(message.data.upper()))
        return "passed on"

def exclaim(message):
    return message.with_data(message.data + "!")
"""


@pytest.fixture
def state() -> Iterator[Path]:
    with state_folder() as folder:
        yield folder


def nothing_is_left(stage: Stage) -> None:
    """No thread of the database, no lock, no task besides the test's own."""
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("database")]
    assert len(asyncio.all_tasks()) <= 2, asyncio.all_tasks()
    with StateDir(stage.engine.state_dir.path) as again:
        if again.was_clean:
            again.mark_clean()


def test_targets_start_before_routes_and_sources_last(run: Run, state: Path) -> None:
    async def scenario() -> None:
        async with running(SIMPLE, state) as stage:
            assert [event.actor for event in stage.of(ActorReady)] == ["sink", "route/r", "tap"]
            assert await stage.outcome(stage.tap().send(1)) == "delivered"

    run(scenario())


@pytest.mark.parametrize("start", ["crash", "never"])
@pytest.mark.slow
def test_an_actor_that_does_not_get_ready_does_not_stop_the_start(
    run: Run, state: Path, start: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that crashes is not waited for at all; one that takes long, for a while."""
    monkeypatch.setattr("router.change.preparation.READY_TIMEOUT_S", 0.2)
    text = f"""
actors: {{tap: {{type: tap}}, sink: {{type: sink}}, bad: {{type: sink, start: {start}}}}}
routes: {{r: {{from: tap, to: sink}}, s: {{from: tap, to: bad, durable: true}}}}
"""

    async def scenario() -> None:
        begun = time.monotonic()
        async with running(text, state, drain="0s") as stage:
            assert time.monotonic() - begun < 2.0
            children = stage.engine.supervisor.children
            assert children["bad"].state in ("restarting", "starting")
            assert children["sink"].state == children["tap"].state == "ready"
            stage.tap().send(1)
            await stage.until(lambda: stage.play.taken)

    run(scenario())


def test_disabled_actors_stay_where_they_are(run: Run, state: Path) -> None:
    """A route to one uses its fallback; a disabled source takes nothing."""
    text = """
actors:
  tap: {type: tap}
  quiet: {type: tap, enabled: false}
  off: {type: sink, enabled: false}
  sink: {type: sink}
routes: {r: {from: [tap, quiet], to: off, fallback: sink}}
"""

    async def scenario() -> None:
        async with running(text, state) as stage:
            stage.tap().send(1, "m")
            await stage.until(lambda: stage.play.taken)
            assert stage.play.taken == [("sink", "m")]
            assert "quiet starts" not in stage.play.did
            assert stage.engine.supervisor.children["off"].state == "disabled"

    run(scenario())


def test_a_group_restarts_together(run: Run, state: Path) -> None:
    text = """
actors:
  tap: {type: tap}
  a: {type: sink, does: crash}
  b: {type: sink}
groups: {both: {strategy: one_for_all, actors: [a, b]}}
routes: {r: {from: tap, to: a, retry: {attempts: 1}}}
"""

    async def scenario() -> None:
        async with running(text, state) as stage:
            stage.tap().send(1)
            await stage.until(lambda: stage.play.did.count("b starts") == 2)
            assert stage.play.did.count("a starts") == 2

    run(scenario())


def test_classes_and_functions_of_the_users_lie_beside_the_topology(run: Run, state: Path, tmp_path: Path) -> None:
    """On the loop and on a thread, as targets and as sources; a step's function as well. None hides a module
    that is installed."""
    (tmp_path / "users_own_actors.py").write_text(USERS_ACTORS)
    (tmp_path / "asyncio.py").write_text("raise RuntimeError('not this one')")
    text = """
actors:
  tap: {type: tap}
  asking: {type: python, class: "users_own_actors:Asking", args: {greeting: hello}}
  blocking: {type: python, class: "users_own_actors:Blocking"}
  sink: {type: sink, does: reply}
routes:
  one: {from: tap, to: asking, steps: [{python: "users_own_actors:exclaim"}]}
  two: {from: asking, to: blocking}
  three: {from: blocking, to: sink}
"""

    async def scenario() -> None:
        path = list(sys.path)
        try:
            async with running(text, state, folder=tmp_path) as stage:
                assert sys.path[-1] == str(tmp_path)
                ticket = stage.tap().send("world", "m")
                await stage.until(lambda: ticket.outcome == "delivered" and stage.play.taken)
                found = stage.engine.routes["three"].ledger
                await stage.until(lambda: found.delivered == 1)
        finally:
            sys.path[:] = path
            sys.modules.pop("users_own_actors", None)

    run(scenario())


# Starts that fail


def fails(run: Run, text: str, state: Path, error: type[Exception], match: str) -> None:
    """The start raises this, and leaves nothing behind."""

    async def scenario() -> None:
        stage = staged(text, state)
        with pytest.raises(error, match=match):
            await stage.engine.start()
        await asyncio.sleep(0)
        nothing_is_left(stage)
        assert not stage.engine.listening()
        assert not any(child.actor for child in stage.engine.supervisor.children.values())

    run(scenario())


def test_a_port_that_is_taken_ends_the_start(run: Run, state: Path) -> None:
    """Before anything has run; and the message says what to do."""
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]

        async def scenario() -> None:
            stage = staged(WEBHOOK, state, port=port)
            with pytest.raises(
                RouterError, match=rf"{HOST}:{port}: the port is in use\. .*another settings\.http\.port"
            ):
                await stage.engine.start()
            nothing_is_left(stage)
            assert stage.play.did == []

        run(scenario())
    with StateDir(state) as left:
        assert left.was_clean


def test_nobody_connects_before_all_is_ready(run: Run, state: Path) -> None:
    """The port is taken first, and listens last: no request meets a path that is not there yet."""
    refused: list[bool] = []
    text = """
actors: {hook: {type: webhook, path: /hook}, sink: {type: sink}}
routes: {r: {from: hook, to: sink}}
"""

    async def scenario() -> None:
        from actors.connections.http_listener import HttpListener

        stage = staged(text, state)

        def look(event: ActorReady) -> None:
            listener = stage.engine.shared.find(HttpListener)
            assert listener is not None
            if event.actor == "sink":
                with socket.socket() as probe:
                    refused.append(probe.connect_ex(listener.address) != 0)

        stage.engine.events.subscribe(ActorReady, look)
        await stage.engine.start()
        assert refused == [True]
        assert stage.url.startswith(f"http://{HOST}:")
        await stage.engine.stop()

    run(scenario())


def test_a_database_that_is_none_ends_the_start(run: Run, state: Path) -> None:
    with StateDir(state) as made:
        made.database.write_bytes(b"no database at all " * 1000)
    fails(run, SIMPLE, state, StorageError, "store.db cannot be opened")


def test_a_database_of_a_newer_version_ends_the_start(run: Run, state: Path) -> None:
    with StateDir(state) as made:
        connection = sqlite3.connect(made.database)
        connection.execute("PRAGMA user_version = 99")
        connection.close()
    fails(run, SIMPLE, state, StorageError, "written by a newer version")


def test_a_state_directory_of_a_newer_format_ends_the_start(run: Run, state: Path) -> None:
    state.mkdir(mode=0o700)
    (state / "format").write_text("99\n")

    async def scenario() -> None:
        with pytest.raises(StateDirError, match="has format 99"):
            await staged(SIMPLE, state).engine.start()

    run(scenario())


def test_a_second_start_on_a_state_directory_is_refused(run: Run, state: Path) -> None:
    """It says which process has it, and the first one does not notice."""

    async def scenario() -> None:
        async with running(SIMPLE, state) as stage:
            with pytest.raises(StateDirError, match=r"in use by process \d+"):
                await staged(SIMPLE, state).engine.start()
            assert await stage.outcome(stage.tap().send(1)) == "delivered"

    run(scenario())


def test_a_step_that_cannot_be_built_ends_the_start(run: Run, state: Path) -> None:
    text = SIMPLE.replace("durable: true", "steps: [{python: 'no_such_module:f'}]")
    fails(run, text, state, ActorError, "no_such_module:f cannot be imported")


def test_a_start_that_is_cancelled_leaves_nothing(run: Run, state: Path) -> None:
    text = SIMPLE.replace("{type: sink}", "{type: sink, start: never}")

    async def scenario() -> None:
        stage = staged(text, state)
        starting = asyncio.create_task(stage.engine.start())
        await stage.until(lambda: "sink starts" in stage.play.did)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        nothing_is_left(stage)
        assert stage.play.did == ["sink starts", "sink stops"]

    run(scenario())


def test_a_start_that_fails_does_not_hide_that_the_one_before_died(run: Run, state: Path) -> None:
    """What killed the router may still be in the journal, and stays a suspect until something has begun with it."""

    async def scenario() -> None:
        async with running(SIMPLE, state):
            pass
        assert (state / "clean").exists()
        (state / "clean").unlink()
        broken = SIMPLE.replace("durable: true", "steps: [{python: 'no_such_module:f'}]")
        with pytest.raises(ActorError):
            await staged(broken, state).engine.start()
        assert not (state / "clean").exists()
        stage = staged(SIMPLE, state)
        await stage.engine.start()
        assert not stage.engine.state_dir.was_clean
        await stage.engine.stop()
        assert (state / "clean").exists()

    run(scenario())


# What the last run left


def test_messages_of_a_route_that_is_gone_become_dead_letters(run: Run, state: Path) -> None:
    """All of them, with the route's name and the reason; none is left in the journal."""
    held = SIMPLE.replace("{type: sink}", "{type: sink, does: hold}")

    async def scenario() -> None:
        async with running(held, state, drain="0s") as stage:
            tickets = [stage.tap().send(number, f"m{number}") for number in range(30)]
            for ticket in tickets:
                await ticket.told()
        renamed = SIMPLE.replace("{r:", "{other:")
        async with running(renamed, state) as stage:
            await stage.until(lambda: [e for e in stage.of(Notice) if "30 messages of its journal" in e.text])
            letters = await stage.engine.dead_letters.page()
            assert {letter.message_id for letter in letters} == {f"m{number}" for number in range(30)}
            assert {(letter.route, letter.reason) for letter in letters} == {("r", "unroutable")}
            assert stage.engine.journal.routes() == []

    run(scenario())


def test_a_key_is_remembered_beyond_a_restart(run: Run, state: Path) -> None:
    text = SIMPLE.replace("durable: true", "durable: true, steps: [{dedup: {key: '{{ data.id }}', for: 1h}}]")

    async def scenario() -> None:
        for outcome in ("delivered", "deduplicated"):
            async with running(text, state) as stage:
                assert await stage.outcome(stage.tap().send({"id": 7})) == outcome

    run(scenario())
