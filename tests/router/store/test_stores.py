"""The stores together: they open or they do not, and keeping them small survives a disk that fails."""

import asyncio
from pathlib import Path

import pytest

from actors.core.clock import ManualClock, settle
from actors.core.errors import StorageError
from actors.core.events import Events, Notice
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
