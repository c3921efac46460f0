"""Finds the cycles of a directed graph: pure, and without recursion."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import TypeVar

E = TypeVar("E")

Edges = Mapping[str, Sequence[tuple[str, E]]]
"""From each node: where to, and by what."""
Step = tuple[str, E, str]
"""From, by, to."""


def cycles(edges: Edges[E]) -> list[list[Step[E]]]:
    """One shortest cycle of each knot (strongly connected component), beginning at its node that comes first."""
    found = []
    order = {node: number for number, node in enumerate(edges)}
    for component in _components(edges):
        known = [node for node in component if node in order]
        if known:
            cycle = _shortest(edges, min(known, key=order.__getitem__), set(component))
            if cycle:
                found.append(cycle)
    return found


def _shortest(edges: Edges[E], start: str, within: set[str]) -> list[Step[E]]:
    """The shortest way from a node back to itself; empty where there is none."""
    came: dict[str, Step[E]] = {}
    queue = deque([start])
    while queue:
        node = queue.popleft()
        for target, by in edges.get(node, ()):
            if target == start:
                way = [(node, by, target)]
                while way[0][0] != start:
                    way.insert(0, came[way[0][0]])
                return way
            if target in within and target not in came:
                came[target] = (node, by, target)
                queue.append(target)
    return []


def _components(edges: Edges[E]) -> list[list[str]]:
    """Tarjan's algorithm, with a stack of its own."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    open_: list[str] = []
    is_open: set[str] = set()
    components: list[list[str]] = []
    for root in edges:
        if root in index:
            continue
        work = [(root, 0)]
        while work:
            node, position = work.pop()
            if position == 0:
                index[node] = low[node] = len(index)
                open_.append(node)
                is_open.add(node)
            targets = edges.get(node, ())
            while position < len(targets):
                target = targets[position][0]
                position += 1
                if target not in index:
                    work.append((node, position))
                    work.append((target, 0))
                    break
                if target in is_open:
                    low[node] = min(low[node], low[target])
            else:
                if low[node] == index[node]:
                    component: list[str] = []
                    while not component or component[-1] != node:
                        component.append(open_.pop())
                    is_open.difference_update(component)
                    components.append(component)
                if work:
                    above = work[-1][0]
                    low[above] = min(low[above], low[node])
    return components
