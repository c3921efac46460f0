"""Brings a phone number into one form."""

from __future__ import annotations

import re
from functools import lru_cache, partial
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, StringConstraints
from pydantic_core import PydanticCustomError

from actors.core.message import Message
from actors.core.spec import Options
from actors.core.step import Passage, StepContext, StepResult, Verdict, step
from actors.kit.fieldpath import FieldPath


def known_region(region: str) -> str:
    """The country code, if there are phone numbers in that country."""
    from phonenumbers import SUPPORTED_REGIONS

    if region not in SUPPORTED_REGIONS:
        reason = f"'{region}' is no country that has phone numbers (ISO 3166-1, as in EC or CO)"
        raise PydanticCustomError("region", "{reason}", {"reason": reason})
    return region


Region = Annotated[str, StringConstraints(to_upper=True), AfterValidator(known_region)]
Format = Literal["e164", "digits"]

CACHED_NUMBERS: Final = 10_000
"""Parsing takes 20 to 100 µs, and the same people are written to again and again."""
LONGEST: Final = 64
"""Longer text is no number; it would fill the cache."""

PERSONS: Final = frozenset(("c.us", "s.whatsapp.net"))
"""What stands behind the @ of a WhatsApp address that is a phone number."""
OTHERS: Final = frozenset(("g.us", "lid", "broadcast", "newsletter"))
"""What stands behind the @ of one that is none: groups, hidden identities, lists, channels."""

# Spaces, dashes, dots, slashes, parentheses, and the invisible marks that come along when a number is copied.
_SEPARATORS: Final = re.compile(r"[\s().\-/\u2010-\u2015\u2212\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]+")
_DIALLED: Final = re.compile(r"(\+|00)?([0-9]{4,20})")


class PhoneOptions(Options):
    """Where the number is, and what it becomes."""

    field: FieldPath
    """The place of the number: `data.to`."""
    regions: tuple[Region, ...] = ()
    """Countries (ISO 3166-1) whose national form is understood, tried in this order: `[EC, CO]`."""
    format: Format = "e164"
    """`e164` is +593991234567, `digits` the same without the plus. Where digits of a country that is not in
    `regions` pass here again, they can read as a national number of one that is; e164 never can."""
    on_invalid: Literal["dead_letter", "keep", "drop"] = "dead_letter"
    """What becomes of a message whose number is none, or is not there."""


@step("phone", options=PhoneOptions, repeatable=True)
class Phone:
    """Brings a phone number into one form, whatever way people write it.

        steps:
          - phone: {field: data.to, regions: [EC, CO]}

    `099 123 4567`, `(593) 99-123-4567`, `00593991234567` and the number 593991234567 all become
    `+593991234567`. With a plus or 00 in front a number is international. Without, it is tried as a national
    number of each region in order, with and without that country's code, then as an international one; the
    first valid number wins, so `300 123 4567` is Colombian here although Ecuador is asked first.

    WhatsApp addresses keep their ending: `…@c.us` and `…@s.whatsapp.net` become international digits before
    it, and are tried as international first. Groups (`…@g.us`) and other addresses that are no numbers stay
    as they are. What is no valid number is dead-lettered with the reason `invalid: …`, which does not repeat
    it. Normalising twice is normalising once.
    """

    __slots__ = ("_field", "_invalid", "_normalise")

    def __init__(self, options: PhoneOptions, context: StepContext) -> None:
        self._field = options.field
        self._normalise = lru_cache(CACHED_NUMBERS)(partial(normalise, regions=options.regions, form=options.format))
        tried = ", ".join((*options.regions, "international"))
        self._invalid: Verdict | None = None
        if options.on_invalid != "keep":
            self._invalid = Verdict(
                "dropped" if options.on_invalid == "drop" else "dead_lettered",
                f"invalid: {options.field}: no phone number (tried {tried})",
            )

    def __call__(self, message: Message, passage: Passage) -> StepResult:
        given = self._field.read(message)
        written = str(given) if type(given) is int else given
        number = self._normalise(written) if isinstance(written, str) and len(written) <= LONGEST else None
        if number is None:
            return self._invalid or message
        return message if number == given else self._field.write(message, number)


def normalise(written: str, regions: tuple[str, ...], form: Format) -> str | None:
    """The number in its one form, or None where it is none; see `Phone` for what is tried."""
    number, at, server = written.strip().partition("@")
    server = server.lower()
    if number and server in OTHERS:
        return written
    dialled = _DIALLED.fullmatch(_SEPARATORS.sub("", number))
    if dialled is None or (at and server not in PERSONS):
        return None
    prefix, digits = dialled.groups()
    international = _e164(f"+{digits}", None) if prefix or at else None
    if international is None and not prefix:
        national = (_e164(digits, region) for region in regions)
        international = next(filter(None, national), None) or _e164(f"+{digits}", None)
    if international is None:
        return None
    if at:
        return f"{international[1:]}@{server}"
    return international if form == "e164" else international[1:]


def _e164(number: str, region: str | None) -> str | None:
    from phonenumbers import (
        NumberParseException,
        PhoneNumberFormat,
        format_number,
        is_possible_number,
        is_valid_number,
        parse,
    )

    try:
        parsed = parse(number, region)
    except NumberParseException:
        return None
    if not (is_possible_number(parsed) and is_valid_number(parsed)):
        return None
    return format_number(parsed, PhoneNumberFormat.E164)
