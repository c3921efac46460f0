"""The difference between two topologies: a pure function with an inverse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from router.topology.model import ActorDefinition, GroupDefinition, RouteDefinition, Topology

T = TypeVar("T")
Kind = Literal["added", "removed", "changed"]


@dataclass(frozen=True, slots=True)
class Change(Generic[T]):
    """One thing that is not the same in both; None where it does not exist."""

    name: str
    before: T | None
    after: T | None

    @property
    def kind(self) -> Kind:
        if self.before is None:
            return "added"
        return "removed" if self.after is None else "changed"

    @property
    def inverse(self) -> Change[T]:
        return Change(self.name, self.after, self.before)


@dataclass(frozen=True, slots=True)
class Diff:
    """All that differs, each kind in the order of the newer file, with what was removed behind."""

    actors: tuple[Change[ActorDefinition], ...] = ()
    routes: tuple[Change[RouteDefinition], ...] = ()
    groups: tuple[Change[GroupDefinition], ...] = ()

    @property
    def is_empty(self) -> bool:
        return not (self.actors or self.routes or self.groups)

    @property
    def inverse(self) -> Diff:
        """The difference that leads back."""
        return Diff(
            tuple(change.inverse for change in self.actors),
            tuple(change.inverse for change in self.routes),
            tuple(change.inverse for change in self.groups),
        )


def diff(before: Topology | None, after: Topology | None) -> Diff:
    """What to change to get from `before` to `after`; None is a router that runs nothing.

    Settings and connections are not compared: those take effect at a start.
    """
    return Diff(
        _changes(before.actors if before else {}, after.actors if after else {}),
        _changes(before.routes if before else {}, after.routes if after else {}),
        _changes(before.groups if before else {}, after.groups if after else {}),
    )


def _changes(before: Mapping[str, T], after: Mapping[str, T]) -> tuple[Change[T], ...]:
    new = [Change(name, before.get(name), value) for name, value in after.items() if before.get(name) != value]
    gone: list[Change[T]] = [Change(name, value, None) for name, value in before.items() if name not in after]
    return (*new, *gone)
