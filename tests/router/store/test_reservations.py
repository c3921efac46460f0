"""Reservations of keys, over restarts."""

from pathlib import Path

from actors.core.step import Reserved
from tests.loop import Run
from tests.router.store.stores import opened


def test_a_step_finds_its_reservations_after_a_restart(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            first = store.reservations.reserve("orders", "step 0", "k1", "m1", 100.0)
            second = store.reservations.reserve("orders", "step 0", "k2", "m2", 200.0)
            store.reservations.reserve("orders", "step 1", "k1", "m1", 100.0)
            store.reservations.reserve("alarms", "step 0", "k1", "m1", 100.0)
            gone = store.reservations.reserve("orders", "step 0", "k3", "m3", 300.0)
            store.reservations.settle(first)
            store.reservations.release(gone)
        async with opened(tmp_path / "x.db") as store:
            assert store.reservations.load("orders", "step 0") == [
                Reserved(first, "k1", "m1", True, 100.0),
                Reserved(second, "k2", "m2", False, 200.0),
            ]
            assert len(store.reservations.load("orders", "step 1")) == 1
            assert store.reservations.load("orders", "step 2") == []

    run(scenario())


def test_what_expired_while_the_router_was_down_is_gone(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            store.reservations.reserve("orders", "step 0", "k1", "m1", 100.0)
            store.reservations.reserve("orders", "step 0", "k2", "m2", 200.0)
        async with opened(tmp_path / "x.db", now=150.0) as store:
            assert [kept.key for kept in store.reservations.load("orders", "step 0")] == ["k2"]

    run(scenario())


def test_numbers_of_a_restart_do_not_meet_older_ones(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        for key in ("k1", "k2", "k3"):
            async with opened(tmp_path / "x.db") as store:
                store.reservations.reserve("orders", "step 0", key, "m", 100.0)
        async with opened(tmp_path / "x.db") as store:
            assert [kept.key for kept in store.reservations.load("orders", "step 0")] == ["k1", "k2", "k3"]

    run(scenario())


def test_a_message_that_left_the_journal_has_its_reservation_on_disk(run: Run, tmp_path: Path) -> None:
    """Both are lazy, and are committed together however long they wait."""

    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            row = await store.append("orders", b"x")
            commits = store.database.commits
            number = store.reservations.reserve("orders", "step 0", "k1", "m1", 100.0)
            store.reservations.settle(number)
            store.journal.settle(row)
            assert await store.load_all("orders") == []
            assert store.database.commits == commits + 1
        async with opened(tmp_path / "x.db") as store:
            assert store.reservations.load("orders", "step 0") == [Reserved(number, "k1", "m1", True, 100.0)]
            assert store.reservations.load("orders", "step 0") == []

    run(scenario())
