"""A real router that is changed while it runs, by real commands beside it."""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Self
from urllib.parse import urlsplit

import pytest

from tests.router_command import DEADLINE_S, MODULE, RunningRouter, environment
from tests.servers import HOST, free_port

TOPOLOGY = """\
# what the shop sends
router: 1
name: shop
settings: {{http: {{port: 0}}, drain_timeout: 20s}}
actors:
  orders: {{type: webhook, path: /orders}}
  a: {{type: http, url: "http://127.0.0.1:{port}/a"}}   # the old one
  b: {{type: http, url: "http://127.0.0.1:{port}/b"}}
routes:
  to-shop:
    from: orders
    order_by: "{{{{ data.key }}}}"
    to: a   # for now
"""


class Shop:
    """An HTTP service with two paths, which may hold what it gets at one of them."""

    def __init__(self) -> None:
        self.received: dict[str, list[str]] = {"/a": [], "/b": []}
        self.go = Event()
        self.go.set()
        shop = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                shop.received[self.path].append(self.headers["Idempotency-Key"])
                if self.path == "/a":
                    shop.go.wait(DEADLINE_S)
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Not on the test's output."""

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        self.go.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(DEADLINE_S)


class Load:
    """A client on one connection that sends message after message, and keeps what it was answered."""

    def __init__(self, url: str) -> None:
        self.accepted: list[str] = []
        self.refused: list[object] = []
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=DEADLINE_S)
        self._ended = Event()
        self._thread = Thread(target=self._send)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(DEADLINE_S)
        self._connection.close()

    def _send(self) -> None:
        number = 0
        while not self._ended.is_set():
            number += 1
            name = f"m{number}"
            body = json.dumps({"key": number % 7})
            headers = {"Content-Type": "application/json", "Idempotency-Key": name}
            try:
                self._connection.request("POST", "/orders", body, headers)
                response = self._connection.getresponse()
                response.read()
            except OSError as error:
                self.refused.append(error)
                continue
            (self.accepted if response.status < 300 else self.refused).append(name)


@pytest.fixture
def shop() -> Iterator[Shop]:
    service = Shop()
    yield service
    service.close()


@pytest.fixture
def file(tmp_path: Path, shop: Shop) -> Path:
    path = tmp_path / "topology.yaml"
    path.write_text(TOPOLOGY.format(port=shop.port))
    return path


@pytest.fixture
def started(file: Path) -> Iterator[RunningRouter]:
    with RunningRouter(file.parent, "topology.yaml") as running:
        yield running


def edited(file: Path, old: str, new: str) -> None:
    """As most editors write: beside it, and then in its place."""
    text = file.read_text()
    assert old in text
    part = file.with_suffix(".part")
    part.write_text(text.replace(old, new))
    os.replace(part, file)


def target(running: RunningRouter) -> str:
    """Where the route leads, in the topology that runs."""
    number = running.get("/v1/revisions")[1]["running"]
    found = re.search(r"^    to: ([^#\n]*)", running.get(f"/v1/revisions/{number}")[1]["text"], re.MULTILINE)
    assert found is not None
    return found[1].strip()


def test_what_comes_in_while_everything_changes_arrives_once(started: RunningRouter, file: Path, shop: Shop) -> None:
    """The route leads elsewhere, the old target goes, its successor and the webhook get other options, and back."""
    with Load(started.url) as load:
        other = file.with_name("other.yaml")
        text = file.read_text().replace("to: a ", "to: b ").replace('/b"', '/b", timeout: 9s')
        other.write_text(re.sub(r"\n  a: .*", "", text).replace("path: /orders", "path: /orders, max_body: 1MiB"))
        for command in (
            ("apply", "other.yaml"),
            ("rollback",),
            ("swap", "to-shop", "--to", "a=50", "b=50"),
            ("apply",),
        ):
            ended = started.ask(*command)
            assert ended.returncode == 0, ended
            assert "nothing was lost: both sides agree on 1 route" in ended.stdout
        before = len(load.accepted)
        started.wait_until(lambda: len(load.accepted) > before + 20)
    assert load.refused == []
    started.wait_until(lambda: started.route("to-shop")["ledger"]["in_flight"] == 0)
    assert sorted(shop.received["/a"] + shop.received["/b"]) == sorted(load.accepted)
    assert shop.received["/a"]
    assert shop.received["/b"]


def test_a_second_operator_hears_who_is_at_it(started: RunningRouter, file: Path, shop: Shop) -> None:
    """The first waits for what the old target has in hand, and says so."""
    shop.go.clear()
    with Load(started.url):
        started.wait_until(lambda: shop.received["/a"])
        edited(file, '/a"', '/a", timeout: 20s')
        first = subprocess.Popen(
            [*MODULE, "apply"],
            cwd=file.parent,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.wait_until(lambda: started.get("/v1/revisions")[1]["under_way"])
        second = started.ask("swap", "to-shop", "--to", "b")
        assert second.returncode == 1
        assert "another change is under way: apply by uid " in second.stderr
        assert first.stderr is not None
        assert first.stderr.readline().startswith("waiting until new actors are ready and old ones empty")
        shop.go.set()
        output, _ = first.communicate(timeout=DEADLINE_S)
    assert first.returncode == 0, output
    assert "applied: revision 2 runs" in output


def test_what_was_confirmed_last_goes_on_after_kill_9(started: RunningRouter) -> None:
    """A swap that is not in the file, too; the first lines say so."""
    assert started.ask("swap", "to-shop", "--to", "b").returncode == 0
    started.kill()
    started.start()
    started.wait_for(r"^revision 2 \(swap by uid \d+.*\) goes on: topology\.yaml has not changed since")
    assert target(started) == "b"
    assert started.stop() == 0


def test_a_file_that_was_edited_is_taken_and_one_that_was_not_if_told_so(started: RunningRouter, file: Path) -> None:
    assert started.ask("swap", "to-shop", "--to", "b").returncode == 0
    started.stop()
    edited(file, "to: a ", "to: {split: {a: 1, b: 1}} ")
    started.start()
    started.wait_for(r"^topology\.yaml is taken: it has changed since it was applied as revision 1;")
    assert target(started) == "{split: {a: 1, b: 1}}"
    assert started.ask("swap", "to-shop", "--to", "b").returncode == 0
    started.stop()
    with RunningRouter(file.parent, "topology.yaml", "--file-wins") as again:
        again.wait_for(r"^topology\.yaml is taken, as --file-wins says")
        assert target(again) == "{split: {a: 1, b: 1}}"


def test_a_swap_that_is_written_keeps_the_comments(started: RunningRouter, file: Path) -> None:
    before = file.read_text()
    ended = started.ask("swap", "to-shop", "--to", "a=90", "b=10", "--write")
    assert "note: topology.yaml is written" in ended.stdout
    assert file.read_text() == before.replace("to: a ", "to: {split: {a: 90, b: 10}} ")
    plan = started.ask("plan")
    assert plan.stdout == "nothing changes: all actors and routes stay as they are\n"


def test_a_rollback_of_a_rollback_is_none(started: RunningRouter) -> None:
    assert started.ask("swap", "to-shop", "--to", "b").returncode == 0
    for now in ("a", "b"):
        assert started.ask("rollback").returncode == 0
        assert target(started) == now
    assert started.ask("rollback", "--to", "1").returncode == 0
    assert target(started) == "a"
    lines = started.ask("history").stdout.splitlines()
    assert [line.split()[4] for line in lines[1:]] == ["rollback", "rollback", "rollback", "swap", "start"]


def test_a_file_with_a_problem_changes_nothing_and_is_told_with_its_place(started: RunningRouter, file: Path) -> None:
    edited(file, "to: a ", "to: c ")
    for command in ("plan", "apply"):
        ended = started.ask(command)
        assert ended.returncode == 78
        assert "topology.yaml:13:9: error: unknown actor 'c'\n" in ended.stderr
    assert target(started) == "a"


def test_a_watched_file_is_applied_when_it_is_valid(file: Path) -> None:
    with RunningRouter(file.parent, "topology.yaml", "--watch") as running:
        edited(file, "to: a ", "to: c ")
        running.wait_for(r"^  watching +topology\.yaml$")
        running.wait_for(r"topology\.yaml:13:9: unknown actor 'c'")
        running.wait_for(r"topology\.yaml is not applied, and what runs goes on")
        assert target(running) == "a"
        edited(file, "to: c ", "to: b ")
        running.wait_for(r"topology\.yaml is applied as revision 2")
        assert target(running) == "b"
        assert running.stop() == 0


def test_a_revision_whose_variable_is_gone_starts_nothing_and_names_the_way_out(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To fall back to the file would undo what an operator has changed."""
    monkeypatch.setenv("SHOP", "b")
    with RunningRouter(file.parent, "topology.yaml") as running:
        other = file.with_name("other.yaml")
        other.write_text(file.read_text().replace("to: a ", 'to: "${SHOP}" '))
        assert running.ask("apply", "other.yaml").returncode == 0
        running.stop()
        monkeypatch.delenv("SHOP")
        running.begin()
        assert running.ended() == 78
        assert "the environment variable 'SHOP' is not set" in running.output
        assert "revision 2 (apply by uid" in running.output
        assert "--file-wins" in running.output


def test_settings_of_a_revision_take_effect_when_it_is_resumed(started: RunningRouter, file: Path) -> None:
    """Until then the old ones hold, and each command says so."""
    port = free_port()
    other = file.with_name("other.yaml")
    other.write_text(file.read_text().replace("port: 0", f"port: {port}"))
    ended = started.ask("apply", "other.yaml")
    assert "note: settings.http takes effect at the next start" in ended.stdout
    assert not started.url.endswith(f":{port}")
    started.stop()
    started.start()
    assert started.url.endswith(f":{port}")


def test_from_elsewhere_a_topology_is_applied_that_names_nothing_new(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a router that is reached by TCP, who has its token need not be who may run code on its machine."""
    monkeypatch.setenv("ADMIN_TOKEN", "0123456789abcdef0123")
    monkeypatch.setenv("ROUTER_TOKEN", "0123456789abcdef0123")
    control = "settings: {control: {listen: '127.0.0.1:0', tokens: {admin: '${ADMIN_TOKEN}'}}, "
    edited(file, "settings: {", control)
    with RunningRouter(file.parent, "topology.yaml") as running:
        url = running.wait_for(r"^  control +(http://\S+)$")[1]
        other = file.with_name("other.yaml")
        other.write_text(file.read_text().replace("to: a ", "to: b "))
        ended = running.ask("apply", "other.yaml", "--control", url)
        assert ended.returncode == 0, ended
        assert target(running) == "b"
        line = running.get("/v1/revisions")[1]["revisions"][0]
        assert (line["who"], line["from_file"], Path(line["path"])) == ("admin", False, file)
        other.write_text(other.read_text().replace("  b: {", "  b: {headers: {x: '${file:/etc/hostname}'}, "))
        for command in ("plan", "apply"):
            refused = running.ask(command, "other.yaml", "--control", url)
            assert refused.returncode == 1
            assert "over TCP nothing may be named that the running revision does not name" in refused.stderr
        assert running.ask("plan", "other.yaml").returncode == 0, "over the socket it may be"


def test_a_plan_needs_no_router(file: Path) -> None:
    """It is against what ran last."""
    with RunningRouter(file.parent, "topology.yaml") as running:
        assert running.ask("swap", "to-shop", "--to", "b").returncode == 0
        busy = running.ask("plan", "--offline")
        assert busy.returncode == 1
        assert "leave --offline out" in busy.stderr
        running.stop()
        ended = running.ask("plan", "--offline", "--json")
        assert ended.returncode == 0, ended
        answer = json.loads(ended.stdout)
        assert answer["revision"] == 2
        assert [one["why"] for one in answer["plan"]["routes"]] == [["to"]]
