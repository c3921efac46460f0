"""The stores together: they open or they do not, and keeping them small survives a disk that fails."""

import asyncio
from pathlib import Path

import pytest

from actors.core.clock import ManualClock, settle
from actors.core.errors import StorageError
from actors.core.events import Events, Notice
from router.store.audit import AuditEntry
from router.store.stores import Stores
from tests.loop import Run


def stores(folder: Path, clock: ManualClock, events: Events) -> Stores:
    return Stores(folder / "store.db", journal_bytes=1_000_000, clock=clock, events=events)


def test_where_one_of_them_cannot_be_read_nothing_stays_open(run: Run, tmp_path: Path) -> None:
    """So that another program may look into the file at once."""

    async def scenario() -> None:
        clock, events = ManualClock(), Events()
        first = stores(tmp_path, clock, events)
        await first.open()
        await first.database.transact(lambda connection: connection.execute("DROP TABLE dead_letters").fetchall())
        assert await first.close()
        second = stores(tmp_path, clock, events)
        with pytest.raises(StorageError, match="dead_letters"):
            await second.open()
        assert not second.database.working
        assert await second.close()

    run(scenario())


def test_a_sweep_that_fails_is_told_and_tried_again(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        clock, events = ManualClock(), Events()
        notices: list[str] = []
        events.subscribe(Notice, lambda notice: notices.append(notice.text))
        kept = stores(tmp_path, clock, events)
        sweeping = asyncio.create_task(kept.keep_within_limits(max_age_s=60.0, max_bytes=10**9, every_s=60.0))
        await settle()
        assert len(notices) == 1
        assert "could not be swept" in notices[0]
        await clock.advance(60.0)
        assert len(notices) == 2
        sweeping.cancel()
        await asyncio.wait([sweeping], timeout=5)

    run(scenario())


async def pending(kept: Stores) -> int:
    return await kept.revisions.record_pending(
        action="swap",
        who="ana",
        at=0.0,
        name="shop",
        text="router: 1",
        fingerprint="",
        path=None,
        from_file=False,
        base=None,
    )


def test_the_history_is_kept_within_its_count(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        clock, events = ManualClock(), Events()
        kept = stores(tmp_path, clock, events)
        await kept.open()
        for _ in range(5):
            await kept.revisions.confirm(await pending(kept))
            await kept.audit.record(AuditEntry(0.0, "ana", "admin", "socket", "swap", "orders", "done"))
        sweeping = asyncio.create_task(
            kept.keep_within_limits(max_age_s=60.0, max_bytes=10**9, every_s=60.0, history=3)
        )
        for _ in range(100):
            # The sweeps stand before this in the writer's queue, sooner or later.
            if len(await kept.audit.page()) == 3:
                break
        assert len(await kept.audit.page()) == 3
        assert [line.number for line in await kept.revisions.page()] == [5, 4, 3]
        sweeping.cancel()
        await asyncio.wait([sweeping], timeout=5)
        assert await kept.close()

    run(scenario())


def test_a_change_that_a_crash_cut_off_is_told_at_the_next_start(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        clock, events = ManualClock(), Events()
        notices: list[str] = []
        events.subscribe(Notice, lambda notice: notices.append(notice.text))
        for told in (0, 1, 1):
            kept = stores(tmp_path, clock, events)
            await kept.open()
            assert len(notices) == told
            if not told:
                await pending(kept)
            assert await kept.close()
        assert notices == ["revision 1 (swap by ana) is not done: the router ended before it was confirmed"]

    run(scenario())
