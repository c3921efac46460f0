"""The difference between two topologies: its inverse, and the order in which what only one can hold goes over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from actors.connections.mqtt import MqttConnection
from actors.endpoints.http import Http
from actors.endpoints.mqtt import Mqtt
from actors.endpoints.webhook import Webhook
from actors.endpoints.websocket import Websocket
from router.catalog import Catalog
from router.change.diff import ActorChange, Diff, diff
from router.topology.check import check
from router.topology.model import ActorDefinition, Topology
from router.topology.problems import render

CATALOG = Catalog(endpoints=[Webhook, Websocket, Http, Mqtt], connections=[MqttConnection])
NAMES = ("a", "b", "c", "d")


def topology_of(text: str) -> Topology:
    topology, problems = check("router: 1\nname: t\n" + text, path=Path("t.yaml"), catalog=CATALOG, environ={})
    assert topology is not None, "\n".join(map(render, problems))
    return topology


ALL = topology_of(
    "connections:\n"
    "  broker: {type: mqtt, url: 'mqtt://127.0.0.1:1', client_id: one}\n"
    "  other: {type: mqtt, url: 'mqtt://127.0.0.1:2'}\n"
    "actors:\n"
    + "".join(f"  door-{name}: {{type: webhook, path: /{name}}}\n" for name in NAMES)
    + "".join(f"  out-{name}: {{type: http, url: 'http://h/{name}'}}\n" for name in NAMES[:2])
    + "  pub: {type: mqtt, connection: broker, publish: t/x}\n"
    "  sub: {type: mqtt, connection: other, subscribe: t/y}\n"
    "routes:\n"
    + "".join(f"  to-{name}: {{from: door-{name}, to: out-{name}}}\n" for name in NAMES[:2])
    + "  third: {from: sub, to: pub}\n"
    "groups:\n"
    "  g: {strategy: one_for_all, actors: [out-a, out-b]}\n"
)
OTHER = topology_of(
    "connections:\n"
    "  broker: {type: mqtt, url: 'mqtt://127.0.0.1:3', client_id: one}\n"
    "  other: {type: mqtt, url: 'mqtt://127.0.0.1:4'}\n"
    "actors:\n"
    "  a: {type: http, url: 'http://h'}\n"
    "  d: {type: webhook, path: /z}\n"
    "routes: {to: {from: d, to: a}}\n"
    "groups: {g: {strategy: one_for_one, actors: [a]}}\n"
)
PATHS = [ALL.actors[f"door-{name}"].options for name in NAMES]
SOCKET = topology_of(
    "actors: {s: {type: websocket, path: /a}, h: {type: http, url: 'http://h'}}\nroutes: {r: {from: s, to: h}}"
)


def _others(name: str, actor: ActorDefinition) -> st.SearchStrategy[ActorDefinition]:
    """Some of what an actor may be instead."""
    small = actor.model_copy(update={"mailbox": actor.mailbox.model_copy(update={"capacity": 7})})
    found = [actor, small, actor.model_copy(update={"enabled": False})]
    if name.startswith("door"):
        found += [actor.model_copy(update={"options": options}) for options in PATHS]
        found.append(SOCKET.actors["s"].model_copy(update={"name": name}))
    return st.sampled_from(found)


@st.composite
def topologies(draw: st.DrawFn) -> Topology:
    """Some of all actors, routes, groups and connections, some of them changed, in any order; no claim twice."""

    def some(whole: Mapping[str, Any], changed: Mapping[str, Any]) -> dict[str, Any]:
        names = draw(st.lists(st.sampled_from(sorted(whole)), unique=True))
        return {name: changed[name] if draw(st.booleans()) else whole[name] for name in names}

    actors: dict[str, ActorDefinition] = {}
    taken: set[str] = set()
    for name in draw(st.lists(st.sampled_from(sorted(ALL.actors)), unique=True)):
        actor = draw(_others(name, ALL.actors[name]))
        claims = claims_of(actor)
        if taken.isdisjoint(claims):
            taken |= claims
            actors[name] = actor
    routes = {name: route.model_copy(update={"concurrency": 7}) for name, route in ALL.routes.items()}
    connections = {
        name: OTHER.connections[name] if draw(st.booleans()) else one for name, one in ALL.connections.items()
    }
    groups = some(ALL.groups, OTHER.groups)
    return replace(ALL, actors=actors, routes=some(ALL.routes, routes), groups=groups, connections=connections)


def claims_of(actor: ActorDefinition | None) -> frozenset[str]:
    return actor.spec.claims(actor.options) if actor is not None and actor.enabled else frozenset()


def carried_out(change: Diff, before: Topology) -> tuple[dict[str, Any], dict[str, Any]]:
    """The actors and routes that a change leads to, from those before it."""
    results = []
    for moves, whole in ((change.actors, before.actors), (change.routes, before.routes)):
        result: dict[str, Any] = dict(whole)
        for move in moves:
            assert result.get(move.name) == move.before
            if move.after is None:
                del result[move.name]
            else:
                result[move.name] = move.after
        results.append(result)
    return results[0], results[1]


MAYBE = st.none() | topologies()


@given(before=topologies(), after=topologies())
def test_the_inverse_is_the_difference_the_other_way_round(before: Topology, after: Topology) -> None:
    there = diff(before, after)
    assert there.inverse == diff(after, before)
    assert there.inverse.inverse == there
    stays = {move.name for move in there.actors if move.fate == "kept"}
    assert stays == {move.name for move in there.inverse.actors if move.fate == "kept"}
    back = there.inverse
    comes = [move.name for move in there.actors if move.before is None]
    comes += [move.name for move in there.routes if move.before is None]
    goes = [move.name for move in back.actors if move.after is None]
    goes += [move.name for move in back.routes if move.after is None]
    assert sorted(comes) == sorted(goes)


@given(before=topologies(), after=topologies())
def test_a_change_and_its_inverse_lead_back(before: Topology, after: Topology) -> None:
    there = diff(before, after)
    assert carried_out(there, before) == (dict(after.actors), dict(after.routes))
    assert carried_out(there.inverse, after) == (dict(before.actors), dict(before.routes))


@given(topology=topologies())
def test_nothing_lies_between_a_topology_and_itself(topology: Topology) -> None:
    same = diff(topology, replace(topology))
    assert same.is_empty
    assert (same.connections, same.groups, same.settings) == ((), (), ())


@given(after=topologies())
def test_from_nothing_all_is_started_and_back_to_nothing_all_is_stopped(after: Topology) -> None:
    first = diff(None, after)
    assert [move.name for move in first.actors] == list(after.actors)
    for change, fate in ((first, "started"), (first.inverse, "stopped")):
        assert {move.fate for move in change.actors} | {move.fate for move in change.routes} <= {fate}


@given(before=MAYBE, after=topologies())
def test_what_only_one_can_hold_is_never_held_by_two(before: Topology | None, after: Topology) -> None:
    """In the order of a swap: what is new starts beside what runs, what is in the way ends, the rest starts."""
    change = diff(before, after)
    held = {move.name: claims_of(move.before) for move in change.actors}

    def others(name: str) -> frozenset[str]:
        return frozenset().union(*(claims for other, claims in held.items() if other != name))

    late: list[ActorChange] = []
    for move in change.actors:
        if move.fate in ("started", "beside", "handed_over"):
            assert not claims_of(move.after) & others(move.name), move
            if move.fate == "beside":
                assert not claims_of(move.after) & claims_of(move.before), move
            held[move.name] |= claims_of(move.after)
        elif move.fate == "break":
            late.append(move)
    for move in change.actors:
        if move.fate == "break" or move.early:
            held[move.name] = frozenset()
    for move in late:
        assert not claims_of(move.after) & others(move.name), move
        held[move.name] = claims_of(move.after)


def fates(before: Topology, after: Topology) -> dict[str, tuple[str, bool]]:
    return {move.name: (move.fate, move.early) for move in diff(before, after).actors if move.fate != "kept"}


TWO = (
    "actors:\n  a: {type: webhook, path: %s}\n  b: {type: webhook, path: %s}\n  h: {type: http, url: 'http://h'}\n"
    "routes: {r: {from: [a, b], to: h}}\n"
)


def test_webhooks_that_exchange_their_paths_both_end_first() -> None:
    change = fates(topology_of(TWO % ("/x", "/y")), topology_of(TWO % ("/y", "/x")))
    assert change == {"a": ("break", True), "b": ("break", True)}


def test_a_webhook_with_a_free_path_is_handed_over() -> None:
    assert fates(topology_of(TWO % ("/x", "/y")), topology_of(TWO % ("/x", "/z"))) == {"b": ("handed_over", False)}


def test_whoever_takes_a_path_over_from_a_removed_webhook_waits_for_its_end() -> None:
    one = (
        "actors:\n  %s: {type: webhook, path: /x}\n  h: {type: http, url: 'http://h'}\nroutes: {r: {from: %s, to: h}}\n"
    )
    change = fates(topology_of(one % ("a", "a")), topology_of(one % ("b", "b")))
    assert change == {"a": ("stopped", True), "b": ("break", False)}


def test_a_changed_connection_replaces_those_who_use_it() -> None:
    """A source ends first, since two would take in the same, and so does whoever uses a broker of the house."""
    text = (
        "connections: {c: {type: mqtt, %s}}\n"
        "actors:\n  p: {type: mqtt, connection: c, publish: t/x}\n  d: {type: webhook, path: /x}\n"
        "routes: {r: {from: d, to: p}}\n"
    )
    shared = diff(topology_of(text % "url: 'mqtt://h:1'"), topology_of(text % "url: 'mqtt://h:2'"))
    assert (shared.connections, fates(shared.before, shared.after)) == (("c",), {"p": ("beside", False)})
    single = diff(topology_of(text % "url: 'embedded:'"), topology_of(text % "url: 'embedded:', keepalive: 40s"))
    assert fates(single.before, single.after) == {"p": ("break", False)}
    (move,) = (move for move in single.actors if move.name == "p")
    assert move.why == ("connection c",)
