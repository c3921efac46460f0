"""Cycles of a graph are found, one of each knot, without recursion."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from router.topology.cycles import cycles

Graph = dict[str, list[tuple[str, int]]]
GRAPHS = st.dictionaries(
    st.sampled_from("abcdefgh"), st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers()), max_size=4)
)


def test_a_graph_without_a_cycle_has_none() -> None:
    assert cycles({"a": [("b", 1), ("c", 2)], "b": [("c", 3)]}) == []


def test_a_node_that_leads_to_itself_is_a_cycle() -> None:
    assert cycles({"a": [("a", 1)]}) == [[("a", 1, "a")]]


def test_of_each_knot_one_shortest_cycle_is_told_from_its_first_node() -> None:
    graph: Graph = {"a": [("b", 1)], "b": [("c", 2), ("a", 3)], "c": [("a", 4)], "x": [("y", 5)], "y": [("x", 6)]}
    assert cycles(graph) == [[("a", 1, "b"), ("b", 3, "a")], [("x", 5, "y"), ("y", 6, "x")]]


def test_a_cycle_of_thousands_is_found() -> None:
    size = 20_000
    (cycle,) = cycles({str(number): [(str((number + 1) % size), number)] for number in range(size)})
    assert len(cycle) == size


def reaches(graph: Graph, start: str, goal: str) -> bool:
    seen: set[str] = set()
    waiting = [target for target, _ in graph.get(start, [])]
    while waiting:
        node = waiting.pop()
        if node == goal:
            return True
        if node not in seen:
            seen.add(node)
            waiting.extend(target for target, _ in graph.get(node, []))
    return False


@given(GRAPHS)
def test_what_is_told_are_cycles_and_every_knot_is_told(graph: Graph) -> None:
    found = cycles(graph)
    for cycle in found:
        assert all((target, by) in graph[source] for source, by, target in cycle)
        assert all(cycle[number - 1][2] == step[0] for number, step in enumerate(cycle))
    on_a_cycle = {node for node in graph if reaches(graph, node, node)}
    knots = {
        frozenset(n for n in on_a_cycle if n == m or (reaches(graph, n, m) and reaches(graph, m, n)))
        for m in on_a_cycle
    }
    assert len(found) == len(knots)
    assert all(any(source in knot for knot in knots) for cycle in found for source, _, _ in cycle)
