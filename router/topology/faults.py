"""Where in the tree an error of pydantic is.

Pydantic's `loc` mixes keys and indices with the names of union members, of which there is one error each.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic_core import ErrorDetails

from router.topology.scalars import typed
from router.topology.source import Span
from router.topology.tree import ListNode, MapNode, Node, ScalarNode

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Fault:
    """One error at its place."""

    type: str
    """As pydantic names it."""
    message: str
    node: Node
    """What it is about; where something is missing, the mapping that should have it."""
    key: Span
    """The key that the node stands behind; an entry of a list itself."""
    path: Path = ()
    """Keys and indices from the validated part to the node."""
    context: dict[str, Any] = field(default_factory=dict)
    name: str = ""
    """The key that is missing or unknown."""
    at_key: bool = False
    """It is the key that is wrong, and not what stands behind it."""
    union: Path | None = None
    """The path of the union that `member` is a member of."""
    member: str = ""
    alternatives: tuple[str, ...] = ()
    """The messages of other members of the union, which would do as well."""


def locate(errors: Iterable[ErrorDetails], node: Node, key: Span) -> list[Fault]:
    """Each error at its place below `node`, which stands behind `key`; of a union's errors the most telling ones."""
    faults = _choose_members([_locate(error, node, key) for error in errors])
    # A list whose entries are all wrong is said to be too short besides.
    return [fault for fault in faults if fault.type != "too_short" or not _has_faults_below(fault, faults)]


def _has_faults_below(fault: Fault, faults: Iterable[Fault]) -> bool:
    depth = len(fault.path)
    return any(len(other.path) > depth and other.path[:depth] == fault.path for other in faults)


def _locate(error: ErrorDetails, node: Node, key: Span) -> Fault:
    location: Sequence[str | int] = error["loc"]
    kind, name = error["type"], ""
    if kind in ("missing", "extra_forbidden") and location:
        location, name = location[:-1], str(location[-1])
    path: list[str | int] = []
    union: Path | None = None
    member, at_key = "", False
    for part in location:
        if isinstance(node, MapNode) and part in node.entries:
            key, node = node.entries[str(part)]
        elif isinstance(node, ListNode) and isinstance(part, int) and part < len(node.items):
            node = node.items[part]
            key = node.span
        elif part == "[key]":
            at_key = True
            continue
        else:
            if union is None and isinstance(part, str) and not part.startswith("<"):
                union, member = tuple(path), part
            continue
        path.append(part)
    return Fault(kind, error["msg"], node, key, tuple(path), error.get("ctx", {}), name, at_key, union, member)


def _choose_members(faults: list[Fault]) -> list[Fault]:
    """Of each union's members keep the one that the file came closest to, or one that names all of them."""
    chosen = [fault for fault in faults if fault.union is None]
    for union in dict.fromkeys(fault.union for fault in faults if fault.union is not None):
        members: dict[str, list[Fault]] = {}
        for fault in faults:
            if fault.union == union:
                members.setdefault(fault.member, []).append(fault)
        deepest = max(len(fault.path) for group in members.values() for fault in group)
        closest = [group for group in members.values() if any(len(fault.path) == deepest for fault in group)]
        first = closest[0]
        if len(closest) > 1 and all(len(group) == 1 and group[0].node is first[0].node for group in closest):
            others = tuple(group[0].message for group in closest[1:])
            chosen.append(replace(first[0], alternatives=others))
        else:
            chosen.extend(first)
    return chosen


def retype(faults: Iterable[Fault], tried: dict[ScalarNode, Any]) -> bool:
    """Let what `${…}` stands for be a string where it reads as a number, or the other way round, if that is wanted.

    So a password of digits needs no quotes, and a port may have them, which it must within { }. Returns whether
    anything changed. `tried` holds what each scalar was at first: one that is wrong either way is that again.
    """
    changed = False
    for fault in faults:
        node = fault.node
        if not isinstance(node, ScalarNode) or node.text is None:
            continue
        before = node.value
        if node not in tried:
            tried[node] = before
            node.value = typed(node.text) if isinstance(before, str) else node.text
        else:
            node.value = tried[node]
        changed = changed or type(node.value) is not type(before)
    return changed
