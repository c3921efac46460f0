"""The functions that expressions become at their first use: a fast one where there is one, Jinja2 where need be.

Each raises ExpressionError, whatever goes wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from jinja2 import nodes

from actors.core.message import Message
from actors.kit.expressions import careful, fast, opaque, plain
from actors.kit.expressions.careful import Opener
from actors.kit.expressions.failure import failure
from actors.kit.expressions.parser import Parsed

T = TypeVar("T")
Function = Callable[[Message, float], T]


def value_function(source: str, node: nodes.Expr, names: frozenset[str]) -> Function[Any]:
    """What evaluates an expression."""
    form = plain.value_of(node) or plain.Opaque(node)
    with _failures(source):
        return fast.value(form, _failing(source, careful.present(form, _opener(names))))


def condition_function(
    source: str, node: nodes.Expr, names: frozenset[str], missed: Callable[[], None]
) -> Function[bool]:
    """What decides whether an expression holds; `missed` is called where a field is missing."""
    form = plain.condition_of(node)
    with _failures(source):
        return fast.condition(form, _failing(source, careful.condition(form, _opener(names), missed)))


def text_function(source: str, parsed: Parsed[nodes.Template]) -> Function[str]:
    """What renders a template as text."""
    parts = plain.text_of_template(parsed.tree)
    with _failures(source):
        if parts is None:
            return _failing(source, opaque.text(parsed.tree, parsed.names))
        return fast.text(parts, _failing(source, careful.text(parts, _opener(parsed.names))))


def native_node(tree: nodes.Template) -> nodes.Expr | None:
    """The expression of a template that is exactly one `{{ … }}`, which keeps its native type."""
    match tree.body:
        case [nodes.Output(nodes=[node])] if not isinstance(node, nodes.TemplateData):
            return node
        case _:
            return None


@contextmanager
def _failures(source: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise failure(source, error) from error


def _opener(names: frozenset[str]) -> Opener:
    return lambda node: opaque.opened(node, names)


def _failing(source: str, run: Function[T]) -> Function[T]:
    def guarded(message: Message, now_s: float) -> T:
        try:
            return run(message, now_s)
        except Exception as error:
            raise failure(source, error) from error

    return guarded
