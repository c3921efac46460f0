"""What a topology names outside of itself, and what a change over TCP may not name."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.change.code import CodeRefusedError, Reference, references, refuse_new_code

HEAD = "router: 1\nname: t\n"
SET: Mapping[str, str] = {"MODULE": "shop.orders:Enrich", "FILE": "ca.pem"}


def named(text: str, environ: Mapping[str, str] = SET) -> set[tuple[str, str]]:
    return {(one.kind, one.name) for one in references(HEAD + text, environ)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("actors: {a: {type: python, class: 'os:system'}}", ("code", "os:system")),
        ("actors: {a: {type: python, 'cl\\u0061ss': 'os:system'}}", None),
        ('actors: {a: {type: python, "cl\\u0061ss": "os:system"}}', ("code", "os:system")),
        ("actors: {a: {type: python, class: '${MODULE}'}}", ("code", "shop.orders:Enrich")),
        ("routes: {r: {steps: [{python: 'shop:price'}]}}", ("code", "shop:price")),
        ("routes: {r: {steps: [{python: {call: 'shop:price'}}]}}", ("code", "shop:price")),
        ("routes: {r: {steps: [{validate: {schema: order.json}}]}}", ("file", "order.json")),
        ("actors: {a: {type: http, tls: {ca: '${FILE}'}}}", ("file", "ca.pem")),
        ("settings: {http: {tls: {cert: c.pem, key: k.pem}}}", ("file", "k.pem")),
        ("settings: {state_dir: elsewhere}", ("file", "elsewhere")),
        ("actors: {a: {headers: {x: 'Bearer ${file:/etc/shadow}'}}}", ("file", "/etc/shadow")),
        ("actors: {a: {type: plugin, key_file: k}}", ("file", "k")),
        ("settings: {control: {allow_code: true}}", ("setting", "settings.control.allow_code")),
        ("x: &here os:system\nactors: {a: {type: python, class: *here}}", ("code", "os:system")),
        ("x: &here {ca: ca.pem}\nactors: {a: {type: http, tls: *here}}", ("file", "ca.pem")),
    ],
)
def test_what_leads_out_of_a_topology_is_found_however_it_is_written(
    text: str, expected: tuple[str, str] | None
) -> None:
    found = named(text)
    assert expected in found if expected is not None else found == set()


@pytest.mark.parametrize(
    "text",
    [
        "routes: {r: {steps: [{validate: {schema: {type: object}}}]}}",
        "routes: {r: {order_by: '{{ data.key }}', steps: [{dedup: {key: '{{ data.id }}'}}]}}",
        "actors: {a: {type: http, url: '${MODULE}'}}",
        "settings: {control: {allow_code: false}}",
        "actors: {a: {type: python}}",
    ],
)
def test_what_stays_inside_is_none(text: str) -> None:
    assert named(text) == set()


def test_what_cannot_be_read_names_nothing() -> None:
    assert references("a: [", SET) == frozenset()
    assert references("", SET) == frozenset()


def test_no_file_is_read_to_find_that_out() -> None:
    """A pipe would never end."""
    assert named("x: '${file:/dev/stdin}'") == {("file", "/dev/stdin")}


def test_what_runs_already_may_be_named_again() -> None:
    running = HEAD + "actors: {a: {type: python, class: 'shop:A'}, b: {type: log}}"
    refuse_new_code(HEAD + "actors: {c: {type: python, class: 'shop:A'}}", running, SET)


def test_a_refusal_names_all_that_is_new() -> None:
    text = HEAD + "actors: {a: {type: python, class: 'os:system'}, b: {type: http, tls: {ca: /x}}}"
    with pytest.raises(CodeRefusedError, match="code 'os:system', file '/x'") as caught:
        refuse_new_code(text, HEAD, SET)
    assert caught.value.found == {Reference("code", "os:system"), Reference("file", "/x")}


NAMES = st.text("abc:/.", min_size=1, max_size=6)


@given(st.sets(NAMES, max_size=5), st.sets(NAMES, max_size=5))
def test_exactly_what_is_new_is_refused(before: set[str], after: set[str]) -> None:
    def written(found: set[str]) -> str:
        actors = [f"  a{number}: {{class: '{name}'}}" for number, name in enumerate(sorted(found))]
        return "\n".join([HEAD, "actors:", *actors, ""])

    def refused() -> set[str]:
        try:
            refuse_new_code(written(after), written(before), {})
        except CodeRefusedError as error:
            return {one.name for one in error.found}
        return set()

    assert refused() == after - before
