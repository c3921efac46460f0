"""The options of a Redis connection."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Final, Self
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from pydantic import ModelWrapValidatorHandler, field_validator, model_validator
from pydantic_core import PydanticCustomError

from actors.connections.client_tls import ClientTlsOptions
from actors.core.option_problem import OptionProblem, refuse
from actors.core.spec import Options
from actors.kit.secrets import Secret
from actors.kit.units import Between, Duration

PORT: Final = 6379

_EXPECTED: Final = "expected a URL such as redis://host:6379/0, rediss://host:6379 or unix:///run/redis.sock?db=0"


@dataclass(frozen=True, slots=True)
class Server:
    """Where a Redis is, and which of its databases is meant."""

    host: str
    """Empty for a socket in the file system."""
    port: int
    path: str | None
    """The socket in the file system."""
    tls: bool
    db: int
    username: str | None
    password: str | None

    def __str__(self) -> str:
        """Without the user."""
        if self.path is not None:
            return f"unix://{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'rediss' if self.tls else 'redis'}://{host}:{self.port}"


class RedisConnectionOptions(Options):
    """What a Redis connection can be told."""

    url: str
    """The server: `redis://host:port/db`, `rediss://` for TLS, or `unix:///path?db=0`; it may have user and
    password."""
    username: str | None = None
    """Who the router is to the server (its access control lists); left out, the URL's user."""
    password: Secret | None = None
    """That user's password, or the server's; left out, the URL's."""
    tls: ClientTlsOptions | None = None
    """What to trust, for `rediss:`."""
    timeout: Annotated[Duration, Between("500ms", "10m")] = Duration("5s")
    """A server that leaves a command unanswered for so long is taken for away. One that falls silent while
    nothing is asked of it is noticed within twice that."""

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
        if self.username is not None and self.password is None and self.server.password is None:
            yield OptionProblem(("username",), "belongs to a 'password'", "give that as well")
        if self.tls is None:
            return
        if not self.server.tls:
            yield OptionProblem(("tls",), "the URL is not rediss://", "write that, or remove it")
        yield from self.tls.problems()

    @property
    def server(self) -> Server:
        """Where the URL leads."""
        return parse_url(self.url)

    @property
    def login(self) -> tuple[str | None, str | None]:
        """User and password, as the options or the URL have them."""
        server = self.server
        username = server.username if self.username is None else self.username
        return (username, server.password if self.password is None else self.password.reveal())


def parse_url(url: str) -> Server:
    """Where a URL leads; raises PydanticCustomError for what is none of Redis's."""
    try:
        split = urlsplit(url)
        port = split.port
        asked = parse_qs(split.query, strict_parsing=bool(split.query))
    except ValueError:
        raise _mistake(_EXPECTED) from None
    user, password = _user(split)
    if split.scheme == "unix":
        if not split.path or split.hostname or split.fragment or not asked.keys() <= {"db"}:
            raise _mistake(_EXPECTED)
        return Server("", 0, unquote(split.path), False, _database(asked.get("db", ["0"])[-1]), user, password)
    if split.scheme not in ("redis", "rediss") or not split.hostname or asked or split.fragment:
        raise _mistake(_EXPECTED)
    db = _database(split.path.strip("/") or "0")
    return Server(split.hostname, PORT if port is None else port, None, split.scheme == "rediss", db, user, password)


def _database(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise _mistake("the database is a number, such as redis://host:6379/0")
    return int(text)


def _user(split: SplitResult) -> tuple[str | None, str | None]:
    user, password = split.username, split.password
    return (None if not user else unquote(user), None if password is None else unquote(password))


def _mistake(reason: str) -> PydanticCustomError:
    return PydanticCustomError("redis", "{reason}", {"reason": reason})
