"""Whether a host can be reached, as `router doctor` finds out."""

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from actors.connections import reach as module
from actors.connections.reach import reach
from actors.core.examination import Finding
from tests.certificates import expired, self_signed
from tests.loop import Run
from tests.servers import HOST, free_port

DAY_S = 86400.0


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Valid for two days."""
    return self_signed(tmp_path_factory.mktemp("tls"))


def context(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    """What a server needs."""
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.load_cert_chain(*certificate)
    return made


@asynccontextmanager
async def serving(tls: ssl.SSLContext | None = None, *, closes: bool = False) -> AsyncIterator[int]:
    """A port that takes connections, keeps whatever is sent, and answers nothing."""
    got: list[bytes] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if not closes:
                got.append(await reader.read())
        except OSError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(take, HOST, 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()
    if tls is None and not closes:
        assert got in ([], [b""]), "nothing is sent"


def found(
    run: Run,
    certificate: tuple[Path, Path] | None = None,
    *,
    host: str = HOST,
    trust: ssl.SSLContext | None = None,
    time: Callable[[], float] = time.time,
    closes: bool = False,
) -> Finding:
    """What is found of a server with this certificate."""

    async def main() -> Finding:
        async with serving(None if certificate is None else context(certificate), closes=closes) as port:
            finding = await reach(host, port, tls=trust, time=time)
        return finding._replace(text=finding.text.replace(str(port), "PORT"))

    return run(main())


def trusting(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificate[0])


def test_a_port_that_takes_connections_is_fine(run: Run) -> None:
    """Nothing is sent there."""
    assert found(run) == Finding("ok", "127.0.0.1:PORT takes connections")


def test_a_port_where_nobody_listens_is_a_problem(run: Run) -> None:
    """With what to do about it."""
    port = free_port()
    finding = run(reach(HOST, port, time=time.time))
    assert finding == Finding(
        "problem", f"nobody listens at 127.0.0.1:{port}", "start what should, or correct host and port"
    )


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 300, "..", ""])
def test_a_name_that_does_not_resolve_is_a_problem(run: Run, host: str) -> None:
    """Also where it is none."""
    finding = run(reach(host, 80, time=time.time))
    assert finding.level == "problem"
    assert finding.advice.startswith("correct")


def test_a_port_that_nobody_answers_at_is_a_problem_in_time(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here the queue of connections is full, and no further one is answered."""
    monkeypatch.setattr(module, "CONNECT_TIMEOUT_S", 0.1)
    monkeypatch.setattr(module, "HANDSHAKE_TIMEOUT_S", 0.1)
    with socket.socket() as full:
        full.bind((HOST, 0))
        full.listen(0)
        port = full.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex((HOST, port))
        finding = run(reach(HOST, port, time=time.time))
        for filler in fillers:
            filler.close()
    assert finding.text == f"127.0.0.1:{port} does not answer"


def test_a_certificate_that_ends_soon_is_a_warning(run: Run, certificate: tuple[Path, Path]) -> None:
    """Two weeks before; it is the certificate's own word."""
    finding = found(run, certificate, trust=trusting(certificate))
    assert finding == Finding(
        "warning",
        "127.0.0.1:PORT takes connections, TLSv1.3, certificate valid for 1 day",
        "renew the server's certificate",
    )
    finding = found(run, certificate, trust=trusting(certificate), time=lambda: time.time() - 20 * DAY_S)
    assert finding == Finding("ok", "127.0.0.1:PORT takes connections, TLSv1.3, certificate valid for 21 days")


def test_a_certificate_of_an_unknown_authority_is_a_problem(run: Run, certificate: tuple[Path, Path]) -> None:
    """The option that would make it known is named."""
    finding = found(run, certificate, trust=ssl.create_default_context())
    assert finding == Finding(
        "problem",
        "127.0.0.1:PORT: its certificate is not valid: self-signed certificate",
        "name the file of its authority with tls.ca",
    )


def test_a_certificate_of_another_host_is_a_problem(run: Run, certificate: tuple[Path, Path]) -> None:
    """127.1 is the same address under another name."""
    finding = found(run, certificate, trust=trusting(certificate), host="127.1")
    assert finding.level == "problem"
    assert "certificate is not valid" in finding.text
    assert finding.advice == "use a host that stands in the certificate, or have this one put into it"


def test_a_certificate_that_has_expired_is_a_problem(run: Run, tmp_path: Path) -> None:
    """It may as well be the clock."""
    certificate = expired(tmp_path)
    finding = found(run, certificate, trust=trusting(certificate))
    assert finding.text == "127.0.0.1:PORT: its certificate is not valid: certificate has expired"
    assert finding.advice == "renew the server's certificate; if it is valid, set this machine's clock"


def test_a_certificate_that_is_not_looked_at_is_a_warning(run: Run, certificate: tuple[Path, Path]) -> None:
    """However valid it is."""
    trust = ssl.create_default_context()
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    finding = found(run, certificate, trust=trust)
    assert (finding.level, finding.text) == (
        "warning",
        "127.0.0.1:PORT takes connections, TLSv1.3, and its certificate is not looked at",
    )


def test_a_port_without_tls_is_a_problem_where_it_is_wanted(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it closes the connection or says nothing."""
    monkeypatch.setattr(module, "HANDSHAKE_TIMEOUT_S", 0.2)
    for closes in (True, False):
        finding = found(run, trust=ssl.create_default_context(), closes=closes)
        assert finding.level == "problem"
        assert finding.advice == "does TLS belong on that port? Correct scheme or port"
