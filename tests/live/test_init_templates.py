"""Each template of `router init` is written, started, and passes a message on."""

import asyncio
import json
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from router.cli.init import template_names
from tests.loop import Run
from tests.mosquitto import Mosquitto
from tests.router_command import DEADLINE_S, RunningRouter, router
from tests.servers import HOST, free_port


@contextmanager
def started(folder: Path, name: str) -> Iterator[RunningRouter]:
    """Written by the command, on a port that is free."""
    assert router(folder, "init", name).returncode == 0
    path = folder / "topology.yaml"
    path.write_text(path.read_text().replace("port: 8080}", f"port: {free_port()}}}"))
    with RunningRouter(folder) as running:
        yield running


def post(url: str, data: object) -> int:
    request = urllib.request.Request(url, json.dumps(data).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=DEADLINE_S) as answered:
        return int(answered.status)


def webhook(folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with started(folder, "webhook") as running:
        assert post(f"{running.url}/notify", {"text": "hello-1"}) == 202
        running.wait_for(r"info .*a notification.*hello-1")
        assert running.stop() == 0


def mqtt(folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with started(folder, "mqtt") as running:
        assert post(f"{running.url}/notify", {"text": "hello-1"}) == 202
        running.wait_until(lambda: running.route("notifications")["ledger"]["delivered"] == 1)
        assert "hello-1" not in running.output, "the fallback was not taken"
        assert running.stop() == 0
    (folder / "topology.yaml").unlink()
    monkeypatch.setenv("MQTT_URL", f"mqtt://{HOST}:{free_port()}")
    with started(folder, "mqtt") as running:
        assert post(f"{running.url}/notify", {"text": "hello-2"}) == 202
        running.wait_for(r"warning .*not on MQTT, the broker is away.*hello-2")
        assert running.stop() == 0


def websocket(folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from websockets.asyncio.client import connect

    with started(folder, "websocket") as running:

        async def main() -> None:
            async with connect(f"{running.url.replace('http', 'ws')}/ws/kitchen") as kitchen:
                for room in ("cellar", "kitchen"):
                    assert await asyncio.to_thread(post, f"{running.url}/rooms/{room}", {"for": room}) == 200
                async with asyncio.timeout(DEADLINE_S):
                    assert json.loads(await kitchen.recv()) == {"for": "kitchen"}
                    await kitchen.send('"hello-1"')

        run(main())
        running.wait_for(r"info .*a client said.*hello-1")
        assert running.stop() == 0


def bridge(folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with started(folder, "bridge") as running:  # with two brokers of its own
        assert running.stop() == 0
    (folder / "topology.yaml").unlink()
    (folder / "here").mkdir()
    (folder / "there").mkdir()
    with Mosquitto(folder / "here") as here, Mosquitto(folder / "there") as there:
        monkeypatch.setenv("HERE_URL", here.url)
        monkeypatch.setenv("THERE_URL", there.url)
        with started(folder, "bridge") as running:
            subscriber = ["mosquitto_sub", "-h", HOST, "-p", str(there.port), "-t", "site-1/#", "-C", "1", "-v"]
            process = subprocess.Popen([*subscriber, "-W", "20"], stdout=subprocess.PIPE, text=True)
            publisher = ["mosquitto_pub", "-h", HOST, "-p", str(here.port), "-q", "1", "-t", "sensors/room"]
            reading = '{"sensor": "s1", "celsius": 21.5}'
            # Retained there is nothing, so it is sent until the subscriber has got one.
            running.wait_until(lambda: _sent(publisher, reading) and process.poll() is not None)
            printed, _ = process.communicate(timeout=DEADLINE_S)
            assert printed.split(" ", 1)[0] == "site-1/sensors/s1"
            assert json.loads(printed.split(" ", 1)[1]) == json.loads(reading)
            assert running.stop() == 0


def queue(folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with started(folder, "queue") as running:
        assert post(f"{running.url}/orders", {"text": "hello-1"}) == 202
        running.wait_for(r"info .*hello-1")
        assert running.stop() == 0


def _sent(publisher: list[str], text: str) -> bool:
    return subprocess.run([*publisher, "-m", text], timeout=DEADLINE_S, check=True).returncode == 0


TRIED: dict[str, Callable[[Path, Run, pytest.MonkeyPatch], None]] = {
    "webhook": webhook,
    "mqtt": mqtt,
    "websocket": websocket,
    "bridge": bridge,
    "queue": queue,
}


@pytest.mark.needs("mosquitto", "mosquitto_pub")
@pytest.mark.parametrize("name", template_names())
def test_a_message_goes_through_every_template(
    name: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it is written, with the brokers it starts by itself and with others. A new template adds its line above."""
    TRIED[name](tmp_path, run, monkeypatch)
