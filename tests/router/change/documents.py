"""Random topologies, and random edits of them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Final

from hypothesis import strategies as st

from tests.router.change.virtual import Document

FEEDS: Final = ("s1", "s2", "s3", "s4")
PITS: Final = ("t1", "t2", "t3", "t4", "t5")
ROUTES: Final = ("r1", "r2", "r3", "r4")
KEYS: Final = (None, "{{ data.key }}", "{{ data.other }}")

STEPS: Final[tuple[dict[str, Any], ...]] = (
    {"dedup": {"key": "{{ data.dup }}", "for": "1h"}},
    {"dedup": {"key": "{{ data.dup }}", "for": "30s"}},
    {"split": {"by": "{{ data.parts }}", "as": "part"}},
    {"map": {"set": {"data.seen": True}}},
    {"filter": "data.n % 5 != 4"},
    {"linger": {"seconds": 0.5}},
    {"linger": {"seconds": 3.0}},
    {"trip": {}},
)

Draw = Callable[[st.SearchStrategy[Any]], Any]


def feed(draw: Draw) -> Document:
    made: Document = {"type": "feed", "note": draw(st.integers(0, 2))}
    made["way"] = draw(st.sampled_from(["break", "beside", "handed_over"]))
    return made


def pit(draw: Draw) -> Document:
    made: Document = {"type": "pit", "note": draw(st.integers(0, 2)), "at_once": draw(st.sampled_from([1, 1, 3]))}
    made["way"] = draw(st.sampled_from(["beside", "beside", "handed_over", "break"]))
    odd = draw(st.integers(0, 9))
    if odd == 0:
        made["mailbox"] = {"capacity": 1, "overflow": draw(st.sampled_from(["wait", "reject", "drop_oldest"]))}
    elif odd == 1:
        made["mailbox"] = {"capacity": 2}
    elif odd == 2:
        made["limit"] = draw(st.sampled_from([{"max": 1, "per": "2s"}, {"max": 3, "per": "1s"}]))
    elif odd == 3:
        made["breaker"] = {"failures": "30%", "window": "30s", "min_requests": 2, "open": "5s"}
    elif odd == 4:
        made["enabled"] = False
    elif odd == 5:
        made["supervise"] = {"max_restarts": 0}
    return made


def steps(draw: Draw) -> list[dict[str, Any]]:
    chosen: list[dict[str, Any]] = draw(st.lists(st.sampled_from(STEPS), max_size=3, unique_by=str))
    return chosen


def to(draw: Draw, pits: list[str]) -> Any:
    one, other = draw(st.sampled_from(pits)), draw(st.sampled_from(pits))
    kind = draw(st.integers(0, 6))
    if kind == 0 and one != other:
        return [one, other]
    if kind == 1:
        return {"match": [{"when": "data.n % 2 == 0", "to": one}], "else": other}
    if kind == 2:
        return {
            "match": [{"when": "data.n % 3 == 0", "to": sorted({one, other})}, {"when": "data.n % 3 == 1", "to": one}]
        }
    if kind == 3:
        return {"split": {one: 1} if one == other else {one: 1, other: draw(st.sampled_from([0, 1, 3]))}}
    return one


CHANGES: Final[dict[str, Callable[[Draw, list[str]], Any]]] = {
    "to": to,
    "order_by": lambda draw, _: draw(st.sampled_from(KEYS)),
    "concurrency": lambda draw, _: draw(st.sampled_from([1, 2, 5])),
    "durable": lambda draw, _: draw(st.booleans()),
    "timeout": lambda draw, _: draw(st.sampled_from(["1s", "10s"])),
    "retry": lambda draw, _: draw(
        st.sampled_from([{"attempts": 1}, {"attempts": 3, "delay": "1s"}, {"attempts": 5, "delay": "4s"}])
    ),
    "on_unknown": lambda draw, _: draw(st.sampled_from(["retry", "fallback", "dead_letter"])),
    "max_waiting": lambda draw, _: draw(st.sampled_from([1, 3, 1000])),
    "steps": lambda draw, _: steps(draw),
    "fallback": lambda draw, pits: draw(st.lists(st.sampled_from(pits), max_size=2, unique=True)),
    "dead_letter": lambda draw, pits: draw(st.none() | st.sampled_from(pits)),
    "when": lambda draw, _: draw(st.sampled_from([None, None, "data.n % 7 != 6"])),
}
"""What may be changed of a route, and how."""


def route(draw: Draw, document: Document) -> Document:
    feeds, pits = _of("feed", document), _of("pit", document)
    made: Document = {"from": draw(st.lists(st.sampled_from(feeds), min_size=1, max_size=2, unique=True))}
    for name in ("to", "order_by", "concurrency", "durable", "retry"):
        made[name] = CHANGES[name](draw, pits)
    for name in draw(st.lists(st.sampled_from(sorted(CHANGES)), max_size=3, unique=True)):
        made[name] = CHANGES[name](draw, pits)
    return made


@st.composite
def documents(draw: st.DrawFn) -> Document:
    """A whole topology."""
    made: Document = {"actors": {}, "routes": {}, "groups": {}}
    for name in FEEDS[: draw(st.integers(1, 4))]:
        made["actors"][name] = feed(draw)
    for name in PITS[: draw(st.integers(1, 5))]:
        made["actors"][name] = pit(draw)
    for name in ROUTES[: draw(st.integers(1, 4))]:
        made["routes"][name] = route(draw, made)
    return mended(made)


@st.composite
def edits(draw: st.DrawFn, document: Document, *, sound: bool) -> Document:
    """The same, with one to three changes; one that is not `sound` cannot start."""
    made = copy.deepcopy(document)
    for change in draw(st.lists(st.sampled_from(EDITS), min_size=1, max_size=3)):
        change(draw, made)
        made = mended(made)
    if not sound:
        name = draw(st.sampled_from(sorted(made["actors"])))
        made["actors"][name]["start"] = draw(st.sampled_from(["crash", "late"]))
        made["actors"][name]["note"] = 9
    return mended(made)


def _retarget(draw: Draw, document: Document) -> None:
    if (name := _any(draw, document["routes"])) is not None:
        document["routes"][name]["to"] = to(draw, _of("pit", document))


def _change_route(draw: Draw, document: Document) -> None:
    if (name := _any(draw, document["routes"])) is not None:
        option = draw(st.sampled_from(sorted(CHANGES)))
        document["routes"][name][option] = CHANGES[option](draw, _of("pit", document))


def _change_sources(draw: Draw, document: Document) -> None:
    if (name := _any(draw, document["routes"])) is not None:
        feeds = _of("feed", document)
        document["routes"][name]["from"] = draw(st.lists(st.sampled_from(feeds), min_size=1, max_size=3, unique=True))


def _change_actor(draw: Draw, document: Document) -> None:
    name = draw(st.sampled_from(sorted(document["actors"])))
    document["actors"][name] = (feed if name in FEEDS else pit)(draw)


def _touch_actor(draw: Draw, document: Document) -> None:
    actor = document["actors"][draw(st.sampled_from(sorted(document["actors"])))]
    actor["note"] = actor["note"] + 1


def _add_actor(draw: Draw, document: Document) -> None:
    name = draw(st.sampled_from([*FEEDS, *PITS]))
    document["actors"].setdefault(name, (feed if name in FEEDS else pit)(draw))


def _remove_actor(draw: Draw, document: Document) -> None:
    name = draw(st.sampled_from(sorted(document["actors"])))
    if len(_of(document["actors"][name]["type"], document)) > 1:
        del document["actors"][name]


def _rename_actor(draw: Draw, document: Document) -> None:
    name = draw(st.sampled_from(sorted(document["actors"])))
    free = [other for other in (FEEDS if name in FEEDS else PITS) if other not in document["actors"]]
    if free:
        document["actors"][free[0]] = document["actors"].pop(name)
        for route in document["routes"].values():
            _replace(route, name, free[0])


def _add_route(draw: Draw, document: Document) -> None:
    document["routes"].setdefault(draw(st.sampled_from(ROUTES)), route(draw, document))


def _remove_route(draw: Draw, document: Document) -> None:
    if (name := _any(draw, document["routes"])) is not None and (len(document["routes"]) > 1 or draw(st.booleans())):
        del document["routes"][name]


def _rename_route(draw: Draw, document: Document) -> None:
    free = [name for name in ROUTES if name not in document["routes"]]
    if free and (name := _any(draw, document["routes"])) is not None:
        document["routes"][free[0]] = document["routes"].pop(name)


def _move_hole(draw: Draw, document: Document) -> None:
    """What only one can hold goes from one target to another, or to none."""
    hole = draw(st.sampled_from(["north", "south"]))
    for name in _of("pit", document):
        if document["actors"][name].get("hole") == hole:
            del document["actors"][name]["hole"]
    document["actors"][draw(st.sampled_from(_of("pit", document)))]["hole"] = hole


def _group(draw: Draw, document: Document) -> None:
    pits = _of("pit", document)
    if document["groups"] and draw(st.booleans()):
        document["groups"] = {}
    else:
        members = draw(st.lists(st.sampled_from(pits), min_size=1, max_size=3, unique=True))
        strategy = draw(st.sampled_from(["one_for_one", "one_for_all", "rest_for_one"]))
        document["groups"] = {"g": {"strategy": strategy, "actors": members}}


EDITS: Final = (
    _retarget,
    _retarget,
    _change_route,
    _change_route,
    _change_route,
    _change_sources,
    _change_actor,
    _touch_actor,
    _touch_actor,
    _add_actor,
    _remove_actor,
    _rename_actor,
    _add_route,
    _remove_route,
    _rename_route,
    _move_hole,
    _group,
)


def mended(document: Document) -> Document:
    """Without what names an actor that is not there."""
    feeds, pits = _of("feed", document), _of("pit", document)
    for name, route in tuple(document["routes"].items()):
        route["from"] = [source for source in route["from"] if source in feeds] or feeds[:1]
        to = route["to"]
        if any(target not in pits for target in _names(to)):
            to = route["to"] = pits[0]
        around = _names(to)
        fallback = [target for target in route.get("fallback") or () if target in pits and target not in around]
        route.pop("fallback", None)
        if fallback:
            route["fallback"] = fallback
        if route.get("dead_letter") not in pits:
            route.pop("dead_letter", None)
        document["routes"][name] = {key: value for key, value in route.items() if value is not None and value != []}
    for name, group in tuple(document["groups"].items()):
        group["actors"] = [member for member in group["actors"] if member in document["actors"]]
        if not group["actors"]:
            del document["groups"][name]
    return document


def _names(to: Any) -> list[str]:
    match to:
        case str():
            return [to]
        case list():
            return to
        case {"split": weights}:
            return list(weights)
        case _:
            found: list[str] = []
            for case in to["match"]:
                found += _names(case["to"])
            return found + (_names(to["else"]) if "else" in to else [])


def _replace(route: Document, old: str, new: str) -> None:
    """Let a route name the actor `new` where it named `old`."""

    def other(value: Any) -> Any:
        match value:
            case str():
                return new if value == old else value
            case list():
                return [other(each) for each in value]
            case dict():
                return {new if key == old else key: other(each) for key, each in value.items()}
        return value

    for key in ("from", "to", "fallback", "dead_letter"):
        if key in route:
            route[key] = other(route[key])


def _of(kind: str, document: Document) -> list[str]:
    return [name for name, actor in document["actors"].items() if actor["type"] == kind]


def _any(draw: Draw, names: Document) -> str | None:
    found: str | None = draw(st.sampled_from(sorted(names))) if names else None
    return found
