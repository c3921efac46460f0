"""The brokers in the house as they are: stock clients, kills, and what they leave behind."""

import asyncio
import json
import os
import queue
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from actors.connections.mqtt.brokers import process_table
from actors.connections.mqtt.brokers.embedded_broker import EmbeddedBroker
from actors.connections.mqtt.brokers.house_broker import OWN_USER, Address, HouseBroker, Login
from actors.connections.mqtt.brokers.mosquitto_broker import MosquittoBroker
from actors.connections.mqtt.brokers.options import HouseKind, HouseOptions
from actors.core.clock import LoopClock
from actors.core.connection import ConnectionContext
from actors.core.errors import RouterError
from actors.core.events import Events, Notice
from tests.live import broker_parent
from tests.loop import Run
from tests.node_clients import node_client
from tests.servers import free_port as find_free_port

pytestmark = pytest.mark.needs("mosquitto", "mosquitto_pub")

KINDS: dict[str, type[EmbeddedBroker | MosquittoBroker]] = {"embedded": EmbeddedBroker, "mosquitto": MosquittoBroker}
DEADLINE_S = 20.0
ROOT = Path(__file__).resolve().parents[2]

Version = Literal["311", "5"]
each_kind = pytest.mark.parametrize("kind", list(KINDS))
each_version = pytest.mark.parametrize("version", ["311", "5"])


class Trial:
    """A broker, and what it told."""

    def __init__(self, broker: EmbeddedBroker | MosquittoBroker) -> None:
        self.broker = broker
        self.exits: asyncio.Queue[str] = asyncio.Queue()
        self.readies: asyncio.Queue[None] = asyncio.Queue()
        broker.on_exit = self.exits.put_nowait
        broker.on_ready = lambda: self.readies.put_nowait(None)

    def kill(self) -> int:
        pid = self.broker.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        return pid

    async def came_back(self) -> str:
        """Why it had gone, once it is there again."""
        async with asyncio.timeout(DEADLINE_S):
            await self.readies.get()
            return await self.exits.get()


def made(kind: str, directory: Path, **options: Any) -> EmbeddedBroker | MosquittoBroker:
    context = ConnectionContext("trial", LoopClock(), Events(), directory, directory)
    return KINDS[kind](HouseOptions.model_validate(options), context)


@asynccontextmanager
async def started(kind: str, directory: Path, **options: Any) -> AsyncIterator[Trial]:
    trial = Trial(made(kind, directory, **options))
    try:
        await trial.broker.start()
        yield trial
    finally:
        await trial.broker.stop()


async def command(*words: str) -> tuple[int, str]:
    """Run a program to its end; its exit code, and all that it printed."""
    process = await asyncio.create_subprocess_exec(
        *words, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(DEADLINE_S):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, said.decode()


def at(broker: HouseBroker, version: Version) -> list[str]:
    """Where and how the mosquitto clients find a broker."""
    address = broker.addresses.mqtt if version == "311" else broker.addresses.mqtt5
    return ["-V", version, "-h", address.host, "-p", str(address.port)]


def by(login: Login | None) -> list[str]:
    return [] if login is None else ["-u", login.username, "-P", login.password]


async def publish(broker: HouseBroker, login: Login | None, version: Version = "311", *more: str) -> int:
    code, _ = await command(
        "mosquitto_pub", *at(broker, version), *by(login), "-t", "a/b", "-m", "hello", "-q", "1", *more
    )
    return code


@each_kind
@each_version
def test_mosquittos_clients_talk_to_it(run: Run, tmp_path: Path, kind: str, version: Version) -> None:
    """What is retained is there for who subscribes, with the login that the state directory keeps."""

    async def scenario() -> None:
        async with started(kind, tmp_path) as trial:
            login = Login(**json.loads((tmp_path / "brokers" / "trial" / "credentials.json").read_text()))
            assert login == trial.broker.login
            assert await publish(trial.broker, login, version, "-r") == 0
            heard = await command(
                "mosquitto_sub", *at(trial.broker, version), *by(login), "-t", "a/#", "-C", "1", "-W", "10"
            )
            assert heard == (0, "hello\n")

    run(scenario())


@each_kind
def test_mosquittos_clients_find_it_by_themselves(run: Run, tmp_path: Path, kind: str) -> None:
    """The address and the login are in files that they read; with `users` the login is the user's to give."""

    async def heard(trial: Trial, topic: str, *who: str) -> tuple[int, str]:
        found = f"XDG_CONFIG_HOME={trial.broker.directory}"
        await command("env", found, "mosquitto_pub", *who, "-t", topic, "-m", "hello", "-q", "1", "-r")
        return await command("env", found, "mosquitto_sub", *who, "-t", topic, "-C", "1", "-W", "10")

    async def scenario() -> None:
        async with started(kind, tmp_path) as trial:
            assert await heard(trial, "a") == (0, "hello\n")
            trial.kill()
            await trial.came_back()
            assert await heard(trial, "b") == (0, "hello\n")
        async with started(kind, tmp_path, users={"ada": "s3cret"}) as trial:
            assert (await heard(trial, "c"))[0] != 0
            assert await heard(trial, "d", "-u", "ada", "-P", "s3cret") == (0, "hello\n")

    run(scenario(), deadline_s=60)


@each_kind
def test_who_has_no_password_is_kept_out(run: Run, tmp_path: Path, kind: str) -> None:
    """Over every listener, with no name, a wrong password, and the right one of somebody unknown."""

    async def scenario() -> None:
        async with started(kind, tmp_path, listen={"websocket": "127.0.0.1:0"}) as trial:
            login = trial.broker.login
            assert login is not None
            strangers = [None, Login(OWN_USER, "wrong"), Login("somebody", login.password)]
            for stranger in strangers:
                assert await publish(trial.broker, stranger, "311") != 0
                assert await publish(trial.broker, stranger, "5") != 0
                with pytest.raises(ConnectionError):
                    await asyncio.to_thread(paho_roundtrip, trial.broker.addresses.websocket, stranger, websocket=True)
            assert await publish(trial.broker, login) == 0

    run(scenario())


@each_kind
def test_users_of_the_topology_log_in(run: Run, tmp_path: Path, kind: str) -> None:
    """Whatever their names are, in the case in which they are written; the router's own login works beside them."""

    async def scenario() -> None:
        users = {"panel": "s3cret", 'Señor.Ñandú "x"': "pass \\ 'word'", "a.b": "c=#d"}
        async with started(kind, tmp_path, users=users) as trial:
            for version in ("311", "5"):
                for name, password in users.items():
                    assert await publish(trial.broker, Login(name, password), version) == 0, name
                assert await publish(trial.broker, Login("PANEL", "s3cret"), version) != 0
                assert await publish(trial.broker, trial.broker.login, version) == 0
            assert not (tmp_path / "brokers" / "trial" / "credentials.json").exists()

    run(scenario())


@each_kind
def test_anonymous_lets_everybody_in(run: Run, tmp_path: Path, kind: str) -> None:
    async def scenario() -> None:
        async with started(kind, tmp_path, anonymous=True) as trial:
            assert trial.broker.login is None
            assert await publish(trial.broker, None, "311") == 0
            assert await publish(trial.broker, None, "5") == 0

    run(scenario())


@each_kind
def test_it_listens_on_loopback_alone(run: Run, tmp_path: Path, kind: str) -> None:
    """Every socket of it, as the system sees it."""

    async def scenario() -> None:
        async with started(kind, tmp_path, listen={"websocket": "127.0.0.1:0"}) as trial:
            code, said = await command("ss", "-ltnpH")
            assert code == 0
            mine = [line.split()[3] for line in said.splitlines() if f"pid={trial.broker.pid}," in line]
            addresses = trial.broker.addresses
            assert set(mine) == {str(each) for each in (addresses.mqtt, addresses.mqtt5, addresses.websocket)}
            assert all(address.startswith("127.0.0.1:") for address in mine)

    run(scenario())


@each_kind
def test_named_ports_are_the_ones_it_has(run: Run, tmp_path: Path, kind: str) -> None:
    async def scenario() -> None:
        listen = {name: f"127.0.0.1:{find_free_port()}" for name in ("mqtt", "mqtt5", "websocket")}
        async with started(kind, tmp_path, listen=listen) as trial:
            addresses = trial.broker.addresses
            assert {"mqtt": addresses.mqtt, "mqtt5": addresses.mqtt5, "websocket": addresses.websocket} == {
                name: Address("127.0.0.1", int(text.rpartition(":")[2])) for name, text in listen.items()
            }

    run(scenario())


@each_kind
def test_a_port_in_use_names_who_has_it(run: Run, tmp_path: Path, kind: str) -> None:
    """Another broker has it, which would even answer."""

    async def scenario() -> None:
        async with started("mosquitto", tmp_path / "first", anonymous=True) as first:
            named = {"mqtt": str(first.broker.addresses.mqtt)}
            second = made(kind, tmp_path / "second", listen=named, anonymous=True)
            with pytest.raises(RouterError, match=rf"in use by mosquitto \(process {first.broker.pid}\)"):
                await second.start()
            assert second.pid is None

    run(scenario())


@each_kind
def test_paho_talks_to_it_over_websocket(run: Run, tmp_path: Path, kind: str) -> None:
    async def scenario() -> None:
        async with started(kind, tmp_path, listen={"websocket": "127.0.0.1:0"}) as trial:
            broker = trial.broker
            for address, websocket in ((broker.addresses.mqtt, False), (broker.addresses.websocket, True)):
                heard = await asyncio.to_thread(paho_roundtrip, address, broker.login, websocket=websocket)
                assert heard == b"hello"

    run(scenario())


def paho_roundtrip(address: Address | None, login: Login | None, *, websocket: bool) -> bytes:
    """What comes back of a message to itself; raises ConnectionError where it is not let in."""
    assert address is not None
    heard: queue.Queue[bytes | None] = queue.Queue()
    client = paho.Client(CallbackAPIVersion.VERSION2, transport="websockets" if websocket else "tcp")
    if login is not None:
        client.username_pw_set(login.username, login.password)
    client.on_connect = lambda client, *_: client.subscribe("it", 1)
    client.on_subscribe = lambda client, *_: client.publish("it", b"hello", 1)
    client.on_message = lambda client, data, message: heard.put(bytes(message.payload))
    client.on_disconnect = lambda *_: heard.put(None)
    client.connect(address.host, address.port)
    client.loop_start()
    try:
        payload = heard.get(timeout=DEADLINE_S)
    finally:
        client.disconnect()
        client.loop_stop()
    if payload is None:
        raise ConnectionError("not let in")
    return payload


@pytest.mark.needs("node", "npm")
@each_kind
def test_mqtt_js_talks_to_it(run: Run, tmp_path: Path, kind: str) -> None:
    """Over TCP in both versions, and over WebSocket in those that the broker speaks there."""
    program = node_client("mqtt_roundtrip.js")

    async def scenario() -> None:
        async with started(kind, tmp_path, listen={"websocket": "127.0.0.1:0"}) as trial:
            addresses, login = trial.broker.addresses, trial.broker.login
            assert login is not None
            ways = [(f"mqtt://{addresses.mqtt}", "4"), (f"mqtt://{addresses.mqtt5}", "5")]
            ways.append((f"ws://{addresses.websocket}/mqtt", "4"))
            if kind == "mosquitto":
                ways.append((f"ws://{addresses.websocket}/mqtt", "5"))
            for url, version in ways:
                code, said = await command(*program, url, version, login.username, login.password)
                assert (code, said) == (0, '{"payload":"hello","qos":2}\n'), (url, version)

    run(scenario())


@each_kind
def test_a_killed_broker_comes_back_where_it_was(run: Run, tmp_path: Path, kind: str) -> None:
    async def scenario() -> None:
        async with started(kind, tmp_path, listen={"websocket": "127.0.0.1:0"}) as trial:
            before = trial.broker.addresses
            pid = trial.kill()
            assert "was ended by SIGKILL" in await trial.came_back()
            assert trial.broker.pid != pid
            assert trial.broker.addresses == before
            assert await publish(trial.broker, trial.broker.login) == 0

    run(scenario())


@each_kind
def test_stop_leaves_no_process_and_no_port(run: Run, tmp_path: Path, kind: str) -> None:
    async def scenario() -> None:
        async with started(kind, tmp_path) as trial:
            pid, port = trial.broker.pid, trial.broker.addresses.mqtt.port
            await trial.broker.stop()
            assert pid is not None
            assert process_table.started_ticks(pid) is None
            assert process_table.who_listens(port) is None
            assert trial.exits.empty()

    run(scenario())


@each_kind
def test_no_password_is_left_in_the_clear(run: Run, tmp_path: Path, kind: str) -> None:
    """Of users, whose passwords come from elsewhere; nor in the command line, which everybody may read."""

    async def scenario() -> None:
        async with started(kind, tmp_path, users={"panel": "s3cret-s3cret"}) as trial:
            for file in (tmp_path / "brokers" / "trial").iterdir():
                assert b"s3cret" not in file.read_bytes(), file
            assert b"s3cret" not in Path(f"/proc/{trial.broker.pid}/cmdline").read_bytes()

    run(scenario())


@each_kind
def test_kill_9_of_the_router_leaves_no_broker_behind(run: Run, tmp_path: Path, kind: HouseKind) -> None:
    """A real parent process, and a real kill."""

    async def scenario() -> None:
        parent = await asyncio.create_subprocess_exec(
            sys.executable,
            broker_parent.__file__,
            kind,
            str(tmp_path),
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            assert parent.stdout is not None
            async with asyncio.timeout(DEADLINE_S):
                pid, port = map(int, (await parent.stdout.readline()).split())
            assert process_table.listens(pid, port)
        finally:
            parent.kill()
            await parent.wait()
        await gone(pid)
        assert process_table.who_listens(port) is None
        # mosquitto was asked to end, and saved; the embedded broker has nothing to save.
        assert (tmp_path / "brokers" / "trial" / "mosquitto.db").exists() is (kind == "mosquitto")

    run(scenario())


async def gone(pid: int) -> None:
    """Wait until the process has ended; its parent is not us."""
    over = asyncio.Event()
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    loop = asyncio.get_running_loop()
    loop.add_reader(descriptor, over.set)
    try:
        async with asyncio.timeout(DEADLINE_S):
            await over.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def test_the_embedded_broker_gets_over_a_panic(run: Run, tmp_path: Path) -> None:
    """A client id with a slash, twice, and rumqttd 0.20 lets nobody in any more on that port; it starts anew."""

    async def scenario() -> None:
        async with started("embedded", tmp_path) as trial:
            login = trial.broker.login
            for _ in range(2):
                assert await publish(trial.broker, login, "311", "-i", "a/b") != 0
            assert "no longer takes connections" in await trial.came_back()
            assert await publish(trial.broker, login) == 0

    run(scenario())


def test_the_embedded_broker_takes_packets_of_megabytes(run: Run, tmp_path: Path) -> None:
    """Of up to 4 MiB; by itself it would take 20 KB."""
    payload = tmp_path / "payload"

    async def scenario() -> None:
        async with started("embedded", tmp_path) as trial:
            for size, code in ((3_900_000, 0), (4_300_000, 7)):
                payload.write_bytes(b"x" * size)
                sent, _ = await command(
                    "mosquitto_pub",
                    *at(trial.broker, "311"),
                    *by(trial.broker.login),
                    "-t",
                    "a",
                    "-q",
                    "1",
                    "-f",
                    str(payload),
                )
                assert sent == code

    run(scenario())


async def keep_one(trial: Trial) -> None:
    """Make a session that stays, and publish for it while it is away."""
    broker = trial.broker
    session = ["-i", "keeper", "-c", "-q", "1", "-t", "a/b"]
    code, _ = await command("mosquitto_sub", *at(broker, "311"), *by(broker.login), *session, "-E")
    assert code == 0
    assert await publish(broker, broker.login) == 0


async def kept(trial: Trial) -> str:
    broker = trial.broker
    session = ["-i", "keeper", "-c", "-q", "1", "-t", "a/b", "-C", "1", "-W", "1"]
    _, said = await command("mosquitto_sub", *at(broker, "311"), *by(broker.login), *session)
    return said


async def saved(path: Path) -> None:
    """Wait until mosquitto has saved twice from now on: the second time it began after now."""
    for _ in range(2):
        before = path.stat().st_mtime_ns if path.exists() else 0
        async with asyncio.timeout(DEADLINE_S):
            while (path.stat().st_mtime_ns if path.exists() else 0) == before:  # noqa: ASYNC110  # another's file
                await asyncio.sleep(0.02)


def test_mosquitto_keeps_what_it_saved_over_a_kill(run: Run, tmp_path: Path) -> None:
    """Each second."""

    async def scenario() -> None:
        async with started("mosquitto", tmp_path) as trial:
            await keep_one(trial)
            await saved(tmp_path / "brokers" / "trial" / "mosquitto.db")
            trial.kill()
            await trial.came_back()
            assert await kept(trial) == "hello\n"

    run(scenario())


def test_mosquitto_saves_when_it_is_asked_to_end(run: Run, tmp_path: Path) -> None:
    """As it is when the router dies: what was acknowledged in its last second is there."""
    assert MosquittoBroker.death_signal is signal.SIGTERM

    async def scenario() -> None:
        async with started("mosquitto", tmp_path) as trial:
            await keep_one(trial)
            assert trial.broker.pid is not None
            os.kill(trial.broker.pid, signal.SIGTERM)
            await trial.came_back()
            assert await kept(trial) == "hello\n"

    run(scenario())


@pytest.mark.parametrize(("kind", "options"), [("embedded", {}), ("mosquitto", {"persistence": False})])
def test_without_persistence_nothing_is_kept(run: Run, tmp_path: Path, kind: str, options: dict[str, Any]) -> None:
    async def scenario() -> None:
        async with started(kind, tmp_path, **options) as trial:
            await keep_one(trial)
            trial.kill()
            await trial.came_back()
            assert await kept(trial) == "Timed out\n"

    run(scenario())


def test_without_mosquitto_the_error_names_the_other_broker(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("actors.connections.mqtt.brokers.mosquitto_broker.PLACES", ())

    async def scenario() -> None:
        with pytest.raises(RouterError, match="mosquitto is not installed; install it, or set url to 'embedded:'"):
            await made("mosquitto", tmp_path).start()

    run(scenario())


def test_where_it_listens_is_said_once_it_is_ready(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        events = Events()
        notices: list[Notice] = []
        events.subscribe(Notice, notices.append)
        context = ConnectionContext("trial", LoopClock(), events, tmp_path, tmp_path)
        broker = EmbeddedBroker(HouseOptions(), context)
        await broker.start()
        await broker.stop()
        (said,) = notices
        addresses = broker.addresses
        assert said.text == (
            "the embedded broker of connection trial listens on "
            f"mqtt://{addresses.mqtt5} (MQTT 5), mqtt://{addresses.mqtt} (MQTT 3.1.1)"
        )

    run(scenario())
