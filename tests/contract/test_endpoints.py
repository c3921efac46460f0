"""What every endpoint type keeps to, whatever it connects; a new type adds its line to the table."""

import asyncio
import importlib
import os
import pkgutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydantic import ValidationError

import actors.endpoints
from actors.connections.http_listener import HttpListener
from actors.core.actor import AsyncioActor
from actors.core.child import ChildSpec
from actors.core.clock import ManualClock, settle
from actors.core.errors import DeliveryError
from actors.core.mailbox import Mailbox
from actors.core.message import Message
from actors.core.restart import RestartPolicy
from actors.core.spec import ENDPOINT, EndpointSpec
from actors.core.succession import Succession
from actors.core.supervisor import Supervisor
from router.catalog import Catalog
from tests.loop import Run
from tests.servers import free_port
from tests.stage import DEADLINE_S, Stage, stage


@dataclass(frozen=True)
class Case:
    """How a type is made, and what it is."""

    options: Mapping[str, Any] | Callable[[], Mapping[str, Any]]
    source: bool = False
    target: bool = False
    replies: bool = False
    claims: frozenset[str] = frozenset()
    away: Mapping[str, Any] | Callable[[], Mapping[str, Any]] | None = None
    """For a target with a remote end: options with which that is not there."""
    succession: Succession = "break"
    """How one with the options of `changed` as well takes its place."""
    changed: Mapping[str, Any] = field(default_factory=dict)
    wrong: tuple[Mapping[str, Any], ...] = field(default=())
    """Options that must be problems, each with one mistake."""

    def made(self) -> Mapping[str, Any]:
        return self.options() if callable(self.options) else self.options


def _nobody() -> Mapping[str, Any]:
    return {"url": f"http://127.0.0.1:{free_port()}/"}


CASES: Mapping[str, Case] = {
    "http": Case(
        _nobody,
        target=True,
        replies=True,
        away=_nobody,
        succession="beside",
        changed={"pool": 2},
        wrong=(
            {},
            {"url": "{{ data.url }}"},
            {"url": "http://h/", "timeout": 5},
            {"url": "http://h/", "method": "BREW"},
            {"url": "http://h/", "headers": {"Content-Length": "5"}},
            {"url": "http://h/", "headers": {"idempotency-key": "x"}},
            {"url": "http://h/", "headers": {"a b": "x"}},
            {"url": "http://h/", "auth": {}},
            {"url": "http://h/", "auth": {"bearer": "t", "basic": {"user": "u", "password": "p"}}},
            {"url": "http://h/", "pool": 0},
        ),
    ),
    "log": Case(
        {}, target=True, succession="beside", changed={"level": "warning"}, wrong=({"level": "loud"}, {"preview": 5})
    ),
    "mqtt": Case(
        {"connection": "broker", "subscribe": "in/#", "publish": "out"},
        source=True,
        target=True,
        away={"connection": "broker", "publish": "out"},
        succession="handed_over",
        changed={"subscribe": ["in/#", "more/#"], "publish": "elsewhere"},
        wrong=(
            {},
            {"connection": "broker"},
            {"subscribe": "a"},
            {"connection": "broker", "subscribe": "a/#/b"},
            {"connection": "broker", "subscribe": "$share/g/a"},
            {"connection": "broker", "subscribe": "a", "group": "a/b"},
            {"connection": "broker", "subscribe": "a", "retain": True},
            {"connection": "broker", "publish": "a/+"},
            {"connection": "broker", "publish": "a", "qos": 3},
            {"connection": "broker", "publish": "a", "session": "1h"},
            {"connection": "broker", "publish": "a", "qos": 0, "require_subscriber": True},
            {"connection": "broker", "publish": "a", "qos": 0, "republish": "2s"},
            {"connection": "broker", "publish": "a", "republish": 2},
        ),
    ),
    "postgres": Case(
        {"connection": "db", "preset": "failed_webhooks", "create": True},
        target=True,
        away={"connection": "db", "table": "audit.log", "columns": {"id": "{{ message.id }}"}},
        succession="beside",
        changed={"columns": {"message_id": "{{ data.id }}"}},
        wrong=(
            {},
            {"connection": "db"},
            {"preset": "failed_webhooks"},
            {"connection": "db", "preset": "no_such"},
            {"connection": "db", "table": "t"},
            {"connection": "db", "columns": {"a": "b"}},
            {"connection": "db", "table": "t", "columns": {"": "b"}},
            {"connection": "db", "table": "t", "columns": {"a" * 64: "b"}},
            {"connection": "db", "table": "a.b.c", "columns": {"a": "b"}},
            {"connection": "db", "table": ".b", "columns": {"a": "b"}},
            {"connection": "db", "table": 'a"b', "columns": {"a": "b"}},
            {"connection": "db", "table": "t", "columns": {"a": "{{ b"}},
            {"connection": "db", "table": "t", "columns": {"a": "b"}, "create": True},
            {"connection": "db", "preset": "failed_webhooks", "on_conflict": "update"},
            {"connection": "db", "preset": "failed_webhooks", "in_flight": 0},
        ),
    ),
    "python": Case(
        {"class": "tests.actors.endpoints.users_actors:Plain"},
        source=True,
        target=True,
        replies=True,
        changed={"args": {}},
        wrong=({}, {"class": "os.path"}, {"class_": "os:path"}),
    ),
    "queue": Case(
        {"concurrency": 5, "order_by": "{{ message.id }}"},
        source=True,
        target=True,
        away={"store": "redis"},
        succession="beside",
        changed={"concurrency": 7, "order_by": "{{ subject }}", "queue": "other"},
        wrong=(
            {"store": 5},
            {"queue": "a:b"},
            {"queue": ""},
            {"queue": "x" * 201},
            {"prefix": "bull"},
            {"when_down": "spill"},
            {"store": "redis", "when_down": "never"},
            {"concurrency": 0},
            {"concurrency": 10_001},
            {"attempts": 0},
            {"backoff": 5},
            {"backoff": {"type": "linear"}},
            {"backoff": {"jitter": 2}},
            {"priority": -1},
            {"priority": 2_097_152},
            {"priority": "high"},
            {"delay": 5},
            {"delay": "soon"},
            {"delay": "367d"},
            {"lifo": True, "order_by": "{{ data.from }}"},
            {"deduplication": {}},
            {"deduplication": {"id": "{{ data.id }}", "extend": True}},
            {"deduplication": {"id": "{{ data.id }}", "replace": True}},
            {"limiter": {"max": 0, "per": "1s"}},
            {"keep": {"completed": -1}},
            {"keep": {"completed": {}}},
            {"lock": "100ms"},
            {"max_stalled": -1},
            {"schedulers": {"a b": {"every": "1m"}}},
            {"schedulers": {"a": {}}},
            {"schedulers": {"a": {"every": "1m", "cron": "* * * * *"}}},
            {"schedulers": {"a": {"cron": "never"}}},
            {"schedulers": {"a": {"every": "1m", "timezone": "Atlantis"}}},
        ),
    ),
    "timer": Case(
        {"every": "1h"},
        source=True,
        succession="handed_over",
        changed={"every": "1m"},
        wrong=({}, {"every": "1h", "cron": "* * * * *"}),
    ),
    "websocket": Case(
        {"path": "/ws/{folder}", "rooms": "{{ data.folder }}"},
        source=True,
        target=True,
        replies=True,
        claims=frozenset({"path GET /ws/{}"}),
        succession="handed_over",
        changed={"max_clients": 5},
        wrong=(
            {"path": "ws"},
            {"path": "/ws?x"},
            {"path": "/ws/a{b}"},
            {"path": "/ws/{a}/{a}"},
            {"path": "/ws/{client}"},
            {"auth": {}},
            {"auth": {"bearer": ""}},
            {"auth": {"bearer": "t", "basic": {"u": "p"}}},
            {"auth": {"basic": {"u": "p"}, "query": "token"}},
            {"origins": ["app.example"]},
            {"origins": ["https://app.example/page"]},
            {"subprotocols": ["a b"]},
            {"max_message": 1000},
            {"to_room": "a", "to_client": "{{ headers.client }}"},
            {"client_mailbox": {"overflow": "wait"}},
            {"ping": {"every": "10ms"}},
        ),
    ),
    "webhook": Case(
        {"path": "/hook/{name}", "methods": ["POST", "PUT"]},
        source=True,
        claims=frozenset({"path POST /hook/{}", "path PUT /hook/{}"}),
        succession="handed_over",
        changed={"methods": ["PUT", "DELETE"]},
        wrong=(
            {},
            {"path": "hook"},
            {"path": "/a?b"},
            {"path": "/a/{b}c"},
            {"path": "/a/{b}/{b}"},
            {"path": "/a/{b}", "headers": ["B"]},
            {"path": "/a", "methods": []},
            {"path": "/a", "respond": "never"},
            {"path": "/a", "verify": {}},
            {"path": "/a", "verify": {"bearer": ""}},
            {"path": "/a", "verify": {"bearer": []}},
            {"path": "/a", "verify": {"bearer": "t", "basic": {"u": "p"}}},
            {"path": "/a", "verify": {"hmac": {"secret": "s", "header": "X-S", "algorithm": "sha1"}}},
            {"path": "/a", "headers": ["Authorization"]},
            {"path": "/a", "headers": ["x-s"], "verify": {"hmac": {"secret": "s", "header": "X-S"}}},
            {"path": "/a", "max_body": 1000},
        ),
    ),
}

NAMES = sorted(
    module.name.replace("_", "-")
    for module in pkgutil.iter_modules(actors.endpoints.__path__)
    if not module.name.startswith("_")
)

HEAVY = (
    "aiohttp",
    "uvloop",
    "jinja2",
    "cronsim",
    "structlog",
    "phonenumbers",
    "redis",
    "paho",
    "mqtt5",
    "psycopg",
    "websockets",
)
"""Drivers that belong where they are opened."""

PAYLOADS: tuple[Any, ...] = (None, "text", b"\x00\xff", 5, 1.5, True, [], {}, {"a": [1, {"b": None}]}, "\ud800")


def spec_of(name: str) -> EndpointSpec:
    return Catalog.installed().endpoint(name)


def class_of(name: str) -> type[Any]:
    module = importlib.import_module(f"actors.endpoints.{name.replace('-', '_')}")
    (found,) = [value for value in vars(module).values() if isinstance(value, type) and ENDPOINT in vars(value)]
    return found


def test_every_type_is_in_the_table() -> None:
    """A new file in actors/endpoints gets its line here, and a removed one loses it."""
    assert sorted(CASES) == NAMES


@pytest.mark.parametrize("name", NAMES)
class TestWhatItSaysOfItself:
    def test_one_file_holds_one_type_of_its_name(self, name: str) -> None:
        """The catalog finds it by the file's name."""
        assert getattr(class_of(name), ENDPOINT) is spec_of(name)
        assert spec_of(name).name == name

    def test_it_is_documented(self, name: str) -> None:
        """The type in a few sentences, and every option, nested ones included."""
        spec = spec_of(name)
        assert len(spec.documentation) > 40
        schema = spec.options.model_json_schema()
        for model in (schema, *schema.get("$defs", {}).values()):
            for option, described in model.get("properties", {}).items():
                assert described.get("description", "").strip(), f"{model.get('title')}.{option}"

    def test_its_options_are_strict_and_frozen(self, name: str) -> None:
        """An unknown key is a problem, and so is each mistake of the table."""
        spec, case = spec_of(name), CASES[name]
        options = spec.options.model_validate(case.made())
        with pytest.raises(ValidationError, match="frozen"):
            options.anything = 1  # type: ignore[attr-defined]  # that is the point
        for wrong in ({**case.made(), "no_such_option": 1}, *case.wrong):
            with pytest.raises(ValidationError):
                spec.options.model_validate(wrong)

    def test_its_roles_and_claims_are_as_told(self, name: str) -> None:
        """The same for the same options, however often they are asked for."""
        spec, case = spec_of(name), CASES[name]
        made = case.made()
        for _ in range(2):
            options = spec.options.model_validate(made)
            assert (spec.source(options), spec.target(options)) == (case.source, case.target)
            assert (spec.replies(options), spec.claims(options)) == (case.replies, case.claims)
        assert case.source or case.target


def test_importing_all_types_opens_no_driver() -> None:
    """`router validate` imports them, and has to be quick."""
    modules = [f"actors.endpoints.{name.replace('-', '_')}" for name in NAMES]
    code = f"import sys, {', '.join(modules)}; print(*[name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True, cwd=os.getcwd()
    )
    assert done.stdout.split() == []


def open_files() -> set[str]:
    """What this process has open, sockets included."""
    folder = "/proc/self/fd"
    if not os.path.isdir(folder):
        pytest.skip("needs /proc")
    return {os.readlink(f"{folder}/{number}") for number in os.listdir(folder) if os.path.exists(f"{folder}/{number}")}


async def started(played: Stage, name: str) -> Any:
    return await played.start(class_of(name), CASES[name].made(), name=name)


@pytest.mark.parametrize("name", NAMES)
class TestItsLife:
    def test_it_starts_and_stops_and_leaves_nothing(self, run: Run, name: str) -> None:
        """No task (which `run` looks for), and no socket."""

        async def main() -> None:
            async with stage() as played:
                endpoint = await started(played, name)
                assert endpoint.error is None

        run(main())  # once before, for what a process opens once
        before = open_files()
        run(main())
        assert {path for path in open_files() - before if path.startswith("socket:")} == set()

    def test_stopping_twice_is_stopping_once(self, run: Run, name: str) -> None:
        """Also before it was ever started, since a crash may come that early."""

        async def main() -> None:
            async with stage() as played:
                endpoint = await started(played, name)
                await endpoint.stop()
                spec = spec_of(name)
                unstarted = spec.start(spec.options.model_validate(CASES[name].made()), played.context("other"))
                for actor in (endpoint.actor, unstarted):
                    stopped = actor.on_stop()
                    if asyncio.iscoroutine(stopped):
                        await stopped

        run(main())

    def test_it_drains_and_drains_again(self, run: Run, name: str) -> None:
        """An actor that takes nothing in has nothing to do, and lives on either way."""

        async def main() -> None:
            async with stage() as played:
                endpoint = await started(played, name)
                await endpoint.drain()
                await endpoint.drain()
                assert endpoint.error is None
                assert not endpoint.over.is_set()

        run(main())

    def test_after_a_crash_another_takes_its_place(self, run: Run, name: str) -> None:
        """What the first one held, such as a path, is free for the second."""

        async def main() -> None:
            clock = ManualClock()
            async with stage(clock) as played:
                spec = spec_of(name)
                options = spec.options.model_validate(CASES[name].made())

                def make() -> AsyncioActor:
                    actor = spec.start(options, played.context(name))
                    assert isinstance(actor, AsyncioActor)
                    return actor

                supervisor = Supervisor(clock=clock, events=played.events)
                mailbox = Mailbox(name, now=clock.now)
                child = supervisor.add(ChildSpec(name, make, mailbox, RestartPolicy()))
                supervisor.start(name)
                assert await child.settled(DEADLINE_S)
                first = child.actor
                assert isinstance(first, AsyncioActor)
                first.spawn(crash())
                await played.until(lambda: child.state == "restarting")
                await clock.advance(60)
                assert await child.settled(DEADLINE_S)
                assert (child.restarts, child.actor is first) == (1, False)
                await supervisor.stop([name])
                await settle()

        run(main())


HANDED_OVER = [name for name in NAMES if CASES.get(name, Case({})).succession == "handed_over"]


@pytest.mark.parametrize("name", NAMES)
def test_its_succession_is_as_told(name: str) -> None:
    """What is changed back takes the same way; and what can be handed over, can take over."""
    spec, case = spec_of(name), CASES[name]
    before = spec.options.model_validate(case.made())
    after = spec.options.model_validate({**case.made(), **case.changed})
    assert spec.succession(before, after) == spec.succession(after, before) == case.succession
    assert hasattr(class_of(name), "take_over") == (case.succession == "handed_over")


@pytest.mark.parametrize("name", HANDED_OVER)
def test_a_successor_takes_over_without_a_gap(run: Run, name: str) -> None:
    """It starts beside the one before, which ends when the other has its place, and leaves nothing."""

    async def main() -> None:
        async with stage() as played:
            before = await started(played, name)
            options = {**CASES[name].made(), **CASES[name].changed}
            for _ in range(2):
                after = await played.succeed(class_of(name), options, before, name)
                await before.retire()
                assert before.error is after.error is None
                assert not after.over.is_set()
                before = after

    run(main())  # once before, for what a process opens once
    files = open_files()
    run(main())
    assert {path for path in open_files() - files if path.startswith("socket:")} == set()


@pytest.mark.parametrize("name", HANDED_OVER)
def test_a_successor_of_nobody_takes_what_it_needs(run: Run, name: str) -> None:
    """The one before may have crashed just before it was to hand over."""

    async def main() -> None:
        async with stage() as played:
            after = await played.start(class_of(name), CASES[name].made(), name, succeeds=True)
            after.actor.take_over(None)  # type: ignore[attr-defined]  # it can be handed over
            await settle()
            assert after.error is None

    run(main())


async def crash() -> None:
    raise ZeroDivisionError("a driver failed")


TARGETS = [name for name in NAMES if CASES.get(name, Case({})).target]


@pytest.mark.parametrize("name", TARGETS)
def test_no_payload_crashes_a_target(run: Run, name: str) -> None:
    """A message is delivered or refused; a payload that cannot be sent is no defect of the actor."""

    async def main() -> None:
        async with stage() as played:
            endpoint = await started(played, name)
            for number, payload in enumerate(PAYLOADS):
                with suppress(DeliveryError):
                    await endpoint.deliver(Message(str(number), "it", payload))
            assert endpoint.error is None
            assert not endpoint.over.is_set()

    run(main())


@pytest.mark.parametrize("name", [name for name in TARGETS if CASES[name].away is not None])
def test_a_remote_end_that_is_away_is_a_failed_attempt(run: Run, name: str) -> None:
    """Of a class that says that nothing was sent; the target says that it is away, and is no crash."""

    async def main() -> None:
        async with stage() as played:
            away = CASES[name].away
            endpoint = await played.start(class_of(name), away() if callable(away) else away or {})
            with pytest.raises(DeliveryError) as error:
                await endpoint.deliver(Message("1", "it", {}))
            assert error.value.reason in ("connect", "timeout_before_send")
            assert error.value.retryable
            assert played.standing.away
            assert endpoint.error is None

    run(main())


def test_actors_share_one_listener(run: Run) -> None:
    """Two webhooks are two paths of one socket."""

    async def main() -> None:
        async with stage() as played:
            webhook = class_of("webhook")
            await played.start(webhook, {"path": "/a"}, name="a")
            await played.start(webhook, {"path": "/b"}, name="b")
            assert list(played.resources.made) == [HttpListener]

    run(main())
