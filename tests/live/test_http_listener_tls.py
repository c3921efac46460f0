"""The listener with TLS, asked by a real client."""

import asyncio
import contextlib
import io
import ssl
from pathlib import Path

import aiohttp
import pytest

from actors.connections.http_exchange import Exchange
from actors.connections.http_listener import HttpListener, Tls
from actors.connections.http_table import Limits
from actors.core.clock import LoopClock
from actors.core.errors import RouterError
from tests.certificates import self_signed
from tests.loop import Run
from tests.stage import DEADLINE_S


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return self_signed(tmp_path_factory.mktemp("tls"))


def echo(exchange: Exchange) -> None:
    exchange.respond(200, exchange.body)


def listener(certificate: tuple[Path, Path], limits: Limits | None = None) -> HttpListener:
    cert, key = certificate
    made = HttpListener("127.0.0.1", 0, clock=LoopClock(), tls=Tls(str(cert), str(key)), limits=limits)
    made.add(["POST"], "/echo", echo, max_body=2_000_000)
    return made


def test_requests_come_over_tls(run: Run, certificate: tuple[Path, Path]) -> None:
    """Small and large, on one connection."""

    async def main() -> None:
        made = listener(certificate)
        await made.open()
        assert made.url.startswith("https://127.0.0.1:")
        trust = ssl.create_default_context(cafile=certificate[0])
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust)) as client:
            for body in (b"x", b"y" * 1_500_000):
                request = client.post(f"{made.url}/echo", data=io.BytesIO(body))
                async with asyncio.timeout(DEADLINE_S), request as answer:
                    assert (answer.status, await answer.read()) == (200, body)
        await made.close()

    run(main())


def test_a_client_that_does_not_speak_tls_is_cut(run: Run, certificate: tuple[Path, Path]) -> None:
    """At once where it says something else, and in time where it says nothing."""

    async def main() -> None:
        made = listener(certificate, Limits(receive_timeout_s=0.2))
        await made.open()
        for said in (b"POST /echo HTTP/1.1\r\n\r\n", b""):
            reader, writer = await asyncio.open_connection(*made.address)
            writer.write(said)
            async with asyncio.timeout(DEADLINE_S):
                with contextlib.suppress(ConnectionError):
                    await reader.read()
            writer.close()
        await made.close()

    run(main())


def test_a_certificate_that_cannot_be_read_is_a_clear_error(run: Run, tmp_path: Path) -> None:
    """It names the file."""

    async def main() -> None:
        made = HttpListener("127.0.0.1", 0, clock=LoopClock(), tls=Tls(str(tmp_path / "no.pem"), "no.key"))
        with pytest.raises(RouterError, match=r"no\.pem"):
            await made.open()

    run(main())
