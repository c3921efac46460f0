"""What is accepted compiles, at its first use and not before."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.core.errors import ExpressionError
from actors.core.message import Message
from actors.kit.expressions import Expression, MistakeError, Template

MESSAGE = Message("id-1", "door", {"n": 5, "l": [1, 2], "s": "abc"})
SHAPES = [
    *("-({})", "({}) + 1", "1 + ({})", "({}) and 1", "0 or ({})", "not ({})", "({}) ~ 'a'", "[{}]", "({},)"),
    *("({}) | default(1)", "data.x | default({})", "{{'a': {}}}", "({}) if 1 else 2", "1 if 0 else ({})"),
    *("({}) == 1", "1 < ({}) < 3", "({})[0]", "({}).a", "data.l[({}) | int(0)]", "dict(a={})", "({}) in [1]"),
    *("data.s.count(({}) | string)", "({}) is defined", "data.s[({}) | int(0):]", "1 in [{}]", "({}) is none"),
]


Use = Callable[[Message, float], Any]
Kind = Callable[[str], list[Use]]
KINDS: list[Kind] = [
    lambda source: [(made := Expression(source)).evaluate, made.holds],
    lambda source: [(made := Template(f"{{{{ {source} }}}}")).render, made.render_text],
    lambda source: [Template(f"a{{{{ {source} }}}}").render],
]


def nested(shapes: list[str], depth: int) -> str:
    source = "data.n"
    for number in range(depth):
        source = shapes[number % len(shapes)].format(source)
    return source


def deepest(shapes: list[str], kind: Kind) -> list[Use]:
    """The uses of the deepest source that is accepted; found by halving, since parsing takes its time."""
    accepted, refused = kind(nested(shapes, 0)), 100
    depth = 0
    while refused - depth > 1:
        middle = (depth + refused) // 2
        try:
            accepted, depth = kind(nested(shapes, middle)), middle
        except MistakeError:
            refused = middle
    with pytest.raises(MistakeError, match="nested more than 60 deep"):
        kind(nested(shapes, refused))
    return accepted


def deepest_outcomes(shapes: list[str]) -> list[BaseException | None]:
    """What running the deepest source of these shapes in turn fails with, in every kind and use."""
    outcomes = []
    for kind in KINDS:
        for use in deepest(shapes, kind):
            try:
                use(MESSAGE, 0.0)
            except ExpressionError as error:
                outcomes.append(error.__cause__)
            else:
                outcomes.append(None)
    return outcomes


@pytest.mark.parametrize("shape", SHAPES)
def test_the_deepest_that_is_accepted_compiles(shape: str) -> None:
    for cause in deepest_outcomes([shape]):
        assert not isinstance(cause, SyntaxError | MemoryError | RecursionError)


@settings(max_examples=8)
@given(st.lists(st.sampled_from(SHAPES), min_size=2, max_size=5))
def test_the_deepest_of_any_mixture_compiles(shapes: list[str]) -> None:
    for cause in deepest_outcomes(shapes):
        assert not isinstance(cause, SyntaxError | MemoryError | RecursionError)


@pytest.mark.parametrize(
    ("opening", "closing", "most"),
    [("{% if 1 %}", "{% endif %}", 60), ("{% for x in data.l %}", "{% endfor %}", 5)],
)
def test_the_deepest_template_that_is_accepted_compiles(opening: str, closing: str, most: int) -> None:
    deepest = None
    for depth in range(1, most + 2):
        try:
            deepest = Template(opening * depth + "{{ data.s | upper }}" + closing * depth)
        except MistakeError:
            break
    assert deepest is not None
    assert "ABC" in deepest.render(MESSAGE, 0.0)


def test_jinja2_is_loaded_with_the_first_expression_that_is_parsed() -> None:
    """Loading it costs 40 ms, which `router --help` shall not pay."""
    script = """
import sys
from actors.kit.expressions import Expression, Template
Template("a constant")
assert "jinja2" not in sys.modules
Expression("data.a")
assert "jinja2" in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=30)
