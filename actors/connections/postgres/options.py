"""The options of a PostgreSQL connection."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import Field, ModelWrapValidatorHandler, field_validator, model_validator
from pydantic_core import PydanticCustomError

from actors.core.option_problem import OptionProblem, refuse
from actors.core.spec import Options
from actors.kit.secrets import Secret
from actors.kit.units import Between, Duration

PORT: Final = 5432
SSL_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
VERIFYING: Final = frozenset(("verify-ca", "verify-full"))
IN_QUERY: Final = frozenset(
    ("sslmode", "host", "port", "application_name", "target_session_attrs", "load_balance_hosts", "options")
)
"""Of libpq's parameters those that a URL may hold. The others name secrets and files, which have options of their own
here, or would change what the router relies on."""

_EXPECTED: Final = "expected a URL such as postgresql://user@host:5432/database"


class PostgresTlsOptions(Options):
    """How the server is known, and how the router is; files in PEM format, relative to the topology's folder."""

    ca: str | None = None
    """A file of the authorities to trust; with `sslmode=verify-ca` and `verify-full` it is needed, unless it is
    `system`."""
    cert: str | None = None
    """A file with the router's own certificate, where the server asks for one."""
    key: str | None = None
    """A file with that certificate's key."""


class PostgresConnectionOptions(Options):
    """What a PostgreSQL connection can be told."""

    url: str
    """The server: `postgresql://user:password@host:5432/database`; several hosts, with commas in between, are tried in
    turn. `?sslmode=` says how it is known: `verify-full` (by its certificate and name), `verify-ca`, `require`,
    `prefer` (TLS where there is some, the default) or `disable`."""
    password: Secret | None = None
    """The user's password; left out, the URL's."""
    tls: PostgresTlsOptions | None = None
    """What to trust, and the router's own certificate."""
    pool: int = Field(4, ge=1, le=100)
    """Connections at most; an actor uses one at a time, for all that waits."""
    connect_timeout: Annotated[Duration, Between("1s", "1m")] = Duration("5s")
    """How long connecting may take, for each host."""
    timeout: Annotated[Duration, Between("100ms", "1h")] = Duration("10s")
    """How long the server may take to insert and commit; then the connection is given up."""

    @field_validator("url")
    @classmethod
    def _is_url(cls, url: str) -> str:
        parse_url(url)
        return url

    @model_validator(mode="wrap")
    @classmethod
    def _consistent(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        options = handler(value)
        refuse(options._problems(), cls, value)
        return options

    def _problems(self) -> Iterator[OptionProblem]:
        mode, tls = self.place.ssl_mode, self.tls
        if tls is None:
            if mode in VERIFYING:
                # libpq would look into the home directory of whoever runs the router.
                yield OptionProblem(("url",), f"sslmode={mode} wants to know whom to trust", "add 'tls: {ca: …}'")
            return
        if mode == "disable":
            yield OptionProblem(("tls",), "the URL says sslmode=disable", "remove one of them")
        if tls.ca is None and mode in VERIFYING:
            yield OptionProblem(("tls",), f"sslmode={mode} wants to know whom to trust", "add 'ca'")
        if tls.ca == "system" and mode != "verify-full":
            yield OptionProblem(("tls", "ca"), "'system' wants sslmode=verify-full", "say so in the URL")
        if (tls.key is None) != (tls.cert is None):
            yield OptionProblem(("tls",), "'cert' and 'key' belong together", "give both")

    @property
    def place(self) -> Place:
        return parse_url(self.url)

    def parameters(self, directory: Path) -> dict[str, str | int]:
        """What the driver wants to know beside the URL; file names begin at `directory`."""
        found: dict[str, str | int] = {"connect_timeout": max(2, round(self.connect_timeout))}
        if self.password is not None:
            found["password"] = self.password.reveal()
        if "application_name" not in self.place.given:
            found["application_name"] = "pointsman"
        if self.tls is not None:
            for name, file in (("sslrootcert", self.tls.ca), ("sslcert", self.tls.cert), ("sslkey", self.tls.key)):
                if file is not None:
                    found[name] = file if file == "system" else str(directory / file)
        return found


class Place(NamedTuple):
    """Where a URL leads, without its secrets."""

    hosts: tuple[tuple[str, int], ...]
    """None for a socket of this machine."""
    user: str | None
    database: str | None
    ssl_mode: str
    given: frozenset[str]
    """The names of the parameters that the URL holds."""

    def hide_user(self, text: str) -> str:
        """What the server says, without the user's name, which nobody needs to read again."""
        return text.replace(f'user "{self.user}"', "its user") if self.user else text

    def __str__(self) -> str:
        named = [f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.hosts]
        return ",".join(named) or "the socket of this machine"


def parse_url(url: str) -> Place:
    """Where a URL leads; raises PydanticCustomError for what is none of PostgreSQL's. The driver reads it by itself."""
    try:
        split = urlsplit(url)
        query = dict(parse_qsl(split.query, keep_blank_values=True, strict_parsing=bool(split.query)))
        user, _, hosts = split.netloc.rpartition("@")
        places = tuple(_host(part) for part in hosts.split(",")) if hosts else ()
    except ValueError:
        raise _mistake(_EXPECTED) from None
    if split.scheme not in ("postgresql", "postgres") or split.fragment:
        raise _mistake(_EXPECTED)
    for name in query:
        if name not in IN_QUERY:
            raise _mistake(_refused(name))
    mode = query.get("sslmode", "prefer")
    if mode not in SSL_MODES:
        raise _mistake(f"sslmode is one of {', '.join(SSL_MODES)}")
    elsewhere = query.get("host")
    if not places and elsewhere and not elsewhere.startswith("/"):
        places = ((elsewhere, _port(query.get("port", ""))),)
    who = unquote(user.partition(":")[0]) or None
    return Place(places, who, unquote(split.path.removeprefix("/")) or None, mode, frozenset(query))


def _host(part: str) -> tuple[str, int]:
    if part.startswith("["):
        host, bracket, rest = part[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError(part)
        return host, _port(rest[1:])
    host, _, port = part.partition(":")
    if not host:
        raise ValueError(part)
    return unquote(host), _port(port)


def _port(text: str) -> int:
    port = int(text) if text else PORT
    if not 0 < port < 65536:
        raise ValueError(text)
    return port


def _refused(name: str) -> str:
    if name == "password":
        return "a password is not for the query: write it before the host, or as 'password'"
    if name in ("sslrootcert", "sslcert", "sslkey"):
        return f"{name} is not for the URL: give 'tls'"
    if name == "connect_timeout":
        return "connect_timeout is not for the URL: it is an option of the connection"
    return f"the parameter {name!r} is not for the URL; it may hold {', '.join(sorted(IN_QUERY))}"


def _mistake(reason: str) -> PydanticCustomError:
    return PydanticCustomError("postgres", "{reason}", {"reason": reason})
