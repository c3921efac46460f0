"""A router whose WebSocket clients chat with each other and are told what comes in by HTTP; operators see each."""

import json
import urllib.request
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.router_command import DEADLINE_S, RunningRouter

TOPOLOGY = """\
router: 1
name: panels
settings: {http: {port: 0}, drain_timeout: 1s}
actors:
  events: {type: webhook, path: /events}
  panel:
    type: websocket
    path: /ws/folder/{folder_id}
    rooms: "folder/{{ data.folder_id }}"
    to_room: "folder/{{ data.folder }}"
    conflate: "{{ data.job }}"
  chat: {type: websocket, path: /chat}
  answers: {type: websocket, path: /ask, to_client: "{{ headers.client }}", body: {you_said: "{{ data }}"}}
routes:
  tell: {from: events, to: panel}
  talk: {from: chat, to: chat}
  answer: {from: answers, to: answers, durable: true}
"""


def client(router: RunningRouter, path: str) -> ClientConnection:
    return connect(router.url.replace("http", "ws", 1) + path, open_timeout=DEADLINE_S, close_timeout=2.0)


def post(router: RunningRouter, data: object) -> int:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{router.url}/events", json.dumps(data).encode(), headers)
    with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
        status: int = answer.status
        return status


def heard(one: ClientConnection) -> object:
    return json.loads(one.recv(timeout=DEADLINE_S))


def test_clients_are_actors_of_a_router(tmp_path: Path) -> None:
    """They get what their room is told, talk to each other, and are answered; `ps` and `mailbox` show each one."""
    (tmp_path / "topology.yaml").write_text(TOPOLOGY)
    with RunningRouter(tmp_path, "topology.yaml") as router:
        with client(router, "/ws/folder/17") as one, client(router, "/ws/folder/18"):
            assert post(router, {"folder": 17, "job": "j", "done": 5}) == 200
            assert heard(one) == {"folder": 17, "job": "j", "done": 5}

            with client(router, "/chat") as ana, client(router, "/chat") as ben, client(router, "/ask") as asker:
                ana.send('{"text": "hello"}')
                assert heard(ana) == heard(ben) == {"text": "hello"}
                asker.send("hello")
                assert heard(asker) == {"you_said": "hello"}
                shown = router.ask("ps", "--children", "1")
                assert shown.returncode == 0
                assert "panel/" in shown.stdout
                assert "has 1 child more" in shown.stdout

            views = {view["name"]: view for view in router.get("/v1/actors?children=10")[1]["actors"]}
            assert views["panel"]["about"]["clients"] == 2
            assert views["panel"]["children"]["counts"] == {"handled": 1, "failed": 0, "dropped": 0}
            assert views["chat"]["children"]["started"] == 2
            (name,) = [
                each["name"] for each in views["panel"]["children"]["shown"] if each["about"]["rooms"] == "folder/17"
            ]
            looked = router.ask("mailbox", name)
            assert (looked.returncode, looked.stdout) == (0, f"{name}: empty\n")
            metrics = router.get("/metrics")[1].decode()
            assert 'router_actor_children{actor="panel"} 2.0' in metrics
            assert name not in metrics
            assert router.get("/readyz")[0] == 200
            assert router.stop() == 0
            with pytest.raises(ConnectionClosed) as closed:
                one.recv(timeout=DEADLINE_S)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1001
        assert "child" not in router.output
        assert f"{name}" not in router.output
