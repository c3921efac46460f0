"""`settings:` of a topology: what concerns the router as a whole. Every one has a default."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NamedTuple

from pydantic import Field
from pydantic_core import PydanticCustomError, core_schema

from actors.core.spec import Options
from actors.kit.units import Between, Duration, Size

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue

_ADDRESS: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.%]+\]|[^\s:\[\]/@]+):(?P<port>[0-9]{1,5})")

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


class Control(Options):
    """The control API, which the command line talks to."""

    listen: Literal["unix"] = "unix"
    """`unix`: the socket `control.sock` in the state directory, for this user alone."""


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


class Retention(Options):
    """What the stores keep."""

    dead_letters: Keep = Keep()
    """Messages that ended as dead letters, until they are replayed or dropped."""


class Journal(Options):
    """What durable routes have accepted and not yet settled."""

    size: Annotated[Size, Between("1MiB")] = Size("1GiB")
    """The limit, at least 1MiB; beyond it sources of durable routes are refused (over HTTP: 503)."""


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
