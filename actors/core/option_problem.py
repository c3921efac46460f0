"""A mistake that shows in several options together, told at one of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel
from pydantic_core import InitErrorDetails, PydanticCustomError, ValidationError

CONTRADICTION: Final = "contradiction"
"""The type of the pydantic error that an `OptionProblem` becomes."""


@dataclass(frozen=True, slots=True)
class OptionProblem:
    """Something about an option that its own value does not show, in words for whoever wrote the file."""

    path: tuple[str, ...]
    """The option, by its keys."""
    message: str
    """Without the option's name, and without values: they may be secret."""
    suggestion: str


def refuse(found: Iterable[OptionProblem], model: type[BaseModel], given: Any = None) -> None:
    """Raise what was found, if anything, as one pydantic error with a place for each; for use in a wrap validator."""
    details = [
        InitErrorDetails(
            type=PydanticCustomError(
                CONTRADICTION, "{reason}", {"reason": each.message, "suggestion": each.suggestion}
            ),
            loc=each.path,
            input=given,
        )
        for each in found
    ]
    if details:
        raise ValidationError.from_exception_data(model.__name__, details)
