"""The table that rows go into: its name, its columns, and whether what is to be written fits."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from actors.core.errors import RouterError

if TYPE_CHECKING:
    from actors.connections.postgres.session import Driver

LONGEST_NAME: Final = 63
"""Bytes of an identifier; PostgreSQL cuts longer ones."""

_COLUMNS: Final = """
SELECT a.attname,
       format_type(COALESCE(NULLIF(t.typbasetype, 0), a.atttypid), NULL),
       a.attnotnull AND NOT a.atthasdef AND a.attidentity = '',
       a.attgenerated <> '' OR a.attidentity = 'a',
       has_column_privilege(a.attrelid, a.attnum, 'INSERT'),
       COALESCE(a.attnum = ANY (i.indkey), false)
FROM pg_attribute a
JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary
WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
"""


class MisfitError(RouterError):
    """The table is not there, or is not one that the rows fit into."""


class Column(NamedTuple):
    """Of a table."""

    name: str
    kind: str
    """Its type, as format_type calls it; of a domain the one below."""
    needed: bool
    """It is NOT NULL, and has no default."""
    made: bool
    """The server makes its value, and takes no other."""
    insertable: bool
    """This user may write it."""
    key: bool
    """It belongs to the primary key."""


class TableName(NamedTuple):
    """A table's name, as the topology has it: `table` or `schema.table`, in upper and lower case as it is."""

    schema: str | None
    table: str

    @classmethod
    def parse(cls, text: str) -> TableName:
        """Raises ValueError where it is none."""
        schema, dot, table = text.rpartition(".")
        if dot and not schema:
            raise ValueError("expected table or schema.table")
        for part in (schema, table) if dot else (table,):
            if not is_name(part) or "." in part or '"' in part:
                raise ValueError("expected table or schema.table, in names of 63 bytes at most, without quotes")
        return cls(schema or None, table)

    @property
    def quoted(self) -> str:
        return quoted(self.table) if self.schema is None else f"{quoted(self.schema)}.{quoted(self.table)}"

    def __str__(self) -> str:
        return self.table if self.schema is None else f"{self.schema}.{self.table}"


def is_name(text: str) -> bool:
    """Whether an identifier may be called so."""
    return bool(text) and "\0" not in text and len(text.encode("utf-8", "replace")) <= LONGEST_NAME


def quoted(name: str) -> str:
    """An identifier in SQL."""
    return '"' + name.replace('"', '""') + '"'


def misfits(columns: Sequence[Column], wanted: Collection[str]) -> list[str]:
    """What is wrong with a table for rows of the columns `wanted`; nothing where they fit."""
    there = {column.name: column for column in columns}
    found = [f"has no column {name!r}" for name in wanted if name not in there]
    for column in columns:
        if column.name not in wanted:
            if column.needed:
                found.append(f"wants a value for {column.name!r}")
        elif column.made:
            found.append(f"makes {column.name!r} itself")
        elif not column.insertable:
            found.append(f"does not let this user write {column.name!r}")
    return found


def insertion(table: TableName, columns: Sequence[Column], wanted: Sequence[str], *, ignores_known: bool) -> bytes:
    """The statement for one row, with a `%s` for each of `wanted`."""
    names = ", ".join(map(quoted, wanted))
    key = ", ".join(quoted(column.name) for column in columns if column.key)
    conflict = f" ON CONFLICT ({key}) DO NOTHING" if ignores_known and key else ""
    parts = (f"INSERT INTO {table.quoted} ({names}) VALUES (", ", ".join(["%s"] * len(wanted)), f"){conflict}")
    # The driver takes a % for the beginning of a placeholder.
    return "".join((parts[0].replace("%", "%%"), parts[1], parts[2].replace("%", "%%"))).encode()


def ddl(preset: str, table: TableName) -> str:
    """The statements that make a preset's table, under this name."""
    from importlib.resources import files

    text = (files("actors.connections.postgres") / "tables" / f"{preset}.sql").read_text("utf-8")
    for before, after in (("CREATE TABLE ", " ("), ("ON ", " (")):
        text = text.replace(f"{before}{preset}{after}", f"{before}{table.quoted}{after}")
    return text


async def columns_of(driver: Driver, table: TableName) -> list[Column]:
    """Its columns in their order; none where there is no such table."""
    rows: list[Any] = await (await driver.execute(_COLUMNS, (table.quoted,))).fetchall()
    return [Column(*row) for row in rows]


async def create(driver: Driver, preset: str, table: TableName) -> bool:
    """Make a preset's table where it is not there; of several routers at a time one does it. True where this did."""
    async with driver.transaction():
        await driver.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (f"pointsman {table.quoted}",))
        if await columns_of(driver, table):
            return False
        # Without parameters several statements go at once; the names in them are quoted, the rest is ours.
        await driver.execute(ddl(preset, table).encode())
        return True
