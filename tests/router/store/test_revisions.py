"""Revisions: pending before a change, confirmed or failed after it, and what is left after a crash."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.core.errors import StorageError
from router.store.applied_files import content_digest, file_name
from router.store.revisions import INTERRUPTED, Action, Revision, Revisions
from tests.loop import Run
from tests.router.store.stores import Store, opened

FILE = Path("/etc/router/topology.yaml")
OTHER = Path("/etc/router/other.yaml")


async def pending(
    revisions: Revisions,
    text: str = "router: 1\n",
    *,
    action: Action = "apply",
    path: Path | None = FILE,
    from_file: bool = True,
    base: int | None = None,
) -> int:
    return await revisions.record_pending(
        action=action,
        who="uid 1000 (ana)",
        at=1_000.0,
        name="shop",
        text=text,
        fingerprint="f" * 64,
        path=path,
        from_file=from_file,
        base=base,
    )


async def confirmed(
    revisions: Revisions,
    text: str = "router: 1\n",
    *,
    action: Action = "apply",
    path: Path | None = FILE,
    from_file: bool = True,
) -> int:
    number = await pending(revisions, text, action=action, path=path, from_file=from_file)
    await revisions.confirm(number)
    return number


def test_a_confirmed_revision_is_found_as_it_was(run: Run, tmp_path: Path) -> None:
    """Over a restart too, and to the letter: comments, line ends and all."""
    text = "router: 1\r\nname: shop  # Küche ☕\n"

    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            assert await store.revisions.last_confirmed() is None
            number = await pending(store.revisions, text, base=None)
            assert await store.revisions.last_confirmed() is None
            await store.revisions.confirm(number, {"routes": [{"route": "r", "difference": 0}]})
        async with opened(tmp_path / "x.db") as store:
            expected = Revision(
                number=number,
                at=1_000.0,
                name="shop",
                path=str(FILE),
                digest=content_digest(text),
                fingerprint="f" * 64,
                action="apply",
                who="uid 1000 (ana)",
                base=None,
                status="confirmed",
                why=None,
                text=text,
                report={"routes": [{"route": "r", "difference": 0}]},
            )
            assert await store.revisions.get(number) == await store.revisions.last_confirmed() == expected
            assert await store.revisions.get(number + 1) is None

    run(scenario())


def test_a_failed_one_leaves_the_one_before_it_the_last_confirmed(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            first = await confirmed(store.revisions)
            second = await pending(store.revisions, "router: 2\n", base=first)
            await store.revisions.fail(second, "actor 'crm' did not get ready")
            last = await store.revisions.last_confirmed()
            assert last is not None
            assert last.number == first
            failed = await store.revisions.get(second)
            assert failed is not None
            assert (failed.status, failed.why, failed.base) == ("failed", "actor 'crm' did not get ready", first)

    run(scenario())


def test_one_that_its_process_died_in_is_failed_at_the_next_start(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            first = await confirmed(store.revisions)
            second = await pending(store.revisions, "router: 2\n", path=OTHER, base=first)
        for interrupted in ([second], []):
            async with opened(tmp_path / "x.db") as store:
                assert [line.number for line in store.revisions.interrupted] == interrupted
                last = await store.revisions.last_confirmed()
                assert last is not None
                assert last.number == first
                left = await store.revisions.get(second)
                assert left is not None
                assert (left.status, left.why) == ("failed", INTERRUPTED)
                assert await store.revisions.applied_file(OTHER) is None

    run(scenario())


def test_only_a_pending_one_is_confirmed_or_fails(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            number = await confirmed(store.revisions)
            with pytest.raises(ValueError, match=f"revision {number} is not pending"):
                await store.revisions.fail(number, "late")
            with pytest.raises(ValueError, match=f"revision {number} is not pending"):
                await store.revisions.confirm(number)
            with pytest.raises(ValueError, match="revision 99 is not pending"):
                await store.revisions.confirm(99)

    run(scenario())


def test_what_ran_before_is_the_confirmed_one_before(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            first = await confirmed(store.revisions, "one")
            await store.revisions.fail(await pending(store.revisions, "two"), "no")
            third = await confirmed(store.revisions, "three")
            before = await store.revisions.confirmed_before(third)
            assert before is not None
            assert (before.number, before.text) == (first, "one")
            assert await store.revisions.confirmed_before(first) is None

    run(scenario())


def test_a_report_may_follow_the_confirmation(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            number = await confirmed(store.revisions)
            await store.revisions.note_report(number, {"difference": 0})
            found = await store.revisions.get(number)
            assert found is not None
            assert (found.report, found.status) == ({"difference": 0}, "confirmed")

    run(scenario())


def test_what_cannot_be_written_is_not_pending(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            await store.database.close()
            with pytest.raises(StorageError):
                await pending(store.revisions)

    run(scenario())


def test_pages_show_the_newest_first(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            numbers = [await confirmed(store.revisions) for _ in range(7)]
            seen: list[int] = []
            before = None
            while page := await store.revisions.page(limit=3, before=before):
                seen += [line.number for line in page]
                before = page[-1].number
            assert seen == numbers[::-1]

    run(scenario())


def test_a_start_and_an_apply_of_a_file_remember_what_it_held(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            revisions = store.revisions
            assert await revisions.applied_file(FILE) is None
            first = await confirmed(revisions, "one", action="start")
            await confirmed(revisions, "two", action="swap", from_file=False)
            found = await revisions.applied_file(FILE)
            assert found is not None
            assert (found.path, found.digest, found.revision) == (str(FILE), content_digest("one"), first)
            assert (found.started, found.latest) == (True, True)

            third = await confirmed(revisions, "three", path=OTHER)
            found, other = await revisions.applied_file(FILE), await revisions.applied_file(OTHER)
            assert found is not None
            assert other is not None
            assert (found.started, found.latest) == (True, False)
            assert (other.started, other.latest, other.revision) == (False, True, third)

            await revisions.note_start(OTHER)
            found, other = await revisions.applied_file(FILE), await revisions.applied_file(OTHER)
            assert found is not None
            assert other is not None
            assert (found.started, other.started) == (False, True)

    run(scenario())


def test_a_revision_that_was_written_into_its_file_counts_as_applied_from_it(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            await confirmed(store.revisions, "one", action="start")
            second = await confirmed(store.revisions, "two", action="swap", from_file=False)
            await store.revisions.note_written(second, FILE, "two")
            found = await store.revisions.applied_file(FILE)
            assert found is not None
            assert (found.digest, found.revision, found.started) == (content_digest("two"), second, True)
            lines = await store.revisions.page(limit=1)
            assert [(line.number, line.digest) for line in lines] == [(second, content_digest("two"))]

    run(scenario())


def test_a_file_is_remembered_by_its_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Links are kept: what they lead to may change with each version."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    monkeypatch.chdir(tmp_path)
    assert file_name(Path("link/../a.yaml")) == str(tmp_path / "a.yaml")
    assert file_name(Path("link/a.yaml")) == str(tmp_path / "link/a.yaml")
    assert file_name(Path("/x/\udcff.yaml")) == "/x/\\xff.yaml"


def test_the_oldest_go_first_and_the_last_confirmed_never(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            numbers = [await confirmed(store.revisions) for _ in range(6)]
            assert await store.revisions.sweep(keep=6) == 0
            for _ in range(4):
                number = await pending(store.revisions)
                await store.revisions.fail(number, "no")
            numbers.append(await pending(store.revisions))
            assert await store.revisions.sweep(keep=2) == 8
            left = [line.number for line in await store.revisions.page()]
            assert left == [numbers[-1], numbers[-1] - 1, numbers[5]]
            last = await store.revisions.last_confirmed()
            assert last is not None
            assert last.number == numbers[5]
        async with opened(tmp_path / "x.db") as store:
            assert await pending(store.revisions) == numbers[-1] + 1

    run(scenario())


def test_files_of_revisions_that_are_gone_are_forgotten_but_not_the_one_a_start_asks_for(
    run: Run, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            revisions = store.revisions
            await confirmed(revisions, "one", action="start")
            await confirmed(revisions, "two", path=OTHER)
            await confirmed(revisions, "three", path=Path("/latest.yaml"))
            for _ in range(3):
                await confirmed(revisions, "four", action="swap", from_file=False)
            assert await revisions.sweep(keep=1) == 5
            assert await revisions.applied_file(FILE) is not None
            assert await revisions.applied_file(OTHER) is None
            assert await revisions.applied_file(Path("/latest.yaml")) is not None

    run(scenario())


STEPS = st.lists(st.sampled_from(["confirm", "fail", "die", "restart", "sweep"]), max_size=14)


@settings(max_examples=40)
@given(steps=STEPS)
def test_after_any_history_there_is_one_revision_to_resume(run: Run, steps: list[str]) -> None:
    """The one that was confirmed last, however many failed or were cut off behind it, and nothing is pending."""

    async def stretch(path: Path, model: list[int], part: list[str]) -> None:
        async with opened(path) as store:
            await agree(store, model)
            for step in part:
                if step == "sweep":
                    await store.revisions.sweep(keep=2)
                    continue
                number = await pending(store.revisions, f"text {len(model)}", base=model[-1] if model else None)
                if step == "confirm":
                    await store.revisions.confirm(number)
                    model.append(number)
                elif step == "fail":
                    await store.revisions.fail(number, "no")

    async def agree(store: Store, model: list[int]) -> None:
        last = await store.revisions.last_confirmed()
        assert (last.number if last else None) == (model[-1] if model else None)
        assert {line.status for line in await store.revisions.page()} <= {"confirmed", "failed"}
        if last:
            assert last.text == f"text {len(model) - 1}"

    async def scenario(path: Path) -> None:
        model: list[int] = []
        parts: list[list[str]] = [[]]
        for step in steps:
            if step != "restart":
                parts[-1].append(step)
            if step in ("die", "restart"):
                parts.append([])
        for part in parts:
            await stretch(path, model, part)

    with TemporaryDirectory() as directory:
        run(scenario(Path(directory) / "x.db"))
