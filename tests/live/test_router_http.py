"""A router between HTTP clients and HTTP services: what curl is answered, and what an outage does."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.router_command import DEADLINE_S, RunningRouter
from tests.servers import HOST, free_port

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")

TOPOLOGY = """\
router: 1
name: shop
settings: {{http: {{port: 0}}, drain_timeout: 1s}}
actors:
  safe: {{type: webhook, path: /safe, verify: {{bearer: "${{TOKEN}}"}}}}
  wait: {{type: webhook, path: /wait, timeout: 3s}}
  held: {{type: webhook, path: /held, timeout: 1s}}
  large: {{type: webhook, path: /large, max_body: 64MiB, decode: text}}
  json: {{type: webhook, path: /json, decode: json}}
  log: {{type: log, preview: 100B}}
  first: {{type: http, url: "http://127.0.0.1:{port}/first", timeout: 2s}}
  second: {{type: log}}
routes:
  to-safe: {{from: safe, durable: true, to: log}}
  to-large: {{from: [large, json], to: log}}
  to-wait: {{from: wait, to: first, fallback: second}}
  to-held: {{from: held, to: first, retry: {{delay: 100ms}}}}
"""


class Service:
    """An HTTP service that starts when the test says so."""

    def __init__(self, port: int) -> None:
        self.received: list[str] = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                service.received.append(self.headers["Idempotency-Key"])
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Not on the test's output."""

        self._server = ThreadingHTTPServer((HOST, port), Handler)
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(DEADLINE_S)


@pytest.fixture
def port() -> int:
    """Where the service will be."""
    return free_port()


@pytest.fixture
def shop(tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningRouter]:
    monkeypatch.setenv("TOKEN", "s3cret")
    (tmp_path / "topology.yaml").write_text(TOPOLOGY.format(port=port))
    with RunningRouter(tmp_path) as running:
        yield running


class Answer:
    """What curl was answered; its line ends are already plain."""

    def __init__(self, text: str) -> None:
        head, _, rest = text.partition("\n\n")
        while head.startswith("HTTP/1.1 100"):
            head, _, rest = rest.partition("\n\n")
        lines = head.split("\n")
        self.status = int(lines[0].split()[1])
        self.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
        body, _, seconds = rest.rpartition("\n")
        self.seconds = float(seconds)
        self.document: Any = json.loads(body) if body else None


def curl(url: str, data: str, *options: str, type: str = "application/json") -> Answer:
    done = subprocess.run(
        [
            "curl",
            "-s",
            "-i",
            "-w",
            "\n%{time_total}",
            url,
            "-H",
            f"Content-Type: {type}",
            "-d",
            data,
            *options,
        ],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done
    return Answer(done.stdout)


def test_what_a_client_is_told(shop: RunningRouter, tmp_path: Path) -> None:
    """Taken, unreadable, without proof, unknown, too large, of a wrong type: each with its status and a reason."""
    token = "Authorization: Bearer s3cret"
    good = curl(f"{shop.url}/safe", '{"a": 1}', "-H", token, "-H", "Idempotency-Key: k-1")
    assert (good.status, good.document) == (202, {"id": "k-1", "status": "accepted"})
    for options in ((), ("-H", "Authorization: Bearer other"), ("-H", "Authorization: Basic czNjcmV0")):
        wrong = curl(f"{shop.url}/safe", "{}", *options)
        assert (wrong.status, wrong.headers["www-authenticate"]) == (401, "Bearer")
    assert curl(f"{shop.url}/json", '{"a": 1').status == 400
    assert curl(f"{shop.url}/json", "a", type="text/plain").status == 415
    assert curl(f"{shop.url}/nothing", "{}").status == 404
    assert curl(f"{shop.url}/json", "{}", "-X", "PUT").status == 405
    (tmp_path / "two").write_bytes(b'"' + b"x" * 2_000_000 + b'"')
    refused = curl(f"{shop.url}/json", f"@{tmp_path / 'two'}")
    assert refused.status == 413
    assert refused.headers["content-type"] == "application/problem+json"
    assert (refused.document["status"], refused.document["title"]) == (413, "Request Entity Too Large")
    assert "s3cret" not in shop.output


def test_a_body_of_50_megabytes_goes_through_or_is_refused(shop: RunningRouter, tmp_path: Path) -> None:
    """Where the webhook takes so much; elsewhere it is refused at once. Neither stays in memory."""
    before = shop.resident_mib
    (tmp_path / "large").write_bytes(b"x" * 50_000_000)
    taken = curl(f"{shop.url}/large", f"@{tmp_path / 'large'}", type="text/plain")
    assert (taken.status, taken.document["outcome"]) == (200, "delivered")
    assert curl(f"{shop.url}/json", f"@{tmp_path / 'large'}").status == 413
    assert shop.resident_mib - before < 60


def test_a_service_that_is_away_costs_nothing_where_there_is_a_fallback(shop: RunningRouter) -> None:
    """The first message finds out, and those after it are not delayed either."""
    for number in range(5):
        answer = curl(f"{shop.url}/wait", "{}", "-H", f"Idempotency-Key: m-{number}")
        assert (answer.status, answer.document["outcome"]) == (200, "delivered")
        assert answer.seconds < 1.0
    shop.wait_for(r"actor=second .*id=m-4")
    assert shop.route("to-wait")["ledger"]["dead_lettered"] == 0


def test_a_service_that_is_away_holds_its_source_back_until_it_returns(shop: RunningRouter, port: int) -> None:
    """The first waits in the route; the next are answered 503 with Retry-After. When the service is there,
    everything goes on by itself, and nothing has become a dead letter."""
    first = curl(f"{shop.url}/held", "{}", "-H", "Idempotency-Key: first")
    assert first.status == 504, "it was taken in, and nobody has answered for it yet"
    shop.wait_until(lambda: shop.route("to-held")["suspended"] == 1)
    second = curl(f"{shop.url}/held", "{}", "-H", "Idempotency-Key: second")
    assert second.status == 503
    assert int(second.headers["retry-after"]) >= 1
    assert second.seconds < 0.5
    assert "is away" in second.document["detail"]
    assert "suspended" in shop.ask("ps").stdout
    service = Service(port)
    try:
        shop.wait_until(lambda: service.received == ["first"])
        shop.wait_until(lambda: shop.route("to-held")["ledger"]["delivered"] == 1)
        third = curl(f"{shop.url}/held", "{}", "-H", "Idempotency-Key: third")
        assert (third.status, third.document["outcome"]) == (200, "delivered")
        assert service.received == ["first", "third"]
    finally:
        service.close()
    ledger = shop.route("to-held")["ledger"]
    assert (ledger["accepted"], ledger["dead_lettered"], ledger["difference"]) == (2, 0, 0)


def test_whoever_waits_when_the_router_stops_is_told_to_come_again(shop: RunningRouter) -> None:
    """503, well within the drain: the service is away, and waiting for it would be in vain."""
    with subprocess.Popen(
        ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", f"{shop.url}/held", "-d", "{}"],
        stdout=subprocess.PIPE,
        text=True,
    ) as waiting:
        shop.wait_until(lambda: shop.route("to-held")["suspended"] == 1)
        assert shop.stop() == 0
        assert waiting.communicate(timeout=DEADLINE_S)[0] == "503"
