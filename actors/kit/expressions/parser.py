"""From source to tree, or to the first mistake in it with its place."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from jinja2 import TemplateSyntaxError, nodes
from jinja2.parser import Parser

from actors.kit.expressions.bounds import SOURCE_LIMIT
from actors.kit.expressions.check import names_of
from actors.kit.expressions.mistake import MistakeError, mistake
from actors.kit.expressions.sandbox import sandbox

_WORDING: Final = {
    "unexpected 'end of template'": "unexpected end",
    "nexpected end of template": "nexpected end",
    "end of print statement": "'}}'",
    "end of template": "the end",
    "end of statement block": "'%}'",
    "begin of print statement": "'{{'",
    "begin of statement block": "'{%'",
    "template data / text": "text",
    "chunk after expression": "something follows the end of the expression",
}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Parsed(Generic[T]):
    """A tree that is ready to run, and the names of the scope that it uses."""

    tree: T
    names: frozenset[str]


def parse_expression(source: str) -> Parsed[nodes.Expr]:
    """The tree of an expression; a MistakeError where it is none."""
    if source.lstrip().startswith("{{"):
        inner = source.strip().removeprefix("{{").removesuffix("}}").strip()
        place = source.index("{{")
        reason = "this is an expression already, and stands without {{ }}"
        raise MistakeError(reason, offset=place, length=2, suggestion=f"write {inner}")

    def parse(parser: Parser) -> nodes.Expr:
        tree: nodes.Expr = parser.parse_expression()
        if not parser.stream.eos:
            raise TemplateSyntaxError("chunk after expression", parser.stream.current.lineno)
        return tree

    tree = _parsed(source, parse, "variable")
    return Parsed(tree, names_of(tree, source))


def parse_template(source: str) -> Parsed[nodes.Template]:
    """The tree of a template; a MistakeError where it is none."""
    tree = _parsed(source, lambda parser: parser.parse(), None)
    return Parsed(tree, names_of(tree, source))


def _parsed(source: str, parse: Callable[[Parser], T], state: str | None) -> T:
    if len(source) > SOURCE_LIMIT:
        raise mistake(source, f"longer than {SOURCE_LIMIT} characters", 0)
    try:
        return parse(Parser(sandbox(), source, state=state))
    except TemplateSyntaxError as error:
        raise _syntax_mistake(source, error.message or "", error.lineno, state) from None
    except RecursionError:
        raise mistake(source, "nested too deeply", 0) from None
    except ValueError as error:  # a number of more digits than Python reads
        raise mistake(source, "a number of too many digits", 0) from error


def _syntax_mistake(source: str, message: str, offset: int, state: str | None) -> MistakeError:
    if message.startswith(("unexpected end", "Unexpected end")) or "'end of template'" in message:
        offset = len(source.rstrip())
    for jargon, words in _WORDING.items():
        message = message.replace(f"'{jargon}'", words).replace(jargon, words)
    message = re.sub(r" at \d+$", "", message)
    if message.startswith("unexpected char") and source[offset : offset + 1] in ("'", '"'):
        message = "the text that starts here does not end"
    suggestion = None
    if source[offset : offset + 1] == "=" and source[offset : offset + 2] != "==":
        suggestion = "did you mean '=='?"
    elif source.startswith("&&", offset):
        suggestion = "did you mean 'and'?"
    elif source.startswith("||", offset - 1):
        offset -= 1
        suggestion = "did you mean 'or'?"
    elif state == "variable" and "{{" in source:
        suggestion = "an expression stands without {{ }}"
    return mistake(source, message[:1].lower() + message[1:], offset, suggestion)
