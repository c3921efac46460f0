"""Says what pydantic found in the words of the topology language."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final, NamedTuple, get_args

from pydantic_core.core_schema import ErrorType

from actors.core.option_problem import CONTRADICTION
from router.topology.faults import Fault, Path
from router.topology.problems import did_you_mean
from router.topology.tree import ScalarNode, kind

_SUBJECT: Final = re.compile(
    r"^(?:Input|String|Value|List|Tuple|Set|Frozenset|Dictionary|Mapping|Number|Data|URL|Bytes|Path) should "
)
_WORDS: Final = (
    ("a valid string", "a string"),
    ("a valid boolean", "true or false"),
    ("a valid integer", "a whole number"),
    ("a valid number", "a number"),
    ("a valid array", "a list"),
    ("a valid tuple", "a list"),
    ("a valid list", "a list"),
    ("a valid dictionary", "a mapping"),
    ("an object", "a mapping"),
    (" after validation", ""),
    ("Value error, ", ""),
    ("Assertion failed, ", ""),
)
_TELLING: Final = re.compile(r"value_error|assertion_error|union_tag_invalid|.*_parsing")
_PYDANTIC: Final = frozenset(get_args(ErrorType))
_SILENT: Final = frozenset(kind for kind in _PYDANTIC if not _TELLING.fullmatch(kind)) | {CONTRADICTION}
"""Errors whose messages hold nothing of the value."""
_TELLING_LENGTH: Final = 4
_BOOLEANS: Final = {
    **dict.fromkeys(("yes", "y", "on", "true"), "true"),
    **dict.fromkeys(("no", "n", "off", "false"), "false"),
}


class Phrase(NamedTuple):
    """An error in words."""

    message: str
    suggestion: str = ""


def phrase(fault: Fault, owner: str) -> Phrase:
    """What is wrong with the value of a fault; `owner` is what is meant where it is no single key."""
    name = naming(fault.path, owner)
    texts = [_plain_words(text).rstrip(".") for text in (fault.message, *fault.alternatives)]
    shoulds = [text.removeprefix("should be ") for text in texts if text.startswith("should be ")]
    if len(shoulds) == len(texts):
        message = f"{name} should be {' or '.join(dict.fromkeys(shoulds))}"
        if fault.type.endswith("_type"):
            message += f", not {kind(fault.node)}"
    elif texts[0].startswith("should "):
        message = f"{name} {texts[0]}"
    else:
        message = f"{name}: {texts[0]}"
    return Phrase(message, _suggestion(fault))


def naming(path: Path, owner: str) -> str:
    """How a value is called: by its key, or by its number in a list."""
    keys = [part for part in path if isinstance(part, str)]
    if not keys:
        return owner if not path else f"entry {int(path[-1]) + 1} of {owner}"
    last = path[-1]
    return f"'{last}'" if isinstance(last, str) else f"entry {last + 1} of '{keys[-1]}'"


def is_ours(error: str) -> bool:
    """Whether an error is of a type of our own, which is called what the value should be: `duration`."""
    return error not in _PYDANTIC and error.isalpha()


def may_tell(message: str, fault: Fault, scalar: ScalarNode) -> bool:
    """Whether a message could hold a part of a scalar that must not be shown.

    It could if the error is about that scalar; if it is about a mapping around it, a look at the message helps.
    """
    if fault.type in _SILENT:
        return False
    value = scalar.text if scalar.text is not None else str(scalar.value)
    if fault.node is scalar:
        return True
    if not value:
        return False
    parts = {value[start : start + _TELLING_LENGTH] for start in range(max(1, len(value) - _TELLING_LENGTH + 1))}
    return any(part in message for part in parts)


def _plain_words(text: str) -> str:
    text = _SUBJECT.sub("should ", text)
    for ours in _WORDS:
        text = text.replace(*ours)
    return text


def _suggestion(fault: Fault) -> str:
    node, given = fault.node, fault.context.get("suggestion")
    if isinstance(given, str):
        return given
    if not isinstance(node, ScalarNode):
        return ""
    value: Any = node.value
    if node.written is not None:
        return ""
    if fault.type == "bool_type" and str(value).lower() in _BOOLEANS:
        return f"write {_BOOLEANS[str(value).lower()]}"
    if fault.type in ("int_type", "float_type") and isinstance(value, str) and _is_number(value):
        return f"without quotes: {value}"
    if fault.type == "string_type" and value is not None and not fault.alternatives:
        return "put it in quotes"
    if fault.type in ("literal_error", "enum") and isinstance(value, str):
        return did_you_mean(value, _expected(str(fault.context.get("expected", ""))))
    return ""


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[-+]?[0-9]+(\.[0-9]+)?", text) is not None


def _expected(text: str) -> Iterable[str]:
    return re.findall(r"'([^']*)'", text)
