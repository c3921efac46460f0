"""A client of a running router's control API: HTTP over its Unix socket, with the standard library alone."""

from __future__ import annotations

import http.client
import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

from router.cli.failure import FAILED, NOT_RUNNING, WRONG_USAGE, Failure

SOCKET: Final = "control.sock"
DEFAULT: Final = Path(".router", SOCKET)
"""In the state directory that a topology has unless it names another."""
VARIABLE: Final = "ROUTER_CONTROL"
TIMEOUT_S: Final = 10.0

Json = dict[str, Any]


def control_socket(named: str | None) -> Path:
    """Where the router is asked: at `named`, else where ROUTER_CONTROL says, else in ./.router.

    A state directory stands for the socket in it.
    """
    path = Path(named or os.environ.get(VARIABLE) or DEFAULT)
    return path / SOCKET if path.is_dir() else path


class Client:
    """Asks one running router; every error is a `Failure`."""

    def __init__(self, path: Path, *, timeout_s: float = TIMEOUT_S) -> None:
        self.path = path
        self._timeout_s = timeout_s

    def get(self, *parts: str, **query: object) -> Json:
        """GET the path that these parts make; parameters that are None are left out."""
        return self._ask("GET", parts, query, None, self._timeout_s)

    def post(self, *parts: str, body: Mapping[str, Any], timeout_s: float | None = None) -> Json:
        """POST a JSON body; `timeout_s` where the answer may take longer than usual."""
        return self._ask("POST", parts, {}, body, timeout_s or self._timeout_s)

    def _ask(
        self,
        method: str,
        parts: tuple[str, ...],
        query: Mapping[str, object],
        body: Mapping[str, Any] | None,
        timeout_s: float,
    ) -> Json:
        target = "/v1/" + "/".join(quote(part, safe="") for part in parts)
        if given := {name: value for name, value in query.items() if value is not None}:
            target += "?" + urlencode(given)
        sent = None if body is None else json.dumps(body).encode()
        connection = _UnixConnection(self.path, timeout_s)
        try:
            headers = {"Content-Type": "application/json"} if sent is not None else {}
            connection.request(method, target, sent, headers)
            response = connection.getresponse()
            return _answer(response.status, response.reason, response.read())
        except TimeoutError:
            raise Failure(f"the router at {self.path} did not answer within {timeout_s:g}s") from None
        except (http.client.HTTPException, OSError) as error:
            raise Failure(f"the router at {self.path} hung up: {error or type(error).__name__}") from None
        finally:
            connection.close()


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


def _unreachable(path: Path, error: OSError) -> Failure:
    hint = f"start one with `router start`, or say where its socket is with --control or {VARIABLE}"
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


def _answer(status: int, reason: str, content: bytes) -> Json:
    try:
        answer = json.loads(content)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise Failure(f"the router answered {status} {reason}, and not as its control API does")
    if status < 400:
        return answer
    detail = answer.get("detail") or answer.get("title") or f"the router answered {status} {reason}"
    code = WRONG_USAGE if status == 400 else FAILED
    raise Failure(str(detail), hint=str(answer.get("suggestion") or ""), code=code, problem=answer)
