"""Group commit behind a loop: what is promised to who waits, in which order, and when something fails."""

import asyncio
from functools import partial
from pathlib import Path
from sqlite3 import Connection
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.core.errors import StorageError
from actors.kit.database import LAZY_AT_ONCE, Database
from actors.kit.statement import Parameters, Statement
from tests.actors.kit.table import CHANGE, DELETE, FINISH, NEW, PUT, SCHEMA, contents, keys, opened, waiting
from tests.loop import Run


def test_what_is_submitted_in_one_turn_is_committed_once(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as database:
            outcomes = [waiting(database, NEW, number, b"") for number in range(300)]
            assert await asyncio.gather(*outcomes) == [None] * 300
            assert database.commits == 1
            assert database.pending == 0
            assert await database.read(keys) == list(range(300))

    run(scenario())


def test_callbacks_are_called_on_the_loop_in_the_order_of_submission(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as database:
            called: list[int] = []

            def note(number: int, _: Exception | None) -> None:
                called.append(number)

            for number in range(50):
                database.execute(PUT, (number, b""), partial(note, number))
            await waiting(database, PUT, 50, b"")
            assert called == list(range(50))

    run(scenario())


def test_an_insertion_and_a_lazy_deletion_in_one_turn_leave_nothing(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as database:
            first = waiting(database, NEW, 1, b"")
            database.execute(FINISH, (1,), lazy=True)
            assert await first is None
            assert await database.read(keys) == []

    run(scenario())


def test_a_lazy_statement_is_committed_without_anybody_waiting(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db", lazy_delay_s=0.001) as database:
            assert await waiting(database, PUT, 1, b"", lazy=True) is None

    run(scenario())


def test_lazy_statements_ride_along_with_an_ordered_one(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as database:
            lazy = waiting(database, PUT, 1, b"", lazy=True)
            await waiting(database, PUT, 2, b"")
            assert lazy.done()
            assert database.commits == 1

    run(scenario())


def test_new_rows_do_not_wait_for_lazy_statements(run: Run, tmp_path: Path) -> None:
    """Their insertion goes ahead, and the lazy ones gather until they are many or old."""

    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as database:
            lazy = waiting(database, PUT, 1, b"", lazy=True)
            await waiting(database, NEW, 2, b"")
            assert not lazy.done()

    run(scenario())


def test_many_lazy_statements_are_not_kept_waiting(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as database:
            first = waiting(database, PUT, 0, b"", lazy=True)
            for number in range(1, LAZY_AT_ONCE):
                database.execute(PUT, (number, b""), lazy=True)
            assert await first is None

    run(scenario())


def test_a_read_sees_everything_submitted_before(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as database:
            database.execute(PUT, (1, b""), lazy=True)
            database.execute(NEW, (2, b""))
            assert await database.read(keys) == [1, 2]

    run(scenario())


def test_a_transaction_that_raises_leaves_nothing(run: Run, tmp_path: Path) -> None:
    def insert_and_raise(connection: Connection) -> None:
        connection.execute("INSERT INTO t VALUES (1, x'')")
        raise LookupError

    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as database:
            with pytest.raises(LookupError):
                await database.transact(insert_and_raise)
            assert await database.read(keys) == []
            assert await waiting(database, NEW, 2, b"") is None

    run(scenario())


def test_a_read_that_sqlite_refuses_raises_ours(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as database:
            with pytest.raises(StorageError, match="no such table"):
                await database.read(lambda connection: connection.execute("SELECT * FROM nowhere"))

    run(scenario())


def test_closing_commits_what_was_submitted(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as database:
            eager = waiting(database, NEW, 1, b"")
            lazy = waiting(database, PUT, 2, b"", lazy=True)
        assert (await eager, await lazy) == (None, None)
        assert [path.name for path in tmp_path.iterdir()] == ["x.db"]
        async with opened(tmp_path / "x.db") as database:
            assert await database.read(keys) == [1, 2]

    run(scenario())


def test_a_closed_database_refuses(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as database:
            pass
        assert not database.working
        assert isinstance(await waiting(database, NEW, 1, b""), StorageError)
        with pytest.raises(StorageError, match="not open"):
            await database.read(keys)

    run(scenario())


def test_a_file_that_cannot_be_opened_is_said_to_who_opens_it(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        database = Database(tmp_path / "nowhere" / "x.db", schema=SCHEMA)
        with pytest.raises(StorageError, match="cannot be opened"):
            await database.open()

    run(scenario())


def test_a_copy_holds_what_was_submitted(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as database:
            database.execute(PUT, (1, b""), lazy=True)
            await database.copy_to(tmp_path / "copy.db")
        async with opened(tmp_path / "copy.db") as copy:
            assert await copy.read(keys) == [1]

    run(scenario())


def test_a_busy_loop_does_not_starve_the_thread(run: Run, tmp_path: Path) -> None:
    """A loop that never rests still gets its commits."""

    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as database:
            loop = asyncio.get_running_loop()
            busy = True

            def spin() -> None:
                sum(range(2_000))
                if busy:
                    loop.call_soon(spin)

            spin()
            for number in range(30):
                assert await waiting(database, NEW, number, b"") is None
            busy = False

    run(scenario())


Operation = tuple[Statement, Parameters, bool]

KEYS = st.integers(0, 5)
VALUES = st.binary(max_size=2)
ORDERED = st.one_of(
    st.tuples(st.just(PUT), st.tuples(KEYS, VALUES), st.booleans()),
    st.tuples(st.just(CHANGE), st.tuples(VALUES, KEYS), st.booleans()),
    st.tuples(st.just(DELETE), st.tuples(KEYS), st.booleans()),
)


def apply(model: dict[object, object], statement: Statement, parameters: Parameters) -> None:
    if statement is CHANGE:
        value, key = parameters
        if key in model:
            model[key] = value
    elif len(parameters) == 2:
        model[parameters[0]] = parameters[1]
    else:
        model.pop(parameters[0], None)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.one_of(ORDERED, st.none()), st.booleans()), max_size=60))
def test_the_outcome_is_that_of_the_order_of_submission(run: Run, steps: list[tuple[Operation | None, bool]]) -> None:
    """Eager or lazy, in one turn or many, with rows that are new and rows that are finished in between."""

    async def scenario(path: Path) -> None:
        model: dict[object, object] = {}
        fresh = 100
        # So small that lazy statements are also committed on their own.
        async with opened(path, lazy_delay_s=0.001) as database:
            for operation, turn in steps:
                if operation is None:
                    fresh += 1
                    database.execute(NEW, (fresh, b""))
                    apply(model, NEW, (fresh, b""))
                    if fresh % 3:
                        database.execute(PUT, (fresh, b"changed"), lazy=True)
                        apply(model, PUT, (fresh, b"changed"))
                    if fresh % 2:
                        database.execute(FINISH, (fresh,), lazy=True)
                        apply(model, FINISH, (fresh,))
                else:
                    statement, parameters, lazy = operation
                    database.execute(statement, parameters, lazy=lazy)
                    apply(model, statement, parameters)
                if turn:
                    await asyncio.sleep(0)
            assert await database.read(contents) == model

    with TemporaryDirectory() as directory:
        run(scenario(Path(directory) / "x.db"))
