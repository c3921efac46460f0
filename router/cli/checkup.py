"""Looks at all that a topology leads to, side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from actors.core.clock import LoopClock
from actors.core.examination import Examine, ExamineContext, Finding, Level
from actors.kit.secrets import redact_url
from router.cli import checkup_machine, checkup_state_dir
from router.cli.checkup_listeners import examine_address, examine_control, examine_http, uses_http
from router.topology.fields import connections_of
from router.topology.model import Topology

DEADLINE_S: Final = 30.0
"""For one examination: its own waits are shorter."""
AT_A_TIME: Final = 64

NOTHING: Final = Finding("ok", "there is nothing to reach")
NOT_OPENED: Final = Finding("ok", "not opened: no actor that is enabled uses it")
DISABLED: Final = Finding("ok", "disabled")


@dataclass(frozen=True, slots=True)
class Checked:
    """One part of a router, and what was found of it."""

    kind: str
    """`machine`, `files`, `state directory`, `listener`, `connection` or `actor`."""
    name: str
    type: str
    findings: tuple[Finding, ...]

    @property
    def subject(self) -> str:
        return f"{self.kind} {self.name}".rstrip()

    def as_dicts(self) -> Iterator[dict[str, str]]:
        """For machines: one for each finding."""
        for level, text, advice in self.findings:
            subject = {"kind": self.kind, "name": self.name, "type": self.type}
            yield {**subject, "level": level, "text": text, "advice": advice}


def count(checked: Sequence[Checked], level: Level) -> int:
    """How many findings are of this level."""
    return sum(finding.level == level for each in checked for finding in each.findings)


async def check_up(topology: Topology, state_dir: Path) -> list[Checked]:
    """Everything that the topology leads to, in the order of the file; must run on a loop."""
    clock = LoopClock()
    holder = await asyncio.to_thread(checkup_state_dir.holder, state_dir)
    running = None if holder is None else holder.pid
    options = {name: each.options for name, each in topology.connections.items()}

    def context(name: str) -> ExamineContext:
        return ExamineContext(name, clock, state_dir.resolve(), topology.directory, options, running)

    settings, here = topology.settings, context("")
    asked: list[tuple[str, str, str, Awaitable[Sequence[Finding]]]] = [
        ("files", "", "", asyncio.to_thread(lambda: list(checkup_machine.examine_files(topology)))),
        ("machine", "", "", asyncio.to_thread(lambda: list(checkup_machine.examine_machine(clock.time())))),
        ("state directory", "", "", asyncio.to_thread(checkup_state_dir.examine, state_dir)),
    ]
    if uses_http(topology):
        asked.append(("listener", "http", "", examine_http(topology, here)))
    if settings.observe is not None:
        host, port = settings.observe.listen
        asked.append(("listener", "observe", "", _one(examine_address(host, port, here, setting="settings.observe"))))
    if settings.control.listen != "unix":
        asked.append(("listener", "control", "", examine_control(topology, here)))
    used = _used(topology)
    for name, connection in topology.connections.items():
        found = connection.spec.examine
        asking = _told(NOT_OPENED) if name not in used else _asked(found, connection.options, context(name))
        asked.append(("connection", name, connection.type, asking))
    for name, actor in topology.actors.items():
        asking = _asked(actor.spec.examine, actor.options, context(name)) if actor.enabled else _told(DISABLED)
        asked.append(("actor", name, actor.type, asking))
    room = asyncio.Semaphore(AT_A_TIME)
    findings = await asyncio.gather(*(_examined(asking, room) for *_, asking in asked))
    return [
        Checked(kind, name, type, tuple(_shown(finding) for finding in found))
        for (kind, name, type, _), found in zip(asked, findings, strict=True)
    ]


def _used(topology: Topology) -> frozenset[str]:
    actors = (actor for actor in topology.actors.values() if actor.enabled)
    return frozenset(name for actor in actors for _, name, _ in connections_of(actor.options))


def _asked(examine: Examine | None, options: Any, context: ExamineContext) -> Awaitable[Sequence[Finding]]:
    return _told(NOTHING) if examine is None else examine(options, context)


async def _told(finding: Finding) -> Sequence[Finding]:
    return [finding]


async def _one(asking: Awaitable[Finding]) -> Sequence[Finding]:
    return [await asking]


async def _examined(asking: Awaitable[Sequence[Finding]], room: asyncio.Semaphore) -> Sequence[Finding]:
    """What it found; an examination that does not come to an end, or fails itself, is a finding too."""
    async with room:
        try:
            async with asyncio.timeout(DEADLINE_S):
                return await asking
        except TimeoutError:
            return [Finding("problem", f"looking at it took more than {DEADLINE_S:g} s", "is its other end stuck?")]
        except Exception as error:
            return [Finding("problem", f"it could not be looked at: {type(error).__name__}: {error}", "report this")]


def _shown(finding: Finding) -> Finding:
    """Texts hold what libraries and servers say: no user part of a URL leaves here all the same."""
    return Finding(finding.level, redact_url(finding.text), redact_url(finding.advice))
