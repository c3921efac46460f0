"""What fails, who is told, and how a database goes on."""

import asyncio
from pathlib import Path
from sqlite3 import Connection

from actors.core.errors import StorageError
from actors.kit.database import Database
from tests.actors.kit.table import DELETE, FINISH, NEW, PAGE, PUT, SCHEMA, keys, opened, waiting
from tests.disks import failing_disk, small_disk
from tests.loop import Run


def test_only_the_wrong_statement_of_a_batch_fails(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as database:
            outcomes = [waiting(database, NEW, number, b"") for number in (1, 2, 2, 3)]
            outcomes.append(waiting(database, PUT, 4, object()))
            outcomes.append(waiting(database, PUT, 5, b""))
            failed = await asyncio.gather(*outcomes)
            assert [type(error) for error in failed] == [
                type(None),
                type(None),
                StorageError,
                type(None),
                StorageError,
                type(None),
            ]
            assert await database.read(keys) == [1, 2, 3, 5]

    run(scenario())


def test_several_statements_are_kept_together_or_not_at_all(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as database:
            await waiting(database, NEW, 1, b"")
            outcome: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
            database.execute_all(((DELETE, (1,)), (NEW, (2, b"")), (NEW, (2, b""))), outcome.set_result)
            other = waiting(database, NEW, 3, b"")
            assert isinstance(await outcome, StorageError)
            assert await other is None
            assert await database.read(keys) == [1, 3]

    run(scenario())


def test_a_callback_that_raises_does_not_stop_the_others(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        raised: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: raised.append(context["exception"]))

        def fail(_: Exception | None) -> None:
            raise LookupError

        async with opened(tmp_path / "x.db") as database:
            database.execute(NEW, (1, b""), fail)
            assert await waiting(database, NEW, 2, b"") is None
        assert [type(problem) for problem in raised] == [LookupError]

    run(scenario())


def test_more_than_the_bound_is_turned_away(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db", max_pending=3) as database:
            outcomes = [waiting(database, NEW, number, b"") for number in range(5)]
            database.execute(PUT, (9, b""), lazy=True)
            refused = [error for error in await asyncio.gather(*outcomes) if error is not None]
            assert [isinstance(error, StorageError) and error.full for error in refused] == [True, True]
            assert await database.read(keys) == [0, 1, 2]
            assert database.lazy_lost == 1

    run(scenario())


def limit_pages(connection: Connection) -> None:
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}").fetchone()


def lift_page_limit(connection: Connection) -> None:
    connection.execute("PRAGMA max_page_count = 1000000").fetchone()


def test_a_full_disk_fails_all_who_wait_and_space_lets_it_go_on(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        heard: list[StorageError | None] = []
        database = Database(tmp_path / "x.db", schema=SCHEMA, on_change=heard.append)
        await database.open()
        await database.read(limit_pages)
        outcomes = await asyncio.gather(*(waiting(database, NEW, number, PAGE) for number in range(20)))
        assert [isinstance(error, StorageError) and error.full for error in outcomes] == [True] * 20
        assert await database.read(keys) == []
        assert isinstance(await waiting(database, NEW, 1, PAGE * 20), StorageError)
        await database.read(lift_page_limit)
        assert await waiting(database, NEW, 20, PAGE) is None
        assert database.working
        assert len(heard) == 2
        assert heard[0] is not None
        assert heard[0].full
        assert heard[1] is None
        await database.close()

    run(scenario())


def test_on_a_full_disk_lazy_deletions_make_room(run: Run, tmp_path: Path) -> None:
    """They are committed by themselves when those that came with them have failed."""

    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as database:
            await asyncio.gather(*(waiting(database, NEW, number, PAGE) for number in range(20)))
            await database.read(limit_pages)
            deletions = [waiting(database, FINISH, number, lazy=True) for number in range(20)]
            refused = waiting(database, PUT, 20, b"x" * 1_000_000)
            assert isinstance(await refused, StorageError)
            assert await asyncio.gather(*deletions) == [None] * 20
            assert await waiting(database, NEW, 21, PAGE) is None

    run(scenario())


def test_lazy_statements_outlive_a_disk_that_fails(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as database:
            await waiting(database, NEW, 1, PAGE)
            with failing_disk():
                eager = waiting(database, NEW, 2, PAGE)
                lazy = waiting(database, DELETE, 1, lazy=True)
                ordered = waiting(database, PUT, 3, PAGE)
                errors = await asyncio.gather(eager, ordered)
                assert [isinstance(error, StorageError) and not error.full for error in errors] == [True, True]
                assert await database.read(keys) == [1]
            assert not lazy.done()
            assert await lazy is None
            assert await database.read(keys) == []
            assert await database.integrity_problems() == []
            assert database.lazy_lost == 0

    run(scenario())


def test_a_disk_that_it_filled_itself_can_be_emptied(run: Run, tmp_path: Path) -> None:
    """New rows are refused while there is still room to delete the old ones, and are taken again after that."""

    async def scenario(path: Path) -> None:
        async with opened(path) as database:
            kept: list[int] = []
            refused: Exception | None = None
            while refused is None:
                numbers = range(len(kept), len(kept) + 20)
                outcomes = await asyncio.gather(*(waiting(database, NEW, n, PAGE) for n in numbers))
                kept += [number for number, error in zip(numbers, outcomes, strict=True) if error is None]
                refused = outcomes[-1]
            assert isinstance(refused, StorageError)
            assert refused.full
            assert len(kept) > 100
            deletions = [waiting(database, FINISH, number, lazy=True) for number in kept]
            await database.read(keys)
            assert {await deletion for deletion in deletions} == {None}
            assert await waiting(database, NEW, 0, PAGE) is None
            assert await database.integrity_problems() == []
        async with opened(path) as database:
            assert await database.read(keys) == [0]

    with small_disk(tmp_path / "disk") as disk:
        run(scenario(disk / "x.db"))


def test_it_works_again_by_itself_when_others_make_room(run: Run, tmp_path: Path) -> None:
    """Nobody has to write for it to notice."""

    async def scenario(disk: Path) -> None:
        works = asyncio.Event()
        heard: list[StorageError | None] = []

        def hear(error: StorageError | None) -> None:
            heard.append(error)
            if error is None:
                works.set()

        database = Database(disk / "x.db", schema=SCHEMA, on_change=hear)
        await database.open()
        (disk / "filler").write_bytes(bytes(1_800_000))
        while await waiting(database, NEW, 0, PAGE * 100) is None:
            await waiting(database, DELETE, 0)
        (disk / "filler").unlink()
        await works.wait()
        assert [type(change) for change in heard] == [StorageError, type(None)]
        assert await waiting(database, NEW, 1, PAGE) is None
        await database.close()

    with small_disk(tmp_path / "disk") as disk:
        run(scenario(disk))
