"""A route, or the queue that it begins at, repeats what failed: never both."""

from __future__ import annotations

from pathlib import Path

import pytest

from router.catalog import Catalog
from router.topology.check import check
from router.topology.ends import Ends, ends_of
from router.topology.model import Topology
from tests.router.topology.checking import HEAD, brief
from tests.router.topology.sample_types import Counter, Door, Relay, Shelf, Sink

ACTORS = """actors:
  in: {type: door, path: /in}
  shelf: {type: shelf, concurrency: 3}
  other: {type: shelf, concurrency: 4}
  relay: {type: relay}
  sink: {type: sink}
"""


def checked(*lines: str, actors: str = ACTORS) -> tuple[Topology | None, list[str]]:
    """A file with these routes, and what is told of it; unused actors are not looked at."""
    text = HEAD + actors + "routes:\n" + "".join(f"  r{number}: {line}\n" for number, line in enumerate(lines, 1))
    catalog = Catalog(endpoints=[Counter, Door, Relay, Shelf, Sink])
    topology, problems = check(text, path=Path("t.yaml"), catalog=catalog, environ={})
    return topology, [brief(problem) for problem in problems if "no route uses" not in problem.message]


def routes(*lines: str, actors: str = ACTORS) -> list[str]:
    return checked(*lines, actors=actors)[1]


def ends(route: str) -> Ends:
    topology, told = checked(route)
    assert topology is not None, told
    return ends_of(topology.routes["r1"], topology.actors)


@pytest.mark.parametrize(
    ("option", "advice"),
    [
        ("retry: {attempts: 3}", "write 'attempts' and 'backoff' at actor 'shelf'"),
        ("concurrency: 5", "write it at actor 'shelf'"),
        ("order_by: '{{ data.x }}'", "write it at actor 'shelf'"),
        ("durable: true", "actor 'shelf' keeps what has not ended: leave it out"),
        ("max_waiting: 5", "what is tried again waits in 'shelf': leave it out"),
    ],
)
def test_what_the_queue_says_is_a_problem_at_its_key_on_the_route(option: str, advice: str) -> None:
    key = option.partition(":")[0]
    expected = f"{key} | '{key}' has no meaning on this route: shelf 'shelf' says that ({advice})"
    assert routes(f"{{from: shelf, to: sink, {option}}}") == [expected]
    assert routes(f"{{from: [shelf, other], to: sink, {option}}}") == [expected]
    assert routes(f"{{from: in, to: shelf, {option}}}") == []


@pytest.mark.parametrize(
    ("sources", "marked"),
    [("[shelf, in]", "in"), ("[in, shelf]", "shelf"), ("[other, shelf, in]", "in"), ("[in, relay, shelf]", "shelf")],
)
def test_a_route_begins_at_queues_alone_or_at_none(sources: str, marked: str) -> None:
    """It is told once, however much more is wrong with such a route."""
    (told,) = routes(f"{{from: {sources}, to: sink, retry: {{attempts: 3}}}}")
    assert told.startswith(f"{marked} | ")
    assert "tries its messages again itself, and those of door 'in' the route does (a route for each)" in told


def test_all_else_goes_on_a_route_from_a_queue() -> None:
    route = "{from: [shelf, other], to: [sink, relay], when: data.x, timeout: 5s, on_unknown: fallback, fallback: in2}"
    assert routes(route.replace("in2", "shelf")) == []


def test_a_queue_may_lead_to_itself() -> None:
    """What is added to it is kept: nobody waits for what comes out again."""
    assert routes("{from: shelf, to: shelf}", "{from: other, to: shelf}", "{from: shelf, to: other}") == []


def test_the_concurrency_of_a_route_from_queues_is_that_of_all_of_them() -> None:
    assert ends("{from: shelf, to: sink}").concurrency == 3
    assert ends("{from: [shelf, other], to: sink}").concurrency == 7
    assert ends("{from: in, to: shelf, concurrency: 5}").concurrency is None


@pytest.mark.parametrize(
    ("leads", "keeps"),
    [
        ("to: shelf", True),
        ("to: [shelf, other], fallback: shelf2", True),
        ("to: shelf, fallback: sink", False),
        ("to: [shelf, sink]", False),
        ("to: {split: {shelf: 1, sink: 0}}", False),
        ("to: {match: [{when: data.x, to: shelf}], else: other}", True),
        ("to: {match: [{when: data.x, to: shelf}]}", True),
        ("to: {match: [{when: data.x, to: shelf}], else: sink}", False),
        ("to: shelf, dead_letter: sink", True),
    ],
)
def test_a_route_keeps_what_it_acknowledges_where_all_its_targets_and_fallbacks_do(leads: str, keeps: bool) -> None:
    actors = ACTORS + "  shelf2: {type: shelf}\n"
    topology, told = checked(f"{{from: in, {leads}}}", actors=actors)
    assert topology is not None, told
    assert ends_of(topology.routes["r1"], topology.actors).keeps is keeps


def test_an_answer_before_the_message_is_safe_is_warned_of_unless_all_that_it_leads_to_keep_it() -> None:
    early = ACTORS.replace("path: /in}", "path: /in, respond: accepted}")
    assert routes("{from: in, to: shelf, fallback: other}", actors=early) == []
    assert routes("{from: in, to: shelf, fallback: sink}", "{from: in, to: other}", actors=early) == [
        "accepted | warning: answered before the message is safe: route 'r1' is not durable"
        " ('durable: true' there, or 'respond: delivered' here)"
    ]
