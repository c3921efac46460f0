"""Where the nodes and edges of a graph go: from left to right, in layers (Sugiyama's method)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from router.topology.graph import Graph

LAYER_GAP: Final = 40.0
"""Between layers. Nodes are in every other one, and the labels of edges in those between."""
CELL_GAP: Final = 18.0
"""Between what is in one layer."""
ORDER_SWEEPS: Final = 8
LEVEL_SWEEPS: Final = 24

Point = tuple[float, float]
Size = tuple[float, float]
"""Width and height."""


@dataclass(frozen=True, slots=True)
class Way:
    """An edge's points from where it leaves to where it arrives; between two of them it bends smoothly."""

    points: tuple[Point, ...]
    label: Point | None
    """The middle of its label."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything is: y grows downwards."""

    size: Size
    nodes: Mapping[str, Point]
    """The middle of each node, by its id."""
    ways: tuple[Way, ...]
    """One for each edge, in the graph's order."""


@dataclass(slots=True, eq=False)
class _Cell:
    """What takes room in a layer: a node, or the place where an edge passes."""

    rank: int
    width: float = 0.0
    height: float = 0.0
    y: float = 0.0
    before: list[_Cell] = field(default_factory=list)
    after: list[_Cell] = field(default_factory=list)


def layout(graph: Graph, sizes: Mapping[str, Size], labels: Sequence[Size | None]) -> Layout:
    """Place a graph whose nodes have these sizes by their ids, and whose edges have labels of these."""
    turned = _turned(graph)
    ranks = _ranks(graph, turned)
    cells = {node.id: _Cell(ranks[node.id], *sizes[node.id]) for node in graph.nodes}
    chains = []
    for edge, is_turned, label in zip(graph.edges, turned, labels, strict=True):
        start, end = (edge.end, edge.start) if is_turned else (edge.start, edge.end)
        passing = [_Cell(rank) for rank in range(ranks[start] + 1, ranks[end])]
        if label is not None and passing:
            beside = passing[-1 if is_turned else 0]
            beside.width, beside.height = label
        chain = [cells[start], *passing, cells[end]]
        for left, right in pairwise(chain):
            left.after.append(right)
            right.before.append(left)
        chains.append(chain)
    layers = _layers([*cells.values(), *(cell for chain in chains for cell in chain[1:-1])])
    _order(layers)
    _level(layers)
    lefts, width = _columns(layers)
    top = min((cell.y - cell.height / 2 for layer in layers for cell in layer), default=0.0)
    bottom = max((cell.y + cell.height / 2 for layer in layers for cell in layer), default=0.0)
    for layer in layers:
        for cell in layer:
            cell.y -= top

    def middle(cell: _Cell) -> Point:
        left, room = lefts[cell.rank]
        return left + room / 2, cell.y

    def way(chain: Sequence[_Cell], is_turned: bool, label: Size | None) -> Way:
        first, *passing, last = chain
        points = [(middle(first)[0] + first.width / 2, first.y)]
        for cell in passing:
            left, room = lefts[cell.rank]
            points += [(left, cell.y), (left + room, cell.y)]
        points.append((middle(last)[0] - last.width / 2, last.y))
        beside = passing[-1 if is_turned else 0] if label is not None and passing else None
        return Way(tuple(points[::-1] if is_turned else points), None if beside is None else middle(beside))

    ways = tuple(map(way, chains, turned, labels))
    nodes = {name: middle(cell) for name, cell in cells.items()}
    return Layout((width, bottom - top), nodes, ways)


def _turned(graph: Graph) -> list[bool]:
    """Which edges have to be turned so that no way leads in a circle: those that lead back to where a walk is."""
    leaving: dict[str, list[int]] = defaultdict(list)
    for place, edge in enumerate(graph.edges):
        leaving[edge.start].append(place)
    arrived_at = {edge.end for edge in graph.edges}
    turned = [False] * len(graph.edges)
    state: dict[str, bool] = {}
    """True while the walk is on a way from it, false when that has ended."""
    for node in sorted(graph.nodes, key=lambda node: node.id in arrived_at):
        if node.id in state:
            continue
        state[node.id] = True
        walk = [(node.id, iter(leaving[node.id]))]
        while walk:
            name, rest = walk[-1]
            place = next(rest, -1)
            if place < 0:
                state[name] = False
                walk.pop()
                continue
            end = graph.edges[place].end
            if state.get(end):
                turned[place] = True
            elif end not in state:
                state[end] = True
                walk.append((end, iter(leaving[end])))
    return turned


def _ranks(graph: Graph, turned: Sequence[bool]) -> dict[str, int]:
    """The layer of each node: behind all that lead to it; those that nothing leads to are as far right as they can."""
    ends = [
        (edge.end, edge.start) if is_turned else (edge.start, edge.end)
        for edge, is_turned in zip(graph.edges, turned, strict=True)
    ]
    after: dict[str, list[str]] = defaultdict(list)
    missing = {node.id: 0 for node in graph.nodes}
    for start, end in ends:
        after[start].append(end)
        missing[end] += 1
    ranks = dict.fromkeys(missing, 0)
    first = [name for name, count in missing.items() if not count]
    ready = list(first)
    while ready:
        name = ready.pop()
        for end in after[name]:
            ranks[end] = max(ranks[end], ranks[name] + 2)
            missing[end] -= 1
            if not missing[end]:
                ready.append(end)
    for name in first:
        if after[name]:
            ranks[name] = min(ranks[end] for end in after[name]) - 2
    return ranks


def _layers(cells: Sequence[_Cell]) -> list[list[_Cell]]:
    layers: list[list[_Cell]] = [[] for _ in range(max((cell.rank for cell in cells), default=-1) + 1)]
    for cell in cells:
        layers[cell.rank].append(cell)
    return layers


def _order(layers: list[list[_Cell]]) -> None:
    """Put what is in each layer into an order in which few edges cross: by the mean place of its neighbours."""
    places: dict[_Cell, float] = {}
    for layer in layers:
        places |= {cell: float(place) for place, cell in enumerate(layer)}
    for sweep in range(ORDER_SWEEPS):
        is_forward = sweep % 2 == 0
        for layer in layers if is_forward else reversed(layers):
            means = {}
            for cell in layer:
                beside = cell.before if is_forward else cell.after
                means[cell] = sum(places[each] for each in beside) / len(beside) if beside else places[cell]
            layer.sort(key=means.__getitem__)
            places |= {cell: float(place) for place, cell in enumerate(layer)}


def _level(layers: list[list[_Cell]]) -> None:
    """Give each cell a height at which its edges are as level as they can be, without two that overlap."""
    for layer in layers:
        _spread(layer, [0.0] * len(layer))
    for sweep in range(LEVEL_SWEEPS):
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            wanted = []
            for cell in layer:
                beside = cell.before + cell.after
                wanted.append(sum(each.y for each in beside) / len(beside) if beside else cell.y)
            _spread(layer, wanted)


def _spread(layer: Sequence[_Cell], wanted: Sequence[float]) -> None:
    """Each as near to where it is wanted as the order and the gaps allow (isotonic regression: pooled neighbours)."""
    offsets, offset = [], 0.0
    for place, cell in enumerate(layer):
        if place:
            offset += (layer[place - 1].height + cell.height) / 2 + CELL_GAP
        offsets.append(offset)
    pools: list[tuple[float, int]] = []
    for want, offset in zip(wanted, offsets, strict=True):
        total, count = want - offset, 1
        while pools and pools[-1][0] / pools[-1][1] > total / count:
            more, others = pools.pop()
            total, count = total + more, count + others
        pools.append((total, count))
    levels = [total / count for total, count in pools for _ in range(count)]
    for cell, level, offset in zip(layer, levels, offsets, strict=True):
        cell.y = level + offset


def _columns(layers: Sequence[Sequence[_Cell]]) -> tuple[list[tuple[float, float]], float]:
    """The left edge and the width of each layer, and where the last one ends."""
    found, left = [], 0.0
    for layer in layers:
        width = max((cell.width for cell in layer), default=0.0)
        found.append((left, width))
        left += width + LAYER_GAP
    return found, max(left - LAYER_GAP, 0.0)
