"""`phone`: how people write numbers in Ecuador and Colombia, and what becomes of each."""

import string

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from actors.core.message import Message
from actors.core.step import Verdict
from actors.steps.phone import Phone, PhoneOptions, normalise
from tests.actors.steps.stepping import Way, build, message

ANDES = ("EC", "CO")


@pytest.mark.parametrize(
    ("written", "number"),
    [
        # Ecuador: mobile 09…, landline 0 and the province's digit
        ("0991234567", "+593991234567"),
        ("099 123 4567", "+593991234567"),
        ("991234567", "+593991234567"),
        ("593991234567", "+593991234567"),
        ("+593991234567", "+593991234567"),
        ("+593 (0)99-123-4567", "+593991234567"),
        ("00593 99 123 4567", "+593991234567"),
        ("(593) 99.123.4567", "+593991234567"),
        ("02 234 5678", "+59322345678"),
        # Colombia: mobile 3…, landline 60 and the region's digit
        ("3001234567", "+573001234567"),
        ("300 123 4567", "+573001234567"),
        ("573001234567", "+573001234567"),
        ("+57 300-123-4567", "+573001234567"),
        ("0057 300 123 4567", "+573001234567"),
        ("601 234 5678", "+576012345678"),
        # elsewhere: international alone
        ("14155552671", "+14155552671"),
        ("+1 (415) 555-2671", "+14155552671"),
        ("\u202a+593 99\u00a0123\u20114567\u202c", "+593991234567"),
    ],
)
def test_numbers_are_understood_as_people_write_them(written: str, number: str) -> None:
    assert normalise(written, ANDES, "e164") == number


def test_a_national_number_belongs_to_the_first_region_in_which_it_is_valid() -> None:
    """3221234567 is Colombian, too long for Ecuador, and would be nearly Belgian with a plus in front."""
    assert normalise("3221234567", ("EC", "CO"), "e164") == "+573221234567"
    assert normalise("3221234567", ("CO", "EC"), "e164") == "+573221234567"
    assert normalise("3221234567", ("EC",), "e164") is None


def test_a_plus_makes_a_number_international_whatever_the_regions() -> None:
    assert normalise("+3001234567", ANDES, "e164") is None
    assert normalise("+57 300 123 4567", ("EC",), "e164") == "+573001234567"


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("593991234567@c.us", "593991234567@c.us"),
        ("+593 99 123 4567@c.us", "593991234567@c.us"),
        ("0991234567@c.us", "593991234567@c.us"),
        ("3001234567@s.whatsapp.net", "573001234567@s.whatsapp.net"),
        ("120363025246125486@g.us", "120363025246125486@g.us"),
        ("status@broadcast", "status@broadcast"),
        ("123456789012345@lid", "123456789012345@lid"),
    ],
)
def test_whatsapp_addresses_keep_their_ending(written: str, address: str) -> None:
    assert normalise(written, ANDES, "e164") == address
    assert normalise(written, ANDES, "digits") == address


def test_digits_are_the_number_without_its_plus() -> None:
    assert normalise("099 123 4567", ANDES, "digits") == "593991234567"


@pytest.mark.parametrize(
    "written",
    [
        "",
        "+",
        "@",
        "@c.us",
        "ana",
        "ana@example.org",
        "0991234567@example.org",
        "12345",
        "0991234",
        "1-800-FLOWERS",
        "0991234567 ext. 5",
        "0991234567;0991234568",
        "+593+991234567",
        "٠٩٩١٢٣٤٥٦٧",
        "9" * 40,
    ],
)
def test_anything_else_is_no_number(written: str) -> None:
    assert normalise(written, ANDES, "e164") is None


def examples() -> list[str]:
    """A valid number of each country and each kind, as the metadata has them."""
    found = []
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        for kind in (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE):
            example = phonenumbers.example_number_for_type(region, kind)
            if example is not None and phonenumbers.is_valid_number(example):
                found.append(phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164))
    return found


EXAMPLES = examples()
REGIONS = st.lists(st.sampled_from(sorted(phonenumbers.SUPPORTED_REGIONS)), max_size=3, unique=True).map(tuple)
DIALLED = st.one_of(
    st.sampled_from(EXAMPLES),
    st.sampled_from(EXAMPLES).map(lambda number: number[1:]),
    st.sampled_from(EXAMPLES).map(lambda number: number[1:] + "@c.us"),
    st.text(string.digits + "+ -()@c.us", max_size=20),
    st.text(string.digits, min_size=7, max_size=13),
)


@given(DIALLED, REGIONS)
def test_normalising_twice_is_normalising_once(written: str, regions: tuple[str, ...]) -> None:
    once = normalise(written, regions, "e164")

    if once is not None:
        assert normalise(once, regions, "e164") == once


ANDEAN = st.tuples(st.sampled_from(["0", "", "593", "57", "+593", "+57", "00593"]), st.integers(10**7, 10**10))


@given(ANDEAN)
def test_digits_of_the_regions_in_use_are_stable_too(written: tuple[str, int]) -> None:
    once = normalise("".join(map(str, written)), ANDES, "digits")

    if once is not None and once.startswith(("593", "57")):
        assert normalise(once, ANDES, "digits") == once


@given(st.sampled_from(EXAMPLES), REGIONS)
def test_a_valid_international_number_stays_itself(number: str, regions: tuple[str, ...]) -> None:
    assert normalise(number, regions, "e164") == number


@given(st.integers(0, 10**8 - 1).map(lambda n: f"09{n:08}"))
def test_what_is_valid_in_the_first_region_belongs_to_it(national: str) -> None:
    if normalise(national, ("EC",), "e164") is not None:
        assert normalise(national, ANDES, "e164") == f"+593{national[1:]}"


@given(st.integers(0, 10**9 - 1).map(lambda n: f"3{n:09}"))
def test_what_looks_colombian_is_never_ecuadorian(national: str) -> None:
    number = normalise(national, ANDES, "e164")

    assert number is None or not number.startswith("+593")


def test_the_field_is_rewritten_and_the_incoming_message_is_not() -> None:
    step = build(Phone, {"field": "data.to", "regions": ["EC", "CO"]})
    original = message({"to": "099 123 4567", "text": "hola"})

    result = step(original, Way())

    assert isinstance(result, Message)
    assert result.data == {"to": "+593991234567", "text": "hola"}
    assert original.data["to"] == "099 123 4567"


def test_a_number_that_json_made_a_number_is_read_as_text() -> None:
    result = build(Phone, {"field": "data.to", "regions": ["EC"]})(message({"to": 593991234567}), Way())

    assert isinstance(result, Message)
    assert result.data == {"to": "+593991234567"}


def test_a_number_in_its_form_already_passes_as_the_same_message() -> None:
    good = message({"to": "+593991234567"})

    assert build(Phone, {"field": "data.to"})(good, Way()) is good


@pytest.mark.parametrize("data", [{}, {"to": None}, {"to": "ana"}, {"to": True}, {"to": ["0991234567"]}, "text"])
def test_what_is_no_number_is_dead_lettered_without_repeating_it(data: object) -> None:
    step = build(Phone, {"field": "data.to", "regions": ["ec", "co"]})

    assert step(message(data), Way()) == Verdict(
        "dead_lettered", "invalid: data.to: no phone number (tried EC, CO, international)"
    )


def test_it_is_kept_or_dropped_where_the_file_asks_for_it() -> None:
    bad = message({"to": "ana"})

    assert build(Phone, {"field": "data.to", "on_invalid": "keep"})(bad, Way()) is bad
    assert build(Phone, {"field": "data.to", "on_invalid": "drop"})(bad, Way()) == Verdict(
        "dropped", "invalid: data.to: no phone number (tried international)"
    )


def test_a_country_that_is_none_is_a_problem_of_the_file() -> None:
    with pytest.raises(ValidationError, match="'XX' is no country that has phone numbers"):
        PhoneOptions.model_validate({"field": "data.to", "regions": ["EC", "XX"]})
