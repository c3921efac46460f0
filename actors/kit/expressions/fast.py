"""Makes Python functions of forms, for messages that have what an expression asks for.

A function made here is right or gives up: whatever raises (a missing field, a type that does not compare) is run again
by the careful way, which decides. The code is built as a tree, never as text, so nothing that stands in a topology
can become code.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any, Final, assert_never

from actors.kit.expressions.bounds import OUTPUT_LIMIT, text_of
from actors.kit.expressions.careful import Run, is_kind
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

_VALUE: Final = """
def run(message, now_s):
    try:
        return VALUE
    except Exception:
        return careful(message, now_s)
"""
_TEXT: Final = """
def run(message, now_s):
    try:
        text = VALUE
        if len(text) <= limit:
            return text
    except Exception:
        pass
    return careful(message, now_s)
"""
_MOST_PARTS: Final = 50

_COMPARISONS: Final[dict[str, type[ast.cmpop]]] = {
    "eq": ast.Eq,
    "ne": ast.NotEq,
    "lt": ast.Lt,
    "lteq": ast.LtE,
    "gt": ast.Gt,
    "gteq": ast.GtE,
    "in": ast.In,
    "notin": ast.NotIn,
}


class _GiveUpError(Exception):
    """There is no fast way for this form."""


def _give_up() -> Any:
    raise _GiveUpError


def value(form: Form, careful: Run) -> Run:
    """A function that evaluates `form`; `careful` itself where there is no faster one."""
    try:
        return _compiled(_VALUE, _Writer().value(form), careful)
    except _GiveUpError:
        return careful


def condition(form: Form, careful: Callable[[Any, float], bool]) -> Callable[[Any, float], bool]:
    """A function that decides whether `form` holds; `careful` itself where there is no faster one."""
    try:
        code = _Writer().value(form)
    except _GiveUpError:
        return careful
    if not _is_truth(form):
        code = ast.IfExp(code, ast.Constant(True), ast.Constant(False))
    return _compiled(_VALUE, code, careful)


def text(parts: Text, careful: Callable[[Any, float], str]) -> Callable[[Any, float], str]:
    """A function that renders a template; `careful` itself where there is no faster one."""
    if len(parts) > _MOST_PARTS:  # which could join into much more than the limit before anybody looks
        return careful
    try:
        return _compiled(_TEXT, _Writer().text(parts), careful)
    except _GiveUpError:
        return careful


def _is_truth(form: Form) -> bool:
    match form:
        case Comparison() | Negation() | Defined() | Kind():
            return True
        case Both() | Either():
            return _is_truth(form.left) and _is_truth(form.right)
        case _:
            return False


def _compiled(frame: str, code: ast.expr, careful: Run) -> Run:
    module = ast.fix_missing_locations(_Placed(code).visit(ast.parse(frame)))
    names: dict[str, Any] = {
        "careful": careful,
        "give_up": _give_up,
        "is_kind": is_kind,
        "limit": OUTPUT_LIMIT,
        "text_of": text_of,
    }
    exec(compile(module, "<expression>", "exec"), names)  # noqa: S102  # a tree of our own making
    run: Run = names["run"]
    return run


class _Placed(ast.NodeTransformer):
    def __init__(self, code: ast.expr) -> None:
        self._code = code

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self._code if node.id == "VALUE" else node


class _Writer:
    """Writes the code of one function; it numbers the local names."""

    def __init__(self) -> None:
        self._locals = 0

    def value(self, form: Form) -> ast.expr:
        match form:
            case Constant(value=constant):
                return ast.Constant(constant)
            case Path():
                return self._path(form, len(form.keys))
            case Listing(parts=parts):
                return ast.List([self.value(part) for part in parts], ast.Load())
            case Table(pairs=pairs):
                return ast.Dict([self.value(key) for key, _ in pairs], [self.value(part) for _, part in pairs])
            case Entry():
                return ast.Subscript(self.value(form.table), self.value(form.key), ast.Load())
            case Comparison():
                return self._comparison(form)
            case Both():
                return ast.BoolOp(ast.And(), [self.value(form.left), self.value(form.right)])
            case Either():
                return ast.BoolOp(ast.Or(), [self.value(form.left), self.value(form.right)])
            case Negation():
                return ast.UnaryOp(ast.Not(), self.value(form.operand))
            case Choice():
                return ast.IfExp(self.value(form.test), self.value(form.chosen), self.value(form.otherwise))
            case Defined():
                return self._defined(form.path)
            case Kind(kind="none", operand=Path()):
                return ast.Compare(self.value(form.operand), [ast.Is()], [ast.Constant(None)])
            case Kind():
                return _call("is_kind", ast.Constant(form.kind), self.value(form.operand))
            case Default():
                return self._default(form)
            case Opaque():
                raise _GiveUpError
            case _:
                assert_never(form)

    def text(self, parts: Text) -> ast.expr:
        return ast.JoinedStr([self._part(part) for part in parts])

    def _part(self, part: str | Form) -> ast.expr:
        if isinstance(part, str):
            return ast.Constant(part)
        local, load = self._local(self.value(part))
        shown = ast.IfExp(_has_class(local, "str"), load, _call("text_of", load))
        return ast.FormattedValue(shown, -1)

    def _path(self, path: Path, keys: int) -> ast.expr:
        extension = EXTENSIONS.get(path.root)
        code: ast.expr = ast.Attribute(_name("message"), "attributes" if extension else path.root, ast.Load())
        if extension is not None:
            code = ast.Subscript(code, ast.Constant(extension), ast.Load())
        if path.root == "headers" and not path.keys:
            return _call("dict", code)
        for key in path.keys[:keys]:
            code = ast.Subscript(code, self.value(key), ast.Load())
        return code

    def _comparison(self, form: Comparison) -> ast.expr:
        right = self.value(form.right)
        if isinstance(form.right, Listing) and form.operator in ("in", "notin"):
            assert isinstance(right, ast.List)
            right = ast.Tuple(right.elts, ast.Load())  # a constant, where its parts are
        return ast.Compare(self.value(form.left), [_COMPARISONS[form.operator]()], [right])

    def _defined(self, path: Path) -> ast.expr:
        if path.keys:
            mapping, load, key = self._mapping(path)
            return ast.IfExp(mapping, ast.Compare(key, [ast.In()], [load]), _call("give_up"))
        extension = EXTENSIONS.get(path.root)
        if extension is None:
            return ast.Constant(True)
        attributes = ast.Attribute(_name("message"), "attributes", ast.Load())
        return ast.Compare(ast.Constant(extension), [ast.In()], [attributes])

    def _default(self, form: Default) -> ast.expr:
        if not form.path.keys:
            raise _GiveUpError
        mapping, load, key = self._mapping(form.path)
        get = ast.Call(ast.Attribute(load, "get", ast.Load()), [key, self.value(form.fallback)], [])
        return ast.IfExp(mapping, get, _call("give_up"))

    def _mapping(self, path: Path) -> tuple[ast.expr, ast.expr, ast.expr]:
        """Whether what `path` ends in is a dict, that dict, and the last key."""
        local, load = self._local(self._path(path, len(path.keys) - 1))
        return _has_class(local, "dict"), load, self.value(path.keys[-1])

    def _local(self, code: ast.expr) -> tuple[ast.expr, ast.expr]:
        self._locals += 1
        name = f"v{self._locals}"
        return ast.NamedExpr(ast.Name(name, ast.Store()), code), _name(name)


def _name(name: str) -> ast.expr:
    return ast.Name(name, ast.Load())


def _call(function: str, *arguments: ast.expr) -> ast.expr:
    return ast.Call(_name(function), list(arguments), [])


def _has_class(code: ast.expr, name: str) -> ast.expr:
    return ast.Compare(ast.Attribute(code, "__class__", ast.Load()), [ast.Is()], [_name(name)])
