"""The record of changes: a revision each, pending before its switch and confirmed behind it, and then its report."""

from __future__ import annotations

from actors.core.errors import StorageError
from actors.core.events import Notice
from router.change.assembly import Assembly
from router.change.conservation import Conservation
from router.store.revisions import Action
from router.store.state_dir import StateDir
from router.topology.fingerprint import fingerprint
from router.topology.model import Topology


class Record:
    """Writes down in the state directory what becomes of a change."""

    def __init__(self, assembly: Assembly, state_dir: StateDir) -> None:
        self._assembly = assembly
        self._state_dir = state_dir

    async def pending(self, action: Action, who: str, topology: Topology, *, from_file: bool, base: int | None) -> int:
        """Before a switch: returns the number of the revision; raises `StorageError` where it cannot be kept."""
        return await self._assembly.stores.revisions.record_pending(
            action=action,
            who=who,
            at=self._assembly.clock.time(),
            name=topology.name,
            text=topology.text,
            fingerprint=self.fingerprint(topology),
            path=topology.path,
            from_file=from_file,
            base=base,
        )

    async def confirm(self, number: int) -> tuple[str, ...]:
        """Returns what to say where that cannot be written down: it runs all the same."""
        try:
            await self._assembly.stores.revisions.confirm(number)
        except StorageError as error:
            text = f"revision {number} runs, and that could not be written down: {error}"
            self._assembly.events.emit(Notice(text, "error"))
            return (text,)
        return ()

    async def keep(self, number: int, report: Conservation) -> None:
        """Keep the report of a change, and say where it does not come out."""
        assembly = self._assembly
        if report.difference:
            assembly.events.emit(Notice(f"revision {number}: messages do not add up: {report.as_dict()}", "error"))
        try:
            await assembly.stores.revisions.note_report(number, report.as_dict())
        except StorageError as error:
            assembly.events.emit(Notice(f"the report of revision {number} could not be kept: {error}", "warning"))

    def fingerprint(self, topology: Topology) -> str:
        """The hash of what a topology expanded to, by the key of this state directory."""
        return fingerprint(topology, self._state_dir.key())
