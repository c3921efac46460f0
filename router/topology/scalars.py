"""What a plain YAML scalar is: the core schema of YAML 1.2.2, section 10.3.2.

`yes`, `no`, `on`, `off`, dates and `1_000` are strings.
"""

from __future__ import annotations

import re
from typing import Final

from router.topology.tree import Plain

_FIXED: Final[dict[str, Plain]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_DECIMAL: Final = re.compile(r"[-+]?[0-9]+", re.ASCII)
_OCTAL: Final = re.compile(r"0o[0-7]+", re.ASCII)
_HEXADECIMAL: Final = re.compile(r"0x[0-9a-fA-F]+", re.ASCII)
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_MAY_BE_NUMBER: Final = frozenset("+-.0123456789")
_MAX_DIGITS: Final = 300
"""A longer number is a string: nothing in a topology is that large, and Python refuses to read some that are."""


def typed(text: str) -> Plain:
    """The value of a plain scalar."""
    if text in _FIXED:
        return _FIXED[text]
    if text[0] not in _MAY_BE_NUMBER or len(text) > _MAX_DIGITS:
        return text
    if _DECIMAL.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _OCTAL.fullmatch(text):
        return int(text[2:], 8)
    if _HEXADECIMAL.fullmatch(text):
        return int(text[2:], 16)
    return text
