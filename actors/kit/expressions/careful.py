"""Runs forms step by step: the reference for what an expression means, and how it meets what is missing.

A value that is missing travels as a `Missing` until something needs it, which then raises `MissingFieldError`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from numbers import Number
from typing import TYPE_CHECKING, Any, Final, assert_never

from actors.kit.expressions import lookup
from actors.kit.expressions.bounds import OUTPUT_LIMIT, BoundsError, text_of
from actors.kit.expressions.lookup import MISSING, Missing
from actors.kit.expressions.mistake import MissingFieldError
from actors.kit.expressions.plain import (
    Both,
    Choice,
    Comparison,
    Constant,
    Default,
    Defined,
    Either,
    Entry,
    Form,
    Kind,
    Listing,
    Negation,
    Opaque,
    Path,
    Table,
    Text,
)
from actors.kit.expressions.scope import EXTENSIONS

if TYPE_CHECKING:
    from jinja2 import nodes

    from actors.core.message import Message

Run = Callable[["Message", float], Any]
"""Evaluates something on a message, at a time in epoch seconds."""
Opener = Callable[["nodes.Expr"], Run]
"""Makes what only Jinja2 can run runnable; it raises MissingFieldError itself."""

_OPERATORS: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "lteq": operator.le,
    "gt": operator.gt,
    "gteq": operator.ge,
    "in": lambda left, right: left in right,
    "notin": lambda left, right: left not in right,
}


def is_kind(kind: str, value: Any) -> bool:
    """Jinja2's tests of a value's kind."""
    match kind:
        case "none":
            return value is None
        case "string":
            return isinstance(value, str)
        case "number":
            return isinstance(value, Number)
        case "boolean":
            return value is True or value is False
        case _:
            return lookup.is_mapping(value)


def value(form: Form, opened: Opener) -> Run:
    """What evaluates `form`; it gives a `Missing` where that is all there is."""
    match form:
        case Constant(value=constant):
            return lambda message, now_s: constant
        case Path():
            return _path(form, opened)
        case Listing(parts=parts):
            runs = [present(part, opened) for part in parts]
            return lambda message, now_s: [run(message, now_s) for run in runs]
        case Table(pairs=pairs):
            entries = [(present(key, opened), present(part, opened)) for key, part in pairs]
            return lambda message, now_s: {key(message, now_s): part(message, now_s) for key, part in entries}
        case Entry():
            return _entry(form, opened)
        case Comparison():
            left, right = present(form.left, opened), present(form.right, opened)
            compare = _OPERATORS[form.operator]
            return lambda message, now_s: compare(left(message, now_s), right(message, now_s))
        case Both():
            first, second = present(form.left, opened), value(form.right, opened)
            return lambda message, now_s: first(message, now_s) and second(message, now_s)
        case Either():
            first, second = present(form.left, opened), value(form.right, opened)
            return lambda message, now_s: first(message, now_s) or second(message, now_s)
        case Negation():
            operand = present(form.operand, opened)
            return lambda message, now_s: not operand(message, now_s)
        case Choice():
            test = present(form.test, opened)
            chosen, otherwise = value(form.chosen, opened), value(form.otherwise, opened)
            return lambda message, now_s: (chosen if test(message, now_s) else otherwise)(message, now_s)
        case Defined():
            path = _path(form.path, opened)
            return lambda message, now_s: path(message, now_s).__class__ is not Missing
        case Kind():
            kind, tested = form.kind, value(form.operand, opened)
            return lambda message, now_s: is_kind(kind, tested(message, now_s))
        case Default():
            return _default(form, opened)
        case Opaque(node=node):
            return opened(node)
        case _:
            assert_never(form)


def present(form: Form, opened: Opener) -> Run:
    """What evaluates `form`, and raises where it is missing."""
    run = value(form, opened)

    def evaluate(message: Message, now_s: float) -> Any:
        found = run(message, now_s)
        if found.__class__ is Missing:
            raise MissingFieldError(f"{found.path} is missing")
        return found

    return evaluate


def condition(form: Form, opened: Opener, missed: Callable[[], None]) -> Callable[[Message, float], bool]:
    """What decides whether `form` holds: a comparison with what is missing is false, and `missed` is called."""
    match form:
        case Both():
            first, second = condition(form.left, opened, missed), condition(form.right, opened, missed)
            return lambda message, now_s: first(message, now_s) and second(message, now_s)
        case Either():
            first, second = condition(form.left, opened, missed), condition(form.right, opened, missed)
            return lambda message, now_s: first(message, now_s) or second(message, now_s)
        case Negation():
            operand = condition(form.operand, opened, missed)
            return lambda message, now_s: not operand(message, now_s)
        case Choice():
            test = condition(form.test, opened, missed)
            chosen = condition(form.chosen, opened, missed)
            otherwise = condition(form.otherwise, opened, missed)
            return lambda message, now_s: (chosen if test(message, now_s) else otherwise)(message, now_s)
    run = present(form, opened)

    def holds(message: Message, now_s: float) -> bool:
        try:
            return bool(run(message, now_s))
        except MissingFieldError:
            missed()
            return False

    return holds


def text(parts: Text, opened: Opener) -> Callable[[Message, float], str]:
    """What renders a template."""
    runs = [part if isinstance(part, str) else present(part, opened) for part in parts]

    def render(message: Message, now_s: float) -> str:
        length = 0
        texts: list[str] = []
        for run in runs:
            part = run if isinstance(run, str) else text_of(run(message, now_s))
            length += len(part)
            if length > OUTPUT_LIMIT:
                raise BoundsError(f"a text longer than {OUTPUT_LIMIT} characters")
            texts.append(part)
        return "".join(texts)

    return render


def _path(form: Path, opened: Opener) -> Run:
    extension = EXTENSIONS.get(form.root)
    root, path = form.root, form.text
    keys = [value(key, opened) for key in form.keys]
    missing = Missing(path)
    whole_headers = root == "headers" and not keys  # which may be a view that nothing can write as JSON

    def evaluate(message: Message, now_s: float) -> Any:
        found: Any = getattr(message, root) if extension is None else message.attributes.get(extension)
        if extension is not None and found is None:
            return missing
        if whole_headers:
            return dict(found)
        for key in keys:
            wanted = key(message, now_s)
            if wanted.__class__ is Missing:
                return wanted
            found = lookup.item(found, wanted)
            if found is MISSING:
                return missing
        return found

    return evaluate


def _entry(form: Entry, opened: Opener) -> Run:
    table, key = present(form.table, opened), value(form.key, opened)
    missing = Missing("the entry for a key that is looked up")

    def evaluate(message: Message, now_s: float) -> Any:
        entries, wanted = table(message, now_s), key(message, now_s)
        if wanted.__class__ is Missing:
            return wanted
        found = lookup.item(entries, wanted)
        return missing if found is MISSING else found

    return evaluate


def _default(form: Default, opened: Opener) -> Run:
    path, fallback = _path(form.path, opened), value(form.fallback, opened)

    def evaluate(message: Message, now_s: float) -> Any:
        found, otherwise = path(message, now_s), fallback(message, now_s)  # Jinja2 evaluates both
        return otherwise if found.__class__ is Missing else found

    return evaluate
