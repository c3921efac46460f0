"""`router load` against a real mosquitto and a real router."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mosquitto import Mosquitto
from tests.router_command import RunningRouter, router
from tests.servers import HOST, free_port

pytestmark = pytest.mark.needs("mosquitto")

TOPOLOGY = """\
router: 1
name: load
settings: {{http: {{port: 0}}}}
connections:
  broker: {{type: mqtt, url: "{url}"}}
actors:
  door: {{type: webhook, path: /door, decode: json}}
  out: {{type: mqtt, connection: broker, publish: out/x}}
routes:
  pass-on: {{from: door, when: "data.n % 10 != 3", to: out, durable: true, concurrency: 20}}
"""


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path) as running:
        yield running


@pytest.mark.parametrize("qos", ["0", "1", "2"])
def test_all_that_is_published_arrives(broker: Mosquitto, tmp_path: Path, qos: str) -> None:
    """And the command says so, with latencies, and exits with 0."""
    done = router(tmp_path, "load", "--topic", "a/b", "--broker", broker.url, "--messages", "1000", "--qos", qos)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("1,000 of 1,000 messages arrived in "), done.stdout
    assert re.search(r"^arrived +[\d.]+ms +[\d.]+ms +[\d.]+ms +[\d.]+m?s$", done.stdout, re.MULTILINE), done.stdout


def test_what_does_not_arrive_is_named(broker: Mosquitto, tmp_path: Path) -> None:
    """The route takes one in ten out: every post is accepted, those do not arrive, and the exit code is 1."""
    (tmp_path / "topology.yaml").write_text(TOPOLOGY.format(url=broker.url))
    with RunningRouter(tmp_path) as running:
        url = ("--url", f"{running.url}/door", "--broker", broker.url, "--timeout", "1s", "--json")
        data = ("--data", '{"n": {n}}')
        done = running.ask("load", *url, *data, "--messages", "100", "--arrive-topic", "out/x")
        result = json.loads(done.stdout)
        assert done.returncode == 1
        assert (result["acknowledged"], result["arrived"], result["missing"], result["repeated"]) == (100, 90, 10, 0)
        ids = [re.fullmatch(r"load-[0-9a-f]{8}-(\d+)", each) for each in result["missing_ids"]]
        assert [int(each[1]) for each in ids if each] == list(range(3, 100, 10))

        done = running.ask("load", *url[:-1], *data, "--messages", "100")
        assert (done.returncode, "100 of 100 messages accepted" in done.stdout) == (0, True)
        done = running.ask("load", "--url", f"{running.url}/nowhere", "--messages", "3", "--json")
        assert (done.returncode, json.loads(done.stdout)["refused"]) == (1, {"answered 404 Not Found": 3})


def test_over_mqtt_311_the_payload_tells_which_it_is(tmp_path: Path) -> None:
    """Over WebSocket too; where the payload would not say it, that is refused."""
    port = free_port()
    with Mosquitto(tmp_path, f"listener {port} {HOST}", "protocol websockets", more_ports=(port,)):
        url = ("--topic", "a", "--broker", f"ws://{HOST}:{port}", "--messages", "50")
        done = router(tmp_path, "load", *url)
        assert (done.returncode, "50 of 50 messages arrived" in done.stdout) == (0, True), done
        done = router(tmp_path, "load", *url, "--data", "x")
        assert (done.returncode, "put {id} into --data" in done.stderr) == (2, True), done
