"""The control API by TCP: who may ask what, what is written down of it, and what strangers cannot do."""

from __future__ import annotations

import asyncio
import getpass
import json
import logging
import os
import shutil
import socket
import ssl
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from actors.core.errors import RouterError
from router.cli.main import main
from router.control import tcp
from router.control.server import ControlServer
from router.engine import Engine
from tests.certificates import self_signed
from tests.loop import Run
from tests.router.control.sample_router import DEADLINE_S, Answered, Client, SampleRouter, running, topology_of

TOKENS: Final = {name: f"0123456789abcdef-{name}" for name in ("viewer", "operator", "admin", "anna")}
CONTROL: Final = (
    ", control: {listen: '127.0.0.1:0', tokens: {"
    + ", ".join(f"{name}: {TOKENS[name]}" for name in ("viewer", "operator", "admin"))
    + f", anna: {{role: operator, token: {TOKENS['anna']}}}}}}}"
)
TOPOLOGY = """
actors:
  door: {type: door}
  well: {type: sink}
routes:
  r: {from: door, to: well}
"""


def url_of(control: ControlServer) -> str:
    return next(address for what, address in control.listening() if address.startswith("http"))


class Remote(Client):
    """Asks by TCP, with the token of `name`."""

    def __init__(self, session: aiohttp.ClientSession, client: Client) -> None:
        super().__init__(session, SampleRouter(client.engine, client.control))
        self.url = url_of(client.control)

    async def by(self, name: str, method: str, path: str, **options: Any) -> Answered:
        headers = {"Authorization": f"Bearer {TOKENS[name]}"} if name else {}
        return await self.ask(method, path, headers=headers, **options)


@asynccontextmanager
async def asking(settings: str = CONTROL) -> AsyncIterator[tuple[Client, Remote]]:
    """A client on the socket, and one by TCP."""
    async with running(TOPOLOGY, settings=settings) as client, aiohttp.ClientSession() as session:
        yield client, Remote(session, client)


MESSAGE: Final = {"json": {"data": 1, "wait": True}}


def test_each_role_may_what_those_before_it_may_and_no_more(run: Run) -> None:
    """By status: without a token, and for viewer, operator and admin."""

    async def scenario() -> None:
        async with asking() as (_, remote):
            found = {}
            for method, path, options in (
                ("GET", "/healthz", {}),
                ("GET", "/readyz", {}),
                ("GET", "/metrics", {}),
                ("GET", "/v1/router", {}),
                ("GET", "/v1/audit", {}),
                ("GET", "/v1/openapi.json", {}),
                ("GET", "/v1/actors/well/mailbox", {}),
                ("GET", "/v1/dead-letters", {}),
                ("POST", "/v1/actors/door/messages", MESSAGE),
                ("GET", "/v1/queues", {}),
                ("GET", "/v1/queues/none/jobs", {}),
                ("POST", "/v1/queues/none/pause", {"json": {}}),
                ("POST", "/v1/queues/none/clear", {"json": {"states": ["failed"], "confirm": "none"}}),
            ):
                asked = [await remote.by(who, method, path, **options) for who in ("", "viewer", "operator", "admin")]
                found[path] = [answered.status for answered in asked]
        assert found == {
            "/healthz": [200, 200, 200, 200],
            "/readyz": [200, 200, 200, 200],
            "/metrics": [401, 200, 200, 200],
            "/v1/router": [401, 200, 200, 200],
            "/v1/audit": [401, 200, 200, 200],
            "/v1/openapi.json": [401, 200, 200, 200],
            "/v1/actors/well/mailbox": [401, 403, 200, 200],
            "/v1/dead-letters": [401, 403, 200, 200],
            "/v1/actors/door/messages": [401, 403, 200, 200],
            "/v1/queues": [401, 200, 200, 200],
            "/v1/queues/none/jobs": [401, 403, 404, 404],
            "/v1/queues/none/pause": [401, 403, 404, 404],
            "/v1/queues/none/clear": [401, 403, 403, 404],
        }

    run(scenario())


def test_who_is_refused_learns_what_is_missing(run: Run) -> None:
    """A token, another token, or another role."""

    async def scenario() -> None:
        async with asking() as (_, remote):
            without = await remote.ask("GET", "/v1/router")
            wrong = await remote.ask("GET", "/healthz", headers={"Authorization": "Bearer nobody-has-this-one"})
            basic = await remote.ask("GET", "/v1/router", headers={"Authorization": f"Basic {TOKENS['admin']}"})
            viewer = await remote.by("viewer", "GET", "/v1/dead-letters")
        assert (without.status, without.headers["WWW-Authenticate"]) == (401, 'Bearer realm="pointsman"')
        assert "needs a token" in without.detail
        assert (wrong.status, basic.status) == (401, 401)
        assert wrong.headers["WWW-Authenticate"] == 'Bearer realm="pointsman", error="invalid_token"'
        assert viewer.status == 403
        assert viewer.detail == "this needs the role operator, and this token's is viewer"
        assert (viewer.document["needs"], viewer.document["has"]) == ("operator", "viewer")
        assert 'scope="operator"' in viewer.headers["WWW-Authenticate"]

    run(scenario())


def test_without_a_token_readiness_is_a_yes_or_a_no(run: Run) -> None:
    """Names and reasons are for those who have a role."""

    async def scenario() -> None:
        async with asking() as (client, remote):
            assert (await remote.ask("GET", "/readyz")).document == {"ready": True, "stopping": False}
            assert (await remote.by("viewer", "GET", "/readyz")).document["waiting"] == []
            assert (await client.get("/readyz")).document["waiting"] == []

    run(scenario())


def test_changes_are_written_down_with_who_made_them_and_from_where(run: Run) -> None:
    """Also those that were refused for the role or for what they asked, and the messages themselves are not."""

    async def scenario() -> None:
        async with asking() as (client, remote):
            await client.post("/v1/actors/door/messages", {"data": "a-payload", "id": "m1"})
            await remote.by("anna", "POST", "/v1/actors/door/messages", **MESSAGE)
            await remote.by("viewer", "POST", "/v1/dead-letters/drop", json={"filter": {}})
            await remote.by("operator", "POST", "/v1/actors/r/messages", **MESSAGE)
            await remote.by("operator", "POST", "/v1/actors/nobody/messages", **MESSAGE)
            await remote.by("admin", "POST", "/v1/dead-letters/drop", json={"filter": {"route": "r"}})
            await remote.by("admin", "GET", "/v1/actors")
            page = await remote.by("viewer", "GET", "/v1/audit")
            of_anna = (await remote.by("viewer", "GET", "/v1/audit?who=anna&action=send")).document["entries"]
            second = page.document["entries"][1]["number"]
            older = (await remote.by("viewer", "GET", f"/v1/audit?before={second}&limit=1")).document["entries"]
        entries = page.document["entries"]
        shown = [
            tuple(entry[key] for key in ("who", "role", "origin", "action", "object", "outcome")) for entry in entries
        ]
        me = f"uid {os.getuid()} ({getpass.getuser()})"
        assert shown == [
            ("admin", "admin", "127.0.0.1", "drop", "dead letters", "done"),
            ("operator", "operator", "127.0.0.1", "send", "nobody", "refused"),
            ("operator", "operator", "127.0.0.1", "send", "r", "refused"),
            ("viewer", "viewer", "127.0.0.1", "drop", "dead letters", "refused"),
            ("anna", "operator", "127.0.0.1", "send", "door", "done"),
            (me, "admin", "socket", "send", "door", "done"),
        ]
        assert entries[0]["detail"] == {"filter": {"route": "r"}, "dropped": 0}
        assert entries[-1]["detail"] == {"id": "m1"}
        assert entries[2]["why"] == "r is a route: send to an actor, such as its source door"
        assert entries[3]["why"] == "this needs the role operator, and this token's is viewer"
        assert "a-payload" not in page.text
        assert [entry["who"] for entry in of_anna] == ["anna"]
        assert older == [entries[2]]

    run(scenario())


def test_over_tls_the_certificate_is_the_topology_s(run: Run, tmp_path: Path) -> None:
    """And who speaks no TLS there gets nothing."""

    async def scenario() -> None:
        cert, key = self_signed(tmp_path)
        settings = CONTROL.replace("tokens:", f"tls: {{cert: {cert.name}, key: {key.name}}}, tokens:")
        topology = topology_of(TOPOLOGY, settings=settings, path=tmp_path / "t.yaml")
        async with running_with(topology) as control:
            url = url_of(control)
            assert url.startswith("https://127.0.0.1:")
            trusting = ssl.create_default_context(cafile=cert)
            headers = {"Authorization": f"Bearer {TOKENS['viewer']}"}
            timeout = aiohttp.ClientTimeout(DEADLINE_S)
            async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
                async with session.get(f"{url}/v1/router", ssl=trusting) as response:
                    assert response.status == 200
                with pytest.raises(aiohttp.ClientConnectorCertificateError):
                    await session.get(f"{url}/v1/router")
                with pytest.raises(aiohttp.ClientError):
                    await session.get(f"{url.replace('https', 'http')}/v1/router")

    run(scenario())


def test_the_command_line_asks_by_tcp(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a token from a file, and a certificate that it was told to trust; without them it says what is missing."""
    for name in ("ROUTER_CONTROL", "ROUTER_TOKEN", "ROUTER_TOKEN_FILE", "ROUTER_CA"):
        monkeypatch.setenv(name, "")
    monkeypatch.setattr("sys.argv", ["router"])
    cert, key = self_signed(tmp_path)
    token = tmp_path / "token"
    token.write_text(TOKENS["viewer"])
    tls = CONTROL.replace("tokens:", f"tls: {{cert: {cert.name}, key: {key.name}}}, tokens:")
    trusting = ("--ca", str(cert))

    async def scenario() -> tuple[str, list[int]]:
        topology = topology_of(TOPOLOGY, settings=tls, path=tmp_path / "t.yaml")
        async with running_with(topology) as control:
            url = url_of(control)
            codes = []
            for command in (
                ("ps", "--json"),
                ("ps", "--json", *trusting),
                ("ps", "--json", *trusting, "--token-file", str(token)),
                ("send", "door", "1", "--token-file", str(token)),
            ):
                codes.append(await asyncio.to_thread(main, (*command, "--control", url)))
            codes.append(await asyncio.to_thread(main, ("ps", "--control", url.replace("https", "http"))))
            codes.append(await asyncio.to_thread(main, ("ps", "--control", url, "--ca", str(token))))
            return url, codes

    url, codes = run(scenario())
    output, errors = capsys.readouterr()
    assert codes == [1, 1, 0, 1, 1, 2]
    assert json.loads(output)["router"]["name"] == "sample"
    assert f"the certificate of {url} is not trusted" in errors
    assert "this needs a token" in errors
    assert "this needs the role operator, and this token's is viewer" in errors
    assert "with `settings.control.tls` its address begins with https://" in errors
    assert f"{token} cannot be used as --ca: there is no certificate in it" in errors


def test_where_tls_is_not_spoken_the_command_line_says_so(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In words, and not in those of OpenSSL."""
    monkeypatch.setattr("sys.argv", ["router"])

    async def scenario() -> list[int]:
        topology = topology_of(TOPOLOGY, settings=CONTROL)
        async with running_with(topology) as control:
            url = url_of(control)
            return [await asyncio.to_thread(main, ("ps", "--control", url.replace("http://", "https://")))]

    assert run(scenario()) == [1]
    errors = capsys.readouterr().err
    assert "error: no TLS with https://127.0.0.1:" in errors
    assert "without `settings.control.tls` its address begins with http://" in errors


@asynccontextmanager
async def running_with(topology: Any) -> AsyncIterator[ControlServer]:
    folder = Path(tempfile.mkdtemp(prefix="router-"))  # pytest's own are too long for a socket
    engine = Engine(topology, state_dir=folder / "state")
    control = ControlServer(engine)
    await engine.start()
    try:
        await control.start()
        yield control
    finally:
        await control.stop()
        await engine.stop()
        shutil.rmtree(folder)


def test_where_tcp_cannot_listen_nothing_does(run: Run) -> None:
    """The port is in use, or the certificate is not there."""

    async def scenario() -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            for change, why in (
                (("127.0.0.1:0", f"127.0.0.1:{port}"), f"cannot listen on 127.0.0.1:{port}: the port is in use"),
                (("tokens:", "tls: {cert: none.pem, key: none.pem}, tokens:"), "cannot use the certificate"),
            ):
                topology = topology_of(TOPOLOGY, settings=CONTROL.replace(*change))
                with pytest.raises(RouterError, match=why):
                    async with running_with(topology):
                        pass

    run(scenario())


def test_a_connection_on_which_nothing_is_asked_ends(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """And one on which something was goes on."""
    monkeypatch.setattr(tcp, "FIRST_S", 0.1)

    async def scenario() -> None:
        async with asking() as (_, remote), asyncio.timeout(DEADLINE_S):
            host, port = remote.url.removeprefix("http://").split(":")
            talking = await asyncio.open_connection(host, int(port))
            talking[1].write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await talking[0].readline()).startswith(b"HTTP/1.1 200")
            silent = await asyncio.open_connection(host, int(port))
            silent[1].write(b"GET /healthz HTTP/1.1\r\n")
            assert await silent[0].read() == b""
            talking[1].write(b"GET /healthz HTTP/1.0\r\n\r\n")
            assert b'{"status": "ok"}' in await talking[0].read()
            talking[1].close()
            silent[1].close()

    run(scenario())


def test_connections_beyond_the_most_are_cut(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that there are go on."""
    monkeypatch.setattr(tcp, "MOST_CONNECTIONS", 1)

    async def scenario() -> None:
        async with asking() as (_, remote), asyncio.timeout(DEADLINE_S):
            host, port = remote.url.removeprefix("http://").split(":")
            first = await asyncio.open_connection(host, int(port))
            first[1].write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await first[0].readline()).startswith(b"HTTP/1.1 200")
            second = await asyncio.open_connection(host, int(port))
            assert await second[0].read() == b""
            first[1].write(b"GET /healthz HTTP/1.0\r\n\r\n")
            assert b'{"status": "ok"}' in await first[0].read()
            first[1].close()
            second[1].close()

    run(scenario())


def test_wrong_tokens_are_told_once_in_a_while(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """With the address and never with the token; what is no HTTP is not told at all."""

    async def scenario() -> None:
        async with asking() as (_, remote), asyncio.timeout(DEADLINE_S):
            for _ in range(20):
                await remote.ask("GET", "/v1/router", headers={"Authorization": "Bearer guessed-by-somebody"})
            host, port = remote.url.removeprefix("http://").split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"\x00 no HTTP\r\n\r\n")
            assert b" 400 " in await reader.read()
            writer.close()

    with caplog.at_level(logging.INFO):
        run(scenario())
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert told == ["control API: unknown token from 127.0.0.1; 1 since this was last told"]
    assert "guessed" not in caplog.text


def test_the_documents_that_describe_the_api_agree(run: Run) -> None:
    """Over the socket and by TCP it is the same API."""

    async def scenario() -> None:
        async with asking() as (client, remote):
            assert (await client.get("/v1/openapi.json")).document == (
                await remote.by("viewer", "GET", "/v1/openapi.json")
            ).document

    run(scenario())
