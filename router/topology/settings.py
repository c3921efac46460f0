"""`settings:` of a topology: what concerns the router as a whole. Every one has a default."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, LiteralString, NamedTuple, Self, cast, get_args

from pydantic import (
    Discriminator,
    Field,
    ModelWrapValidatorHandler,
    PlainValidator,
    Tag,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError, core_schema

from actors.connections.http_listener import is_loopback
from actors.core.option_problem import OptionProblem, refuse
from actors.core.spec import Options
from actors.kit.secrets import Secret
from actors.kit.units import Between, Duration, Size

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue

_ADDRESS: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.%]+\]|[^\s:\[\]/@]+):(?P<port>[0-9]{1,5})")

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
_ITSELF: Final = "router"
"""How the audit log calls the router itself."""
_TOKEN: Final = re.compile(r"[!-~]{16,}")

Role = Literal["viewer", "operator", "admin"]
"""What somebody may do with a running router; each may do what those before it may."""

ROLES: Final[tuple[Role, ...]] = get_args(Role)

Port = Annotated[int, Field(ge=0, le=65535)]


class Address(NamedTuple):
    """Where to listen, written `127.0.0.1:9464` or `[::1]:9464`; port 0 takes a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, value: Any) -> Address:
        if isinstance(value, cls):
            return value
        match = _ADDRESS.fullmatch(value) if isinstance(value, str) else None
        if match is None or int(match["port"]) > 65535:
            raise PydanticCustomError("address", "expected a host and a port such as 127.0.0.1:9464")
        return cls(match["host"].strip("[]"), int(match["port"]))

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(cls.parse, serialization=core_schema.to_string_ser_schema())

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"type": "string", "pattern": r"^.+:[0-9]{1,5}$", "examples": ["127.0.0.1:9464", "[::1]:9464"]}


Listen = Literal["unix"] | Address

_LISTEN_SCHEMA: Final = {
    "anyOf": [{"const": "unix"}, {"type": "string", "pattern": r"^.+:[0-9]{1,5}$", "examples": ["127.0.0.1:8081"]}]
}


def _listen(value: Any) -> Listen:
    if value == "unix":
        return "unix"
    try:
        return Address.parse(value)
    except PydanticCustomError:
        hint: LiteralString = "expected 'unix', or a host and a port such as 127.0.0.1:8081"
        raise PydanticCustomError("address", hint) from None


class Tls(Options):
    """A certificate and its key, both PEM files; paths are relative to the topology's folder."""

    cert: Path
    """The certificate, with what links it to its authority."""
    key: Path
    """The private key, without a passphrase."""


class Http(Options):
    """The listener that all inbound HTTP and WebSocket actors share; opened when one of them needs it."""

    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    """The address to listen on; beyond loopback, let every webhook `verify`."""
    port: Port = 8080
    """The TCP port, 0 to 65535; 0 takes a free one, which `router start` prints."""
    tls: Tls | None = None
    """HTTPS instead of HTTP."""


class NamedToken(Options):
    """A token of one user or program, whose name the audit log has."""

    role: Role
    """What it may do."""
    token: Secret
    """At least 16 characters."""


def _shape(value: Any) -> str:
    return "mapping" if isinstance(value, Mapping | NamedToken) else "text"


Tokens = dict[
    str, Annotated[Annotated[Secret, Tag("text")] | Annotated[NamedToken, Tag("mapping")], Discriminator(_shape)]
]


class Control(Options):
    """The control API, which the command line talks to: on a Unix socket, and by TCP as well where it is told to."""

    listen: Annotated[Listen, PlainValidator(_listen), WithJsonSchema(_LISTEN_SCHEMA)] = "unix"
    """`unix`: only the socket `control.sock` in the state directory. A host and a port such as 127.0.0.1:8081: there
    too, for who has one of the `tokens`; port 0 takes a free one."""
    tls: Tls | None = None
    """HTTPS instead of HTTP; beyond loopback it must be."""
    tokens: Tokens = Field(default={})
    """Who may ask by TCP: a token of at least 16 characters for `viewer`, `operator` or `admin`, or any other name with
    its role and its token."""
    allow_code: bool = False
    """Whether changes by TCP may name Python classes and files that the running revision does not have."""

    @model_validator(mode="wrap")
    @classmethod
    def _consistent(cls, given: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        control = handler(given)
        refuse(control._problems(), cls)
        return control

    def _problems(self) -> Iterator[OptionProblem]:
        yield from self._problems_of_tokens()
        if not isinstance(self.listen, Address):
            return
        if not self.tokens:
            yield OptionProblem(("listen",), "nobody could ask there without a token", "add tokens: {admin: …}")
        if self.tls is None and not is_loopback(self.listen.host):
            text = "beyond loopback tokens would be sent in the clear"
            yield OptionProblem(("listen",), text, "add tls: {cert: …, key: …}")

    def _problems_of_tokens(self) -> Iterator[OptionProblem]:
        seen = set()
        for name, given in self.tokens.items():
            path: tuple[str, ...] = ("tokens", name)
            secret = given
            if isinstance(given, NamedToken):
                path, secret = ("tokens", name, "token"), given.token
                if name in ROLES:
                    text = "this name stands for its role: its token is plain text"
                    yield OptionProblem(("tokens", name), text, "choose another name")
            elif name not in ROLES:
                hint = f"write {name}: {{role: operator, token: …}}"
                yield OptionProblem(("tokens", name), "a name that is no role needs one", hint)
            if not _NAME.fullmatch(name) or name == _ITSELF:
                yield OptionProblem(
                    ("tokens", name), "this cannot be a name", "a letter, then letters, digits, - and _"
                )
            assert isinstance(secret, Secret), "a named token was opened"
            if not _TOKEN.fullmatch(secret.reveal()):
                text = "a token has at least 16 characters, all of them printable ASCII, and no spaces"
                yield OptionProblem(path, text, "`openssl rand -hex 32` prints a good one")
            if secret in seen:
                yield OptionProblem(
                    path, "another name has the same token", "one for each, so that it is known who asks"
                )
            seen.add(secret)

    def named_tokens(self) -> Iterator[tuple[str, Role, Secret]]:
        """All tokens, each with its name and its role."""
        for name, given in self.tokens.items():
            if isinstance(given, NamedToken):
                yield name, given.role, given.token
            else:
                yield name, cast(Role, name), given


class Observe(Options):
    """A second listener for monitoring: `/metrics`, `/healthz` and `/readyz`, without credentials."""

    listen: Address
    """Host and port, such as 127.0.0.1:9464; port 0 takes a free one."""


class Log(Options):
    """The router's own log, on standard error."""

    format: Literal["console", "json"] = "console"
    """`console` for people, `json` for machines: one object a line."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least level that is written."""


class Keep(Options):
    """How long and how much a store keeps; what comes first counts, and the oldest goes first."""

    age: Annotated[Duration, Between("1m")] = Duration("30d")
    """What is older is deleted; at least 1m."""
    size: Annotated[Size, Between("1MiB")] = Size("1GiB")
    """Of all payloads together; at least 1MiB."""


class History(Options):
    """How much of the past is kept."""

    count: Annotated[int, Field(ge=1, le=100_000)] = 1000
    """Revisions, and entries of the audit log, each; 1 to 100,000. The last confirmed revision always stays."""


class Retention(Options):
    """What the stores keep."""

    dead_letters: Keep = Keep()
    """Messages that ended as dead letters, until they are replayed or dropped."""
    history: History = History()
    """Which topologies ran, and who changed what."""


class Journal(Options):
    """What durable routes have accepted and not yet settled."""

    size: Annotated[Size, Between("1MiB")] = Size("1GiB")
    """The limit, at least 1MiB; beyond it sources of durable routes are refused (over HTTP: 503)."""


class Trace(Options):
    """What is remembered of messages that have ended, in memory, for `router trace`: ids and times, no payloads."""

    messages: Annotated[int, Field(ge=0, le=100_000)] = 10_000
    """The messages that ended last, up to 100,000, at about 250 bytes each; 0 remembers none."""
    age: Annotated[Duration, Between("1s", "1d")] = Duration("1h")
    """What ended longer ago is forgotten; up to 1d."""


class Settings(Options):
    """What concerns the router as a whole; all of it is optional."""

    state_dir: Path = Path(".router")
    """Journal, dead letters, revisions and the control socket; made with mode 0700. One router at a time holds it."""
    http: Http = Http()
    """The listener that all inbound HTTP actors share."""
    control: Control = Control()
    """The control API."""
    observe: Observe | None = None
    """Where Prometheus and probes ask; without it, only on the control socket."""
    drain_timeout: Annotated[Duration, Between("0s", "1h")] = Duration("30s")
    """How long a stopping router lets what is in flight settle, up to 1h."""
    log: Log = Log()
    """The router's own log."""
    redact: tuple[Annotated[str, Field(min_length=1)], ...] = ("authorization", "password", "phone", "secret", "token")
    """Names of fields and headers, in any case, that are masked in logs and wherever messages are shown."""
    retention: Retention = Retention()
    """What the stores keep."""
    journal: Journal = Journal()
    """What durable routes have accepted and not yet settled."""
    trace: Trace = Trace()
    """What is remembered of messages that have ended."""
