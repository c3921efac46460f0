"""Who may become a client: by the page it comes from, and by the proof it brings."""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from actors.connections.websocket_admission import Auth, Origin, comes_from

TOKEN = {"bearer": "t0ken"}
BASIC = {"basic": {"ana": "s3cret", "ben": "0ther"}}


def basic(text: str) -> Mapping[str, str]:
    return {"authorization": f"Basic {b64encode(text.encode()).decode()}"}


@pytest.mark.parametrize(
    ("auth", "headers", "query", "user"),
    [
        (TOKEN, {"authorization": "Bearer t0ken"}, {}, ""),
        (TOKEN, {"authorization": "Bearer t0keN"}, {}, None),
        (TOKEN, {}, {}, None),
        (TOKEN, {}, {"token": "t0ken"}, None),
        ({**TOKEN, "query": "token"}, {}, {"token": "t0ken"}, ""),
        ({**TOKEN, "query": "token"}, {}, {"token": "x"}, None),
        ({**TOKEN, "query": "token"}, {"authorization": "Bearer x"}, {"token": "t0ken"}, None),
        ({"bearer": ["old", "new"]}, {"authorization": "Bearer old"}, {}, ""),
        (BASIC, basic("ana:s3cret"), {}, "ana"),
        (BASIC, basic("ana:0ther"), {}, None),
        (BASIC, {"authorization": "Bearer s3cret"}, {}, None),
    ],
)
def test_a_proof_is_taken_or_not(
    auth: Mapping[str, Any], headers: Mapping[str, str], query: Mapping[str, str], user: str | None
) -> None:
    """None is nobody; a token has no name; a header that is wrong is not made good by the query."""
    assert Auth.model_validate(auth).user(headers, query) == user


@pytest.mark.parametrize(
    ("origin", "host", "expected"),
    [
        (None, "router:8080", True),
        ("http://router:8080", "router:8080", True),
        ("https://router:8080", "router:8080", True),
        ("http://router", "router:8080", False),
        ("https://app.example", "router:8080", True),
        ("HTTPS://APP.example", "router:8080", True),
        ("https://app.example:444", "router:8080", False),
        ("https://app.example.evil.example", "router:8080", False),
        ("https://evil.example", "router:8080", False),
        ("null", "router:8080", False),
        ("", "", False),
        ("http://[", "[", False),
    ],
)
def test_a_page_may_come_from_our_own_host_or_where_the_topology_says(
    origin: str | None, host: str, expected: bool
) -> None:
    """A page of anybody's can open a WebSocket to anywhere: it is for the server to look."""
    headers = {"host": host} | ({} if origin is None else {"origin": origin})
    assert comes_from(headers, ["https://app.example"]) is expected


def test_a_star_lets_every_page_in() -> None:
    """Also one without a name, such as a file."""
    assert comes_from({"origin": "null"}, ["*"])


@pytest.mark.parametrize("text", ["app.example", "https://app.example/", "https://", "//app.example", "app"])
def test_an_origin_is_a_scheme_and_a_host(text: str) -> None:
    """One that could never match is a mistake."""
    with pytest.raises(ValidationError):
        TypeAdapter(Origin).validate_python(text)
