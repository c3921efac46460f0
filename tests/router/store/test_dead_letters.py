"""Dead letters: moved in from the journal, found, replayed, dropped and swept."""

from dataclasses import replace
from pathlib import Path
from sqlite3 import Connection

from actors.core.errors import StorageError
from router.store.dead_letter import DeadLetter, DeadLetterFilter
from tests.loop import Run
from tests.router.store.stores import Outcome, Store, letter, opened, submitted


async def add(store: Store, kept: DeadLetter) -> str:
    outcome = Outcome()
    letter_id = store.dead_letters.add(kept, None, outcome)
    await outcome.succeeded()
    return letter_id


def test_what_was_added_is_found_as_it_was(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            letter_id = await add(store, letter())
            assert await store.dead_letters.get(letter_id) == replace(letter(), id=letter_id)
            assert await store.dead_letters.get("d9") is None
            assert await store.dead_letters.get("what's this") is None
            assert store.dead_letters.count() == 1

    run(scenario())


def test_ids_are_short_and_never_given_twice(run: Run, tmp_path: Path) -> None:
    """Not even when the newest was dropped before a restart."""

    async def scenario() -> None:
        seen = []
        for _ in range(3):
            async with opened(tmp_path / "x.db") as store:
                seen.append(await add(store, letter()))
                assert await store.dead_letters.drop(seen) == 1
        assert seen == ["d1", "d2", "d3"]

    run(scenario())


def test_ids_are_found_between_two_of_them_the_oldest_first(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            for route in ("a", "b", "a", "a", "a"):
                await add(store, letter(route=route))
            store_ids, chosen = store.dead_letters.ids, DeadLetterFilter(route="a")
            assert await store_ids(chosen, limit=9) == ["d1", "d3", "d4", "d5"]
            assert await store_ids(chosen, limit=2, after="d1") == ["d3", "d4"]
            assert await store_ids(chosen, limit=9, after="d1", through="d4") == ["d3", "d4"]

    run(scenario())


def test_a_message_moves_out_of_the_journal_in_one_transaction(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            row = await store.append("orders", b"x")
            store.journal.record_delivery(row, 0, "crm")
            await submitted(lambda done: store.dead_letters.add(letter(), row, done))
            assert store.journal.waiting("orders") == 0
            assert await store.load_all("orders") == []
        async with opened(tmp_path / "x.db") as store:
            assert store.dead_letters.count() == 1
            assert await store.load_all("orders") == []

    run(scenario())


def limit_pages(connection: Connection) -> None:
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}").fetchone()


def test_a_message_that_cannot_move_stays_in_the_journal(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            row = await store.append("orders", b"x")
            await store.database.read(limit_pages)
            outcome = Outcome()
            store.dead_letters.add(letter(message=b"x" * 100_000), row, outcome)
            error = await outcome.error()
            assert isinstance(error, StorageError)
            assert error.full
            assert store.dead_letters.count() == 0
            assert [kept.row for kept in await store.load_all("orders")] == [row]
            assert store.journal.waiting("orders") == 1

    run(scenario())


def test_one_delivery_of_a_fan_out_leaves_the_row_to_the_others(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            row = await store.append("orders", b"x")
            await submitted(lambda done: store.dead_letters.add(letter(), row, done, delivery=(0, "shop")))
            (kept,) = await store.load_all("orders")
            assert kept.delivered == {(0, "shop")}
            assert store.dead_letters.count() == 1

    run(scenario())


def test_pages_show_the_newest_first(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            ids = [await add(store, letter(at=float(number))) for number in range(40)]
            seen: list[str] = []
            before = None
            while page := await store.dead_letters.page(limit=15, before=before):
                seen += [found.id for found in page]
                before = page[-1].id
            assert seen == ids[::-1]

    run(scenario())


def test_a_filter_narrows_by_route_target_reason_and_time(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            await add(store, letter(at=10.0))
            await add(store, letter(at=20.0, route="alarms"))
            await add(store, letter(at=30.0, target="crm"))
            await add(store, letter(at=40.0, reason="connect"))

            async def times(matching: DeadLetterFilter) -> list[float]:
                return [found.at for found in await store.dead_letters.page(matching)]

            assert await times(DeadLetterFilter()) == [40.0, 30.0, 20.0, 10.0]
            assert await times(DeadLetterFilter(route="alarms")) == [20.0]
            assert await times(DeadLetterFilter(route="orders", target="crm")) == [30.0]
            assert await times(DeadLetterFilter(reason="connect")) == [40.0]
            assert await times(DeadLetterFilter(since=20.0, until=40.0)) == [30.0, 20.0]
            assert await store.dead_letters.drop_matching(DeadLetterFilter(route="orders")) == 3
            assert await times(DeadLetterFilter()) == [20.0]

    run(scenario())


def test_many_are_dropped_in_pieces(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            outcomes = [Outcome() for _ in range(1_200)]
            ids = [store.dead_letters.add(letter(), None, outcome) for outcome in outcomes]
            for outcome in outcomes:
                await outcome.succeeded()
            assert await store.dead_letters.drop([*ids[:600], *ids[:600], "d0"]) == 600
            assert await store.dead_letters.drop_matching(DeadLetterFilter()) == 600
            assert store.dead_letters.count() == store.dead_letters.size_bytes == 0

    run(scenario())


def test_a_replay_that_fails_again_is_one_dead_letter(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            letter_id = await add(store, letter())
            assert store.dead_letters.mark_replaying(letter_id)
            assert not store.dead_letters.mark_replaying(letter_id)
            row = await store.append("orders", b"x")
            again = letter(at=2_000.0, error="503", message=b"longer payload")
            await submitted(lambda done: store.dead_letters.replace(letter_id, again, row, done))
            assert await store.dead_letters.page() == [replace(again, id=letter_id)]
            assert store.dead_letters.count() == 1
            assert store.journal.waiting("orders") == 0
            assert not store.dead_letters.is_replaying(letter_id)

    run(scenario())


def test_a_dropped_dead_letter_cannot_be_replayed(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            letter_id = await add(store, letter())
            store.dead_letters.mark_replaying(letter_id)
            store.dead_letters.unmark_replaying(letter_id)
            await store.dead_letters.drop([letter_id])
            assert not store.dead_letters.mark_replaying(letter_id)

    run(scenario())


def test_a_sweep_drops_what_is_old_and_then_the_oldest(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            for at in range(10):
                await add(store, letter(at=float(at), message=b"x" * 99))
            assert await store.dead_letters.sweep(now=103.0, max_age_s=100.0, max_bytes=1 << 20) == 3
            assert await store.dead_letters.sweep(now=103.0, max_age_s=100.0, max_bytes=450) == 3
            assert [found.at for found in await store.dead_letters.page()] == [9.0, 8.0, 7.0, 6.0]
            assert await store.dead_letters.sweep(now=103.0, max_age_s=100.0, max_bytes=450) == 0
            assert await store.dead_letters.sweep(now=103.0, max_age_s=100.0, max_bytes=0) == 4

    run(scenario())


def test_counts_and_sizes_are_known_after_a_restart(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            await add(store, letter())
            await add(store, letter(message=b"x" * 5_000))
            before = (store.dead_letters.count(), store.dead_letters.size_bytes)
        async with opened(tmp_path / "x.db") as store:
            assert (store.dead_letters.count(), store.dead_letters.size_bytes) == before

    run(scenario())
