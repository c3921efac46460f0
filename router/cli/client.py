"""A client of a running router's control API: HTTP over its Unix socket or TCP, with the standard library alone."""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

from router.cli.control_place import CA, TOKEN, VARIABLE, Place, Remote, control_socket
from router.cli.failure import FAILED, NOT_RUNNING, WRONG_USAGE, Failure

__all__ = ["TIMEOUT_S", "Client", "Json", "control_socket"]

TIMEOUT_S: Final = 10.0
MOST_NODES: Final = 5
"""That are named where a router of several processes is looked for."""
READ_BYTES: Final = 64 * 1024

Json = dict[str, Any]


class Client:
    """Asks one running router; every error is a `Failure`."""

    def __init__(self, place: Place, *, timeout_s: float = TIMEOUT_S) -> None:
        self.place = place
        self._timeout_s = timeout_s

    def get(self, *parts: str, **query: object) -> Json:
        """GET the path that these parts make; parameters that are None are left out."""
        return self._ask("GET", parts, query, None, self._timeout_s)

    def post(self, *parts: str, body: Mapping[str, Any], timeout_s: float | None = None) -> Json:
        """POST a JSON body; `timeout_s` where the answer may take longer than usual."""
        return self._ask("POST", parts, {}, body, timeout_s or self._timeout_s)

    def lines(self, *parts: str, **query: object) -> Iterator[Json]:
        """GET an answer that goes on: each of its documents as it comes, until it ends."""
        with self._asked("GET", parts, query, None, self._timeout_s) as response:
            if response.status >= 400:
                self._answer(response)
            rest = b""
            # Not line by line: http.client takes the end of the connection for the end of the answer there.
            while piece := response.read1(READ_BYTES):
                *whole, rest = (rest + piece).split(b"\n")
                for line in whole:
                    if line:  # an empty one says only that the router is still there
                        yield json.loads(line)

    def _ask(
        self,
        method: str,
        parts: tuple[str, ...],
        query: Mapping[str, object],
        body: Mapping[str, Any] | None,
        timeout_s: float,
    ) -> Json:
        with self._asked(method, parts, query, body, timeout_s) as response:
            return self._answer(response)

    @contextmanager
    def _asked(
        self,
        method: str,
        parts: tuple[str, ...],
        query: Mapping[str, object],
        body: Mapping[str, Any] | None,
        timeout_s: float,
    ) -> Iterator[http.client.HTTPResponse]:
        target = "/v1/" + "/".join(quote(part, safe="") for part in parts)
        if given := {name: value for name, value in query.items() if value is not None}:
            target += "?" + urlencode(given)
        sent = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} if sent is not None else {}
        connection: http.client.HTTPConnection
        if isinstance(self.place, Path):
            connection = _UnixConnection(self.place, timeout_s)
        else:
            connection = _connection(self.place, timeout_s)
            if self.place.token is not None:
                headers["Authorization"] = f"Bearer {self.place.token}"
        try:
            connection.request(method, target, sent, headers)
            yield connection.getresponse()
        except TimeoutError:
            raise Failure(f"the router at {self.place} did not answer within {timeout_s:g}s") from None
        except ssl.SSLCertVerificationError as error:
            text = f"the certificate of {self.place} is not trusted: {error.verify_message}"
            raise Failure(text, hint=f"--ca or {CA} names a file with one that is") from None
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            raise Failure(f"the router at {self.place} hung up") from None
        except ssl.SSLError as error:
            why = (error.reason or str(error)).replace("_", " ").lower()
            hint = "without `settings.control.tls` its address begins with http://"
            raise Failure(f"no TLS with {self.place}: {why}", hint=hint) from None
        except (http.client.HTTPException, OSError) as error:
            text = f"the router at {self.place} hung up: {error or type(error).__name__}"
            plain = isinstance(self.place, Remote) and self.place.scheme == "http"
            hint = "with `settings.control.tls` its address begins with https://" if plain else ""
            raise Failure(text, hint=hint) from None
        finally:
            connection.close()

    def _answer(self, response: http.client.HTTPResponse) -> Json:
        status, reason = response.status, response.reason
        try:
            answer = json.loads(response.read())
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise Failure(f"the router answered {status} {reason}, and not as its control API does")
        if status < 400:
            return answer
        detail = str(answer.get("detail") or answer.get("title") or f"the router answered {status} {reason}")
        code = WRONG_USAGE if status == 400 else FAILED
        hint = str(answer.get("suggestion") or "")
        if status == 401:
            hint = f"one stands in {TOKEN}, or in the file that --token-file names"
        elif status == 404 and isinstance(self.place, Remote) and detail.startswith("nothing is at"):
            hint = f"does its control API listen at {self.place}? `settings.control.listen` says where"
        raise Failure(detail, hint=hint, code=code, problem=answer)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        try:
            self.sock.connect(os.fspath(self._path))
        except TimeoutError:
            raise
        except OSError as error:
            raise _unreachable(self._path, error) from None


def _connection(remote: Remote, timeout_s: float) -> http.client.HTTPConnection:
    if remote.scheme == "http":
        return _TcpConnection(remote, timeout_s)
    try:
        context = ssl.create_default_context(cafile=remote.ca)
    except OSError as error:
        why = "there is no certificate in it" if isinstance(error, ssl.SSLError) else error.strerror or str(error)
        raise Failure(f"{remote.ca} cannot be used as --ca: {why}", code=WRONG_USAGE) from None
    return _TlsConnection(remote, timeout_s, context)


class _TcpConnection(http.client.HTTPConnection):
    def __init__(self, remote: Remote, timeout_s: float) -> None:
        super().__init__(remote.host, remote.port, timeout=timeout_s)
        self._remote = remote

    def connect(self) -> None:
        try:
            super().connect()
        except TimeoutError:
            raise
        except OSError as error:
            raise _nobody_at(self._remote, error) from None


class _TlsConnection(http.client.HTTPSConnection):
    def __init__(self, remote: Remote, timeout_s: float, context: ssl.SSLContext) -> None:
        super().__init__(remote.host, remote.port, timeout=timeout_s, context=context)
        self._remote = remote

    def connect(self) -> None:
        try:
            super().connect()
        except (TimeoutError, ssl.SSLError):
            raise
        except OSError as error:
            raise _nobody_at(self._remote, error) from None


def _nobody_at(remote: Remote, error: OSError) -> Failure:
    why = error.strerror or str(error)
    if isinstance(error, ConnectionRefusedError):
        hint = "`settings.control.listen` of its topology says where it listens"
        return Failure(f"no router is running: nobody listens at {remote}", hint=hint, code=NOT_RUNNING)
    return Failure(f"{remote} cannot be reached: {why}", code=NOT_RUNNING)


def _unreachable(path: Path, error: OSError) -> Failure:
    hint = f"start one with `router start`, or say where its socket is with --control or {VARIABLE}"
    if nodes := sorted(str(each.parent) for each in path.parent.glob(f"*/{path.name}"))[:MOST_NODES]:
        hint = f"there are nodes of it: --control {' or '.join(nodes)}"
    match error:
        case FileNotFoundError() | NotADirectoryError():
            return Failure(f"no router is running: there is no {path}", hint=hint, code=NOT_RUNNING)
        case ConnectionRefusedError():
            why = f"nobody answers at {path}, which one that has ended left behind"
            return Failure(f"no router is running: {why}", hint=hint, code=NOT_RUNNING)
        case PermissionError():
            return Failure(
                f"the control socket {path} is not yours to use",
                hint="ask as the user that the router runs as",
            )
    return Failure(f"the control socket {path} cannot be used: {error.strerror or error}")
