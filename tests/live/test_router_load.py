"""`router load` against a real mosquitto and a real router."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread

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


HOUSE = """\
router: 1
name: house
connections:
  trial: {{type: mqtt, url: "{url}"{options}}}
actors:
  tick: {{type: timer, every: 365d}}
  out: {{type: mqtt, connection: trial, publish: out/x}}
routes:
  pass-on: {{from: tick, to: out}}
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

        done = running.ask("load", *url[:2], *data, "--messages", "100")
        assert (done.returncode, "100 of 100 messages accepted" in done.stdout) == (0, True)
        done = running.ask("load", "--url", f"{running.url}/nowhere", "--messages", "3", "--json")
        assert (done.returncode, json.loads(done.stdout)["refused"]) == (
            1,
            {"answered 404 Not Found: nothing is at this path": 3},
        )


def test_over_mqtt_311_the_payload_tells_which_it_is(tmp_path: Path) -> None:
    """Over WebSocket too; where the payload would not say it, that is refused."""
    port = free_port()
    with Mosquitto(tmp_path, f"listener {port} {HOST}", "protocol websockets", more_ports=(port,)):
        url = ("--topic", "a", "--broker", f"ws://{HOST}:{port}", "--messages", "50")
        done = router(tmp_path, "load", *url)
        assert (done.returncode, "50 of 50 messages arrived" in done.stdout) == (0, True), done
        done = router(tmp_path, "load", *url, "--data", "x")
        assert (done.returncode, "put {id} into --data" in done.stderr) == (2, True), done


@pytest.mark.parametrize("url", ["embedded:", "mosquitto:"])
@pytest.mark.parametrize("options", ["", ", protocol: '3.1.1'", ", anonymous: true"])
def test_the_broker_in_the_house_of_a_running_router_needs_no_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, options: str
) -> None:
    """It is found by the control socket, with its port and its version, and its password by the state directory."""
    monkeypatch.delenv("MQTT_URL", raising=False)
    (tmp_path / "topology.yaml").write_text(HOUSE.format(url=url, options=options))
    with RunningRouter(tmp_path) as running:
        done = running.ask("load", "--topic", "a/b", "--messages", "200")
        assert (done.returncode, "200 of 200 messages arrived" in done.stdout) == (0, True), done
        kept = tmp_path / ".router" / "brokers" / "trial" / "credentials.json"
        view = json.dumps(running.get("/v1/router")[1])
        assert kept.exists() is ("anonymous" not in options)
        if kept.exists():
            assert str(kept) in view
            assert json.loads(kept.read_text())["password"] not in view


def test_a_password_of_the_topology_is_told_to_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever wants to load such a broker gives it."""
    monkeypatch.delenv("MQTT_URL", raising=False)
    monkeypatch.setenv("PASSWORD", "s3cret")
    users = ', users: {ada: "${PASSWORD}"}'
    (tmp_path / "topology.yaml").write_text(HOUSE.format(url="embedded:", options=users))
    with RunningRouter(tmp_path) as running:
        done = running.ask("load", "--topic", "a/b", "--messages", "10")
        found = re.search(r"--broker mqtt://USER:PASSWORD@(\S+)", done.stderr)
        assert found is not None, done
        assert (done.returncode, "s3cret" in done.stderr) == (1, False)
        assert "s3cret" not in json.dumps(running.get("/v1/router")[1])
        url = f"mqtt://ada:s3cret@{found[1]}"
        done = running.ask("load", "--topic", "a/b", "--messages", "10", "--broker", url)
        assert (done.returncode, "10 of 10 messages arrived" in done.stdout) == (0, True), done


@contextmanager
def busy(headers: Mapping[str, str], *, times: int) -> Iterator[str]:
    """A server that answers 503 with these headers so often, and then 202; its URL."""
    lock, left = Lock(), [times]

    class Busy(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            with lock:
                left[0] -= 1
                is_busy = left[0] >= 0
            self.send_response(503 if is_busy else 202)
            for name, value in headers.items() if is_busy else ():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer((HOST, 0), Busy) as server:
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield f"http://{HOST}:{server.server_port}/"
        server.shutdown()
        thread.join(5.0)


def test_what_is_wanted_later_is_sent_again_then(tmp_path: Path) -> None:
    """And said so. A refusal that names no time is final, and so is one that asks for more than `--timeout`."""
    with busy({"Retry-After": "1"}, times=3) as url:
        done = router(tmp_path, "load", "--url", url, "--messages", "20")
        assert (done.returncode, "20 of 20 messages accepted" in done.stdout) == (0, True), done
        assert "postponed: 3 answers with Retry-After" in done.stdout
        assert re.search(r"^answered .* 1\.\ds$", done.stdout, re.MULTILINE), "its time begins with the first post"
    for headers in ({}, {"Retry-After": "3600"}):
        with busy(headers, times=3) as url:
            done = router(tmp_path, "load", "--url", url, "--messages", "20", "--json")
            result = json.loads(done.stdout)
            assert (done.returncode, result["acknowledged"], result["postponed"]) == (1, 17, 0)
            assert result["refused"] == {"answered 503 Service Unavailable": 3}
