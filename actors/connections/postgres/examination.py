"""Looks whether a server lets the router in, and a table takes its rows; nothing is written."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, Final, LiteralString, TypeVar

from actors.connections.postgres import table as tables
from actors.connections.postgres.options import VERIFYING, PostgresConnectionOptions
from actors.connections.postgres.session import connect
from actors.connections.postgres.table import TableName
from actors.connections.reach import reach
from actors.core.examination import ExamineContext, Finding

if TYPE_CHECKING:
    from psycopg import Error

    from actors.connections.postgres.session import Driver, Work

T = TypeVar("T")

_ADVICE: Final = {
    "28P01": "correct user and password",
    "28000": "let this user in, in the server's pg_hba.conf, or correct the user",
    "3D000": "correct the database's name in the URL, or create it",
    "53300": "raise the server's max_connections, or lower `pool`",
    "57P03": "the server starts or stops: look at its log",
}


async def examine_connection(options: PostgresConnectionOptions, context: ExamineContext) -> Sequence[Finding]:
    """Of each host whether it can be reached; of the server the login, its version, and how safe a commit is."""
    hosts = options.place.hosts
    reached = [await reach(host, port, time=context.clock.time) for host, port in hosts]
    if reached and all(finding.level == "problem" for finding in reached):
        return reached
    found = [Finding("warning", each.text, each.advice) if each.level == "problem" else each for each in reached]
    found.append(await _with(options, context, lambda driver: _server(driver, options)))
    return found


async def examine_table(
    options: PostgresConnectionOptions,
    context: ExamineContext,
    table: TableName,
    wanted: Collection[str],
    *,
    create: bool,
    ignores_known: bool,
) -> Sequence[Finding]:
    """Whether the table is there, has the columns, and this user may insert."""

    async def look(driver: Driver) -> list[Finding]:
        columns = await tables.columns_of(driver, table)
        if not columns and create:
            return [await _may_create(driver, table)]
        if not columns:
            advice = "create it, or correct the name; it is taken as it is written, in upper and lower case"
            return [Finding("problem", f"there is no table {table}", advice)]
        wrong = tables.misfits(columns, wanted)
        if wrong:
            return [
                Finding("problem", f"the table {table} {each}", "correct `columns`, or the table") for each in wrong
            ]
        found = [Finding("ok", f"the table {table} is there, has the columns, and may be inserted into")]
        key = {column.name for column in columns if column.key}
        if ignores_known and not (key and key <= set(wanted)):
            text = f"a message that is delivered twice becomes two rows of {table}"
            advice = "give the table a primary key, and its column a value made of the message's id"
            found.append(Finding("warning", text, advice))
        return found

    found = await _with(options, context, look)
    if isinstance(found, Finding):
        return [Finding("warning", "not examined: the server of its connection does not let the router in")]
    return found


async def _server(driver: Driver, options: PostgresConnectionOptions) -> Finding:
    version = await _one(driver, "SHOW server_version")
    if await _one(driver, "SHOW transaction_read_only") == "on":
        text = f"PostgreSQL {version} lets the router in, and takes no rows: it is a standby"
        return Finding("problem", text, "name the primary, or add ?target_session_attrs=read-write to several hosts")
    secured = driver.pgconn.ssl_in_use
    text = f"PostgreSQL {version} lets the router in, {'with' if secured else 'without'} TLS"
    if await _one(driver, "SHOW fsync") == "off" or await _one(driver, "SHOW synchronous_commit") == "off":
        advice = "set fsync and synchronous_commit to on, or live with it"
        return Finding("warning", f"{text}; a commit is answered before it is on disk", advice)
    if options.place.ssl_mode not in VERIFYING and not all(_is_local(host) for host, _ in options.place.hosts):
        return Finding("warning", f"{text}; nobody looks who the server is", "add ?sslmode=verify-full and `tls.ca`")
    return Finding("ok", text)


async def _may_create(driver: Driver, table: TableName) -> Finding:
    query = "SELECT has_schema_privilege(COALESCE(%s, current_schema()), 'CREATE')"
    row = await (await driver.execute(query, (table.schema,))).fetchone()
    if row is not None and row[0]:
        return Finding("ok", f"there is no table {table} yet; a start makes it")
    return Finding("problem", f"there is no table {table}, and this user may not make it", "grant CREATE on its schema")


async def _one(driver: Driver, query: LiteralString) -> Any:
    row = await (await driver.execute(query)).fetchone()
    return None if row is None else row[0]


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def _with(options: PostgresConnectionOptions, context: ExamineContext, work: Work[T]) -> T | Finding:
    from psycopg import Error

    session = None
    try:
        session = await connect(options.url, options.parameters(context.directory), lambda _: None)
        return await session.run(work, float(options.timeout))
    except Error as error:
        return _refused(error, options)
    finally:
        if session is not None:
            await session.close()


def _refused(error: Error, options: PostgresConnectionOptions) -> Finding:
    from actors.connections.postgres.failures import told

    text = options.place.hide_user(told(error))
    known = next((advice for phrase, advice in _TOLD if phrase in text), None)
    known = _ADVICE.get(error.sqlstate or "", known)
    return Finding("problem", f"{options.place}: {text}", known or "is it PostgreSQL? Its log may say why")


_TOLD: Final = (
    # While it connects, the driver has no code for what the server said.
    ("password authentication failed", _ADVICE["28P01"]),
    ("no password supplied", "give the URL a user and a password"),
    ("pg_hba.conf", _ADVICE["28000"]),
    ("does not exist", _ADVICE["3D000"]),
    ("too many", _ADVICE["53300"]),
    ("certificate", "correct `tls`, or the server's certificate"),
    ("does not support SSL", "let the server have TLS, or lower sslmode"),
)
