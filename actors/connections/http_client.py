"""HTTP out: a pool of connections to send requests over, and what it means when that fails."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Final

from actors.core.errors import DeliveryError, RouterError

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

CONNECT_SHARE: Final = 0.8
"""The part of a request's time after which a connection must be made: what fails later was perhaps sent."""

IDLE_S: Final = 15.0
"""How long an unused connection is kept: less than servers do, so that a request seldom meets a closed one."""


LARGE_BODY: Final = 1024 * 1024


class UnreachableError(DeliveryError):
    """No connection could be made: nothing was sent."""


@dataclass(frozen=True, slots=True)
class ClientTls:
    """How the server is known, and how we are; files in PEM format."""

    verify: bool = True
    ca: str | None = None
    cert: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered; `body` is None where it was larger than the limit."""

    status: int
    headers: Mapping[str, str]
    """Any case finds a name."""
    body: bytes | None


class HttpClient:
    """Sends requests to whatever host, with `connections` at a time; follows no redirects, keeps no cookies."""

    def __init__(
        self,
        *,
        timeout_s: float,
        connections: int = 32,
        max_response: int = 1024 * 1024,
        tls: ClientTls | None = None,
    ) -> None:
        self.timeout_s = timeout_s
        self.connections = connections
        self.max_response = max_response
        self.tls = tls
        self._session: ClientSession | None = None

    async def open(self) -> None:
        """Load the driver and the certificates; no connection is made. Raises `RouterError`."""
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=self.timeout_s, connect=self.timeout_s * CONNECT_SHARE)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=self.connections,
                keepalive_timeout=IDLE_S,
                ssl=True if self.tls is None else tls_context(self.tls),
            ),
            timeout=timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": "pointsman"},
            auto_decompress=True,
            trust_env=False,
        )

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        """Send one request, and read its answer, whatever the status is.

        Raises `UnreachableError` (`connect` or `timeout_before_send`) where nothing was sent, and a
        `DeliveryError` of class `unknown` where it was sent, or perhaps was, and no whole answer came in time.
        """
        import aiohttp
        from yarl import URL

        assert self._session is not None, "the client is not open"
        where = URL(url, encoded=True)
        data = BytesIO(body) if body is not None and len(body) > LARGE_BODY else body  # sent piece by piece
        try:
            response = await self._session.request(method, where, headers=headers, data=data, allow_redirects=False)
            try:
                return Answer(response.status, response.headers, await self._read(response))
            finally:
                response.release()
        except aiohttp.ConnectionTimeoutError as error:
            message = f"no connection to {where.host}:{where.port} in time"
            raise UnreachableError(message, reason="timeout_before_send") from error
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError) as error:
            raise DeliveryError(f"no TLS with {where.host}: {error}", reason="connect") from error
        except aiohttp.ClientConnectorError as error:
            message = f"no connection to {where.host}:{where.port}: {_reason(error.os_error)}"
            raise UnreachableError(message, reason="connect") from error
        except aiohttp.InvalidURL as error:
            raise DeliveryError(f"not a URL to send to: {url}", reason="invalid", retryable=False) from error
        except TimeoutError as error:
            message = f"no answer of {where.host} within {self.timeout_s:g} s"
            raise DeliveryError(message, reason="unknown") from error
        except aiohttp.ClientError as error:
            message = f"no whole answer of {where.host}: {type(error).__name__} {error}".rstrip()
            raise DeliveryError(message, reason="unknown") from error

    async def _read(self, response: ClientResponse) -> bytes | None:
        limit = self.max_response
        announced = response.content_length
        if announced is not None and announced <= limit and "Content-Encoding" not in response.headers:
            return await response.read()
        body = bytearray()
        while chunk := await response.content.readany():
            body += chunk
            if len(body) > limit:
                response.close()
                return None
        return bytes(body)


def _reason(error: OSError) -> str:
    """In the system's words; asyncio's own say again where to."""
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return error.strerror or str(error)


def tls_context(tls: ClientTls) -> ssl.SSLContext:
    """What to trust, and who we are; raises `RouterError` where the files cannot be used."""
    try:
        context = ssl.create_default_context(cafile=tls.ca)
        if tls.cert is not None:
            context.load_cert_chain(tls.cert, tls.key)
    except (OSError, ssl.SSLError) as error:
        raise RouterError(f"cannot use the certificates of a client: {error}") from error
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
