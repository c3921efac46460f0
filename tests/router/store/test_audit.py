"""The audit log: entries are found as they were, newest first, and the oldest go."""

from dataclasses import replace
from pathlib import Path

from router.store.audit import Audit, AuditEntry, AuditFilter
from tests.loop import Run
from tests.router.store.stores import opened

ENTRY = AuditEntry(
    at=1_000.0,
    who="uid 1000 (ana)",
    role="admin",
    origin="socket",
    action="swap",
    object="orders",
    outcome="done",
    detail={"to": {"crm": 90, "shop": 10}},
    revision=7,
)


def test_an_entry_is_found_as_it_was(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            number = await store.audit.record(ENTRY)
        async with opened(tmp_path / "x.db") as store:
            assert await store.audit.page() == [replace(ENTRY, number=number)]

    run(scenario())


def test_a_filter_narrows_by_who_action_object_outcome_and_time(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            audit = store.audit
            await audit.record(replace(ENTRY, at=10.0))
            await audit.record(replace(ENTRY, at=20.0, who="deploy", origin="10.0.0.7:5150", role="operator"))
            await audit.record(replace(ENTRY, at=30.0, action="pause", outcome="refused", why="needs operator"))
            await audit.record(replace(ENTRY, at=40.0, action="pause", object="crm"))

            async def times(matching: AuditFilter) -> list[float]:
                return [entry.at for entry in await audit.page(matching)]

            assert await times(AuditFilter()) == [40.0, 30.0, 20.0, 10.0]
            assert await times(AuditFilter(who="deploy")) == [20.0]
            assert await times(AuditFilter(action="pause")) == [40.0, 30.0]
            assert await times(AuditFilter(action="pause", object="crm")) == [40.0]
            assert await times(AuditFilter(outcome="refused")) == [30.0]
            assert await times(AuditFilter(since=20.0, until=40.0)) == [30.0, 20.0]

    run(scenario())


async def recorded(audit: Audit, count: int) -> list[int]:
    return [await audit.record(ENTRY) for _ in range(count)]


def test_pages_go_back_to_the_first(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            numbers = await recorded(store.audit, 7)
            seen: list[int] = []
            before = None
            while page := await store.audit.page(limit=3, before=before):
                seen += [entry.number for entry in page]
                before = page[-1].number
            assert seen == numbers[::-1]

    run(scenario())


def test_the_oldest_go_and_their_numbers_do_not_come_back(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            numbers = await recorded(store.audit, 5)
            assert await store.audit.sweep(keep=5) == 0
            assert await store.audit.sweep(keep=2) == 3
            assert [entry.number for entry in await store.audit.page()] == numbers[:2:-1]
            assert await store.audit.sweep(keep=0) == 2
        async with opened(tmp_path / "x.db") as store:
            assert await store.audit.record(ENTRY) == numbers[-1] + 1

    run(scenario())


def test_what_is_too_long_is_cut(run: Run, tmp_path: Path) -> None:
    """So that no request fills the disk by what it asks for."""

    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            long = "x" * 1_000_000
            await store.audit.record(replace(ENTRY, object=long, why=long, detail={"ids": [long] * 100}))
            (found,) = await store.audit.page()
            assert len(found.object) == len(found.why or "") == 2_000
            assert len(str(found.detail)) < 10_000

    run(scenario())


def test_passwords_in_urls_and_text_that_is_not_unicode_do_not_get_in(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            refused = replace(ENTRY, object="\ud800", outcome="failed", why="https://ana:hunter2@crm/x: refused")
            await store.audit.record(refused)
            (found,) = await store.audit.page()
            assert (found.object, found.why) == ("\\ud800", "https://***@crm/x: refused")

    run(scenario())


def test_a_detail_that_is_no_json_is_kept_as_text(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            await store.audit.record(replace(ENTRY, detail={"file": Path("/x")}))
            assert [entry.detail for entry in await store.audit.page()] == [{"file": "/x"}]

    run(scenario())
