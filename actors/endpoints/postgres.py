"""PostgreSQL: each message is a row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, Field, ModelWrapValidatorHandler, field_validator, model_validator

from actors.connections.postgres import PostgresConnection
from actors.connections.postgres.options import PostgresConnectionOptions
from actors.connections.postgres.table import TableName, is_name
from actors.connections.postgres.target import Target
from actors.connections.postgres.values import uuid_of
from actors.core.actor import AsyncioActor
from actors.core.connection import ConnectionTo
from actors.core.deferred import Deferred
from actors.core.errors import DeliveryError
from actors.core.examination import ExamineContext, Finding
from actors.core.message import Message
from actors.core.option_problem import OptionProblem, refuse
from actors.core.spec import Context, Options, endpoint
from actors.kit.expressions import TemplateTree

LONGEST_INDEXED: Final = 512
"""Characters of what an index holds: PostgreSQL takes no more than 2,704 bytes."""


def _checked(name: str) -> str:
    if not is_name(name):
        raise ValueError("a column's name has 1 to 63 bytes")
    return name


@dataclass(frozen=True, slots=True)
class Preset:
    """A table that ships with the router, and how a message becomes a row of it."""

    columns: Mapping[str, Callable[[Message, float], Any]]


def _request_id(message: Message, now_s: float) -> str | None:
    found = message.headers.get("x-request-id") or message.correlationid or message.traceparent
    return None if found is None else found[:LONGEST_INDEXED]


def _error_message(message: Message, now_s: float) -> str | None:
    reason, error = message.headers.get("dead-letter-reason"), message.headers.get("dead-letter-error")
    return None if reason is None else f"{reason}: {error}"


def _error_stack(message: Message, now_s: float) -> str | None:
    """What is known of where it failed: there is no stack, since it is no defect of the program."""
    headers = message.headers
    if "dead-letter-route" not in headers:
        return None
    lines = (
        ("route", headers["dead-letter-route"]),
        ("source", message.source),
        ("target", headers.get("dead-letter-target")),
        ("attempts", headers.get("dead-letter-attempts")),
        ("reason", headers.get("dead-letter-reason")),
        ("error", headers.get("dead-letter-error")),
    )
    return "\n".join(f"{name}: {value}" for name, value in lines if value)


PRESETS: Final[Mapping[str, Preset]] = {
    "failed_webhooks": Preset(
        {
            "id": lambda message, now_s: uuid_of(message.id),
            "request_id": _request_id,
            "payload": lambda message, now_s: message.data,
            "message_id": lambda message, now_s: message.id[:LONGEST_INDEXED],
            "error_message": _error_message,
            "error_stack": _error_stack,
            "created_at": lambda message, now_s: now_s,
        }
    )
}


class PostgresOptions(Options):
    """What a `postgres` target can be told."""

    connection: Annotated[str, ConnectionTo("postgres")]
    """The connection to the server."""
    table: str | None = None
    """The table, `table` or `schema.table`, in upper and lower case as it is; left out, the preset's name."""
    columns: dict[Annotated[str, AfterValidator(_checked)], TemplateTree] = Field(default_factory=dict)
    """The columns to write, and what into each: `payload: "{{ data }}"`. The column's type says what becomes of the
    value: `json` and `jsonb` take it as it is, a timestamp takes epoch seconds or text, a `uuid` takes a UUID, or
    makes one of any other text, the same of the same text. A preset's columns that are not named stay as they are."""
    preset: Literal["failed_webhooks"] | None = None
    """Fill the columns of a table that ships with the router: `failed_webhooks` keeps dead letters."""
    create: bool = False
    """Whether to make the preset's table, with its indexes, where it is not there."""
    on_conflict: Literal["ignore", "fail"] = "ignore"
    """Where the primary key is there already: `ignore` takes the row for written, so that a message that is delivered
    twice is one row; `fail` refuses it."""
    in_flight: int = Field(1000, ge=1, le=100_000)
    """How many rows may wait for their commit; the route's `concurrency` bounds them too. What waits is committed
    together."""

    @field_validator("table")
    @classmethod
    def _is_table(cls, table: str | None) -> str | None:
        if table is not None:
            TableName.parse(table)
        return table

    @model_validator(mode="wrap")
    @classmethod
    def _consistent(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        options = handler(value)
        if options.preset is None and (options.table is None or not options.columns):
            raise ValueError("give 'table' and 'columns', or 'preset'")
        refuse(options._problems(), cls, value)
        return options

    def _problems(self) -> Iterator[OptionProblem]:
        if self.create and self.preset is None:
            message = "only a preset's table can be made"
            yield OptionProblem(("create",), message, "give 'preset', or make the table and remove this")

    @property
    def name(self) -> TableName:
        """Of the table."""
        return TableName.parse(self.table or self.preset or "")

    @property
    def wanted(self) -> tuple[str, ...]:
        """The columns, in the order of the values."""
        preset = PRESETS[self.preset].columns if self.preset is not None else {}
        return tuple(dict.fromkeys((*preset, *self.columns)))

    def values(self) -> list[Callable[[Message, float], Any]]:
        """What makes the value of each of `wanted`."""
        preset = PRESETS[self.preset].columns if self.preset is not None else {}
        return [self.columns[name].render if name in self.columns else preset[name] for name in self.wanted]


async def _examine(options: PostgresOptions, context: ExamineContext) -> Sequence[Finding]:
    from actors.connections.postgres.examination import examine_table

    connection = context.connections[options.connection]
    assert isinstance(connection, PostgresConnectionOptions), "validated"
    return await examine_table(
        connection,
        context,
        options.name,
        options.wanted,
        create=options.create,
        ignores_known=options.on_conflict == "ignore",
    )


@endpoint("postgres", options=PostgresOptions, target=True, examine=_examine, keeps=True)
class Postgres(AsyncioActor):
    """Inserts each message as a row of a table; it is delivered when it is committed.

    What comes together is committed together, and a row that the table refuses fails alone, and at once: no
    repetition changes it. While the server is away, or the table is missing or has other columns, deliveries
    are refused at once. Where the answer to a commit is lost, the outcome is `unknown`; with a primary key
    that is made of the message's id the repetition does no harm. As a route's `dead_letter` it finds in the
    headers `dead-letter-route`, `-target`, `-reason`, `-error` and `-attempts` what happened. PostgreSQL
    keeps no NUL, and no half of a surrogate pair: both become `�`.
    """

    defers = True

    def __init__(self, options: PostgresOptions, context: Context) -> None:
        super().__init__()
        self.concurrency = options.in_flight
        self._options = options
        self._context = context
        self._values = options.values()
        self._time = context.clock.time
        self._target: Target | None = None
        self._unwatch: Callable[[], None] | None = None

    async def on_start(self) -> None:  # type: ignore[override]  # our hooks may be coroutine functions
        options, context = self._options, self._context
        connection = context.resources.get(PostgresConnection, options.connection)
        await connection.open()
        self._target = Target(
            connection,
            options.name,
            options.wanted,
            create=options.preset if options.create else None,
            ignores_known=options.on_conflict == "ignore",
            name=context.name,
            standing=context.standing,
            spawn=self.spawn,
            clock=context.clock,
            events=context.events,
        )
        await connection.tried()
        self._unwatch = connection.watch(self._target)
        await self._target.looked()

    def on_stop(self) -> None:
        if self._unwatch is not None:
            self._unwatch()
            self._unwatch = None

    def on_receive(self, message: Message) -> Deferred:
        target, now_s = self._target, self._time()
        if target is None:
            raise DeliveryError("connecting", reason="connect")
        return target.add([value(message, now_s) for value in self._values])

    def about(self) -> Mapping[str, str | int]:
        """Where the rows go, and how many went together."""
        options, target = self._options, self._target
        writer = None if target is None else target.writer
        return {
            "connection": options.connection,
            "table": str(options.name),
            "rows": 0 if writer is None else writer.committed,
            "commits": 0 if writer is None else writer.commits,
        }
