"""Values that carry their unit in the text of the topology: durations, sizes, percentages and rates."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Self

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError, core_schema

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue

_DURATION_UNITS: Final[Mapping[str, Decimal]] = {
    "ms": Decimal("0.001"),
    "s": Decimal(1),
    "m": Decimal(60),
    "h": Decimal(3600),
    "d": Decimal(86400),
}
_SIZE_UNITS: Final[Mapping[str, Decimal]] = {
    "B": Decimal(1),
    "KiB": Decimal(1024),
    "MiB": Decimal(1024**2),
    "GiB": Decimal(1024**3),
    "TiB": Decimal(1024**4),
}
_DURATION_WORDS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("msec", "msecs", "millis", "millisecond", "milliseconds"), "ms"),
    **dict.fromkeys(("sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), "m"),
    **dict.fromkeys(("hr", "hrs", "hour", "hours"), "h"),
    **dict.fromkeys(("day", "days"), "d"),
}
_SIZE_WORDS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("byte", "bytes"), "B"),
    **dict.fromkeys(("k", "kb", "ki"), "KiB"),
    **dict.fromkeys(("m", "mb", "mi"), "MiB"),
    **dict.fromkeys(("g", "gb", "gi"), "GiB"),
    **dict.fromkeys(("t", "tb", "ti"), "TiB"),
}
_QUANTITY: Final = re.compile(r"([0-9]{1,20}(?:\.[0-9]{1,30})?)\s*([^\W\d_]*|%)", re.ASCII)
_LONGEST_S: Final = Decimal(100 * 366 * 86400)
_LARGEST_BYTES: Final = Decimal(2**63 - 1)


def parse_duration(text: str) -> float:
    """Seconds of `250ms`, `5s`, `10m`, `1h` or `1d`; a ValueError says what to write instead."""
    seconds = _quantity(text, "a duration", _DURATION_UNITS, _DURATION_WORDS, ("5s", "5ms"))
    if seconds > _LONGEST_S:
        raise ValueError(f"{text} is longer than a century")
    return float(seconds)


def format_duration(seconds: float) -> str:
    """The shortest exact text, in the largest unit that needs no fraction: `parse_duration` gives it back."""
    return _text(Decimal(repr(float(seconds))), _DURATION_UNITS)


def parse_size(text: str) -> int:
    """Bytes of `100B`, `64KiB`, `1MiB`, `1GiB` or `1TiB`; a ValueError says what to write instead."""
    size = _quantity(text, "a size", _SIZE_UNITS, _SIZE_WORDS, ("5KiB", "5MiB"))
    if size != size.to_integral_value():
        raise ValueError(f"{text} is not a whole number of bytes")
    if size > _LARGEST_BYTES:
        raise ValueError(f"{text} is more than any machine holds")
    return int(size)


def format_size(size: int) -> str:
    """The shortest exact text, in the largest unit that needs no fraction: `parse_size` gives it back."""
    return _text(Decimal(int(size)), _SIZE_UNITS)


def parse_percentage(text: str) -> float:
    """The fraction that `50%` or `0.1%` stands for, from 0 to 1."""
    match = _QUANTITY.fullmatch(text.strip())
    if match is None or match[2] != "%":
        number = match[1] if match is not None and not match[2] else "50"
        raise ValueError(f"expected a percentage: write {number}%, not {text}")
    fraction = Decimal(match[1]) / 100
    if fraction > 1:
        raise ValueError(f"{text} is more than 100%")
    return float(fraction)


def format_percentage(fraction: float) -> str:
    """The percentage in text: `parse_percentage` gives the fraction back."""
    return f"{_plain(Decimal(repr(float(fraction))) * 100)}%"


def _quantity(
    text: str,
    what: str,
    units: Mapping[str, Decimal],
    words: Mapping[str, str],
    examples: tuple[str, str],
) -> Decimal:
    match = _QUANTITY.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"expected {what} such as {examples[0]} or {examples[1]}, not {text!r}")
    number, unit = match.groups()
    if text == number + unit and unit in units:
        return Decimal(number) * units[unit]
    if not unit:
        proposals = " or ".join(example.replace("5", number) for example in examples)
        raise ValueError(f"expected {what} with its unit: write {proposals}, not {number}")
    folded = unit.casefold()
    known = {**{name.casefold(): name for name in units}, **words}
    if folded in known:
        raise ValueError(f"expected {what}: write {number}{known[folded]}, not {text}")
    raise ValueError(f"{unit!r} is no unit of {what}: choose from {', '.join(units)}")


def _text(value: Decimal, units: Mapping[str, Decimal]) -> str:
    smallest, factor = next(iter(units.items()))
    if not value:
        return f"0{'s' if 's' in units else smallest}"
    for name, size in units.items():
        if value % size == 0:
            smallest, factor = name, size
    return f"{_plain(value / factor)}{smallest}"


def _plain(value: Decimal) -> str:
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


class _Written:
    """What the unit types share: valid as text with a unit, or as a value of the type itself."""

    __slots__ = ()
    _kind: ClassVar[str]
    _units: ClassVar[str]
    _examples: ClassVar[tuple[str, ...]]

    @classmethod
    def _parsed(cls, value: object) -> Self:
        if isinstance(value, cls):
            return value
        try:
            if isinstance(value, str):
                return cls(value)  # type: ignore[call-arg]  # each subclass is made from its text
            if isinstance(value, int | float) and not isinstance(value, bool):
                cls(str(value))  # type: ignore[call-arg]  # as above; always refused, with a suggestion
        except ValueError as error:
            raise PydanticCustomError(cls._kind, "{reason}", {"reason": str(error)}) from None
        reason = f"expected a {cls._kind} such as {cls._examples[0]}"
        raise PydanticCustomError(cls._kind, "{reason}", {"reason": reason})

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls._parsed,
            json_schema_input_schema=core_schema.str_schema(),
            serialization=core_schema.to_string_ser_schema(when_used="always"),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {
            "type": "string",
            "pattern": rf"^[0-9]+(\.[0-9]+)?({cls._units})$",
            "examples": list(cls._examples),
        }


class Duration(_Written, float):
    """Seconds, written and shown as `250ms`, `5s`, `10m`, `1h` or `1d`.

    `Duration("5s")` and `Duration(5.0)` equal the float 5.0, and arithmetic gives plain floats. In an option
    model only text (or a Duration) is valid: a bare number is refused, since nobody can see its unit.
    """

    __slots__ = ()
    _kind = "duration"
    _units = "ms|s|m|h|d"
    _examples = ("250ms", "5s", "10m", "1h", "1d")

    def __new__(cls, value: str | float) -> Self:
        return super().__new__(cls, parse_duration(value) if isinstance(value, str) else value)

    def __str__(self) -> str:
        return format_duration(self)

    def __repr__(self) -> str:
        return f"Duration('{self}')"


class Size(_Written, int):
    """Bytes, written and shown as `100B`, `64KiB`, `1MiB` or `1GiB`; otherwise like `Duration`."""

    __slots__ = ()
    _kind = "size"
    _units = "B|KiB|MiB|GiB|TiB"
    _examples = ("64KiB", "1MiB", "1GiB")

    def __new__(cls, value: str | int) -> Self:
        return super().__new__(cls, parse_size(value) if isinstance(value, str) else value)

    def __str__(self) -> str:
        return format_size(self)

    def __repr__(self) -> str:
        return f"Size('{self}')"


class Percentage(_Written, float):
    """A fraction from 0 to 1, written and shown as `50%` or `0.1%`; otherwise like `Duration`."""

    __slots__ = ()
    _kind = "percentage"
    _units = "%"
    _examples = ("50%", "0.1%")

    def __new__(cls, value: str | float) -> Self:
        return super().__new__(cls, parse_percentage(value) if isinstance(value, str) else value)

    def __str__(self) -> str:
        return format_percentage(self)

    def __repr__(self) -> str:
        return f"Percentage('{self}')"


@dataclass(frozen=True, slots=True)
class Between:
    """Bounds of a unit type, written with their units: `Annotated[Duration, Between("1ms", "1h")]`.

    Both ends are inside. Pydantic's own `gt` and `le` would work too, and would name bounds without a unit.
    """

    minimum: str | None = None
    maximum: str | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        minimum = None if self.minimum is None else source(self.minimum)
        maximum = None if self.maximum is None else source(self.maximum)

        def check(value: Any) -> Any:
            if minimum is not None and value < minimum:
                raise PydanticCustomError("too_small", "{reason}", {"reason": f"the least is {minimum}"})
            if maximum is not None and value > maximum:
                raise PydanticCustomError("too_large", "{reason}", {"reason": f"the most is {maximum}"})
            return value

        return core_schema.no_info_after_validator_function(check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        bounds = {"x-minimum": self.minimum, "x-maximum": self.maximum}
        return handler(schema) | {name: bound for name, bound in bounds.items() if bound is not None}


class Rate(BaseModel):
    """At most `max` in any window of `per`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max: int = Field(ge=1, description="How many are let through in one window.")
    per: Annotated[Duration, Between("1ms")] = Field(description="The length of the window.")

    def __str__(self) -> str:
        return f"{self.max} per {self.per}"
