"""What went wrong with an expression, for two readers: whoever wrote the topology, and whoever runs it."""

from __future__ import annotations

from typing import Final

from pydantic_core import PydanticCustomError

from actors.core.errors import ExpressionError
from actors.kit.expressions.bounds import AbsentError, BoundsError
from actors.kit.expressions.mistake import MissingFieldError, MistakeError

_LONGEST: Final = 200


def failure(source: str, error: Exception) -> ExpressionError:
    """The failure of an expression on a message, in one line."""
    reason = str(error)
    if not isinstance(error, AbsentError | BoundsError | MissingFieldError):
        reason = f"{type(error).__name__}: {reason}"
    return ExpressionError(f"{_line(reason)}, in: {_line(source)}", source=source)


def problem(mistake: MistakeError) -> PydanticCustomError:
    """The mistake as pydantic wants it; its context has the place, `offset` and `length`, in characters."""
    return PydanticCustomError(
        "expression",
        "{reason}",
        {
            "reason": mistake.reason,
            "offset": mistake.offset,
            "length": mistake.length,
            "suggestion": mistake.suggestion,
        },
    )


def _line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
