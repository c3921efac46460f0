"""`router doctor` against real brokers and HTTP servers, and beside a router that runs."""

import http.server
import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.certificates import expired, self_signed
from tests.mosquitto import Mosquitto
from tests.router.cli.conftest import Cli, cli
from tests.router_command import RunningRouter, router
from tests.servers import HOST, free_port

__all__ = ["cli"]

pytestmark = pytest.mark.needs("mosquitto")

SECRET = "correct-horse-battery"
DYNAMIC_SECURITY = next(Path("/usr/lib").glob("*/mosquitto_dynamic_security.so"), None)


@dataclass(frozen=True, slots=True)
class Doctor:
    """The command, run on topologies in a folder."""

    cli: Cli
    folder: Path

    def write(self, connections: str, actors: str = "", settings: str = "{http: {port: 0}}") -> None:
        """Each actor is in a route."""
        names = ", ".join(line.strip().partition(":")[0] for line in actors.splitlines() if line.strip())
        path = self.folder / "topology.yaml"
        path.write_text(
            f"router: 1\nname: it\nsettings: {settings}\nconnections: {{{connections}}}\n"
            f"actors:\n  tick: {{type: timer, every: 1h}}\n  log: {{type: log}}\n{actors}\n"
            f"routes:\n  r: {{from: tick, to: [log{', ' + names if names else ''}]}}\n"
        )
        path.chmod(0o644)

    def findings(self) -> list[dict[str, Any]]:
        ended = self.cli("doctor", "--json")
        assert SECRET not in ended.output
        answer = json.loads(ended.output)
        levels = [finding["level"] for finding in answer["findings"]]
        assert (answer["problems"], answer["warnings"]) == (levels.count("problem"), levels.count("warning"))
        assert ended.code == (1 if answer["problems"] else 0)
        return list(answer["findings"])

    def of(self, name: str) -> list[tuple[str, str, str]]:
        """Of one connection or actor: level, text and advice."""
        found = [each for each in self.findings() if each["name"] == name]
        return [(each["level"], each["text"], each["advice"]) for each in found]

    def broker(self, options: str, actor: str = "publish: x") -> list[tuple[str, str, str]]:
        """What is found of an MQTT connection with these options, which an actor uses."""
        self.write(f"b: {{type: mqtt, {options}}}", f"  a: {{type: mqtt, connection: b, {actor}}}")
        return self.of("b")


@pytest.fixture
def doctor(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Doctor:
    folder = tmp_path / "topology"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("SECRET", SECRET)
    return Doctor(cli, folder)


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker that lets only joe in."""
    passwords = tmp_path / "passwords"
    passwords.touch(mode=0o600)
    subprocess.run(["mosquitto_passwd", "-b", passwords, "joe", SECRET], check=True, capture_output=True, timeout=20)
    port = free_port()
    lines = [f"listener {port} {HOST}", "allow_anonymous false", f"password_file {passwords}"]
    with Mosquitto(tmp_path, *lines, port=port, listener=False) as running:
        yield running


# Brokers


@pytest.mark.parametrize(("protocol", "version"), [("5", "5"), ("'3.1.1'", "3.1.1")])
def test_a_broker_that_lets_the_router_in_is_fine(
    doctor: Doctor, guarded: Mosquitto, protocol: str, version: str
) -> None:
    """By its options or the user part of the URL, with each version."""
    good = f"{guarded.address} takes connections, and lets the router in with its user, MQTT {version}"
    options = f'url: "{guarded.url}", username: joe, password: "${{SECRET}}", protocol: {protocol}'
    assert doctor.broker(options) == [("ok", good, "")]
    assert doctor.of("a") == [("ok", "whether it may publish was not tried", "")]
    url = guarded.url.replace("mqtt://", "mqtt://joe:${SECRET}@")
    assert doctor.broker(f'url: "{url}", protocol: {protocol}') == [("ok", good, "")]


@pytest.mark.parametrize("protocol", ["5", "'3.1.1'"])
def test_a_wrong_password_is_told_by_the_brokers_reason(doctor: Doctor, guarded: Mosquitto, protocol: str) -> None:
    """And the actors on that connection are not examined."""
    options = f'url: "{guarded.url}", username: joe, password: "not-${{SECRET}}", protocol: {protocol}'
    ((level, text, advice),) = doctor.broker(options)
    assert (level, text) == ("problem", f"{guarded.url} refuses: not authorized (0x87)")
    assert "correct username and password" in advice
    assert doctor.of("a") == [("warning", "not examined: no broker of its connection lets the router in", "")]


def test_a_broker_that_does_not_run_is_a_problem_unless_another_stands_in(doctor: Doctor, guarded: Mosquitto) -> None:
    """One of several URLs is enough."""
    away = f"mqtt://{HOST}:{free_port()}"
    ((level, text, advice),) = doctor.broker(f'url: "{away}"')
    assert (level, text) == ("problem", f"nobody listens at {away.removeprefix('mqtt://')}")
    assert advice == "start what should, or correct host and port"
    options = f'url: ["{away}", "{guarded.url}"], username: joe, password: "${{SECRET}}"'
    assert [level for level, _, _ in doctor.broker(options, "subscribe: in/#, publish: x")] == ["warning", "ok"]
    assert doctor.of("a")[0] == ("ok", "may subscribe to in/#", "")


def test_what_is_no_broker_is_told_from_one(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    """It closes the connection, or it says nothing."""
    with serving() as (port, _):
        ((level, text, advice),) = doctor.broker(f'url: "mqtt://{HOST}:{port}"')
        assert (level, f"{HOST}:{port}" in text) == ("problem", True)
        assert advice == "is it a broker? Its log may say why; so may wrong credentials"
    monkeypatch.setattr("actors.connections.mqtt.driver5.CONNECT_TIMEOUT_S", 0.2)
    with socket.create_server((HOST, 0)) as silent:
        url = f"mqtt://{HOST}:{silent.getsockname()[1]}"
        ((level, text, _),) = doctor.broker(f'url: "{url}"')
        assert (level, text) == ("problem", f"{url} did not answer within 0.2 s")


def test_an_old_broker_is_told_with_the_option_that_helps(doctor: Doctor, tmp_path: Path) -> None:
    """It speaks MQTT 3.1.1, and closes the connection where it is asked for 5: the embedded one's other port does."""
    port = free_port()
    doctor.write(
        f"b: {{type: mqtt, url: 'embedded:', anonymous: true, listen: {{mqtt: '{HOST}:{port}'}}}}",
        "  a: {type: mqtt, connection: b, publish: x}",
    )
    with RunningRouter(doctor.folder) as running:
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        (elsewhere / "topology.yaml").write_text(
            f"router: 1\nname: it\nconnections: {{b: {{type: mqtt, url: 'mqtt://{HOST}:{port}'}}}}\n"
            "actors: {a: {type: mqtt, connection: b, publish: x}, t: {type: timer, every: 1h}}\n"
            "routes: {r: {from: t, to: a}}\n"
        )
        done = router(elsewhere, "doctor", "--json")
        (found,) = [each for each in json.loads(done.stdout)["findings"] if each["name"] == "b"]
        assert running.stop() == 0
    assert found["text"] == f"mqtt://{HOST}:{port} does not speak MQTT 5, and lets the router in with 3.1.1"
    assert found["advice"] == "set `protocol: '3.1.1'`"


def test_subscriptions_are_tried_as_a_client_of_their_own(doctor: Doctor, guarded: Mosquitto) -> None:
    """A group is not joined: its messages belong to the others."""
    options = f'url: "{guarded.url}", username: joe, password: "${{SECRET}}"'
    doctor.broker(options, 'subscribe: [in/#, "more/+"], group: workers, qos: 2, publish: x')
    assert doctor.of("a") == [
        ("ok", "may subscribe to in/#", ""),
        ("ok", "may subscribe to more/+", ""),
        ("ok", "whether it may publish was not tried", ""),
    ]


@pytest.mark.skipif(DYNAMIC_SECURITY is None, reason="mosquitto has no dynamic security here")
def test_a_subscription_that_is_refused_is_a_problem(doctor: Doctor, tmp_path: Path) -> None:
    """By the broker's own word; the others are tried all the same."""
    acl = [{"acltype": "subscribePattern", "topic": "in/#", "priority": 0, "allow": True}]
    (tmp_path / "security.json").write_text(
        json.dumps(
            {
                "defaultACLAccess": {
                    "publishClientSend": False,
                    "publishClientReceive": True,
                    "subscribe": False,
                    "unsubscribe": True,
                },
                "roles": [{"rolename": "reader", "acls": acl}],
                "groups": [{"groupname": "all", "roles": [{"rolename": "reader", "priority": 0}]}],
                "anonymousGroup": "all",
                "clients": [],
            }
        )
    )
    plugin = [f"plugin {DYNAMIC_SECURITY}", f"plugin_opt_config_file {tmp_path / 'security.json'}"]
    with Mosquitto(tmp_path, *plugin) as broker:
        doctor.broker(f'url: "{broker.url}"', "subscribe: [secret/#, in/x], publish: x")
        refused, granted = doctor.of("a")
    assert refused == (
        "problem",
        "subscribing to secret/#: not authorized (0x87)",
        "let this user read that topic, in the broker's access control",
    )
    assert granted == ("ok", "may subscribe to in/x", "")


def test_what_the_broker_does_not_offer_is_a_problem(doctor: Doctor, tmp_path: Path) -> None:
    """QoS and retained messages, by its CONNACK."""
    with Mosquitto(tmp_path, "retain_available false", "max_qos 1") as broker:
        doctor.broker(f'url: "{broker.url}"', "publish: x, retain: true, qos: 2")
        assert doctor.of("a") == [
            ("problem", "the broker takes QoS 1 at most, and 2 is wanted", "let the broker take it, or lower `qos`"),
            ("problem", "the broker retains no messages", "remove `retain`"),
        ]


def test_tls_to_a_broker_is_looked_at(doctor: Doctor, tmp_path: Path) -> None:
    """Whether its certificate is known, and until when it is valid."""
    cert, key = self_signed(tmp_path)
    port = free_port()
    lines = [f"listener {port} {HOST}", "allow_anonymous true", f"certfile {cert}", f"keyfile {key}"]
    with Mosquitto(tmp_path, *lines, port=port, listener=False):
        url = f"mqtts://{HOST}:{port}"
        ((level, text, advice),) = doctor.broker(f'url: "{url}"')
        assert (level, advice) == ("problem", "name the file of its authority with tls.ca")
        assert "self-signed certificate" in text
        ((level, text, advice),) = doctor.broker(f'url: "{url}", tls: {{ca: ../cert.pem}}')
        assert (level, advice) == ("warning", "renew the server's certificate")
        assert text.endswith("certificate valid for 1 day, and lets the router in without a user, MQTT 5")
        ((level, text, advice),) = doctor.broker(f'url: "{url}", tls: {{ca: nowhere.pem}}')
        assert (level, advice) == ("problem", "correct `tls`; paths begin at the topology's folder")
        ((level, text, _),) = doctor.broker(f'url: "mqtt://{HOST}:{port}"')
        assert level == "problem"


# Brokers in the house


def test_a_broker_in_the_house_needs_its_program_and_its_ports(
    doctor: Doctor, guarded: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the version that is installed, or what to install."""
    taken = f"listen: {{mqtt: '{guarded.address}'}}"
    installed, port = doctor.broker(f"url: 'mosquitto:', {taken}")
    assert installed[0] == "ok"
    assert installed[1].startswith("mosquitto 2.")
    assert port[0] == "problem"
    assert port[1] == (f"cannot listen on {guarded.address}: the port is in use by mosquitto (process {guarded.pid})")
    assert doctor.of("a") == [("ok", "its broker is the router's own", "")]
    ((level, text, _),) = doctor.broker("url: 'embedded:'")
    assert (level, text.startswith("the embedded broker is there: iotcore ")) == ("ok", True)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("actors.connections.mqtt.brokers.examination.PLACES", ())
    assert doctor.broker("url: 'mosquitto:'") == [
        ("problem", "mosquitto is not installed", "install it, or set `url: 'embedded:'`")
    ]


def test_a_connection_that_nobody_uses_is_left_alone(doctor: Doctor) -> None:
    """As the router leaves it."""
    doctor.write("b: {type: mqtt, url: 'mqtt://no-such-host.invalid'}", "")
    assert doctor.of("b") == [("ok", "not opened: no actor that is enabled uses it", "")]


# HTTP


@contextmanager
def serving(tls: tuple[Path, Path] | None = None) -> Iterator[tuple[int, list[str]]]:
    """An HTTP server: its port, and the requests that it gets."""
    requests: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def handle_one_request(self) -> None:
            sent = self.connection.recv(4096)
            if sent:
                requests.append(repr(sent))
            self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Quiet(http.server.ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            pass

    with Quiet((HOST, 0), Handler) as server:
        if tls is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(*tls)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield server.server_address[1], requests
        server.shutdown()
        thread.join(5.0)


def test_an_http_server_is_reached_and_gets_no_request(doctor: Doctor) -> None:
    """Any request might have an effect."""
    with serving() as (port, requests):
        doctor.write("", f"  web: {{type: http, url: 'http://{HOST}:{port}/orders'}}")
        assert doctor.of("web") == [("ok", f"{HOST}:{port} takes connections; no request was sent", "")]
    assert requests == []


def test_an_https_server_shows_its_certificate(doctor: Doctor, tmp_path: Path) -> None:
    """By the options of the actor."""
    with serving(self_signed(tmp_path)) as (port, requests):
        url = f"https://{HOST}:{port}/"
        doctor.write("", f"  web: {{type: http, url: '{url}'}}")
        assert doctor.of("web")[0][2] == "name the file of its authority with tls.ca"
        doctor.write("", f"  web: {{type: http, url: '{url}', tls: {{ca: {tmp_path / 'cert.pem'}}}}}")
        ((level, text, _),) = doctor.of("web")
        assert (level, text.endswith("certificate valid for 1 day; no request was sent")) == ("warning", True)
        doctor.write("", f"  web: {{type: http, url: '{url}', tls: {{verify: false}}}}")
        assert doctor.of("web")[0][0] == "warning"
    (tmp_path / "old").mkdir()
    old = expired(tmp_path / "old")
    with serving(old) as (port, _):
        doctor.write("", f"  web: {{type: http, url: 'https://{HOST}:{port}/', tls: {{ca: {old[0]}}}}}")
        ((level, text, _),) = doctor.of("web")
        assert (level, text) == ("problem", f"{HOST}:{port}: its certificate is not valid: certificate has expired")
    assert requests == []


def test_a_url_that_messages_decide_is_not_tried(doctor: Doctor) -> None:
    """It says which hosts they may choose from."""
    doctor.write("", "  web: {type: http, url: '{{ data.url }}', allow_hosts: [a.example, b.example]}")
    assert doctor.of("web") == [("ok", "each message says to which host (a.example, b.example): none was tried", "")]


# Beside a router


def test_beside_the_running_router_its_own_ports_are_no_problem(doctor: Doctor) -> None:
    """Nor is its state directory; and it goes on as before."""
    port, mqtt = free_port(), free_port()
    doctor.write(
        f"b: {{type: mqtt, url: 'embedded:', listen: {{mqtt: '{HOST}:{mqtt}'}}}}",
        "  hook: {type: webhook, path: /x}\n  a: {type: mqtt, connection: b, publish: x}",
        settings=f"{{http: {{port: {port}}}}}",
    )
    path = doctor.folder / "topology.yaml"
    path.write_text(path.read_text().replace("from: tick", "from: [tick, hook]").replace("log, hook, a", "log, a"))
    with RunningRouter(doctor.folder) as running:
        found = {each["name"] or each["kind"]: each for each in doctor.findings()}
        mine = f"process {running.pid}, the router of this topology,"
        assert found["http"]["text"] == f"{mine} listens on {HOST}:{port}"
        assert found["b"]["text"] == f"{mine} has its ports"
        assert {each["level"] for each in found.values()} == {"ok"}
        texts = [each["text"] for each in doctor.findings() if each["kind"] == "state directory"]
        assert f" is in use by process {running.pid} " in texts[0]
        assert running.get("/readyz")[0] == 200
        assert running.stop() == 0
