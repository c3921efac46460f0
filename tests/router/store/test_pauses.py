"""Pauses: remembered over a restart, and known without asking the disk."""

from pathlib import Path

import pytest

from actors.core.errors import StorageError
from router.store.pauses import Pause
from tests.loop import Run
from tests.router.store.stores import opened


def test_a_pause_survives_a_restart_with_who_when_and_why(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            set_ = await store.pauses.set("orders", "route", "uid 1000 (ana)", "the CRM moves", 2_000.0)
            assert set_ == Pause("orders", "route", "uid 1000 (ana)", "the CRM moves", 2_000.0, "paused")
            await store.pauses.set("crm", "actor", "deploy", "", 1_000.0, state="drained")
        async with opened(tmp_path / "x.db") as store:
            assert list(store.pauses.all().items()) == [
                ("crm", Pause("crm", "actor", "deploy", "", 1_000.0, "drained")),
                ("orders", set_),
            ]

    run(scenario())


def test_a_later_pause_takes_the_place_of_an_earlier_one(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            known = store.pauses.all()
            await store.pauses.set("crm", "actor", "ana", "", 1_000.0)
            later = await store.pauses.set("crm", "actor", "bo", "longer", 2_000.0, state="drained")
            assert known == {"crm": later}
        async with opened(tmp_path / "x.db") as store:
            assert store.pauses.all() == {"crm": later}

    run(scenario())


def test_what_is_cleared_stays_cleared(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            pause = await store.pauses.set("crm", "actor", "ana", "", 1_000.0)
            assert await store.pauses.clear("crm") == pause
            assert await store.pauses.clear("crm") is None
            assert store.pauses.all() == {}
        async with opened(tmp_path / "x.db") as store:
            assert store.pauses.all() == {}

    run(scenario())


def test_what_cannot_be_written_is_not_remembered(run: Run, tmp_path: Path) -> None:
    """An operator is told so, rather than that a restart undoes the pause."""

    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            kept = await store.pauses.set("crm", "actor", "ana", "", 1_000.0)
            await store.database.close()
            with pytest.raises(StorageError):
                await store.pauses.set("orders", "route", "ana", "", 1_000.0)
            with pytest.raises(StorageError):
                await store.pauses.clear("crm")
            assert store.pauses.all() == {"crm": kept}

    run(scenario())
