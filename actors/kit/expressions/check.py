"""What a tree may contain: everything that can be refused without a message is refused here, with its place."""

from __future__ import annotations

import re
from typing import Final, NoReturn

from jinja2 import nodes

from actors.kit.expressions.filters import FILTERS
from actors.kit.expressions.lookup import METHODS
from actors.kit.expressions.mistake import did_you_mean, mistake
from actors.kit.expressions.sandbox import sandbox
from actors.kit.expressions.scope import ATTRIBUTES, NAMES

DEPTH_LIMIT: Final = 60
"""Python compiles no more than 200 parentheses in each other, and Jinja2 writes up to three a node."""
LOOPS_LIMIT: Final = 5
"""Loops in each other; Python compiles no more than 20 blocks."""

_FUNCTIONS: Final = ("range", "dict")
_HARMLESS: Final[frozenset[type[nodes.Node]]] = frozenset(
    {
        *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.If),
        *(nodes.And, nodes.Or, nodes.Not, nodes.Compare, nodes.Operand, nodes.Concat),
        *(nodes.Add, nodes.Sub, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Neg, nodes.Pos),
        *(nodes.Const, nodes.List, nodes.Tuple, nodes.Dict, nodes.Pair, nodes.Slice, nodes.Keyword),
    }
)
_CHECKED: Final[frozenset[type[nodes.Node]]] = frozenset(
    {
        *(nodes.For, nodes.Assign, nodes.Name, nodes.Getattr, nodes.Getitem, nodes.Filter, nodes.Test),
        *(nodes.Call, nodes.CondExpr, nodes.Mul, nodes.Pow),
    }
)


def names_of(tree: nodes.Node, source: str) -> frozenset[str]:
    """The names of the scope that `tree` uses; a MistakeError for the first thing that it may not contain."""
    check = _Check(source, frozenset(sandbox().tests))
    check.visit(tree, 0, 0)
    return check.names()


class _Check:
    def __init__(self, source: str, tests: frozenset[str]) -> None:
        self._source = source
        self._tests = tests
        self._loaded: dict[str, int] = {}
        self._stored: set[str] = set()

    def names(self) -> frozenset[str]:
        known = {*NAMES, *_FUNCTIONS, *self._stored}
        for name, offset in self._loaded.items():
            if name not in known:
                hint = did_you_mean(name, known) or (f"did you mean 'data.{name}'?" if name != "loop" else None)
                self._fail(f"unknown name '{name}'", offset, hint)
        return frozenset(self._loaded.keys() & set(NAMES))

    def visit(self, node: nodes.Node, depth: int, loops: int) -> None:
        offset = node.lineno or 0
        if depth > DEPTH_LIMIT:
            self._fail(f"nested more than {DEPTH_LIMIT} deep", offset)
        kind = type(node)
        if kind is nodes.For:
            loops += 1
        if kind in _CHECKED:
            self._check(node, offset, loops)
        elif kind not in _HARMLESS:
            word = re.compile(r"\w*").match(self._source, offset)
            what = f"'{word[0]}'" if word and word[0] else "this tag"
            self._fail(f"{what} is not available here", offset)
        for child in node.iter_child_nodes():
            self.visit(child, depth + 1, loops)

    def _check(self, node: nodes.Node, offset: int, loops: int) -> None:
        match node:
            case nodes.Name(ctx="load", name=name):
                self._loaded.setdefault(name, offset)
            case nodes.Name(name=name):
                if name in NAMES or name in _FUNCTIONS or name == "loop":
                    self._fail(f"'{name}' is taken", offset)
                self._stored.add(name)
            case nodes.Getattr():
                self._attribute(node, node.attr, offset)
            case nodes.Getitem(arg=nodes.Const(value=str() as key)):
                self._attribute(node, key, offset)
            case nodes.Filter(name=name) if name not in FILTERS:
                self._fail(f"unknown filter '{name}'", self._find(name, offset), did_you_mean(name, FILTERS))
            case nodes.Test(name=name) if name not in self._tests:
                self._fail(f"unknown test '{name}'", self._find(name, offset), did_you_mean(name, self._tests))
            case nodes.Call():
                self._call(node, offset)
            case nodes.Pow():
                self._fail("** is refused: a small expression could take for ever", self._find("**", offset))
            case nodes.Mul(left=left, right=right):
                if any(isinstance(side, nodes.List | nodes.Tuple) or _is_text(side) for side in (left, right)):
                    self._fail("repeating a text or a list with * is refused", self._find("*", offset))
            case nodes.CondExpr(expr2=None):
                self._fail("an 'if' without 'else' has no value where it does not hold", offset, "add else …")
            case nodes.For():
                self._stored.add("loop")
                if node.recursive:
                    self._fail("'recursive' is not available here", self._find("recursive", offset))
                if loops > LOOPS_LIMIT:
                    self._fail(f"more than {LOOPS_LIMIT} loops in each other", offset)
            case nodes.Assign(target=target) if not isinstance(target, nodes.Name | nodes.Tuple):
                self._fail("only a plain name can be set", offset)

    def _attribute(self, node: nodes.Getattr | nodes.Getitem, name: str, offset: int) -> None:
        place = self._find(name, offset)
        if isinstance(node, nodes.Getattr) and name.startswith("_"):
            self._fail(f"'{name}' is private: a key of that name is read as ['{name}']", place)
        if isinstance(node.node, nodes.Name) and node.node.name == "message" and name not in ATTRIBUTES:
            self._fail(f"a message has no attribute '{name}'", place, did_you_mean(name, ATTRIBUTES))

    def _call(self, node: nodes.Call, offset: int) -> None:
        match node.node:
            case nodes.Name(name=name) if name in _FUNCTIONS:
                return
            case nodes.Name(name=name, lineno=start) if name in NAMES:
                self._fail(f"'{name}' is a value, and stands without ()", start)
            case nodes.Name(name=name, lineno=start):
                hint = f"did you mean '| {name}'?" if name in FILTERS else did_you_mean(name, _FUNCTIONS)
                self._fail(f"unknown function '{name}'", start, hint)
            case nodes.Getattr(attr=name) if name in METHODS or name in ("cycle", "changed"):
                return
            case nodes.Getattr(attr=name, lineno=dot):
                hint = f"did you mean '| {name}'?" if name in FILTERS else did_you_mean(name, METHODS)
                self._fail(f"unknown method '{name}'", self._find(name, dot), hint)
            case _:
                self._fail("only functions and methods can be called", offset)

    def _find(self, word: str, offset: int) -> int:
        found = self._source.find(word, offset)
        return offset if found < 0 else found

    def _fail(self, reason: str, offset: int, suggestion: str | None = None) -> NoReturn:
        raise mistake(self._source, reason, offset, suggestion)


def _is_text(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Const) and isinstance(node.value, str)
