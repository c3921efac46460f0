"""What routes promise is compared with what the ways to and from their actors keep."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated

import pytest

from actors.core.connection import ConnectionTo, connection
from actors.core.hop import Hop
from actors.core.option_problem import OptionProblem
from actors.core.spec import Options, endpoint
from router.catalog import Catalog
from router.topology.check import check
from tests.router.topology.checking import HEAD, brief
from tests.router.topology.sample_types import Actor
from tests.router.topology.test_connections import Line, LineOptions


class WireOptions(Options):
    """What a wire can be told."""

    line: Annotated[str, ConnectionTo("wire")]
    """The connection."""
    id: str | None = None
    body: str = ""
    topic: str = ""


@connection("wire", options=LineOptions)
class Wire(Line):
    """Its URL says what it is like."""


def _hop(options: WireOptions, connections: Mapping[str, LineOptions]) -> Hop:
    kind = connections["line"].url
    if kind == "broken":
        raise RuntimeError
    return Hop(
        acknowledges="in_order" if kind == "ordered" else "no",
        loses=OptionProblem(("line",), "it loses", "take another") if kind == "lossy" else None,
        drops_id=OptionProblem(("line",), "it drops ids", "take another") if kind == "bare" else None,
        conflicts=(OptionProblem(("topic",), "there are none", "take another"),) if kind == "mute" else (),
    )


def _echoes(targets: Mapping[str, WireOptions], sources: Mapping[str, WireOptions]) -> Iterable[tuple[str, str]]:
    for target, sent in targets.items():
        for source, heard in sources.items():
            if sent.topic and sent.topic == heard.topic:
                yield target, source


@endpoint("wired", options=WireOptions, source=True, target=True, relays=False, hop=_hop, echoes=_echoes)
class Wired(Actor):
    """Is reached over a wire."""


@endpoint("plain", options=Options, source=True, target=True, relays=False)
class Plain(Actor):
    """Says nothing of itself."""


@endpoint("asked", options=Options, source=True, hop=Hop(acknowledges="each"))
class Asked(Actor):
    """Tells its senders."""


@endpoint("failing", options=Options, source=True, target=True, echoes=lambda targets, sources: 1 / 0)  # type: ignore[arg-type, return-value]  # it fails
class Failing(Actor):
    """Cannot tell."""


CATALOG = Catalog(endpoints=[Wired, Plain, Asked, Failing], connections=[Wire])

KINDS = ("good", "lossy", "bare", "ordered", "mute", "broken")
CONNECTIONS = "connections:\n" + "".join(f"  {kind}: {{type: wire, url: {kind}}}\n" for kind in KINDS)


def told(routes: str, **actors: str) -> list[str]:
    listed = {"p": "{type: plain}", "q": "{type: plain}", "asked": "{type: asked}"} | actors
    text = CONNECTIONS + "actors:\n" + "".join(f"  {name}: {actor}\n" for name, actor in listed.items())
    text = f"{HEAD}{text}routes:\n{routes}"
    _, problems = check(text, path=Path("t.yaml"), catalog=CATALOG, environ={"KIND": "lossy"})
    return [line for line in map(brief, problems) if "no route uses" not in line]


def wired(line: str, more: str = "") -> str:
    return f"{{type: wired, line: {line}{more}}}"


@pytest.mark.parametrize(
    ("route", "why"),
    [
        ("{from: p, to: w, durable: true}", "route 'r' is durable"),
        ("{from: p, to: w, retry: {attempts: 2}}", "route 'r' retries"),
        ("{from: p, to: q, fallback: w, retry: {delay: 2s}}", "route 'r' retries"),
        ("{from: p, to: q, dead_letter: w, durable: true}", "route 'r' is durable"),
        ("{from: w, to: q, durable: true}", "route 'r' is durable"),
        ("{from: w, to: q, retry: {attempts: 2}}", "route 'r' retries"),
        ("{from: [p, asked], to: w}", "route 'r' tells 'asked' that it was delivered"),
    ],
)
def test_a_way_that_loses_is_warned_of_where_the_route_promises_more(route: str, why: str) -> None:
    """At the option that makes it so."""
    assert told(f"  r: {route}\n", w=wired("lossy")) == [f"lossy | warning: it loses, and {why} (take another)"]


@pytest.mark.parametrize(
    "route",
    [
        "{from: p, to: w}",
        "{from: p, to: w, retry: {attempts: 1}}",
        "{from: [asked, w], to: q}",
    ],
)
def test_a_route_that_promises_nothing_may_lose(route: str) -> None:
    """All routes try again, but a file that does not ask for it need not be told."""
    assert told(f"  r: {route}\n", w=wired("lossy")) == []


def test_several_routes_are_told_of_in_one_warning() -> None:
    routes = "".join(f"  r{number}: {{from: p, to: w, durable: true}}\n" for number in range(7))
    assert told(routes, w=wired("lossy")) == [
        "lossy | warning: it loses, and routes 'r0', 'r1', 'r2' and 4 more promise more (take another)"
    ]


def test_retries_of_a_source_that_acknowledges_in_order_hold_the_rest_back() -> None:
    expected = (
        "retry | warning: 'w' acknowledges in the order of arrival: while a message waits for its retry, those behind "
        "it are not acknowledged ('durable: true' on this route)"
    )
    assert told("  r: {from: w, to: p, retry: {attempts: 2}}\n", w=wired("ordered")) == [expected]
    assert told("  r: {from: w, to: p, retry: {attempts: 2}, durable: true}\n", w=wired("ordered")) == []
    assert told("  r: {from: w, to: p}\n", w=wired("ordered")) == []
    both = told("  r: {from: [w, v], to: p, retry: {attempts: 2}}\n", w=wired("ordered"), v=wired("ordered"))
    assert both == [expected.replace("'w' acknowledges", "'w' and 'v' acknowledge")]


def test_an_id_that_does_not_travel_is_warned_of() -> None:
    """Of what was delivered twice nobody could know the second."""
    expected = ["bare | warning: it drops ids: nobody could know a repeat of route 'r' (take another)"]
    assert told("  r: {from: p, to: w}\n", w=wired("bare")) == expected
    assert told("  r: {from: p, to: q, fallback: w}\n", w=wired("bare")) == expected
    assert told("  r: {from: [p, v], to: w}\n", w=wired("bare"), v=wired("good", ', id: "{{ data.n }}"')) == expected
    assert told("  r: {from: p, to: w}\n", w=wired("bare", ', body: "{{ message.identity }}"')) == expected


@pytest.mark.parametrize("body", ["{{ message.id }}", "{{ message['id'] | lower }}", "n-{{ message . id }}"])
def test_an_id_in_the_payload_travels_with_it(body: str) -> None:
    assert told("  r: {from: p, to: w}\n", w=wired("bare", f', body: "{body}"')) == []


def test_an_id_that_is_made_of_the_data_is_in_the_data() -> None:
    assert told("  r: {from: v, to: w}\n", w=wired("bare"), v=wired("good", ', id: "{{ data.n }}"')) == []


def test_an_option_that_the_connection_cannot_keep_is_an_error() -> None:
    assert told("  r: {from: p, to: w}\n", w=wired("mute", ", topic: a")) == [
        "a | 'topic': there are none (take another)"
    ]


def test_of_a_connection_that_is_not_there_nothing_more_is_told() -> None:
    assert told("  r: {from: p, to: w, durable: true}\n", w=wired("lossi")) == [
        "lossi | unknown connection 'lossi' (did you mean 'lossy'?)"
    ]


def test_what_a_variable_stands_for_is_not_told() -> None:
    """The place shows what the file has."""
    assert told("  r: {from: p, to: w, durable: true}\n", w=wired('"${KIND}"')) == [
        "\"${KIND}\" | warning: it loses, and route 'r' is durable (take another)"
    ]


def test_a_type_that_fails_to_tell_is_a_problem_and_no_crash() -> None:
    assert told("  r: {from: p, to: w}\n", w=wired("broken")) == [
        "w | actor type 'wired' cannot tell its roles: RuntimeError"
    ]
    assert told("  r: {from: w, to: v}\n", w="{type: failing}", v="{type: failing}") == [
        "v | actor type 'failing' cannot tell its roles: ZeroDivisionError"
    ]


def heard(topic: str) -> str:
    return wired("good", f", topic: {topic}")


def test_what_comes_back_by_another_way_is_warned_of() -> None:
    """Durable routes wait for nobody, and go round all the same."""
    advice = "(lead them elsewhere, or end them with 'when')"
    ends = {"a": heard("x"), "b": heard("x"), "c": heard("y"), "d": heard("y")}
    assert told("  r: {from: a, to: a}\n", **ends) == [
        f"a | warning: messages go round for ever: a → r → a {advice}",
    ]
    assert told("  r: {from: a, to: c, durable: true}\n  s: {from: d, to: [p, b]}\n", **ends) == [
        f"b | warning: messages go round for ever: a → r → c → d → s → b → a {advice}",
    ]


@pytest.mark.parametrize(
    "routes",
    [
        "  r: {from: a, to: c}\n",
        "  r: {from: a, to: b, when: data.n}\n",
        "  r: {from: a, to: {match: [{when: data.n, to: b}]}}\n",
        "  r: {from: a, to: p, fallback: b}\n",
        "  r: {from: p, to: p}\n",
    ],
)
def test_what_something_may_end_does_not_go_round_for_ever(routes: str) -> None:
    """A condition, or a fallback that is taken now and then."""
    assert told(routes, a=heard("x"), b=heard("x"), c=heard("y")) == []


def test_what_is_disabled_hears_nothing() -> None:
    assert told("  r: {from: a, to: b}\n", a=heard("x"), b=heard("x")[:-1] + ", enabled: false}") == [
        "b | warning: actor 'b' is disabled, and the route has no fallback"
    ]
