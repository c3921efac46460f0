"""A URL that a message completes leads where its author meant, whatever the message says."""

from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from actors.core.errors import DeliveryError, ExpressionError
from actors.core.message import Message
from actors.kit.expressions import MistakeError
from actors.kit.url_template import UrlTemplate


def render(source: str, *hosts: str, **data: object) -> str:
    return UrlTemplate(source).render(Message("1", "it", data), 0.0, allow_hosts=hosts)


def refused(source: str, *hosts: str, **data: object) -> str:
    with pytest.raises(DeliveryError) as error:
        render(source, *hosts, **data)
    assert (error.value.reason, error.value.retryable) == ("invalid", False)
    return str(error.value)


@pytest.mark.parametrize(
    ("source", "origin", "address"),
    [
        ("https://shop.example/orders", "https://shop.example", ("shop.example", 443)),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080", ("127.0.0.1", 8080)),
        ("http://[::1]:8080/x?y=z", "http://[::1]:8080", ("::1", 8080)),
        ("https://shop.example/{{ data.a }}", "https://shop.example", ("shop.example", 443)),
        ("https://shop.example?a={{ data.a }}", "https://shop.example", ("shop.example", 443)),
        ("https://shop.example{{ data.a }}", None, None),
        ("https://{{ data.a }}/x", None, None),
        ("{{ data.a }}", None, None),
    ],
)
def test_a_constant_host_is_known(source: str, origin: str | None, address: tuple[str, int] | None) -> None:
    """It is constant only where nothing that a message says can still belong to it."""
    url = UrlTemplate(source)
    assert (url.origin, url.address) == (origin, address)


@pytest.mark.parametrize(
    "source",
    [
        "",
        "shop.example/orders",
        "ftp://shop.example/",
        "file:///etc/passwd",
        "https:///orders",
        "https://user:pw@shop.example/",
        "https://shop.example/a b",
        "https://shop.example/#fragment",
        "https://shop.example/é",
        "https://shop.example/a/../b",
        "https://shop.example:port/",
        "https://shop.example:99999/",
        "https://shop.example/{% if data.a %}x{% endif %}",
        "https://shop.example/{# comment #}{{ data.a }}",
    ],
)
def test_what_is_no_url_to_send_to_is_a_mistake(source: str) -> None:
    """Also credentials in it, which have an option of their own, and what a server never sees."""
    with pytest.raises(ValueError):
        UrlTemplate(source)


def test_a_mistake_in_an_expression_has_its_place() -> None:
    """In the whole URL, not in the part."""
    with pytest.raises(MistakeError) as mistake:
        UrlTemplate("https://shop.example/{{ data.a + }}")
    assert mistake.value.offset > 20


def test_what_a_message_says_is_encoded_whole() -> None:
    """Slashes, question marks and percent signs too: one value is one segment, or one value of the query."""
    assert render("https://h/{{ data.a }}/x?q={{ data.b }}", a="a/b?c%2f", b="1&x=2#é") == (
        "https://h/a%2Fb%3Fc%252f/x?q=1%26x%3D2%23%C3%A9"
    )


@pytest.mark.parametrize("value", [".", "..", ""])
def test_a_segment_that_would_lead_elsewhere_is_refused(value: str) -> None:
    """Dots climb, and an empty segment turns one order into all of them."""
    refused("https://h/orders/{{ data.a }}", a=value)


def test_dots_are_refused_wherever_they_come_from() -> None:
    """A dot of the URL's and a dot of the message's make two."""
    refused("https://h/orders/.{{ data.a }}/x", a=".")
    assert render("https://h/orders/v{{ data.a }}", a="1.2") == "https://h/orders/v1.2"


@given(st.text(min_size=1))
def test_no_value_leaves_its_segment(value: str) -> None:
    """Whatever a message says: host, path before and path behind are the author's."""
    try:
        url = render("https://shop.example/orders/{{ data.a }}/lines?q={{ data.a }}", a=value)
    except (DeliveryError, ExpressionError, UnicodeError):
        return
    split = urlsplit(url)
    assert (split.scheme, split.netloc) == ("https", "shop.example")
    _, orders, segment, lines = split.path.split("/")
    assert (orders, unquote(segment), lines) == ("orders", value, "lines")
    assert unquote(split.query) == f"q={value}"


def test_a_templated_host_must_be_allowed() -> None:
    """With the usual port of its scheme, or with the port that the list names."""
    url = "{{ data.url }}"
    assert render(url, "a.example", url="https://a.example/x?y") == "https://a.example/x?y"
    assert render(url, "a.example", url="https://A.example:443/x") == "https://A.example:443/x"
    assert render(url, "a.example:8443", url="https://a.example:8443/") == "https://a.example:8443/"
    assert render("https://{{ data.host }}/{{ data.a }}", "a", host="a", a="b/c") == "https://a/b%2Fc"


@pytest.mark.parametrize(
    "given_url",
    [
        "https://b.example/",
        "https://a.example:6379/",
        "https://a.example@b.example/",
        "https://a.example\\@b.example/",
        "https://a.example.b.example/",
        "//a.example/",
        "gopher://a.example/",
        "https://a.example/x y",
        "https://a.example/\r\nx",
        "https://a.example/../x",
        "https://a.example/%2e%2e/x",
        "https://a.example:port/",
        "a.example",
        "",
    ],
)
def test_a_message_cannot_choose_another_host(given_url: str) -> None:
    """Nor another scheme, another port, credentials, or a second line."""
    refused("{{ data.url }}", "a.example", url=given_url)


def test_a_field_that_is_missing_is_a_failed_expression() -> None:
    """And never an empty piece of a URL."""
    with pytest.raises(ExpressionError):
        render("https://h/{{ data.a }}")


def test_it_is_a_field_of_option_models() -> None:
    """Valid as text, shown as its source, equal where that is."""

    class Model(BaseModel):
        url: UrlTemplate

    made = Model(url="https://h/{{ data.a }}")  # type: ignore[arg-type]  # validated from text
    assert made == Model.model_validate(made.model_dump())
    assert made.model_dump() == {"url": "https://h/{{ data.a }}"}
    assert hash(made.url) == hash(UrlTemplate(str(made.url)))
    for wrong in (5, "nowhere", "https://h/{{ data. }}"):
        with pytest.raises(ValidationError):
            Model.model_validate({"url": wrong})
