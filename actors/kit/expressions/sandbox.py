"""The Jinja2 environment in which expressions run: sandboxed, strict about what is missing, and bounded.

Importing this costs 40 ms, so it is imported with the first expression that is parsed.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator
from datetime import timedelta
from functools import cache
from numbers import Number
from typing import Any, Final

from jinja2 import StrictUndefined, TemplateSyntaxError
from jinja2.lexer import Lexer
from jinja2.runtime import Context, LoopContext, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from actors.kit.expressions import filters, lookup, padding
from actors.kit.expressions.bounds import DIGITS_LIMIT, STEP_LIMIT, BoundsError, Steps, text_of
from actors.kit.expressions.codegen import GuardedCodeGenerator

_LOOP: Final = frozenset(
    {
        *("index", "index0", "revindex", "revindex0", "first", "last", "length", "depth", "depth0"),
        *("previtem", "nextitem", "changed", "cycle"),
    }
)
_GROUP: Final = frozenset({"grouper", "list"})


class MissingField(StrictUndefined):
    """A field that is not there: it can be looked into, tested for and given a default, and nothing else."""

    __slots__ = ()

    @property
    def _undefined_message(self) -> str:
        return self._undefined_hint or f"there is no {self._undefined_name!r}"


class Evaluation(Context):
    """The context of one evaluation, which counts the turns of its loops."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.steps = Steps()

    def derived(self, locals: dict[str, Any] | None = None) -> Context:
        context = super().derived(locals)
        assert isinstance(context, Evaluation)
        context.steps = self.steps
        return context


class _OffsetLexer(Lexer):
    """Gives every token its offset in the source, where Jinja2 would put the number of its line."""

    def tokeniter(
        self, source: str, name: str | None, filename: str | None = None, state: str | None = None
    ) -> Iterator[tuple[int, str, str]]:
        offset = 0
        try:
            for _, token, text in super().tokeniter(source, name, filename, state):
                offset = max(offset, source.find(text, offset))
                yield offset, token, text
                offset += len(text)
        except TemplateSyntaxError as error:
            raise TemplateSyntaxError(error.message or "", offset) from None


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja2 for messages.

    `lineno` of a node and of a syntax error is an offset in the source. A looked up field is the key of a mapping
    or one of a few methods (see `lookup`); `**` and repetition are refused, and what can grow is bounded.
    """

    code_generator_class = GuardedCodeGenerator
    context_class = Evaluation
    intercepted_binops = frozenset({"+", "*", "%"})

    def __init__(self) -> None:
        super().__init__(undefined=MissingField, finalize=text_of, autoescape=False, optimized=False, cache_size=0)
        self._offsets = _OffsetLexer(self)
        self.binop_table = {"+": _add, "*": _multiply, "%": _modulo}
        self.filters = filters.FILTERS
        self.globals = {"range": _range, "dict": dict}

    @property
    def lexer(self) -> Lexer:
        return self._offsets

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, Undefined):
            return obj
        found = lookup.item(obj, attribute)
        if found is not lookup.MISSING:
            return found
        if (isinstance(obj, LoopContext) and attribute in _LOOP) or (
            type(obj) is filters.Group and attribute in _GROUP
        ):
            return getattr(obj, attribute)
        return MissingField(name=attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(argument, str):
            return self.getattr(obj, argument)
        if isinstance(obj, Undefined):
            return obj
        found = lookup.item(obj, argument)
        return MissingField(name=argument) if found is lookup.MISSING else found

    def entry(self, obj: Any, argument: Any) -> Any:
        """`obj[argument]` for a key that the message brought: an error must not show it."""
        if isinstance(argument, Undefined):
            return argument
        found = self.getitem(obj, argument)
        if isinstance(found, Undefined) and found is not obj:
            return MissingField("there is no entry for a key that is looked up")
        return found

    def call(self, context: Context, obj: Any, *args: Any, **kwargs: Any) -> Any:
        return context.call(obj, *args, **kwargs)

    def concatenated(self, parts: Iterable[Any]) -> str:
        """`a ~ b`."""
        return padding.join("", parts)

    def present(self, value: Any) -> Any:
        """A value that must not be missing."""
        return filters.present(value)


def _range(*limits: int) -> range:
    values = range(*limits)
    if len(values) > STEP_LIMIT:
        raise BoundsError(f"a range of more than {STEP_LIMIT} numbers")
    return values


def _add(left: Any, right: Any) -> Any:
    if isinstance(left, str | bytes | list | tuple) and isinstance(right, type(left)):
        padding.room(len(left) + len(right))
    return left + right


def _multiply(left: Any, right: Any) -> Any:
    if not isinstance(left, Number | timedelta) or not isinstance(right, Number | timedelta):
        raise BoundsError("only numbers can be multiplied: repeating a text or a list is refused")
    if isinstance(left, int) and isinstance(right, int):
        if left.bit_length() + right.bit_length() > DIGITS_LIMIT:
            raise BoundsError(f"a number of more than {DIGITS_LIMIT} bits")
    return left * right


def _modulo(left: Any, right: Any) -> Any:
    if isinstance(left, str):
        return padding.percent_format(left, right)
    return operator.mod(left, right)


@cache
def sandbox() -> Sandbox:
    """The environment: one is enough, since it is never changed and takes a millisecond to make."""
    return Sandbox()
