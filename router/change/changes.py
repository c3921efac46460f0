"""Changes of a running router, one at a time: each is a revision, tried, recorded, carried out and reported."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from actors.core.errors import ControlError
from actors.core.events import ChangeEnded, ChangeFailed, RevisionSwitched
from router.change import topology_file
from router.change.assembly import Assembly
from router.change.changed import Changed
from router.change.diff import Diff, diff, differing
from router.change.impact import Impact, impact_now
from router.change.preparation import NotReadyError
from router.change.record import Record
from router.change.resume import choose, expanded_anew, refusal
from router.change.swap import Swap
from router.store.applied_files import content_digest
from router.store.revisions import Action, Revision
from router.store.state_dir import StateDir
from router.topology.edit import parse_targets, redirect
from router.topology.model import Topology
from router.topology.problems import Problem, TopologyError

Load = Callable[[str, Path], tuple[Topology | None, list[Problem]]]
"""Checks a text as if it were the content of a file, and says all its problems."""

ROUTER: Final = "router"
"""Who does what nobody asked for."""

UNREPORTED: Final = "the router stops: there is no report, since what was replaced has not ended yet"

CLOSE_S: Final = 5.0
"""How long a change may take to be undone when the router stops."""


class ChangeInProgressError(ControlError):
    """Another change is being carried out; nothing was done."""

    def __init__(self, holder: str) -> None:
        super().__init__(f"another change is under way: {holder}")
        self.holder = holder


class Changes:
    """Who changes a router: plan, apply, swap and rollback, and what a start goes on with."""

    def __init__(self, assembly: Assembly, state_dir: StateDir, load: Load, *, only: Sequence[str] = ()) -> None:
        """`only` is what of each topology this process runs, by which `load` has restricted it; empty: all."""
        self.revision: int | None = None
        """The one that runs."""
        self.holder = ""
        """What is being changed, and by whom; empty where nothing is."""
        self._task: asyncio.Task[Any] | None = None
        """That changes it."""
        self._closed = False
        self._assembly = assembly
        self._record = Record(assembly, state_dir)
        self._load = load
        self._only = tuple(only)

    # Start

    async def resume(self, *, file_wins: bool) -> str:
        """Decide what a start runs: the file, or the revision that was confirmed last.

        Returns the sentence that tells it, and has the assembly aim at that. Raises `ControlError` with what
        to do where the revision's text has problems today.
        """
        file, revisions = self._assembly.wanted, self._assembly.stores.revisions
        if file.path is None:
            return ""
        last = await revisions.last_confirmed()
        applied = await revisions.applied_file(file.path)
        choice = choose(file.path, file.text, last, applied, file_wins=file_wins)
        if choice.revision is None:
            return choice.sentence
        topology, problems = self._load(choice.revision.text, self._path(choice.revision))
        if topology is None:
            errors = [problem for problem in problems if problem.severity == "error"]
            raise TopologyRefusedError(refusal(choice.revision, file.path, len(errors)), problems)
        self._assembly.aim_at(topology)
        self.revision = choice.revision.number
        await revisions.note_start(file.path)
        anew = expanded_anew(choice.revision, self._record.fingerprint(topology))
        return f"{choice.sentence}; {anew}" if anew else choice.sentence

    async def started(self) -> None:
        """The assembly runs what it was started with: where that is no revision yet, it becomes one."""
        topology = self._assembly.running
        assert topology is not None, "it was started"
        if self.revision is None and topology.path is not None:
            number = await self._record.pending("start", ROUTER, topology, from_file=True, base=None)
            await self._assembly.stores.revisions.confirm(number)
            self.revision = number

    # Changes

    def read(self, text: str, path: Path) -> tuple[Topology, tuple[Problem, ...]]:
        """The topology of a text, and its warnings; raises `TopologyError` with every problem.

        This takes a while where the text is long, and may be called in a thread.
        """
        topology, problems = self._load(text, path)
        if topology is None:
            raise TopologyError(problems)
        return topology, tuple(problems)

    def check(self, text: str, path: Path) -> Topology:
        """The topology of a text; raises `TopologyError` with every problem."""
        return self.read(text, path)[0]

    async def has_applied(self, text: str, path: Path) -> bool:
        """Whether that is what was last applied from a file, or written into it: nobody has edited it since."""
        applied = await self._assembly.stores.revisions.applied_file(path)
        return applied is not None and applied.digest == content_digest(text)

    async def plan(self, topology: Topology) -> Impact:
        """What `apply` would do, with what waits now."""
        return await impact_now(self._diff(topology), self._assembly)

    def redirected(self, route: str, targets: Sequence[str]) -> tuple[Topology, str]:
        """What runs, with one route led elsewhere, and what else had to be changed for that.

        Raises `ControlError` where it cannot be written.
        """
        running = self._running
        if route in running.left_out:
            raise ControlError(f"route {route} does not run in this process, which runs only {', '.join(self._only)}")
        text, remark = redirect(running.text, route, parse_targets(targets))
        return self.check(text, running.path or Path("topology.yaml")), remark

    async def apply(
        self,
        topology: Topology,
        *,
        who: str,
        action: Action = "apply",
        from_file: bool = True,
        expected: int | None = None,
        wait_connected: bool = False,
    ) -> Changed:
        """Change what runs to `topology`: make-before-break, and all or nothing.

        `expected` is the revision that the change was made from, where it must be none other.

        Raises `ChangeInProgressError`, `NotReadyError` where a new actor does not get ready, what a step
        raises that cannot be built, and `StorageError`; nothing is changed then.
        """
        async with self._alone(action, who):
            if expected is not None and expected != self.revision:
                raise ControlError(f"revision {self.revision} runs, and not {expected} any more: look at it first")
            return await self._change(topology, who, action, from_file=from_file, wait_connected=wait_connected)

    async def swap(
        self, route: str, targets: Sequence[str], *, who: str, write: bool = False, wait_connected: bool = False
    ) -> Changed:
        """Lead one route elsewhere; with `write` in the file too, where that is what was applied."""
        async with self._alone("swap", who):
            topology, remark = await asyncio.to_thread(self.redirected, route, targets)
            written = await self._rewritten(route, targets) if write else None
            changed = await self._change(topology, who, "swap", from_file=False, wait_connected=wait_connected)
            if remark:
                changed = replace(changed, remarks=(*changed.remarks, remark))
            if written is None:
                return changed
            path, text = written
            await asyncio.to_thread(topology_file.replace, path, text)
            if changed.revision is not None and text == topology.text:
                await self._assembly.stores.revisions.note_written(changed.revision, path, text)
            return replace(changed, remarks=(*changed.remarks, f"{path} is written"))

    async def rollback(self, number: int | None, *, who: str) -> Changed:
        """Go back to revision `number`, or to the one confirmed before the one that runs; it is expanded anew."""
        async with self._alone("rollback", who):
            revision = await self.earlier(number)
            topology = await asyncio.to_thread(self.check, revision.text, self._path(revision))
            changed = await self._change(topology, who, "rollback", from_file=False, base=revision.number)
            anew = expanded_anew(revision, self._record.fingerprint(topology))
            remarks = (f"this is revision {revision.number} again", *((anew,) if anew else ()))
            return replace(changed, remarks=(*changed.remarks, *remarks))

    async def close(self) -> None:
        """Let nothing be changed any more. What is being changed is undone up to its switch, and left as it is
        behind that: what it would wait for, the end of the router waits for too."""
        self._closed = True
        if (task := self._task) is not None:
            task.cancel()
            await asyncio.wait([task], timeout=CLOSE_S)

    # How

    @property
    def _running(self) -> Topology:
        running = self._assembly.running
        if running is None:
            raise ControlError("the router is starting")
        return running

    def _diff(self, topology: Topology) -> Diff:
        found = diff(self._running, topology)
        # Those of a revision that runs may wait for the next start, too.
        return replace(found, settings=differing(self._assembly.settings, topology.settings))

    def must_be_free(self) -> None:
        """Raises `ChangeInProgressError` while something is being changed, and `ControlError` at the router's end."""
        if self._closed:
            raise ControlError("the router is stopping")
        if self.holder:
            raise ChangeInProgressError(self.holder)

    @asynccontextmanager
    async def _alone(self, action: str, who: str) -> AsyncIterator[None]:
        self.must_be_free()
        self.holder, self._task = f"{action} by {who}", asyncio.current_task()
        try:
            yield
        except Exception as error:
            self._assembly.events.emit(ChangeFailed(action, str(error).partition("\n")[0]))
            raise
        finally:
            self.holder, self._task = "", None

    async def _change(
        self,
        topology: Topology,
        who: str,
        action: Action,
        *,
        from_file: bool,
        base: int | None = None,
        wait_connected: bool = False,
    ) -> Changed:
        assembly = self._assembly
        found = self._diff(topology)
        planned = await impact_now(found, assembly)
        remarks = tuple(f"{name} takes effect at the next start" for name in map(_setting, found.settings))
        remarks = (*remarks, *planned.left_behind)
        if self._only:
            part = ", ".join(self._only)
            remarks = (*remarks, f"this process runs only {part}: others of the topology are told by themselves")
        if found.is_empty and topology.text == self._running.text:
            return Changed(None, planned, None, remarks)
        swap = Swap(assembly, topology)
        await swap.prepare(wait_connected=wait_connected)
        try:
            number = await self._record.pending(action, who, topology, from_file=from_file, base=base or self.revision)
        except BaseException:
            await swap.undo()
            raise
        try:
            swap.switch()
        except NotReadyError as error:
            await swap.undo()
            await assembly.stores.revisions.fail(number, str(error))
            raise
        self.revision = number
        assembly.events.emit(RevisionSwitched(action, number))
        try:
            # It runs: that is written down though the router stops now.
            remarks = (*remarks, *await asyncio.shield(self._record.confirm(number)))
            report = await swap.retire(float(assembly.settings.drain_timeout))
        except asyncio.CancelledError:
            if not self._closed:
                raise
            return Changed(number, planned, None, (*remarks, UNREPORTED))
        await self._record.keep(number, report)
        assembly.events.emit(
            ChangeEnded(
                action,
                number,
                report.seconds,
                report.moved,
                tuple((gap.actor, gap.seconds) for gap in report.gaps),
            )
        )
        return Changed(number, planned, report, remarks)

    async def earlier(self, number: int | None) -> Revision:
        """What `rollback` goes back to; raises `ControlError` where there is no such revision."""
        revisions = self._assembly.stores.revisions
        if number is not None:
            found = await revisions.get(number)
            if found is None or found.status != "confirmed":
                raise ControlError(f"there is no revision {number} that ran: `router history` lists them")
            return found
        found = await revisions.confirmed_before(self.revision) if self.revision is not None else None
        if found is None:
            raise ControlError("there is no revision before the one that runs")
        return found

    async def _rewritten(self, route: str, targets: Sequence[str]) -> tuple[Path, str]:
        """The file with the same edit; raises `ControlError` where it is not what was applied from it."""
        path = self._running.path
        if path is None:
            raise ControlError("what runs came from no file: leave --write out")
        text = await asyncio.to_thread(topology_file.content, path)
        if text != self._running.text:
            raise ControlError(f"{path} is not what runs: apply or roll back first, or leave --write out")
        return path, redirect(text, route, parse_targets(targets)).text

    @staticmethod
    def _path(revision: Revision) -> Path:
        return Path(revision.path or "topology.yaml")


class TopologyRefusedError(TopologyError):
    """The text of a revision has problems today; the message says what to do about it."""

    def __init__(self, text: str, problems: Sequence[Problem]) -> None:
        super().__init__(problems)
        self.text = text


def _setting(name: str) -> str:
    return f"settings.{name}"
