"""What `router doctor` finds: how a connection or an actor would get on, before it runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel

from actors.core.clock import Clock

Level = Literal["ok", "warning", "problem"]


class Finding(NamedTuple):
    """One thing that was looked at; neither text holds a secret."""

    level: Level
    text: str
    """What is so."""
    advice: str = ""
    """What to do about it."""


@dataclass(frozen=True, slots=True)
class ExamineContext:
    """What an examination is told."""

    name: str
    """The connection's or the actor's."""
    clock: Clock
    state_dir: Path
    directory: Path
    """The topology's folder, which relative paths begin at."""
    connections: Mapping[str, BaseModel]
    """The options of all connections, by their names."""
    running: int | None = None
    """The process of the router that has the state directory: what this topology listens at is its own, then."""


Examine = Callable[[Any, ExamineContext], Awaitable[Sequence[Finding]]]
"""Looks whether what these options (the first argument) lead to is there and takes them, and changes nothing there.

It has no deadline of its own to keep: it is cancelled when it takes too long. What it raises is told as a defect.
"""
