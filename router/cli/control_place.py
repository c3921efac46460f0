"""Where a running router is asked: its Unix socket, or an address with a token."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from router.cli.failure import WRONG_USAGE, Failure

SOCKET: Final = "control.sock"
DEFAULT: Final = Path(".router", SOCKET)
"""In the state directory that a topology has unless it names another."""
VARIABLE: Final = "ROUTER_CONTROL"
TOKEN: Final = "ROUTER_TOKEN"
TOKEN_FILE: Final = "ROUTER_TOKEN_FILE"
"""It is what --token-file sets, and so it goes before the token itself."""
CA: Final = "ROUTER_CA"
"""A file with the certificates that are trusted in place of the system's."""

_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Remote:
    """A router that is asked by TCP."""

    scheme: str
    host: str
    port: int
    token: str | None = field(default=None, repr=False)
    ca: Path | None = None

    def __str__(self) -> str:
        return f"{self.scheme}://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


Place = Path | Remote


def control_socket(named: str | None) -> Place:
    """Where the router is asked: at `named`, else where ROUTER_CONTROL says, else in ./.router.

    A state directory stands for the socket in it; a URL is asked with the token of ROUTER_TOKEN_FILE or
    ROUTER_TOKEN. Raises `Failure` where that cannot be.
    """
    wanted = named or os.environ.get(VARIABLE)
    if wanted and "://" in wanted:
        return _remote(wanted)
    path = Path(wanted or DEFAULT)
    return path / SOCKET if path.is_dir() else path


def _remote(url: str) -> Remote:
    try:
        parts = urlsplit(url)
        scheme, host, port = parts.scheme, parts.hostname, parts.port
    except ValueError:
        scheme, host, port = "", None, None
    else:
        if parts.username is not None or parts.path not in ("", "/") or parts.query or parts.fragment:
            host = None
    if scheme not in _PORTS or host is None:
        # It is not repeated: there may be a password in it.
        raise Failure("a router's URL is written https://HOST:PORT", code=WRONG_USAGE)
    if scheme == "http" and not _is_loopback(host):
        text = f"http://{host} would send the token in the clear"
        raise Failure(text, hint="https:// is for other machines", code=WRONG_USAGE)
    ca = os.environ.get(CA)
    return Remote(scheme, host, port or _PORTS[scheme], _token(), Path(ca) if ca else None)


def _is_loopback(host: str) -> bool:
    # As the listener has it, whose module takes 100 ms to import.
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _token() -> str | None:
    file = os.environ.get(TOKEN_FILE)
    if not file:
        return os.environ.get(TOKEN) or None
    try:
        token = Path(file).read_text("ascii").strip()
    except UnicodeDecodeError:
        token = ""
    except OSError as error:
        raise Failure(f"the token cannot be read from {file}: {error.strerror}", code=WRONG_USAGE) from None
    if not token or not token.isprintable() or " " in token:
        raise Failure(f"there is no token in {file}: one line, without spaces", code=WRONG_USAGE)
    return token
