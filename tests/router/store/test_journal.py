"""What the journal keeps, in which order, and what it knows after a restart."""

import asyncio
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.core.errors import StorageError
from router.store import journal as journal_module
from router.store.journal import ROW_OVERHEAD
from tests.loop import Run
from tests.router.store.stores import Outcome, Store, opened, submitted


def test_a_route_gets_its_rows_back_in_their_order(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            rows = [await store.append(route, b"%d" % n) for n, route in enumerate("aabab")]
            found = await store.load_all("a")
            assert [row.row for row in found] == [rows[0], rows[1], rows[3]]
            assert [row.message for row in found] == [b"0", b"1", b"3"]
            assert found[0].position == found[0].attempts == found[0].hands == 0
            assert not found[0].delivered
            assert await store.load_all("nobody") == []

    run(scenario())


def test_pages_follow_one_another(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            rows = [await store.append("a", b"x") for _ in range(7)]
            seen, after = [], 0
            while page := await store.journal.load("a", after, 3):
                seen += [row.row for row in page]
                after = page[-1].row
            assert seen == rows

    run(scenario())


def test_a_page_ends_when_it_holds_many_bytes(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "PAGE_BYTES", 25)

    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            for _ in range(5):
                await store.append("a", b"x" * 10)
            assert len(await store.load_all("a")) == 3

    run(scenario())


def test_settled_rows_are_not_loaded_and_do_not_end_the_loading(run: Run, tmp_path: Path) -> None:
    """Not even those that are settled while their page is on its way."""

    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            rows = [await store.append("a", b"x") for _ in range(4)]
            loading = asyncio.ensure_future(store.journal.load("a", 0, 2))
            await asyncio.sleep(0)
            store.journal.settle(rows[0])
            store.journal.settle(rows[1])
            assert [row.row for row in await loading] == rows[2:]

    run(scenario())


def test_settling_twice_counts_once(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            row = await store.append("a", b"x")
            await store.append("a", b"y")
            store.journal.settle(row)
            store.journal.settle(row)
            assert store.journal.waiting("a") == 1

    run(scenario())


def test_progress_after_the_end_does_not_bring_a_row_back(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            row = await store.append("a", b"x")
            store.journal.settle(row)
            store.journal.progress(row, b"y", 1, 1)
            store.journal.record_delivery(row, 0, "shop")
        async with opened(tmp_path / "x.db") as store:
            assert await store.load_all("a") == []
            assert store.journal.size_bytes == 0

    run(scenario())


def test_it_is_full_at_its_limit_and_has_room_after_settling(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db", max_bytes=2 * (100 + ROW_OVERHEAD)) as store:
            first = await store.append("a", b"x" * 100)
            seen = [store.journal.is_full]
            second = await store.append("a", b"x" * 100)
            seen.append(store.journal.is_full)
            store.journal.settle(second)
            seen.append(store.journal.is_full)
            store.journal.progress(first, b"x" * 500, 1, 0)
            seen.append(store.journal.is_full)
            assert seen == [False, True, False, True]

    run(scenario())


def test_an_append_that_fails_leaves_no_trace(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            await store.database.close()
            outcome = Outcome()
            store.journal.append("a", b"x", outcome)
            assert isinstance(await outcome.error(), StorageError)
            assert store.journal.waiting("a") == 0
            assert store.journal.size_bytes == 0
            assert store.journal.routes() == []

    run(scenario())


def test_a_row_in_hand_at_starts_that_died_is_counted(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        for starts in range(3):
            async with opened(tmp_path / "x.db") as store:
                if not starts:
                    await store.append("a", b"x")
                    await store.append("a", b"y")
                row, other = await store.load_all("a")
                assert (row.hands, other.hands) == (starts, 0)
                await submitted(partial(store.journal.mark_in_hand, row.row))

    run(scenario())


def test_a_clean_stop_clears_all_suspicion(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            row = await store.append("a", b"x")
            await submitted(partial(store.journal.mark_in_hand, row))
        async with opened(tmp_path / "x.db") as store:
            store.journal.clear_hands()
            assert [row.hands for row in await store.load_all("a")] == [0]

    run(scenario())


def test_recorded_deliveries_go_with_their_row(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            row = await store.append("a", b"x")
            store.journal.record_delivery(row, 0, "shop")
        async with opened(tmp_path / "x.db") as store:
            store.journal.settle(row)
            count = await store.database.read(
                lambda connection: connection.execute("SELECT count(*) FROM journal_deliveries").fetchone()
            )
            assert count == (0,)

    run(scenario())


@dataclass(slots=True)
class Known:
    """What a row must be loaded as."""

    message: bytes
    position: int = 0
    attempts: int = 0
    delivered: set[tuple[int, str]] = field(default_factory=set)


ROUTES = st.sampled_from(["a", "b", "c"])
STEPS = st.one_of(
    st.tuples(st.just("append"), ROUTES, st.binary(min_size=1, max_size=40)),
    st.tuples(st.just("progress"), st.integers(0), st.binary(min_size=1, max_size=40)),
    st.tuples(st.just("record"), st.integers(0), st.sampled_from(["shop", "crm"])),
    st.tuples(st.just("settle"), st.integers(0)),
    st.tuples(st.just("turn")),
    st.tuples(st.just("restart")),
)


@settings(max_examples=40)
@given(st.lists(STEPS, max_size=60))
def test_after_any_history_it_holds_what_is_not_settled(run: Run, steps: list[tuple[object, ...]]) -> None:
    """With waits and restarts anywhere in between, and the counts agree with the rows."""

    async def agree(store: Store, model: dict[int, tuple[str, Known]]) -> None:
        for route in "abc":
            expected = [(row, known) for row, (name, known) in sorted(model.items()) if name == route]
            found = await store.load_all(route)
            assert [
                (row.row, Known(row.message, row.position, row.attempts, set(row.delivered))) for row in found
            ] == expected
            assert store.journal.waiting(route) == len(expected)
        assert set(store.journal.routes()) == {route for route, _ in model.values()}
        sizes = [len(known.message) + ROW_OVERHEAD for _, known in model.values()]
        assert store.journal.size_bytes == sum(sizes)

    async def stretch(path: Path, model: dict[int, tuple[str, Known]], part: list[tuple[object, ...]]) -> None:
        """From one start to the next stop."""
        async with opened(path) as store:
            await agree(store, model)
            for step in part:
                match step:
                    case ("append", str(route), bytes(message)):
                        model[store.journal.append(route, message, Outcome())] = (route, Known(message))
                    case ("progress", int(pick), bytes(message)) if model:
                        row = sorted(model)[pick % len(model)]
                        known = model[row][1]
                        known.message, known.position, known.attempts = message, known.position + 1, pick % 7
                        store.journal.progress(row, message, known.position, known.attempts)
                    case ("record", int(pick), str(target)) if model:
                        row = sorted(model)[pick % len(model)]
                        model[row][1].delivered.add((pick % 3, target))
                        store.journal.record_delivery(row, pick % 3, target)
                    case ("settle", int(pick)) if model:
                        row = sorted(model)[pick % len(model)]
                        del model[row]
                        store.journal.settle(row)
                    case ("turn",):
                        await asyncio.sleep(0)
            await agree(store, model)

    async def scenario(path: Path) -> None:
        model: dict[int, tuple[str, Known]] = {}
        parts: list[list[tuple[object, ...]]] = [[]]
        for step in steps:
            if step == ("restart",):
                parts.append([])
            else:
                parts[-1].append(step)
        for part in parts:
            await stretch(path, model, part)

    with TemporaryDirectory() as directory:
        run(scenario(Path(directory) / "x.db"))
