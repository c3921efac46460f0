"""examples/whatsapp-notifications, against a real mosquitto that is killed: what its README promises.

What was answered 202 arrives, by MQTT or by HTTP. Where the broker acknowledged a message, was killed and has
forgotten it, the router alone promises nothing; `republish` publishes it again, under the same key.
"""

import asyncio
import json
import re
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import aiohttp
import pytest

from tests.loop import Run
from tests.mosquitto import Mosquitto
from tests.router_command import DEADLINE_S, ROOT, RunningRouter, environment
from tests.servers import HOST, free_port

pytestmark = pytest.mark.needs("mosquitto", "mosquitto_pub")

EXAMPLE = ROOT / "examples" / "whatsapp-notifications"
UNDER_WAY = 500
NUMBERS = {
    "0991234567": "+593991234567",
    "99 123 4567": "+593991234567",
    "+593 99 123 4567": "+593991234567",
    "593991234567": "+593991234567",
    "593991234567@c.us": "593991234567@c.us",
    "300 123 4567": "+573001234567",
    "+57 300 1234567": "+573001234567",
    "57 300 123 4567": "+573001234567",
    "573001234567@c.us": "573001234567@c.us",
}
LAST = 100
"""How many of them are posted from the moment of the kill on, however fast the others were."""
WORK_S = 0.002
"""What the service takes for a message, so that the broker holds some when it is killed."""


class Service:
    """wa-clientes or wa-proveedores: the example's own program, with the lines that it writes."""

    def __init__(self, name: str, topic: str, broker: Mosquitto, folder: Path, *, work_s: float = 0.0) -> None:
        self.name = name
        self.topic = topic
        self.port = free_port()
        self._lines = folder / f"{name}.jsonl"
        self._errors = folder / f"{name}.log"
        self._command = [
            *(sys.executable, str(EXAMPLE / "wa_service.py"), name, "--topic", topic),
            *("--port", str(self.port), "--broker", broker.url, "--work", str(work_s)),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        with self._lines.open("ab") as lines, self._errors.open("ab") as errors:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=lines, stderr=errors, env=environment()
            )

    def stop(self) -> None:
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(DEADLINE_S)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def subscribed(self) -> int:
        """How often it has subscribed."""
        return self._errors.read_text().count(f"subscribed to {self.topic}")

    @property
    def messages(self) -> list[dict[str, Any]]:
        """What it has received, as far as it is written."""
        return [json.loads(line) for line in self._lines.read_text().splitlines(keepends=True) if line.endswith("\n")]


class System:
    """A broker that saves every second or two, both services, and a router with a topology of the example."""

    def __init__(self, folder: Path, broker: Mosquitto, clientes: Service, proveedores: Service) -> None:
        self.folder = folder
        self.broker = broker
        self.clientes = clientes
        self.proveedores = proveedores
        self.router = RunningRouter(folder, "phase-1.yaml")

    def until(self, condition: Callable[[], object]) -> None:
        self.router.wait_until(condition)

    def wait_for_save(self) -> None:
        """Wait until the broker has just saved: it does so again in a second or two."""
        saved = self.broker.directory / "mosquitto.db"
        before = saved.stat().st_mtime_ns
        self.until(lambda: saved.stat().st_mtime_ns != before)

    def wait_until_saved(self) -> None:
        """Wait until the broker has both sessions on its disk: what it loses from now on are messages alone."""
        self.until(lambda: self.clientes.subscribed and self.proveedores.subscribed)
        saved = self.broker.directory / "mosquitto.db"
        names = (b"wa-clientes", b"wa-proveedores")
        self.until(lambda: saved.exists() and all(name in saved.read_bytes() for name in names))


@contextmanager
def example(folder: Path, environ: pytest.MonkeyPatch, *, republish: bool = True) -> Iterator[System]:
    """The example as it stands, on free ports; without `republish` where a test says so."""
    for name in ("phase-0.yaml", "phase-1.yaml"):
        text = (EXAMPLE / name).read_text()
        (folder / name).write_text(text if republish else re.sub(r"^ *republish: .*\n", "", text, flags=re.MULTILINE))
    own = ("user ", "listener ", "persistence_location ", "allow_anonymous ", "max_queued_messages ")
    lines = [line for line in (EXAMPLE / "mosquitto.conf").read_text().splitlines() if not line.startswith(own)]
    store = folder / "broker"
    store.mkdir()
    with (
        Mosquitto(store, *lines, f"persistence_location {store}/") as broker,
        Service("wa-clientes", "whatsapp/clientes/send", broker, folder, work_s=WORK_S) as clientes,
        Service("wa-proveedores", "whatsapp/proveedores/send", broker, folder) as proveedores,
    ):
        environ.setenv("MQTT_URL", broker.url)
        environ.setenv("WA_CLIENTES_URL", clientes.url)
        environ.setenv("WA_PROVEEDORES_URL", proveedores.url)
        environ.setenv("HTTP_PORT", str(free_port()))
        environ.setenv("OBSERVE_PORT", str(free_port()))
        system = System(folder, broker, clientes, proveedores)
        with system.router:
            system.wait_until_saved()
            yield system


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[System]:
    with example(tmp_path, monkeypatch) as made:
        yield made


def notification(key: str, to: str) -> dict[str, str]:
    return {"message_id": key, "to": to, "text": "hola"}


async def post(url: str, keys: list[str], *, to: str = "099 123 4567", side_by_side: int = 16) -> list[int]:
    """The status of a POST for each key; the key is the idempotency key as well."""
    statuses: list[int] = []
    left = iter(keys)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(DEADLINE_S)) as client:

        async def some() -> None:
            for key in left:
                async with client.post(url, json=notification(key, to), headers={"Idempotency-Key": key}) as response:
                    statuses.append(response.status)

        await asyncio.gather(*(some() for _ in range(side_by_side)))
    return statuses


def metrics(system: System) -> str:
    """What Prometheus scrapes."""
    address = system.router.wait_for(r"^  observe +(http://\S+)$")[1]
    with urllib.request.urlopen(f"{address}/metrics", timeout=DEADLINE_S) as answer:
        text: str = answer.read().decode()
    return text


def sample(text: str, name: str, **labels: str) -> float:
    for line in text.splitlines():
        found = re.fullmatch(rf"{name}\{{(.*)\}} (\S+)", line)
        if found is not None and labels.items() <= dict(re.findall(r'(\w+)="([^"]*)"', found[1])).items():
            return float(found[2])
    raise AssertionError(f"no {name} with {labels} in\n{text}")


def test_what_is_posted_arrives_by_mqtt(run: Run, system: System) -> None:
    """Each at its own service, its number put right, once, under its own key; and the four metrics say so."""
    url = system.router.url
    assert run(post(f"{url}/wa-clientes/send", [f"c-{n}" for n in range(20)])) == [202] * 20
    assert run(post(f"{url}/wa-proveedores/send", [f"p-{n}" for n in range(5)])) == [202] * 5
    assert run(post(f"{url}/wa-clientes/send", ["c-3"])) == [202]
    system.until(lambda: len(system.clientes.messages) == 20 and len(system.proveedores.messages) == 5)
    system.until(lambda: system.router.route("notify-clientes")["ledger"]["deduplicated"] == 1)
    for service, prefix, count in ((system.clientes, "c", 20), (system.proveedores, "p", 5)):
        assert {each["via"] for each in service.messages} == {"mqtt"}
        assert {each["data"]["to"] for each in service.messages} == {"+593991234567"}
        assert sorted(each["key"] for each in service.messages) == sorted(f"{prefix}-{n}" for n in range(count))

    # The services may have a message before the router has heard that the broker has it.
    published = "mqtt_messages_published_total"
    system.until(lambda: sample(metrics(system), published, actor="proveedores-mqtt") == 5)
    system.until(lambda: sample(metrics(system), published, actor="clientes-mqtt", connection="broker") == 20)
    text = metrics(system)
    assert sample(text, "mqtt_messages_consumed_total", actor="clientes-mqtt") == 0
    assert sample(text, "mqtt_messages_latency_seconds_count", actor="clientes-mqtt") == 20
    assert 0 < sample(text, "mqtt_messages_latency_seconds_sum", actor="clientes-mqtt") < 20
    assert sample(text, "mqtt_messages_latency_seconds_bucket", actor="clientes-mqtt", le="+Inf") == 20
    assert sample(text, "mqtt_connection_errors_total", connection="broker") == 0
    assert system.router.stop() == 0


def test_numbers_are_put_right_by_either_way(run: Run, system: System) -> None:
    """Of Ecuador and of Colombia, with and without plus, country code and spaces, and as WhatsApp writes them."""

    def sent(way: str) -> dict[str, str]:
        return {each["key"]: each["data"]["to"] for each in system.clientes.messages if each["via"] == way}

    for way in ("mqtt", "http"):
        for written in NUMBERS:
            assert run(post(f"{system.router.url}/wa-clientes/send", [f"{way} {written}"], to=written)) == [202]
        wanted = {f"{way} {written}": number for written, number in NUMBERS.items()}
        system.until(lambda way=way, wanted=wanted: sent(way) == wanted)  # type: ignore[misc]  # bound
        system.broker.kill()


def test_a_broker_that_is_killed_loses_nothing(run: Run, system: System) -> None:
    """Of 500 that are under way when it is killed each arrives, by HTTP or, once it is back, by MQTT.

    What comes twice bears the same idempotency key.
    """
    url = f"{system.router.url}/wa-clientes/send"
    keys = [f"k-{number}" for number in range(UNDER_WAY)]

    async def scenario() -> list[int]:
        posting = asyncio.create_task(post(url, keys[:-LAST]))
        async with asyncio.timeout(DEADLINE_S):
            while len(system.clientes.messages) < UNDER_WAY // 10:  # noqa: ASYNC110  # another process writes them
                await asyncio.sleep(0.005)
        killing = asyncio.to_thread(system.broker.kill)
        _, last, first = await asyncio.gather(killing, post(url, keys[-LAST:]), posting)
        return first + last

    before = system.clientes.subscribed
    assert run(scenario()) == [202] * UNDER_WAY
    system.until(lambda: any(each["via"] == "http" for each in system.clientes.messages))
    system.broker.start()
    system.until(lambda: system.clientes.subscribed > before)
    system.until(lambda: {each["key"] for each in system.clientes.messages} >= set(keys))
    system.until(lambda: settled(system) == UNDER_WAY)

    arrived = system.clientes.messages
    ways = Counter(each["via"] for each in arrived)
    assert ways["mqtt"], ways
    assert ways["http"], ways
    assert {each["key"] for each in arrived} == set(keys)
    # The service knows by the key what it has had already.
    once = [each["key"] for each in arrived if not each["repeated"]]
    assert sorted(once) == sorted(keys)
    assert all(each["data"]["message_id"] == each["key"] for each in arrived)
    ledger = system.router.route("notify-clientes")["ledger"]
    assert (ledger["delivered"], ledger["dead_lettered"], ledger["difference"]) == (UNDER_WAY, 0, 0)
    assert sample(metrics(system), "mqtt_connection_errors_total", connection="broker") >= 1
    assert system.router.stop() == 0


@pytest.mark.parametrize("republish", [True, False])
def test_what_a_killed_broker_forgets_comes_again_where_republish_is_set(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, republish: bool
) -> None:
    """An acknowledged message is delivered, and the promise ends there; `republish` is what reaches further.

    Nobody is there to take the messages, so that the broker keeps them; it is killed before it saves.
    """
    with example(tmp_path, monkeypatch, republish=republish) as system:
        url = f"{system.router.url}/wa-clientes/send"
        keys = [f"k-{number}" for number in range(20)]
        system.clientes.stop()
        system.wait_for_save()
        assert run(post(url, keys)) == [202] * 20
        system.until(lambda: settled(system) == 20)
        system.broker.kill()
        system.broker.start()
        before = system.clientes.subscribed
        system.clientes.start()
        system.until(lambda: system.clientes.subscribed > before)
        system.until(lambda: system.router.route("clientes-mqtt")["available"])
        assert run(post(url, ["last"])) == [202]
        system.until(lambda: any(each["key"] == "last" for each in system.clientes.messages))
        arrived = {each["key"] for each in system.clientes.messages}
        assert arrived == {"last", *(keys if republish else ())}
        assert {each["via"] for each in system.clientes.messages} == {"mqtt"}


def settled(system: System) -> int:
    delivered: int = system.router.route("notify-clientes")["ledger"]["delivered"]
    return delivered


def test_without_the_broker_the_fallback_answers_within_a_second(run: Run, system: System) -> None:
    """From the post on, each time; and when the broker is back, MQTT is used again."""
    url = f"{system.router.url}/wa-clientes/send"
    system.broker.kill()
    # The first one may be posted before the router has noticed.
    for number in range(5):
        posted_at = time.time()
        assert run(post(url, [f"f-{number}"])) == [202]
        system.until(lambda number=number: len(system.clientes.messages) == number + 1)  # type: ignore[misc]  # bound
        arrived = system.clientes.messages[-1]
        assert (arrived["key"], arrived["via"]) == (f"f-{number}", "http")
        assert arrived["at"] - posted_at < 1.0
    system.broker.start()
    system.until(lambda: system.clientes.subscribed > 1)
    system.until(lambda: system.router.route("clientes-mqtt")["available"])
    assert run(post(url, ["back"])) == [202]
    system.until(lambda: len(system.clientes.messages) == 6)
    assert system.clientes.messages[-1]["via"] == "mqtt"


def test_phase_0_is_one_command_away(run: Run, system: System) -> None:
    """The same posts, the same state directory, no broker: what was accepted before goes on by HTTP, like all else."""
    url = f"{system.router.url}/wa-clientes/send"
    assert run(post(url, ["a"])) == [202]
    system.until(lambda: len(system.clientes.messages) == 1)
    system.clientes.stop()
    system.broker.kill()
    # Neither way is open: these wait in the journal.
    assert run(post(url, ["w-1", "w-2"])) == [202] * 2
    system.router.kill()
    with RunningRouter(system.folder, "phase-0.yaml") as before:
        system.clientes.start()
        assert run(post(f"{before.url}/wa-clientes/send", ["a", "b"])) == [202] * 2
        assert run(post(f"{before.url}/wa-proveedores/send", ["c"])) == [202]
        keys = {"a", "b", "w-1", "w-2"}
        before.wait_until(lambda: {each["key"] for each in system.clientes.messages} == keys)
        before.wait_until(lambda: system.proveedores.messages)
        # That "a" was delivered the journal may not have known when the router was killed: then it came again.
        ways = {(each["key"], each["via"]) for each in system.clientes.messages}
        assert {("a", "mqtt"), *((key, "http") for key in keys - {"a"})} == ways - {("a", "http")}
        assert system.proveedores.messages[0]["via"] == "http"
        assert before.stop() == 0
