"""An edit of a topology's text changes where one route leads, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.errors import ControlError
from actors.kit.expressions import Template
from router.topology.check import check
from router.topology.edit import parse_targets, redirect
from router.topology.model import RouteDefinition
from router.topology.problems import render
from router.topology.target import All, Match, One, Split
from tests.router.topology.sample_types import sample_catalog

ACTORS = """router: 1
name: test  # ünï😀
actors:
  in: {type: door, path: "${PATH_IN:-/in}"}   # the way in
  a: {type: sink}
  b: {type: sink}
  c: {type: sink}
  'null': {type: sink}
"""

BLOCKS = [
    " a",
    "    a",
    ' "a"',
    " 'a'",
    ' "${TO:-a}"',
    " !!str a",
    " >-\n      a\n",
    " |-   # a block\n      a\n",
    "\n      a",
    "\n      # why\n      a",
    " [a, b]",
    " [a,  # x\n      b]",
    "\n      [ a\n      , b ]",
    "\n      - a  # x\n      - b",
    "\n    - a\n    # x\n    - b",
    "   # all\n    - a\n    - b",
    " # all\n    # of them\n\n      - a\n      - b",
    "\n      match:\n        # first\n        - when: data.x  # y\n          to: b\n"
    '        - {when: "data.y", to: [a, b]}\n      # then\n      else: a',
    ' {match: [{when: "data.x", to: a}, {when: "data.y", to: [b, c]}]}',
    "\n      match:\n      - to: a\n        when: >-\n          data.x\n          == 1\n",
    " {split: {a: 1, b: 2}, by: '{{ data.x }}'}",
    "\n      split:  # weights\n        a: 90  # most\n        b: 10",
    "\n      split:\n        a: 90\n        c: 10\n      by: x-{{ data.a }}",
    "\n      by: >-\n        {{ data.x }}\n      split: {\"a\": 1, 'b': 2.5}",
    '\n      split: {a: "${A:-90}", b: 0}\n      by: "{{ data.x }}"',
]
"""What may stand behind `to:` in a block."""
FLOWS = [" a", ' "a"', "\n  a", " # x\n  a", " [a, b]", " {split: {a: 1, b: 2}, by: '{{ data.x }}'}"]
"""And within { }."""
AFTER = ["", "\n", "   # tail", "\n\n", "\n    # more\n", "\n# more\n  # and more\n"]
TARGETS = st.one_of(
    st.sampled_from(["a", "b", "null"]).map(lambda name: One(actor=name)),
    st.dictionaries(
        st.sampled_from(["a", "b", "c", "null"]),
        st.integers(1, 100).map(float) | st.floats(1e-9, 1e6) | st.just(0.0),
        min_size=1,
    )
    .filter(lambda weights: any(weights.values()))
    .map(lambda weights: Split(weights=weights)),
)


def routes(text: str) -> dict[str, RouteDefinition]:
    topology, problems = check(text, path=Path("t.yaml"), catalog=sample_catalog(), environ={})
    assert topology is not None, "\n".join(map(render, problems))
    return dict(topology.routes)


def by_of(to: One | All | Match | Split) -> Template | None:
    return to.by if isinstance(to, Split) else None


def assert_redirected(before: str, after: str, to: One | Split) -> None:
    """Route `r` leads where it should, and all else is what it was."""
    old, new = routes(before), routes(after)
    kept = to.model_copy(update={"by": by_of(old["r"].to)}) if isinstance(to, Split) else to
    assert new["r"].to == kept
    assert new["r"].model_copy(update={"to": old["r"].to}) == old["r"]
    assert {name: route for name, route in new.items() if name != "r"} == {
        name: route for name, route in old.items() if name != "r"
    }


@given(
    value=st.sampled_from(BLOCKS),
    tail=st.sampled_from(AFTER),
    rest=st.sampled_from(["", "    timeout: 5s\n", "  s: {from: in, to: [a, b]}   # other\n"]),
    ends=st.sampled_from(["\n", "\r\n", "\r"]),
    mark=st.sampled_from(["", "\ufeff"]),
    to=TARGETS,
)
def test_in_a_block_all_around_the_value_stays(
    value: str, tail: str, rest: str, ends: str, mark: str, to: One | Split
) -> None:
    """Comments, layout, quotes, line breaks, a mark at the beginning, and no line break at the end."""
    if value.endswith("\n"):
        value, tail = value[:-1], "\n" + tail.removeprefix("   # tail")
    if rest and not tail.endswith("\n"):
        tail += "\n"
    front = mark + (ACTORS + "routes:  # all\n  r:\n    from: in\n    to:").replace("\n", ends)
    back = (tail + rest).replace("\n", ends)
    before = front + value.replace("\n", ends) + back
    after = redirect(before, "r", to).text
    assert after.startswith(front)
    assert after.endswith(back)
    assert_redirected(before, after, to)
    assert redirect(after, "r", to) == (after, "")


@given(value=st.sampled_from(FLOWS), tail=st.sampled_from(["", " ", "  # tail\n  "]), to=TARGETS, last=st.booleans())
def test_within_braces_too(value: str, tail: str, to: One | Split, last: bool) -> None:
    front = f'{ACTORS}routes: {{"s": {{from: in, to: b}}, "r": {{from: in, "to":'
    back = f"{tail}}}}}\n" if last else f"{tail}, timeout: 5s}}\n\n}}"
    before = front + value + back
    after = redirect(before, "r", to).text
    assert after.startswith(front)
    assert after.endswith(back)
    assert_redirected(before, after, to)


def edited(value: str, *targets: str) -> str:
    """What stands behind `to:` after an edit."""
    front, back = f"{ACTORS}routes:\n  r:\n    from: in\n    to:", "\n    timeout: 5s\n"
    after = redirect(front + value + back, "r", parse_targets(targets)).text
    assert after.startswith(front)
    assert after.endswith(back)
    return after[len(front) : -len(back)]


@pytest.mark.parametrize(
    ("value", "targets", "expected"),
    [
        (" a  # was", ("b",), " b  # was"),
        ("   a", ("b",), "   b"),
        (" a", ("null",), ' "null"'),
        (" a", ("b=100",), " b"),
        (" [a, b]  # all", ("a=90", "b=10"), " {split: {a: 90, b: 10}}  # all"),
        ("\n      - a   # x\n      - b   # y", ("c",), " c   # y"),
        ("  # all\n    - a\n    - b", ("c",), " c  # all"),
        (" # all\n      # of\n      - a\n      - b  # y", ("c",), " c # all\n      # of  # y"),
        (
            " {split: {a: 90, b: 10}, by: '{{ data.x }}'}",
            ("a=50", "b=50"),
            " {split: {a: 50, b: 50}, by: '{{ data.x }}'}",
        ),
        (
            "\n      split:\n        a: 90   # old\n        b: 10   # new\n      by: x-{{ data.a }}",
            ("b=50", "a=50.5"),
            "\n      split:\n        a: 50.5   # old\n        b: 50   # new\n      by: x-{{ data.a }}",
        ),
        (
            "\n      split:\n        a: 90   # old\n        b: 10   # new\n      by: x-{{ data.a }}  # key",
            ("a=90", "c=0"),
            "\n      split: {a: 90, c: 0}   # new\n      by: x-{{ data.a }}  # key",
        ),
        (" {split: {a: 90.0, b: 10}}", ("a=90", "b=20"), " {split: {a: 90.0, b: 20}}"),
        (" {split: {a: 9, b: 1}, by: '{{ data.x }}'}  # both", ("a",), " a  # both"),
    ],
)
def test_an_edit_is_as_small_as_can_be(value: str, targets: tuple[str, ...], expected: str) -> None:
    assert edited(value, *targets) == expected


def test_a_key_that_the_split_brings_takes_the_place_of_the_old_one() -> None:
    text = f"{ACTORS}routes:\n  r: {{from: in, to: {{split: {{a: 1, b: 2}}, by: '{{{{ data.x }}}}'}}}}\n"
    for by in ("{{ data.y }}", 'a "\\ {{ data.z }}', "$${X} ü", ""):
        to = Split(weights={"a": 1, "b": 2}, by=Template(by))
        assert routes(redirect(text, "r", to).text)["r"].to == to


def refusal(text: str, route: str = "r") -> str:
    with pytest.raises(ControlError) as refused:
        redirect(text, route, One(actor="b"))
    return str(refused.value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("rowtes: {r: {from: in, to: a}}", "the file has no route 'r'"),
        ("routes: {notify: {from: in, to: a}}", "the file has no route 'r'"),
        ("routes: {rr: {from: in, to: a}}", "the file has no route 'r': did you mean 'rr'?"),
        ("routes: [r]", "the file has no route 'r'"),
        ("a: &a {r: {from: in, to: a}}\nroutes: *a", "the file has no route 'r'"),
        ("", "the file has no route 'r'"),
        ("routes: {r: {from: in}}", "route 'r' has no 'to' in the file: edit the file by hand"),
        ("routes: {r: }", "route 'r' has no 'to' in the file: edit the file by hand"),
        ("routes: {r: {from: in, to: }}", "'to' of route 'r' is empty: edit the file by hand"),
        ("routes: {s: &s {from: in, to: a}, r: *s}", "route 'r' repeats another with '*s': edit the file by hand"),
        (
            "routes: {s: &s {from: in, to: a}, r: {<<: *s, when: x}}",
            "route 'r' has no 'to' of its own, but a merge key '<<': edit the file by hand",
        ),
        ("routes: {s: {from: in, to: &t a}, r: {to: *t}}", "'to' of route 'r' repeats '*t': edit the file by hand"),
        (
            "routes: {r: &r {from: in, to: a}, s: *r}",
            "'&r' is repeated elsewhere, which would change with it: edit the file by hand",
        ),
        (
            "routes: {r: {from: in, to: &t [a, b]}, s: {to: *t}}",
            "'&t' is repeated elsewhere, which would change with it: edit the file by hand",
        ),
        (
            "routes: {r: {from: in, to: [&t a, b]}, s: {to: *t}}",
            "'&t' is repeated elsewhere, which would change with it: edit the file by hand",
        ),
        ("routes: {r: {from: in, to: a}\n", "the file is not YAML: did not find expected ',' or '}' in line 2"),
        ("x: \ud800", "the file is not YAML: "),
        (f"routes: {'[' * 60}{']' * 60}", "the file is nested deeper than 50 levels"),
    ],
)
def test_what_cannot_be_edited_is_refused_with_the_reason(text: str, why: str) -> None:
    assert refusal(text).startswith(why)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("routes: {r: {from: &in in, to: a}, s: {from: *in}}", "routes: {r: {from: &in in, to: b}, s: {from: *in}}"),
        ("routes: {s: &t a, r: {to: [*t, c]}}", "routes: {s: &t a, r: {to: b}}"),
        ("routes: {r: &r {to: &t a}}", "routes: {r: &r {to: b}}"),
        ("routes:\n  ? r\n  : ? to\n    : - a\n      - c\n", "routes:\n  ? r\n  : ? to\n    : b\n"),
        ("%YAML 1.2\n---\nroutes: {r: {to: a}}\n...\n", "%YAML 1.2\n---\nroutes: {r: {to: b}}\n...\n"),
        ("routes:\n  r:\n    to:\n\n      a", "routes:\n  r:\n    to: b"),
    ],
)
def test_what_is_shared_or_odd_and_not_touched_does_no_harm(text: str, expected: str) -> None:
    assert redirect(text, "r", One(actor="b")) == (expected, "")


def test_weights_next_to_a_shared_key_can_be_edited() -> None:
    text = "routes: {r: {order_by: &k x, to: {split: {a: 1, b: 2}, by: *k}}}"
    assert redirect(text, "r", parse_targets(["a=5", "b=2"])).text == text.replace("a: 1", "a: 5")
    assert redirect(text, "r", parse_targets(["a=5", "c=2"])).text == text.replace("{a: 1, b: 2}", "{a: 5, c: 2}")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["a"], One(actor="a")),
        (["a=90"], One(actor="a")),
        (["a=90", "b=10"], Split(weights={"a": 90, "b": 10})),
        (["a=0.5", "b-2=0", "c_3=1000000"], Split(weights={"a": 0.5, "b-2": 0, "c_3": 1e6})),
    ],
)
def test_arguments_name_an_actor_or_a_split(arguments: list[str], expected: One | Split) -> None:
    assert parse_targets(arguments) == expected


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([], "name an actor, or several with their weights: A=90 B=10"),
        ([""], "'' is neither ACTOR nor ACTOR=WEIGHT"),
        (["a:90"], "'a:90' is neither ACTOR nor ACTOR=WEIGHT"),
        (["=90"], "'=90' is neither ACTOR nor ACTOR=WEIGHT"),
        (["a=90%", "b=10"], "the weight of 'a' should be a number such as 90, not '90%'"),
        (["a="], "the weight of 'a' should be a number such as 90, not ''"),
        (["a=-1", "b=1"], "the weight of 'a' should be a number such as 90, not '-1'"),
        (["a=inf", "b=1"], "the weight of 'a' should be a number such as 90, not 'inf'"),
        (["a=1000001", "b=1"], "the weight of 'a' should be at most 1,000,000, not 1000001"),
        (["a=90", "a=10"], "actor 'a' is named twice"),
        (["a", "b"], "where there are several actors each needs a weight: a=10"),
        (["a=90", "b"], "where there are several actors each needs a weight: b=10"),
        (["a=0", "b=0"], "at least one weight must be above 0"),
        (["a=0"], "at least one weight must be above 0"),
    ],
)
def test_arguments_that_say_nothing_clear_are_refused(arguments: list[str], why: str) -> None:
    with pytest.raises(ControlError) as refused:
        parse_targets(arguments)
    assert str(refused.value) == why


# Fallbacks that become targets


def with_fallback(fallback: str, to: str = " a") -> str:
    return f"{ACTORS}routes:\n  r:\n    from: in\n    to:{to}\n    fallback:{fallback}\n    timeout: 5s\n"


@pytest.mark.parametrize(
    ("fallback", "rest"),
    [
        (" b", ""),
        (' "b"   ', ""),
        (" [b]", ""),
        ("\n      - b", ""),
        ("\n      b", ""),
        (" b  # when it is down", "    # when it is down\n"),
        ("  # when\n    # it is\n    - b   # down", "    # when\n    # it is\n    # down\n"),
        (" [b, c]", "    fallback: [c]\n"),
        (" [c, b]", "    fallback: [c]\n"),
        (" [c, b, ]  # x", "    fallback: [c, ]  # x\n"),
        (" [c, b, 'null']", "    fallback: [c, 'null']\n"),
        (" [ b, # x\n       c ]", "    fallback: [ # x\n       c ]\n"),
        (" [ c, # x\n       b ]", "    fallback: [ c, # x\n        ]\n"),
        ("\n      - b\n      - c", "    fallback:\n      - c\n"),
        ("\n    - c  # x\n    - b  # y", "    fallback:\n    - c  # x\n    # y\n"),
        (
            "   # all\n      - c\n      # why\n      - b\n      - 'null'",
            "    fallback:   # all\n      - c\n      # why\n      - 'null'\n",
        ),
    ],
)
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_a_fallback_that_becomes_the_target_is_no_fallback_any_more(fallback: str, rest: str, ends: str) -> None:
    """Its key goes with the last of them; comments stay."""
    text = with_fallback(fallback).replace("\n", ends)
    after, remark = redirect(text, "r", One(actor="b"))
    expected = f"{ACTORS}routes:\n  r:\n    from: in\n    to: b\n{rest}    timeout: 5s\n"
    assert after == expected.replace("\n", ends)
    assert remark == "'b' is the target of route 'r' now, and its fallback no more"
    before = routes(text)["r"]
    kept = tuple(name for name in before.fallback if name != "b")
    assert routes(after)["r"] == before.model_copy(update={"to": One(actor="b"), "fallback": kept})


@pytest.mark.parametrize(
    ("route", "expected"),
    [
        ("{from: in, to: a, fallback: b}", "{from: in, to: b}"),
        ("{from: in, to: a, fallback: b, }", "{from: in, to: b, }"),
        ("{fallback: b, from: in, to: a}", "{from: in, to: b}"),
        ("{from: in, fallback: [ b ], to: [a, c]}", "{from: in, to: b}"),
        ('{"from": in, "fallback":[c,b],"to":a}', '{"from": in, "fallback":[c],"to":b}'),
        ("{from: in, # x\n  fallback: b, # y\n  to: a}", "{from: in, # x\n  # y\n  to: b}"),
        ("{from: in, to: a, # x\n  fallback: b}", "{from: in, to: b, # x\n  }"),
    ],
)
def test_a_fallback_within_braces_goes_too(route: str, expected: str) -> None:
    after, remark = redirect(f"{ACTORS}routes:\n  r: {route}\n", "r", One(actor="b"))
    assert after == f"{ACTORS}routes:\n  r: {expected}\n"
    assert remark
    assert routes(after)["r"].to == One(actor="b")


def test_at_the_end_of_a_file_it_goes_too() -> None:
    text = f"{ACTORS}routes:\n  r:\n    from: in\n    to: a\n    fallback: b"
    assert redirect(text, "r", One(actor="b")).text == f"{ACTORS}routes:\n  r:\n    from: in\n    to: b\n"


@pytest.mark.parametrize("targets", [("c",), ("a=90", "b=10")])
def test_fallbacks_that_may_stay_stay(targets: tuple[str, ...]) -> None:
    """A split may lead to its fallback: for the other keys it is one."""
    text = with_fallback(" [b, 'null']")
    after, remark = redirect(text, "r", parse_targets(targets))
    assert "    fallback: [b, 'null']\n" in after
    assert remark == ""
    assert routes(after)["r"].fallback == ("b", "null")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("routes: {r: {to: a, fallback: &f [b, c]}, s: {fallback: *f}}", "'&f' is repeated elsewhere"),
        ("routes: {r: {to: a, fallback: [&f b, c]}, s: {to: *f}}", "'&f' is repeated elsewhere"),
        ("routes:\n  r:\n    ? fallback\n    : b\n    to: a\n", "edit the file by hand"),
        ("routes:\n  r:\n    fallback:\n      -\n        b\n      - c\n    to: a\n", "edit the file by hand"),
        ("routes: {r: {fallback: b # x\n , to: a}}", "edit the file by hand"),
    ],
)
def test_a_fallback_that_cannot_be_taken_out_is_left_to_people(text: str, why: str) -> None:
    assert why in refusal(text)


def test_a_fallback_that_another_place_says_is_not_touched() -> None:
    """Validation says what is wrong then."""
    text = "routes: {s: &s {fallback: b}, r: {<<: *s, to: a}, t: {fallback: &b b}, u: {to: a, fallback: *b}}"
    assert redirect(text, "r", One(actor="b")) == (text.replace("*s, to: a", "*s, to: b"), "")
    assert redirect(text, "u", One(actor="b")) == (text.replace("{to: a, fallback: *b", "{to: b, fallback: *b"), "")
