"""Nothing that an expression says can take the machine: it fails, soon and with little memory."""

import time
import tracemalloc
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from actors.core.errors import ExpressionError
from actors.core.message import Message
from actors.kit.expressions import Expression, MistakeError, Template

LONG = "x" * 900_000
MESSAGE = Message(
    "id-1",
    "door",
    {
        "n": 999_999_999,
        "long": LONG,
        "lines": "\n" * 300_000,
        "many": list(range(60_000)),
        "percent": "%(a)s" * 100_000,
        "braces": "{0}" * 100_000,
        "object": datetime(2020, 1, 1, tzinfo=UTC),
        "class": type,
        "lambda": lambda: "called",
    },
    {"priority": "high"},
)
DEADLINE_S = 5.0
MOST_BYTES = 64_000_000


def outcome(source: str, kind: type[Expression] | type[Template] = Expression) -> Any:
    """The value, or ExpressionError where it fails, on the limits of time and memory."""
    compiled = kind(source)
    run = compiled.evaluate if isinstance(compiled, Expression) else compiled.render
    tracemalloc.start()
    began = time.perf_counter()
    try:
        return run(MESSAGE, 0.0)
    except ExpressionError:
        return ExpressionError
    finally:
        took_s, peak = time.perf_counter() - began, tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert took_s < DEADLINE_S
        assert peak < MOST_BYTES


@pytest.mark.parametrize(
    "source",
    [
        "data.long * 5",
        "5 * data.many",
        "'x'.upper() * data.n",
        "data.long ~ data.long",
        "data.long + data.long",
        "data.n * data.n * data.n * " + " * ".join(["9" * 300] * 15),
        "data.long.center(2000000)",
        "data.long.ljust(2000000)",
        "'x'.rjust(1000000000)",
        "'1'.zfill(1000000000)",
        "'x' | center(1000000000)",
        "'%1000000000d' % 1",
        "'%*d' % (1000000000, 1)",
        "'%.1000000000f' % 1.5",
        "'%.*f' | format(1000000000, 1.5)",
        "'%1000000000d' | format(1)",
        "'%(a)1000000000d' | format(a=1)",
        "data.percent | format(a=data.long)",
        "data.percent % {'a': data.long}",
        "'%s%s' % (data.long, data.long)",
        "'{:>1000000000}'.format(1)",
        "'{:.1000000000f}'.format(1.5)",
        "'{:{w}}'.format(1, w=1000000000)",
        "data.braces.format(data.long)",
        "'{0.__class__}'.format(data.n)",
        "'{0[0]}'.format(data.many)",
        "'{!r}'.format(data.many)",
        "data.long.replace('x', data.long)",
        "data.long | replace('', data.long)",
        "data.many | join(data.long)",
        "data.long.join(data.many)",
        "['x'] | batch(1000000000, 'y') | list",
        "['x'] | slice(1000000000) | list",
        "'x' | indent(1000000000)",
        "data.lines | indent(4096)",
        "data.lines | indent(data.long)",
        "1.5 | round(1000000000, 'floor')",
        "range(1000000000) | list",
        "range(100000) | map('center', 4000) | list",
        "[[1]] | sum(start=[])",
        "data.long | urlencode ~ data.long",
        "{'a': data.long} | json(indent=1000000000)",
        "data.lambda()",
        "data['class'].mro()",
        "data['class']('x', (), {})",
        "data.object.__class__",
        "data.object.replace",
        "data.object['__class__']",
        "data.n.to_bytes",
        "data.n.__class__.__mro__",
        "(data.n | string).__class__",
        "data.many.append",
        "data.many['append']",
        "data.long.encode",
        "data.long['format_map']",
        "dict.__subclasses__",
        "range.__self__",
        "[data] | map(attribute='lambda.__globals__') | list",
        "[data] | map(attribute='object.__class__') | first",
        "data | attr('lambda')",
        "data.many | random",
        "data.long | safe",
        "data.n | pprint",
        "data.n | xmlattr",
        "data.n ** 999999999",
        "2 ** 999999999",
        "(1, 2) * 999999999",
    ],
)
def test_what_would_grow_or_reach_out_fails(source: str) -> None:
    try:
        found = outcome(source)
    except MistakeError:
        return
    assert found is ExpressionError


@pytest.mark.parametrize(
    "source",
    [
        "{% for a in range(1000) %}{% for b in range(1000) %}{% endfor %}{% endfor %}",
        "{% for a in data.many %}{% for b in data.many %}{% endfor %}{% endfor %}",
        "{% for a in data.many %}{{ data.many | sum }}{% endfor %}",
        "{% for a in data.many %}{{ data.long | upper | length }}{% endfor %}",
        "{% for a in range(100) %}{{ data.long }}{% endfor %}",
        "{{ data.long }}{{ data.long }}",
        "{{ data.long }}" * 60,
        "{% for a in range(9) if range(90000) | list %}{% endfor %}",
        "{% set a = [data.many, data.many] %}" + "{% set a = [a, a] %}" * 40 + "{{ a }}",
        "{% set a = [1, 1] %}" + "{% set a = [a, a] %}" * 40 + "{{ '%s' % (a,) }}",
        "{% set a = 'xx' %}" + "{% set a = a ~ a %}" * 40 + "{{ a }}",
        "{% set a = 'xx' %}" + "{% set a = a + a %}" * 40 + "{{ a }}",
        "{% set a = 99 %}" + "{% set a = a * a %}" * 40 + "{{ a }}",
        "{% set a = [1] %}" + "{% set a = a + a %}" * 40 + "{{ a }}",
    ],
)
def test_a_template_that_would_grow_or_run_without_end_fails(source: str) -> None:
    assert outcome(source, Template) is ExpressionError


@pytest.mark.parametrize(
    ("source", "length"),
    [
        ("{{ data.long }}.", 900_001),
        ("{% for a in data.many %}x{% endfor %}", 60_000),
        ("{% for a in range(300) %}{% for b in range(300) %}x{% endfor %}{% endfor %}", 90_000),
        ("{{ '%4096d' % 1 }}.", 4097),
        ("{{ data.many | join(',') }}.", 348_890),
    ],
)
def test_what_stays_within_the_limits_is_done(source: str, length: int) -> None:
    assert len(outcome(source, Template)) == length


def test_the_turns_of_loops_are_counted_anew_for_each_message() -> None:
    template = Template("{% for a in data.many %}x{% endfor %}")
    for _ in range(3):
        assert len(template.render(MESSAGE, 0.0)) == 60_000


def test_a_method_that_repeats_a_text_keeps_its_meaning() -> None:
    assert outcome("'7'.zfill(3) ~ 'a'.center(3, '*') ~ 'b'.ljust(2) ~ 'c'.rjust(2)") == "007*a*b  c"
    assert outcome("'a-b-c'.replace('-', '+', 1)") == "a+b-c"
    assert outcome("','.join(['a', 1, true])") == "a,1,True"
    assert outcome("'%s=%05.2f%%' % ('a', 3.14159)") == "a=03.14%"
    assert outcome("'%(a)s' | format(a=1)") == "1"
    assert outcome("'{0}{1}{0}'.format('a', 2)") == "a2a"
    assert outcome("'{:%Y}'.format(now)") == "1970"


def test_a_duration_counts_in_seconds() -> None:
    message = MESSAGE.with_data({"wait": timedelta(minutes=1)})
    assert Expression("data.wait.total_seconds()").evaluate(message, 0.0) == 60
