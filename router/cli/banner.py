"""What `router start` prints once it runs: what listens where, what is ready, and what to try."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from router.cli.example import Example
from router.cli.terminal import Style, printable, styled

_BELOW: Final = " " * len("  not ready  ")


@dataclass(frozen=True, slots=True)
class NotReady:
    """An actor or a route that does not take messages yet, or not any more."""

    name: str
    kind: str
    state: str
    why: str

    def as_dict(self) -> dict[str, str]:
        return {"name": self.name, "kind": self.kind, "state": self.state, "why": self.why}


@dataclass(frozen=True, slots=True)
class Banner:
    """A router that has just started."""

    name: str
    pid: int
    listening: list[tuple[str, str]]
    """What, and its address."""
    actors: list[str]
    """Those that are ready."""
    routes: list[str]
    queues: list[tuple[str, str]] = field(default_factory=list)
    """Whose, and where and how well each is kept."""
    node: str = ""
    """What this process is called among those of one topology."""
    remark: str = ""
    """Which revision goes on, or why the file was taken."""
    watching: str = ""
    """The file that is applied whenever it changes."""
    waiting: list[NotReady] = field(default_factory=list)
    disabled: list[str] = field(default_factory=list)
    examples: list[Example] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For machines: one object, on one line."""
        return {
            "status": "running",
            "name": self.name,
            "pid": self.pid,
            "node": self.node or None,
            "remark": self.remark,
            "watching": self.watching,
            "listening": [{"what": what, "address": address} for what, address in self.listening],
            "queues": [{"actors": actors, "kept": kept} for actors, kept in self.queues],
            "ready": {"actors": self.actors, "routes": self.routes},
            "waiting": [one.as_dict() for one in self.waiting],
            "disabled": self.disabled,
            "try": [example.line for example in self.examples],
        }

    def lines(self) -> Iterable[str]:
        """For people."""
        node = f", node {self.node}" if self.node else ""
        yield f"{_styled(self.name, 'bold')} is running, process {self.pid}{node}"
        if self.remark:
            yield from textwrap.wrap(
                printable(self.remark), max(20, _columns()), break_long_words=False, break_on_hyphens=False
            )
        yield ""
        facts = list(self.listening)
        facts += [("actors", _listed(self.actors))] if self.actors else []
        facts += [("routes", _listed(self.routes))] if self.routes else []
        facts += [("queue", f"{actors}: {kept}") for actors, kept in self.queues]
        facts += [("disabled", _listed(self.disabled))] if self.disabled else []
        facts += [("watching", self.watching)] if self.watching else []
        width = max(len(name) for name, _ in facts) if facts else 0
        for name, value in facts:
            yield from _fact(name, value, width)
        for one in self.waiting:
            yield f"  {_styled('not ready', 'yellow')}  {one.kind} {one.name} is {one.state}"
            if one.why:
                yield from textwrap.wrap(
                    printable(one.why), _columns(), initial_indent=_BELOW, subsequent_indent=_BELOW
                )
        if self.examples:
            yield ""
            yield "Try:"
            for example in self.examples:
                yield from (f"  {line}" for line in example.lines(_columns() - 2))
                if example.note:
                    yield _styled(f"  # {example.note}", "dim")
        yield ""
        yield _styled("Ctrl-C drains and stops.", "dim")


def _fact(name: str, value: str, width: int) -> Iterable[str]:
    room = max(20, _columns() - width - 4)
    # Addresses and paths are kept whole, so that they can be copied.
    parts = textwrap.wrap(value, room, break_long_words=False, break_on_hyphens=False) or [""]
    yield f"  {_styled(name.ljust(width), 'dim')}  {parts[0]}"
    for part in parts[1:]:
        yield f"  {' ' * width}  {part}"


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:12])
    return f"{shown} and {len(names) - 12:,} more" if len(names) > 12 else shown


def _columns() -> int:
    """Where there is no terminal lines are not broken: programs read them."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 100_000


def _styled(text: str, style: Style) -> str:
    return styled(text, style, sys.stdout)
