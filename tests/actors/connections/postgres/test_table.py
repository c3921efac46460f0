"""Names in SQL, the statement for a row, and what does not fit."""

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.connections.postgres.table import Column, TableName, ddl, insertion, misfits, quoted


def column(
    name: str, *, needed: bool = False, made: bool = False, insertable: bool = True, key: bool = False
) -> Column:
    return Column(name, "text", needed, made, insertable, key)


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1))
def test_a_name_is_quoted_as_postgresql_does(name: str) -> None:
    """Whatever is in it."""
    assert quoted(name).encode() == psycopg.sql.Identifier(name).as_bytes(None)


@pytest.mark.parametrize("text", ["", ".", "a.", ".a", "a.b.c", 'a"b', "a\0", "ñ" * 32])
def test_what_is_no_table(text: str) -> None:
    """A name of more than 63 bytes would be cut, and be another one's."""
    with pytest.raises(ValueError):
        TableName.parse(text)


def test_a_row_is_inserted_unless_its_key_is_there() -> None:
    """By the primary key alone, so that other unique columns still refuse."""
    columns = [column("id", key=True), column("at%", key=True), column("x")]
    table = TableName.parse("s.T%")
    assert insertion(table, columns, ["x", "id"], ignores_known=True) == (
        b'INSERT INTO "s"."T%%" ("x", "id") VALUES (%s, %s) ON CONFLICT ("id", "at%%") DO NOTHING'
    )
    assert b"CONFLICT" not in insertion(table, columns, ["x"], ignores_known=False)
    assert b"CONFLICT" not in insertion(table, [column("x")], ["x"], ignores_known=True)


def test_every_misfit_is_told() -> None:
    """Also what is there, and may not be written."""
    columns = [column("a", needed=True), column("b", made=True), column("c", insertable=False), column("d")]
    assert misfits(columns, ["a", "d"]) == []
    assert len(misfits(columns, ["b", "c", "e"])) == 4


def test_a_presets_table_may_have_another_name() -> None:
    """Its indexes then too; with its own name it is the file that ships."""
    text = ddl("failed_webhooks", TableName.parse("audit.Failed"))
    assert text.count('"audit"."Failed" (') == 4
    assert "failed_webhooks" not in text
