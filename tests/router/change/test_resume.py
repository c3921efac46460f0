"""What `start FILE` runs: decided on what a real store remembers of the changes before it."""

from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.change.resume import Choice, choose, expanded_anew, refusal
from router.store.revisions import Action, Revision, Revisions
from tests.loop import Run
from tests.router.store.stores import opened

A, B = Path("/etc/a.yaml"), Path("/etc/b.yaml")


@dataclass(slots=True)
class Router:
    """Files, and a router that is started, changed and killed as an operator would; each step is as in production."""

    revisions: Revisions
    files: dict[Path, str] = field(default_factory=lambda: {A: "a1", B: "b1"})
    said: str = ""

    async def start(self, path: Path, *, file_wins: bool = False) -> str:
        """The text that runs."""
        await self.revisions.open()
        choice = await self.choice(path, file_wins=file_wins)
        self.said = choice.sentence
        if choice.revision is not None:
            await self.revisions.note_start(path)
            return choice.revision.text
        await self._change("start", self.files[path], path, from_file=True)
        return self.files[path]

    async def choice(self, path: Path, *, file_wins: bool = False) -> Choice[Revision]:
        last, applied = await self.revisions.last_confirmed(), await self.revisions.applied_file(path)
        return choose(path, self.files[path], last, applied, file_wins=file_wins)

    async def apply(self, path: Path) -> None:
        await self._change("apply", self.files[path], path, from_file=True)

    async def swap(self, text: str, *, write: bool = False) -> None:
        base = await self._running()
        assert base.path is not None
        path = Path(base.path)
        number = await self._change("swap", text, path, from_file=False)
        if write:
            self.files[path] = text
            await self.revisions.note_written(number, path, text)

    async def rollback(self, number: int) -> None:
        back = await self.revisions.get(number)
        assert back is not None
        assert back.path is not None
        await self._change("rollback", back.text, Path(back.path), from_file=False)

    async def die_in(self, text: str, path: Path, *, from_file: bool) -> None:
        """Killed between the switch and its confirmation."""
        await self._pending("apply" if from_file else "swap", text, path, from_file=from_file)

    async def _running(self) -> Revision:
        last = await self.revisions.last_confirmed()
        assert last is not None
        return last

    async def _change(self, action: Action, text: str, path: Path, *, from_file: bool) -> int:
        number = await self._pending(action, text, path, from_file=from_file)
        await self.revisions.confirm(number)
        return number

    async def _pending(self, action: Action, text: str, path: Path, *, from_file: bool) -> int:
        last = await self.revisions.last_confirmed()
        return await self.revisions.record_pending(
            action=action,
            who="ana",
            at=0.0,
            name="shop",
            text=text,
            fingerprint="f",
            path=path,
            from_file=from_file,
            base=last.number if last else None,
        )


async def told(router: Router, path: Path) -> tuple[str, str]:
    """What a restart runs and why."""
    reason = (await router.choice(path)).reason
    return await router.start(path), reason


def test_the_first_start_takes_the_file_and_has_nothing_to_say(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            router = Router(store.revisions)
            assert await told(router, A) == ("a1", "first")
            assert router.said == ""

    run(scenario())


def test_a_start_that_changed_nothing_goes_on(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            router = Router(store.revisions)
            await router.start(A)
            assert await told(router, A) == ("a1", "unchanged")
            assert router.said == "revision 1 (start by ana) goes on: /etc/a.yaml has not changed since"
            assert len(await store.revisions.page()) == 1

    run(scenario())


def test_a_swap_that_was_not_written_survives_a_restart(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            router = Router(store.revisions)
            await router.start(A)
            await router.swap("a1 swapped")
            for _ in range(3):
                assert await told(router, A) == ("a1 swapped", "unchanged")
            assert router.said == (
                "revision 2 (swap by ana) goes on: /etc/a.yaml has not changed since it was applied as revision 1. "
                "--file-wins takes the file"
            )

    run(scenario())


def test_a_file_that_was_edited_after_a_swap_is_taken(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            router = Router(store.revisions)
            await router.start(A)
            await router.swap("a1 swapped")
            router.files[A] = "a2"
            assert await told(router, A) == ("a2", "edited")
            assert router.said == (
                "/etc/a.yaml is taken: it has changed since it was applied as revision 1; "
                "revision 2 (swap by ana) is left"
            )
            assert await told(router, A) == ("a2", "unchanged")

    run(scenario())


def test_an_edit_that_was_taken_back_is_no_edit(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            router = Router(store.revisions)
            await router.start(A)
            await router.swap("a1 swapped")
            router.files[A] = "a2"
            router.files[A] = "a1"
            assert await told(router, A) == ("a1 swapped", "unchanged")

    run(scenario())


def test_a_swap_that_was_written_is_the_file(run: Run, tmp_path: Path) -> None:
    """And a crash before it was noted comes to the same."""

    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            router = Router(store.revisions)
            await router.start(A)
            await router.swap("a2", write=True)
            assert await told(router, A) == ("a2", "unchanged")
            await router.swap("a3")
            router.files[A] = "a3"
            assert await told(router, A) == ("a3", "edited")

    run(scenario())


def test_a_rollback_survives_a_restart(run: Run, tmp_path: Path) -> None:
    """Also one to what the file held once: the file has not changed since it was applied for the last time."""

    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            router = Router(store.revisions)
            await router.start(A)
            router.files[A] = "a2"
            await router.apply(A)
            await router.rollback(1)
            assert await told(router, A) == ("a1", "unchanged")
            router.files[A] = "a1"
            assert await told(router, A) == ("a1", "edited")

    run(scenario())


def test_file_wins_always_takes_the_file(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            router = Router(store.revisions)
            await router.start(A)
            await router.swap("a1 swapped")
            assert await router.start(A, file_wins=True) == "a1"
            assert router.said == ("/etc/a.yaml is taken, as --file-wins says; revision 2 (swap by ana) is left")
            assert await told(router, A) == ("a1", "unchanged")

    run(scenario())


def test_another_file_that_was_applied_survives_a_restart(run: Run, tmp_path: Path) -> None:
    """A service manager starts the file it always starts, and must not undo an `apply` by that."""

    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            router = Router(store.revisions)
            await router.start(A)
            await router.apply(B)
            assert await told(router, A) == ("b1", "unchanged")
            await router.swap("b1 swapped")
            assert await told(router, A) == ("b1 swapped", "unchanged")

    run(scenario())


def test_the_file_that_was_applied_may_be_the_one_started(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            router = Router(store.revisions)
            await router.start(A)
            await router.apply(B)
            await router.swap("b1 swapped")
            assert await told(router, B) == ("b1 swapped", "unchanged")
            assert await told(router, A) == ("a1", "other_file")

    run(scenario())


def test_two_files_that_share_a_folder_are_each_started_as_they_are(run: Run, tmp_path: Path) -> None:
    """They share `.router` too, and who starts one does not mean the other."""

    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            router = Router(store.revisions)
            await router.start(A)
            assert await told(router, B) == ("b1", "new_file")
            assert router.said == "/etc/b.yaml is taken: it was never applied here; revision 1 (start by ana) is left"
            for _ in range(2):
                assert await told(router, A) == ("a1", "other_file")
                assert await told(router, A) == ("a1", "unchanged")
                assert await told(router, B) == ("b1", "other_file")
            assert "the start before was given another file" in router.said

    run(scenario())


def test_a_change_that_a_kill_cut_off_is_not_done(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            router = Router(store.revisions)
            await router.start(A)
            await router.swap("a1 swapped")
            await router.die_in("worse", A, from_file=False)
            assert await told(router, A) == ("a1 swapped", "unchanged")
            await router.die_in("b1", B, from_file=True)
            assert await told(router, A) == ("a1 swapped", "unchanged")

    run(scenario())


def test_an_edited_file_whose_apply_was_cut_off_is_still_edited(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            router = Router(store.revisions)
            await router.start(A)
            router.files[A] = "a2"
            await router.die_in("a2", A, from_file=True)
            assert await told(router, A) == ("a2", "edited")

    run(scenario())


def test_a_first_start_that_was_cut_off_is_the_first_again(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db") as store:
            router = Router(store.revisions)
            await router.die_in("a1", A, from_file=True)
            assert await told(router, A) == ("a1", "first")

    run(scenario())


@dataclass(slots=True)
class Model:
    """The same rules told by time: when each file was edited, applied and started."""

    runs: str = ""
    held: dict[Path, str] = field(default_factory=dict)
    """What each file held when it was applied."""
    last_start: Path | None = None
    last_applied: Path | None = None

    def expects(self, path: Path, content: str, file_wins: bool) -> str:
        meant = path in (self.last_start, self.last_applied)
        resumes = not file_wins and self.runs and self.held.get(path) == content and meant
        return self.runs if resumes else content

    def take(self, path: Path, content: str) -> None:
        self.held[path], self.last_applied, self.runs = content, path, content


FILES = st.sampled_from([A, B])
STEPS = st.one_of(
    st.tuples(st.just("start"), FILES, st.booleans()),
    st.tuples(st.just("edit"), FILES, st.integers(0, 2)),
    st.tuples(st.just("apply"), FILES),
    st.tuples(st.just("swap"), st.booleans()),
    st.tuples(st.just("rollback"), st.integers(0)),
    st.tuples(st.just("die"), FILES, st.booleans()),
)


@settings(max_examples=60)
@given(steps=st.lists(STEPS, max_size=25))
def test_after_any_history_a_start_runs_what_the_rules_say(run: Run, steps: list[tuple[object, ...]]) -> None:
    """No change to a running router is lost by a restart, and no edit of a file either."""

    async def scenario(path: Path) -> None:
        async with opened(path) as store:
            router, model = Router(store.revisions), Model()
            await router.start(A)
            model.take(A, "a1")
            model.last_start = A
            for edits, step in enumerate(steps):
                match step:
                    case ("start", Path() as file, bool(file_wins)):
                        content = router.files[file]
                        expected = model.expects(file, content, file_wins)
                        choice = await router.choice(file, file_wins=file_wins)
                        assert await router.start(file, file_wins=file_wins) == expected
                        if choice.revision is None:
                            model.take(file, content)
                        model.last_start = file
                    case ("edit", Path() as file, int(pick)):
                        router.files[file] = f"{file.stem}{pick}"
                    case ("apply", Path() as file):
                        await router.apply(file)
                        model.take(file, router.files[file])
                    case ("swap", bool(write)):
                        running = await store.revisions.last_confirmed()
                        assert running is not None
                        assert running.path is not None
                        text = f"swapped {edits}"
                        await router.swap(text, write=write)
                        if write:
                            model.take(Path(running.path), text)
                        model.runs = text
                    case ("rollback", int(pick)):
                        confirmed = [line for line in await store.revisions.page() if line.status == "confirmed"]
                        back = await store.revisions.get(confirmed[pick % len(confirmed)].number)
                        assert back is not None
                        await router.rollback(back.number)
                        model.runs = back.text
                    case ("die", Path() as file, bool(from_file)):
                        await router.die_in(router.files[file], file, from_file=from_file)
                        await store.revisions.open()
                running = await store.revisions.last_confirmed()
                assert running is not None
                assert running.text == model.runs

    with TemporaryDirectory() as directory:
        run(scenario(Path(directory) / "x.db"))


LINE = Revision(
    number=7,
    at=0.0,
    name="shop",
    path=str(A),
    digest=None,
    fingerprint="f",
    action="swap",
    who="uid 1000 (ana)",
    base=6,
    status="confirmed",
    why=None,
    text="",
    report=None,
)


@pytest.mark.parametrize(("problems", "count"), [(1, "a problem"), (3, "3 problems")])
def test_a_revision_that_has_problems_today_is_refused_with_the_way_out(problems: int, count: str) -> None:
    assert refusal(LINE, A, problems) == (
        f"revision 7 (swap by uid 1000 (ana)) cannot be resumed: its text has {count} today. "
        "Mend what it names, or start with --file-wins to run /etc/a.yaml"
    )


def test_an_expansion_that_has_changed_is_told() -> None:
    assert expanded_anew(LINE, "f") is None
    said = expanded_anew(LINE, "g")
    assert said == "what ${…} stands for has changed since revision 7: its text is filled in anew"
