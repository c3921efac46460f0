"""The topology that a newcomer starts with, as the README has it: started, tried, looked into, stopped."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.mosquitto import Mosquitto
from tests.router_command import DEADLINE_S, LOOK_AGAIN_S, ROOT, RunningRouter, router
from tests.servers import HOST, free_port

AT_REST_MIB = 120.0
"""The target is 100; the rest is for other versions of Python and of libraries."""


def bash(folder: Path, line: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", line], cwd=folder, capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the file, on a port that is free, and with monitoring."""
    monkeypatch.delenv("MQTT_URL", raising=False)
    text = (ROOT / "topology.yaml").read_text()
    assert "port: 8080}" in text
    text = text.replace("port: 8080}", f"port: {free_port()}}}")
    text = text.replace("settings:\n", f"settings:\n  observe: {{listen: '{HOST}:{free_port()}'}}\n")
    (tmp_path / "topology.yaml").write_text(text)
    return tmp_path


@pytest.fixture
def started(folder: Path) -> Iterator[RunningRouter]:
    """Started by the launcher, which runs Python with -P."""
    with RunningRouter(folder, "topology.yaml", command=(str(ROOT / "bin" / "router"),)) as running:
        running.wait_for(r"^Ctrl-C drains and stops\.$")
        yield running


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_what_a_newcomer_does_works_as_printed(started: RunningRouter) -> None:
    """The printed line, pasted into bash, brings a message to the broker and back, its number put right."""
    resident_mib = started.resident_mib
    line = started.wait_for(r"^ *(curl .*)$")[1]
    answered = bash(started.folder, line)
    assert answered.stdout.startswith("HTTP/1.1 202 Accepted"), answered
    started.wait_for(r"info +seen on MQTT .* actor=seen .* subject=notifications/new .*\+593991234567")

    readme = re.search(r"^(curl .*\\\n.*)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert readme is not None
    line = readme[1].replace("http://127.0.0.1:8080", started.url)
    for _ in range(2):
        assert bash(started.folder, line).stdout.startswith("HTTP/1.1 202 Accepted")
    started.wait_until(lambda: started.route("notifications")["ledger"]["deduplicated"] == 1)

    shown = started.ask("ps").stdout
    assert re.search(r"^notifications +ready ", shown, re.MULTILINE), shown
    assert started.ask("mailbox", "notifications").returncode == 0
    assert started.ask("send", "notify", '{"to": "nobody", "message_id": "x"}').returncode == 0
    started.wait_until(lambda: started.route("notifications")["ledger"]["dead_lettered"] == 1)
    assert "invalid" in started.ask("dead-letters", "list").stdout
    asked = started.ask("ask", "mqtt-out", '{"to": "+593991234567"}')
    assert (asked.returncode, asked.stderr.endswith(" delivered\n")) == (0, True)

    observed = dict(re.findall(r"^  (observe|http) +(http://\S+)$", started.output, re.MULTILINE))["observe"]
    metrics = urllib.request.urlopen(f"{observed}/metrics", timeout=DEADLINE_S).read().decode()
    assert 'router_route_messages_total{outcome="deduplicated",route="notifications"} 1.0' in metrics
    ready = json.load(urllib.request.urlopen(f"{observed}/readyz", timeout=DEADLINE_S))
    assert (ready["ready"], ready["waiting"]) == (True, [])

    assert started.stop() == 0
    assert started.output.endswith("stopped; nothing is left in flight\n")
    assert (started.state_dir / "clean").exists()
    assert resident_mib <= AT_REST_MIB


def broker_of(router: RunningRouter) -> int:
    """The process id of its broker."""
    pid: int = json.loads((router.state_dir / "brokers" / "broker" / "child.json").read_text())["pid"]
    return pid


def is_there(pid: int) -> bool:
    """Whether a thread of the process runs, and its sockets are open with it; a zombie has none."""
    process = Path(f"/proc/{pid}")
    try:
        state = (process / "stat").read_text().rpartition(")")[2].split()[0]
        return state != "Z" or len(os.listdir(process / "task")) > 1
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while is_there(pid):
        assert time.monotonic() < deadline, f"process {pid} runs on"
        time.sleep(LOOK_AGAIN_S)


@pytest.mark.needs("mosquitto_pub")
def test_the_printed_line_shows_what_is_published(started: RunningRouter) -> None:
    """With nothing to look up: the program reads in the state directory where the broker is, and the password."""
    line = started.wait_for(r"^ *(XDG_CONFIG_HOME=\S+ mosquitto_sub .*)$")[1]
    command = ["bash", "-c", f"{line} -C 1 -W {DEADLINE_S:.0f}"]
    with subprocess.Popen(command, cwd=started.folder, stdout=subprocess.PIPE, text=True) as watching:
        # Nobody tells when it has subscribed: what was published before is not for it.
        for number in count():
            message = f'{{"to": "0991234567", "message_id": "{number}"}}'
            assert started.ask("send", "notify", message).returncode == 0
            if watching.poll() is not None:
                break
        shown, _ = watching.communicate()
    assert re.fullmatch(r'notifications/new \{"to":"\+593991234567","message_id":"\d+"\}\n', shown)


def test_a_broker_that_is_killed_is_missed_by_nobody(started: RunningRouter) -> None:
    """While it is away the fallback takes over, at once; the router starts it again, and publishes there again."""
    broker = broker_of(started)
    body = b'{"to": "0991234567", "message_id": "1"}'
    head = f"POST /notify HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\nConnection: close"
    # The router sleeps until the request is there, so that it finds both at once: no broker, and a message for it.
    os.kill(started.pid, signal.SIGSTOP)
    os.kill(broker, signal.SIGKILL)
    wait_until_gone(broker)
    with socket.create_connection((HOST, int(started.url.rpartition(":")[2])), timeout=DEADLINE_S) as client:
        client.sendall(f"{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        os.kill(started.pid, signal.SIGCONT)
        assert client.recv(4096).startswith(b"HTTP/1.1 202 ")
    started.wait_for(r"warning +not published .* actor=unsent .*\+593991234567")
    for actor in ("mqtt-out", "mqtt-in"):
        started.wait_for(rf"info +actor available again +actor={actor}$")
    assert broker_of(started) != broker
    assert started.ask("send", "notify", '{"to": "0991234567", "message_id": "2"}').returncode == 0
    started.wait_for(r"info +seen on MQTT .* actor=seen .*\"message_id\": \"2\"")
    assert started.route("notifications")["ledger"]["dead_lettered"] == 0
    assert started.stop() == 0


def test_no_broker_is_left_behind(folder: Path) -> None:
    """Neither by a router that stops in order, nor by one that is killed."""
    with RunningRouter(folder) as router:
        broker = broker_of(router)
        assert is_there(broker)
        assert router.stop() == 0
        assert not is_there(broker)
        router.start()
        broker = broker_of(router)
        assert is_there(broker)
        router.kill()
        wait_until_gone(broker)


@pytest.mark.needs("mosquitto")
def test_another_broker_is_one_variable_away(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the line for watching it names that one."""
    (tmp_path / "mosquitto").mkdir()
    with Mosquitto(tmp_path / "mosquitto") as broker:
        monkeypatch.setenv("MQTT_URL", broker.url)
        with RunningRouter(folder) as router:
            router.wait_for(rf"^  mosquitto_sub -h {HOST} -p {broker.port} -t notifications/new -v$")
            assert router.ask("send", "notify", '{"to": "0991234567", "message_id": "1"}').returncode == 0
            router.wait_for(r"info +seen on MQTT .*\+593991234567")
            assert not (router.state_dir / "brokers").exists()
            assert router.stop() == 0


def test_with_a_broker_that_cannot_start_the_rest_runs(folder: Path) -> None:
    """What is wrong is told where one looks, and messages go to the fallback."""
    path = folder / "topology.yaml"
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        named = f'"embedded:", listen: {{mqtt5: "{HOST}:{port}"}}'
        path.write_text(path.read_text().replace('"${MQTT_URL:-embedded:}"', named))
        router = RunningRouter(folder)
        router.begin()
        try:
            router.wait_for(r"^Ctrl-C drains and stops\.$")
            assert re.search(rf"not ready  actor mqtt-out is .*\n.*cannot listen on {HOST}:{port}", router.output)
            assert "mosquitto_sub" not in router.output
            assert router.ask("send", "notify", '{"to": "0991234567", "message_id": "1"}').returncode == 0
            router.wait_for(r"warning +not published .*\+593991234567")
            assert router.stop() == 0
            assert "Traceback" not in router.output
        finally:
            router.kill()


OWN = """\
import threading
import pykka

class Shout(pykka.ThreadingActor):
    def on_receive(self, message):
        where = "on" if threading.current_thread() is threading.main_thread() else "not on"
        return f"{message.data.upper()}, {where} the loop"
"""


def test_code_is_found_beside_the_topology_wherever_one_stands(tmp_path: Path) -> None:
    """The launcher's Python has neither the working directory nor the topology's folder on its path."""
    folder = tmp_path / "conf"
    folder.mkdir()
    (folder / "own.py").write_text(OWN)
    (folder / "t.yaml").write_text("router: 1\nname: own\nactors: {shout: {type: python, class: 'own:Shout'}}\n")
    command = (str(ROOT / "bin" / "router"),)
    with RunningRouter(tmp_path, "conf/t.yaml", command=command, state_dir=folder / ".router") as started:
        asked = started.ask("ask", "shout", '"hello"', "--control", "conf/.router")
        assert (asked.returncode, asked.stdout.strip(' "\n')) == (0, "HELLO, not on the loop"), asked
        assert started.stop() == 0


def test_logs_for_machines_are_one_object_a_line(folder: Path) -> None:
    with RunningRouter(folder, "--log-format", "json", "--json") as started:
        sent = started.ask("send", "notify", '{"to": "0991234567", "message_id": "1"}')
        assert sent.returncode == 0
        started.wait_until(lambda: "+593991234567" in started.output)
        assert started.stop() == 0
        lines = [json.loads(line) for line in started.output.splitlines()]
    (message,) = [line for line in lines if line.get("actor") == "seen" and "data" in line]
    assert message["level"] == "info"
    assert lines[-1] == {"status": "stopped", "unsettled": 0}


def test_three_mistakes_give_three_places(folder: Path) -> None:
    """All at once, and exit code 78, from `start` as from `validate`; nothing was opened."""
    path = folder / "topology.yaml"
    text = path.read_text()
    for right, wrong in (("path: /n", "pth: /n"), ("to: seen\n", "to: sene\n"), ("regions: [EC", "regions: [XX")):
        text = text.replace(right, wrong, 1)
    path.write_text(text)
    lines = text.splitlines()
    for command in ("start", "validate"):
        done = router(folder, command, "topology.yaml")
        assert done.returncode == 78
        places = re.findall(r"^topology\.yaml:(\d+):(\d+): error: ", done.stderr, re.MULTILINE)
        found = [lines[int(line) - 1][int(column) - 1 :][:3] for line, column in places]
        assert found == ["pth", "XX,", "sen"]
        assert done.stderr.endswith("3 problems\n")
    assert not (folder / ".router").exists()


def test_a_port_that_is_taken_is_told_at_once(folder: Path) -> None:
    """And nothing is left that would make the next start suspicious."""
    text = (folder / "topology.yaml").read_text()
    port = int(re.findall(r"http: {host: 127.0.0.1, port: (\d+)", text)[0])
    with socket.create_server((HOST, port)):
        done = router(folder, "start")
    assert done.returncode == 1
    assert f"error: cannot listen on {HOST}:{port}: the port is in use. End what listens there," in done.stderr
    assert "choose another settings.http.port" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    with RunningRouter(folder) as started:
        assert started.stop() == 0


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("store.db", b"this is no database " * 500, r"store\.db cannot be opened: file is not a database"),
        ("format", b"99\n", r"has format 99, and this version knows formats up to 1"),
    ],
)
def test_a_state_directory_that_cannot_be_used_is_told(folder: Path, file: str, content: bytes, message: str) -> None:
    """One line with what is wrong, exit code 1, and the file is as it was."""
    with RunningRouter(folder) as started:
        assert started.stop() == 0
    path = folder / ".router" / file
    for stale in (folder / ".router").glob("store.db-*"):
        stale.unlink()
    path.write_bytes(content)
    done = router(folder, "start")
    assert done.returncode == 1
    assert re.search(rf"^error: .*{message}", done.stderr, re.MULTILINE), done.stderr
    assert "Traceback" not in done.stderr
    assert path.read_bytes() == content


def test_a_state_directory_of_somebody_else_is_told(folder: Path) -> None:
    """A folder with other files in it is never taken over."""
    (folder / ".router").mkdir()
    (folder / ".router" / "letter.txt").write_text("dear")
    done = router(folder, "start")
    assert done.returncode == 1
    assert "is not a state directory" in done.stderr
    assert os.listdir(folder / ".router") == ["letter.txt"]
