"""What a terminal may be sent: whether it shows colours, and text that it will not obey."""

from __future__ import annotations

import json
import os
import re
import sys
import unicodedata
from typing import IO, Any, Final, Literal

Style = Literal["bold", "dim", "red", "green", "yellow"]

_CODES: Final[dict[Style, str]] = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33"}
_AS_ESCAPES: Final = re.compile("[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def has_colour(stream: IO[str]) -> bool:
    """Whether a stream is a terminal that wants colours: NO_COLOR (no-color.org) and TERM=dumb say no."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def styled(text: str, style: Style, stream: IO[str]) -> str:
    """`text` in a style, where the stream shows one."""
    return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if has_colour(stream) else text


def printable(text: str) -> str:
    """`text` on one line and without what a terminal would obey, which stands there escaped: `\\x1b`, `\\n`."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def width(text: str) -> int:
    """Columns that a terminal takes for `text`, which is `printable`."""
    if text.isascii():
        return len(text)
    return sum(_columns(char) for char in text)


def cut(text: str, room: int) -> str:
    """`text`, or as much of its beginning as fits into `room` columns with an ellipsis behind it."""
    if width(text) <= room:
        return text
    kept, left = "", room - 1
    for char in text:
        left -= _columns(char)
        if left < 0:
            break
        kept += char
    return f"{kept.rstrip()}…"


def _columns(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def confirmed(question: str) -> bool:
    """Ask a person on standard error, since standard output is for what was asked for; only `y` and `yes` agree."""
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def confirmed_by(question: str, name: str) -> bool:
    """Ask a person likewise for a name; only that very one agrees."""
    print(f"{question} ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip() == name


def print_json(value: Any) -> None:
    """Print a value as JSON, indented; what a terminal would obey is escaped."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    print(_AS_ESCAPES.sub(lambda match: f"\\u{ord(match[0]):04x}", text))


def print_json_line(value: Any) -> None:
    """Print a value as JSON on one line, for programs that read line by line."""
    print(json.dumps(value))


def print_data(data: Any) -> None:
    """Print a message's data: JSON, or text as it is, of which a terminal gets nothing that it would obey."""
    if not isinstance(data, str):
        print_json(data)
    elif sys.stdout.isatty():
        print("\n".join(printable(line) for line in data.split("\n")))
    else:
        print(data)
