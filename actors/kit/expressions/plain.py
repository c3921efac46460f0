"""The part of an expression language that most expressions use: paths, constants, comparisons, and, or, not.

`value_of` and `condition_of` turn Jinja2's tree into the forms below, where they can. Two things run a form: `fast`
makes a Python function of it that gives up where anything is out of the ordinary, and `careful` then says what the
outcome is. What has no form runs in Jinja2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from jinja2 import nodes

from actors.kit.expressions.scope import EXTENSIONS, FIELDS

OPERATORS: Final = {
    "eq": "==",
    "ne": "!=",
    "lt": "<",
    "lteq": "<=",
    "gt": ">",
    "gteq": ">=",
    "in": "in",
    "notin": "not in",
}
KINDS: Final = frozenset({"none", "string", "number", "boolean", "mapping"})


@dataclass(frozen=True, slots=True)
class Constant:
    value: Any


@dataclass(frozen=True, slots=True)
class Path:
    """A field: an attribute of the message, and the keys that lead down from it."""

    root: str
    keys: tuple[Form, ...]
    text: str
    """As the expression has it."""


@dataclass(frozen=True, slots=True)
class Listing:
    parts: tuple[Form, ...]


@dataclass(frozen=True, slots=True)
class Table:
    pairs: tuple[tuple[Form, Form], ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """What a table that the expression holds has for a key: `{'high': 1}[headers.priority]`."""

    table: Table
    key: Form


@dataclass(frozen=True, slots=True)
class Comparison:
    operator: str
    left: Form
    right: Form


@dataclass(frozen=True, slots=True)
class Both:
    left: Form
    right: Form


@dataclass(frozen=True, slots=True)
class Either:
    left: Form
    right: Form


@dataclass(frozen=True, slots=True)
class Negation:
    operand: Form


@dataclass(frozen=True, slots=True)
class Choice:
    test: Form
    chosen: Form
    otherwise: Form


@dataclass(frozen=True, slots=True)
class Defined:
    path: Path


@dataclass(frozen=True, slots=True)
class Kind:
    """`is none` and its like, which hold for no field that is missing."""

    kind: str
    operand: Form


@dataclass(frozen=True, slots=True)
class Default:
    path: Path
    fallback: Form


@dataclass(frozen=True, slots=True)
class Opaque:
    """What only Jinja2 can run: an operand, or a whole condition."""

    node: nodes.Expr


Form = (
    Constant
    | Path
    | Listing
    | Table
    | Entry
    | Comparison
    | Both
    | Either
    | Negation
    | Choice
    | Defined
    | Kind
    | Default
    | Opaque
)

Text = tuple[str | Form, ...]
"""A template: constant text and values in turn."""


def value_of(node: nodes.Expr) -> Form | None:
    """The form of a value, or None where it, or a part of it, needs Jinja2."""
    match node:
        case nodes.Const():
            return Constant(node.value)
        case nodes.Name() | nodes.Getattr():
            return _path_of(node)
        case nodes.Getitem():
            return _path_of(node) or _entry_of(node)
        case nodes.List():
            return _listing_of(node.items)
        case nodes.Dict():
            return _table_of(node)
        case nodes.Compare():
            return _comparison_of(node)
        case nodes.And() | nodes.Or():
            left, right = value_of(node.left), value_of(node.right)
            if left is None or right is None:
                return None
            return Both(left, right) if isinstance(node, nodes.And) else Either(left, right)
        case nodes.Not():
            operand = value_of(node.node)
            return None if operand is None else Negation(operand)
        case nodes.CondExpr(expr2=nodes.Expr() as last):
            forms = value_of(node.test), value_of(node.expr1), value_of(last)
            test, chosen, otherwise = forms
            if test is None or chosen is None or otherwise is None:
                return None
            return Choice(test, chosen, otherwise)
        case nodes.Test():
            return _test_of(node)
        case nodes.Filter(name="default" | "d", args=[fallback], kwargs=[]):
            path, otherwise = _path_of(node.node), value_of(fallback)
            return Default(path, otherwise) if path is not None and otherwise is not None else None
        case _:
            return None


def condition_of(node: nodes.Expr) -> Form:
    """The form of a condition, in which an operand or a whole condition may be opaque.

    Keeping `and`, `or` and `not` in forms is what lets each comparison with a missing field be false on its own.
    """
    match node:
        case nodes.And():
            return Both(condition_of(node.left), condition_of(node.right))
        case nodes.Or():
            return Either(condition_of(node.left), condition_of(node.right))
        case nodes.Not():
            return Negation(condition_of(node.node))
        case nodes.CondExpr(expr2=nodes.Expr() as last):
            return Choice(condition_of(node.test), condition_of(node.expr1), condition_of(last))
        case nodes.Compare(ops=[operand]):
            left = value_of(node.expr) or Opaque(node.expr)
            right = _operand_of(operand) or Opaque(operand.expr)
            return Comparison(operand.op, left, right)
        case _:
            return value_of(node) or Opaque(node)


def text_of_template(tree: nodes.Template) -> Text | None:
    """The text and the values of a template, or None where a part of it needs Jinja2."""
    parts: list[str | Form] = []
    for output in tree.body:
        if not isinstance(output, nodes.Output):
            return None
        for node in output.nodes:
            part = node.data if isinstance(node, nodes.TemplateData) else value_of(node)
            if part is None:
                return None
            parts.append(part)
    return tuple(parts)


def _path_of(node: nodes.Node | None) -> Path | None:
    match node:
        case nodes.Name(name=name) if name in FIELDS & {"data", "headers"} or name in EXTENSIONS:
            return Path(name, (), name)
        case nodes.Getattr(node=nodes.Name(name="message"), attr=name):
            return Path(name, (), f"message.{name}") if name in FIELDS or name in EXTENSIONS else None
        case nodes.Getattr():
            return _extended(_path_of(node.node), Constant(node.attr), f".{node.attr}")
        case nodes.Getitem(arg=nodes.Const(value=str() | int() as constant)):
            return _extended(_path_of(node.node), Constant(constant), f"[{constant!r}]")
        case nodes.Getitem(arg=nodes.Expr() as arg):
            key = _path_of(arg)
            return None if key is None else _extended(_path_of(node.node), key, f"[{key.text}]")
        case _:
            return None


def _extended(path: Path | None, key: Form, text: str) -> Path | None:
    return None if path is None else Path(path.root, (*path.keys, key), path.text + text)


def _entry_of(node: nodes.Getitem) -> Entry | None:
    table = value_of(node.node)
    key = value_of(node.arg) if isinstance(node.arg, nodes.Expr) else None
    return Entry(table, key) if isinstance(table, Table) and key is not None else None


def _listing_of(parts: list[nodes.Expr]) -> Listing | None:
    forms = tuple(form for part in parts if (form := value_of(part)) is not None)
    return Listing(forms) if len(forms) == len(parts) else None


def _table_of(node: nodes.Dict) -> Table | None:
    pairs = []
    for pair in node.items:
        key, value = value_of(pair.key), value_of(pair.value)
        if key is None or value is None:
            return None
        pairs.append((key, value))
    return Table(tuple(pairs))


def _comparison_of(node: nodes.Compare) -> Comparison | None:
    if len(node.ops) != 1:
        return None
    left, right = value_of(node.expr), _operand_of(node.ops[0])
    return None if left is None or right is None else Comparison(node.ops[0].op, left, right)


def _operand_of(operand: nodes.Operand) -> Form | None:
    if isinstance(operand.expr, nodes.Tuple) and operand.op in ("in", "notin"):
        return _listing_of(operand.expr.items)
    return value_of(operand.expr)


def _test_of(node: nodes.Test) -> Form | None:
    if node.args or node.kwargs or node.dyn_args is not None or node.dyn_kwargs is not None:
        return None
    if node.name in ("defined", "undefined"):
        path = _path_of(node.node)
        if path is None:
            return None
        return Defined(path) if node.name == "defined" else Negation(Defined(path))
    operand = value_of(node.node) if node.name in KINDS else None
    return None if operand is None else Kind(node.name, operand)
