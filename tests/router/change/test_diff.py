"""The difference between two topologies, and its inverse."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from router.change.diff import Change, Diff, diff
from router.topology.model import Topology
from tests.router.topology.checking import topology_of

NAMES = ("a", "b", "c", "d")
ALL = topology_of(
    "actors:\n"
    + "".join(f"  {name}: {{type: post, url: 'http://{name}'}}\n" for name in NAMES)
    + "".join(f"  door-{name}: {{type: door, path: /{name}}}\n" for name in NAMES)
    + "routes:\n"
    + "".join(f"  to-{name}: {{from: door-{name}, to: {name}}}\n" for name in NAMES)
)
CHANGED_ACTORS = {name: actor.model_copy(update={"enabled": False}) for name, actor in ALL.actors.items()}
CHANGED_ROUTES = {name: route.model_copy(update={"concurrency": 7}) for name, route in ALL.routes.items()}


@st.composite
def topologies(draw: st.DrawFn) -> Topology:
    """Some of all actors and routes, some of them changed, in any order."""

    def some(whole: Mapping[str, Any], changed: Mapping[str, Any]) -> dict[str, Any]:
        names = draw(st.lists(st.sampled_from(sorted(whole)), unique=True))
        return {name: (changed if draw(st.booleans()) else whole)[name] for name in names}

    return replace(ALL, actors=some(ALL.actors, CHANGED_ACTORS), routes=some(ALL.routes, CHANGED_ROUTES))


MAYBE = st.none() | topologies()


def by_name(change: Diff) -> tuple[dict[str, Change[Any]], ...]:
    parts: tuple[tuple[Change[Any], ...], ...] = (change.actors, change.routes, change.groups)
    return tuple({one.name: one for one in part} for part in parts)


@given(before=MAYBE, after=MAYBE)
def test_the_inverse_is_the_difference_the_other_way_round(before: Topology | None, after: Topology | None) -> None:
    there = diff(before, after)
    assert by_name(there.inverse) == by_name(diff(after, before))
    assert there.inverse.inverse == there


@given(topology=MAYBE)
def test_nothing_lies_between_a_topology_and_itself(topology: Topology | None) -> None:
    assert diff(topology, topology).is_empty


@given(before=topologies(), after=topologies())
def test_carrying_out_the_changes_gives_the_newer_topology(before: Topology, after: Topology) -> None:
    actors = dict(before.actors)
    for change in diff(before, after).actors:
        assert actors.get(change.name) == change.before
        assert change.before != change.after
        if change.after is None:
            del actors[change.name]
        else:
            actors[change.name] = change.after
    assert actors == after.actors


@given(after=topologies())
def test_from_nothing_all_is_added_in_the_order_of_the_file(after: Topology) -> None:
    change = diff(None, after)
    assert [one.name for one in change.actors] == list(after.actors)
    assert {one.kind for one in change.actors} | {one.kind for one in change.routes} <= {"added"}
    assert {one.kind for one in change.inverse.actors} <= {"removed"}
