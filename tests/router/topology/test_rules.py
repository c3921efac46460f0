"""Names, roles, claims, cycles and answers are checked over the whole file."""

from __future__ import annotations

from pathlib import Path

import pytest

from router.catalog import Catalog
from router.topology.check import check
from tests.router.topology.checking import HEAD, problems_of, told
from tests.router.topology.sample_types import Counter, Relay

ACTORS = """
actors:
  in: {type: door, path: /in}
  out: {type: post, url: x}
  sink: {type: sink}
  relay: {type: relay}
"""


def routes(*lines: str, actors: str = ACTORS) -> list[str]:
    """What is told of these routes; unused actors are not looked at."""
    text = actors + "routes:\n" + "".join(f"  r{number}: {line}\n" for number, line in enumerate(lines, 1))
    return [line for line in told(text) if "no route uses" not in line]


@pytest.mark.parametrize(
    ("route", "expected"),
    [
        ("{from: inn, to: out}", "inn | unknown actor 'inn' (did you mean 'in'?)"),
        ("{from: in, to: [out, snk]}", "snk | unknown actor 'snk' (did you mean 'sink'?)"),
        ("{from: in, to: out, fallback: [sink, nobody]}", "nobody | unknown actor 'nobody'"),
        ("{from: in, to: out, dead_letter: r1}", "r1 | unknown actor 'r1' (that is a route)"),
        ("{from: in, to: {match: [{when: data.a, to: oot}]}}", "oot | unknown actor 'oot' (did you mean 'out'?)"),
        (
            "{from: in, to: {match: [{when: data.a, to: out}], else: oot}}",
            "oot | unknown actor 'oot' (did you mean 'out'?)",
        ),
        ("{from: out, to: sink}", "out | actor 'out' is used as a source, and is no source (its type is 'post')"),
        ("{from: relay, to: in}", "in | actor 'in' is used as a target, and is no target (its type is 'door')"),
        (
            "{from: relay, to: out, fallback: in}",
            "in | actor 'in' is used as a fallback, and is no target (its type is 'door')",
        ),
        (
            "{from: relay, to: out, dead_letter: in}",
            "in | actor 'in' is used as a dead letter, and is no target (its type is 'door')",
        ),
        ("{from: [in, in], to: out}", "in | 'in' is in this list already"),
        ("{from: in, to: [out, out]}", "out | 'out' is in this list already"),
        ("{from: in, to: out, fallback: out}", "out | 'out' is the target itself, and no fallback"),
        ("{from: in, to: [out, sink], fallback: sink}", "sink | 'sink' is the target itself, and no fallback"),
        (
            "{from: in, to: {match: [{when: data.a, to: out}]}, fallback: out}",
            "out | 'out' is the target itself, and no fallback",
        ),
        ("{to: out}", "r1 | missing key 'from' in route 'r1'"),
        ("{from: in}", "r1 | missing key 'to' in route 'r1'"),
        ("{from: [], to: out}", "from | 'from' should have at least 1 item, not 0"),
        ("{from: in, to: []}", "to | 'to' should have at least 1 item, not 0"),
        ("{from: in, to: 5}", "5 | 'to': expected an actor, a list of actors, or a mapping with 'match' or 'split'"),
        (
            "{from: in, to: {actor: out}}",
            "to | 'to': expected an actor, a list of actors, or a mapping with 'match' or 'split'",
        ),
        ("{from: in, to: {split: {out: 9, snk: 1}}}", "snk | unknown actor 'snk' (did you mean 'sink'?)"),
        (
            "{from: in, to: {split: {sink: 9, in: 1}}}",
            "in | actor 'in' is used as a target, and is no target (its type is 'door')",
        ),
        ("{from: in, to: {split: {out: 1}}, fallback: out}", "out | 'out' is the target itself, and no fallback"),
        ("{from: in, to: {split: {out: 0}}}", "split | 'split' should have at least one weight above zero"),
        ("{from: in, to: {split: {}}}", "split | 'split' should have at least 1 item, not 0"),
        ("{from: in, to: {split: {out: -1}}}", "-1 | 'out' should be greater than or equal to 0"),
        ("{from: in, to: {split: {out: 1000001}}}", "1000001 | 'out' should be less than or equal to 1000000"),
        ("{from: in, to: {split: {out: .inf}}}", ".inf | 'out' should be a finite number"),
        (
            "{from: in, to: {split: {out: '9', sink: 1}}}",
            "'9' | 'out' should be a number, not a string (without quotes: 9)",
        ),
        ("{from: in, to: {split: {out: true}}}", "true | 'out' should be a number, not true or false"),
        ("{from: in, to: {split: [out]}}", "split | 'split' should be a mapping, not a list"),
        ("{from: in, to: {by: '{{ data.a }}'}}", "to | missing key 'split' in 'to'"),
        ("{from: in, to: {split: {out: 1}, bye: x}}", "bye | unknown key 'bye' in 'to' (did you mean 'by'?)"),
        (
            "{from: in, to: {split: {out: 1}, by: '{{ dta.a }}'}}",
            "dta | 'by': unknown name 'dta' (did you mean 'data'?)",
        ),
        (
            "{from: in, to: {split: {out: 9, sink: 1}, by: data.a}}",
            "data.a | warning: 'by' is the same for every message, and so all go to one target of the split "
            "(an expression stands in {{ }})",
        ),
        (
            "{from: in, to: {split: {out: 9, sink: 1}}, order_by: same}",
            "same | warning: 'order_by' is the same for every message, and so all go to one target of the split "
            "(an expression stands in {{ }})",
        ),
        (
            "{from: in, to: out, order_by: data.a, concurrency: 9}",
            "data.a | warning: 'order_by' is the same for every message, and so one at a time is under way "
            "(an expression stands in {{ }})",
        ),
        (
            "{from: in, to: out, order_by: '{data.a}'}",
            "'{data.a}' | warning: 'order_by' is the same for every message, and so one at a time is under way "
            "(an expression stands in {{ }})",
        ),
        (
            "{from: relay, to: {split: {out: 1, relay: 1}}}",
            "relay | a cycle of routes that wait for each other: relay → r1 → relay ('durable: true' on one of them)",
        ),
        ("{from: in, to: {match: [], else: out}}", "match | 'match' should have at least 1 item, not 0"),
        ("{from: in, to: {match: [{to: out}]}}", "{to: out} | missing key 'when' in entry 1 of 'match'"),
        (
            "{from: in, to: {match: [{when: dta.a, to: out}]}}",
            "dta | 'when': unknown name 'dta' (did you mean 'data'?)",
        ),
        (
            "{from: in, to: {match: [{when: data.a, to: out}], esle: sink}}",
            "esle | unknown key 'esle' in 'to' (did you mean 'else'?)",
        ),
        ("{from: in, to: out, sources: in}", "sources | unknown key 'sources' in route 'r1'"),
        ("{from: in, to: out, tenant: x}", "tenant | unknown key 'tenant' in route 'r1'"),
        ("{from: in, to: out, mirror: {to: sink}}", "mirror | unknown key 'mirror' in route 'r1'"),
        ("{from: in, to: out, stpes: []}", "stpes | unknown key 'stpes' in route 'r1' (did you mean 'steps'?)"),
        ("{from: in, to: out, when: data.a == dat.b}", "dat | 'when': unknown name 'dat' (did you mean 'data'?)"),
        (
            "{from: in, to: out, retry: {delay: 2m, max_delay: 1m}}",
            "retry | 'retry': 'delay' is longer than 'max_delay'",
        ),
        ("{from: in, to: out, steps: {filter: x}}", "steps | 'steps' should be a list, not a mapping"),
        ("{from: in, to: out, steps: [filter]}", "filter | a step should be a mapping with one key, not a string"),
        (
            "{from: in, to: out, steps: [{filter: data.a, list: x}]}",
            "{filter: data.a, list: x} | a step should be a mapping with one key, not 2 keys",
        ),
        ("{from: in, to: out, steps: [{fliter: data.a}]}", "fliter | unknown step 'fliter' (did you mean 'filter'?)"),
        ("{from: in, to: out, steps: [{filter: a.b}]}", "a | step 'filter': unknown name 'a' (did you mean 'data.a'?)"),
        ("{from: in, to: out, steps: [{list: {}}]}", "list | missing option 'names' for step 'list'"),
        ("5", "5 | route 'r1' should be a mapping, not a number"),
        (
            "{from: relay, to: relay}",
            "relay | a cycle of routes that wait for each other: relay → r1 → relay ('durable: true' on one of them)",
        ),
    ],
)
def test_a_mistake_in_a_route_is_told_once(route: str, expected: str) -> None:
    assert routes(route) == [expected]


@pytest.mark.parametrize(
    "route",
    [
        "{from: relay, to: relay, durable: true}",
        "{from: [in, relay], to: [out, sink], fallback: relay, durable: true}",
        "{from: in, to: {match: [{when: data.a, to: out}, {when: data.b, to: sink}]}, fallback: sink}",
        "{from: in, to: out, dead_letter: sink, steps: }",
        "{from: in, to: {split: {out: 90, sink: 0.5}, by: '{{ data.a }}'}, fallback: sink}",
        "{from: in, to: {split: {out: 1, sink: 0}, by: ''}, order_by: same}",
        "{from: in, to: {split: {out: 1, sink: 0}, by: same}}",
        "{from: in, to: out, order_by: all}",
        "{from: in, to: out, order_by: '{{ data.a }}', concurrency: 9}",
    ],
)
def test_what_is_right_is_not_told(route: str) -> None:
    assert routes(route) == []


@pytest.mark.parametrize(
    ("options", "is_told"),
    [
        ("order_by: '{data.to}'", True),
        ("order_by: data.to, concurrency: 9", True),
        ("order_by: '{{ data.to }}', concurrency: 9", False),
        ("order_by: all", False),
    ],
)
def test_an_order_by_one_key_is_told_of_an_actor_too(options: str, is_told: bool) -> None:
    """Where it looks like a mistake: one job at a time, over several routers, may be what is wanted."""
    text = HEAD + f"actors: {{in: {{type: timer, every: 1s}}, q: {{type: queue, {options}}}, log: {{type: log}}}}\n"
    text += "routes: {a: {from: in, to: q}, b: {from: q, to: log}}\n"
    topology, problems = check(text, path=Path("t.yaml"), catalog=Catalog.installed(), environ={})
    assert topology is not None
    assert [problem.severity for problem in problems] == (["warning"] if is_told else [])


def test_a_cycle_over_several_routes_is_told_once_with_its_way() -> None:
    actors = "actors: {a: {type: relay}, b: {type: relay}, c: {type: relay}, d: {type: relay}}\n"
    assert routes("{from: a, to: b}", "{from: b, to: d, fallback: c}", "{from: [c, d], to: a}", actors=actors) == [
        "a | a cycle of routes that wait for each other: a → r1 → b → r2 → d → r3 → a ('durable: true' on one of them)"
    ]
    assert routes("{from: a, to: b}", "{from: b, to: a, durable: true}", actors=actors) == []


def test_a_route_may_lead_back_to_what_relays_nothing() -> None:
    """Such as a chat: what is sent to a client is not what another one sends."""
    text = HEAD + "actors: {a: {type: counter}, b: {type: relay}}\n"
    text += "routes: {r1: {from: a, to: a}, r2: {from: a, to: b}, r3: {from: b, to: a}}\n"
    topology, problems = check(text, path=Path("t.yaml"), catalog=Catalog(endpoints=[Counter, Relay]), environ={})
    assert topology is not None
    assert problems == []


def test_two_actors_cannot_hold_the_same() -> None:
    doors = "actors:\n  a: {type: door, path: /x, methods: [POST, PUT]}\n"
    doors += "  b: {type: door, path: /x, methods: [PUT, POST]}\n"
    assert routes(actors=doors) == ["/x | 'path POST /x' is taken by actor 'a' in line 4"]
    assert routes(actors=doors.replace("path: /x, methods: [PUT", "enabled: false, path: /x, methods: [PUT")) == []


def test_what_a_variable_stands_for_is_not_told_of_two_that_hold_it() -> None:
    doors = 'actors:\n  a: {type: door, path: "${P}"}\n  b: {type: door, path: "${P}"}\n'
    problems = problems_of(doors, {"P": "/hunter2"})
    assert "hunter2" not in str(problems)
    assert "'${P}' is taken by actor 'a' in line 4" in [problem.message for problem in problems]


def test_an_actor_that_no_route_uses_is_warned_of() -> None:
    assert told("actors: {sink: {type: sink}}") == ["sink | warning: no route uses actor 'sink'"]


def test_an_actor_whose_name_is_misspelt_in_a_route_is_one_mistake() -> None:
    assert told("actors: {in: {type: door, path: /}, target: {type: sink}}\nroutes: {r: {from: in, to: tagret}}") == [
        "tagret | unknown actor 'tagret' (did you mean 'target'?)"
    ]


def test_a_disabled_target_without_a_fallback_is_warned_of() -> None:
    actors = ACTORS.replace("{type: sink}", "{type: sink, enabled: false}")
    assert routes("{from: in, to: sink}", actors=actors) == [
        "sink | warning: actor 'sink' is disabled, and the route has no fallback"
    ]
    assert routes("{from: in, to: sink, fallback: out}", actors=actors) == []


def respond(how: str) -> str:
    return ACTORS.replace("path: /in}", f"path: /in, respond: {how}}}")


def test_an_answer_before_the_message_is_safe_is_warned_of() -> None:
    """Only where the file asks for it: left out, the answer waits by itself."""
    early = respond("accepted")
    assert routes("{from: in, to: sink}", "{from: in, to: out}", actors=early) == [
        "accepted | warning: answered before the message is safe: routes 'r1', 'r2' are not durable"
        " ('durable: true' there, or 'respond: delivered' here)"
    ]
    assert routes("{from: in, to: sink, durable: true}", actors=early) == []
    assert routes("{from: in, to: sink}") == []


@pytest.mark.parametrize(
    ("route", "why"),
    [
        ("{from: in, to: sink}", "needs a target that replies; 'sink' of route 'r1' does not"),
        ("{from: in, to: [out, sink]}", "needs exactly one target; route 'r1' has a list"),
        ("{from: in, to: out, fallback: sink}", "needs a target that replies; 'sink' of route 'r1' does not"),
        (
            "{from: in, to: {match: [{when: data.a, to: [out, sink]}]}}",
            "needs exactly one target; route 'r1' has a list",
        ),
    ],
)
def test_a_reply_needs_one_target_that_replies(route: str, why: str) -> None:
    assert routes(route, actors=respond("reply")) == [f"reply | 'respond: reply' {why}"]


def test_a_reply_needs_one_route() -> None:
    assert routes("{from: in, to: out}", "{from: in, to: out}", actors=respond("reply")) == [
        "reply | 'respond: reply' needs exactly one route from here; there are 'r1', 'r2'"
    ]
    assert routes("{from: in, to: out}", actors=respond("reply")) == []
    assert routes("{from: in, to: {match: [{when: data.a, to: out}], else: [out]}}", actors=respond("reply")) == []


def test_groups_name_known_actors_and_each_actor_once() -> None:
    groups = (
        "groups: {g: {strategy: one_for_all, actors: [out, snk, out]}, h: {strategy: one_for_one, actors: [out]}}\n"
    )
    assert routes("{from: in, to: sink}", actors=ACTORS + groups) == [
        "snk | unknown actor 'snk' (did you mean 'sink'?)",
        "out | 'out' is in this list already",
        "out | actor 'out' is in group 'g' already",
    ]


def test_an_actor_and_a_route_have_different_names() -> None:
    """On a command line and in the router's state a name means one of them."""
    assert "r1 | 'r1' is an actor already: actors and routes have different names" in routes(
        "{from: in, to: sink}", actors=ACTORS + "  r1: {type: sink}\n"
    )
