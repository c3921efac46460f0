"""Where a route leads, as the file says it: an actor, a list, a match or a split."""

from actors.kit.expressions import Expression, Template
from router.topology.target import All, Case, Match, One, Split, Target
from tests.router.topology.checking import topology_of

ACTORS = """
actors:
  in: {type: door, path: /in}
  out: {type: post, url: "http://127.0.0.1/{{ data.id }}"}
  sink: {type: sink}
"""


def target(text: str) -> Target:
    return topology_of(f"{ACTORS}routes:\n  r: {text}\n").routes["r"].to


def test_a_name_is_one_actor() -> None:
    assert target("{from: in, to: sink}") == One(actor="sink")


def test_a_list_is_all_of_its_actors() -> None:
    assert target("{from: in, to: [out, sink]}") == All(actors=("out", "sink"))


def test_a_match_has_its_cases_in_order() -> None:
    found = target("{from: in, to: {match: [{when: data.a, to: out}, {when: data.b, to: [out, sink]}], else: sink}}")
    assert found == Match(
        cases=(
            Case(when=Expression("data.a"), to=("out",)),
            Case(when=Expression("data.b"), to=("out", "sink")),
        ),
        otherwise=("sink",),
    )


def test_a_split_has_its_weights_and_its_key() -> None:
    found = target("{from: in, to: {split: {out: 90, sink: 0.5}, by: '{{ data.from }}'}}")
    assert found == Split(weights={"out": 90.0, "sink": 0.5}, by=Template("{{ data.from }}"))
    assert target("{from: in, to: {split: {sink: 1, out: 2}}}") == Split(weights={"out": 2, "sink": 1})


def test_a_weight_may_stand_in_a_variable() -> None:
    found = target("{from: in, to: {split: {out: '${W:-90}', sink: 10}}}")
    assert found == Split(weights={"out": 90, "sink": 10})
