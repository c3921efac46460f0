"""Which requests go over to WebSocket, and what they are answered (RFC 6455)."""

from collections.abc import Mapping

import pytest
from multidict import CIMultiDict

from actors.connections.http_table import Refusal
from actors.connections.websocket_handshake import answer

ASKING = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def given(**changes: str | None) -> CIMultiDict[str]:
    """What a client asks with; underscores stand for hyphens, and None leaves a header out."""
    changed = {name.replace("_", "-"): value for name, value in changes.items()}
    headers: Mapping[str, str | None] = {**ASKING, **changed}
    return CIMultiDict({name: value for name, value in headers.items() if value is not None})


def test_the_example_of_the_rfc_is_answered_as_there() -> None:
    """RFC 6455, 1.3."""
    assert answer(given()) == [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
    ]


def test_a_browsers_own_way_of_writing_it_is_understood() -> None:
    """Firefox keeps the connection alive as well; names and tokens are of any case."""
    assert not isinstance(answer(given(Connection="keep-alive, upgrade", Upgrade="WebSocket")), Refusal)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"Upgrade": None}, 426),
        ({"Upgrade": "h2c"}, 426),
        ({"Connection": None}, 426),
        ({"Connection": "close"}, 426),
        ({"Sec_WebSocket_Version": None}, 426),
        ({"Sec_WebSocket_Version": "8"}, 426),
        ({"Sec_WebSocket_Key": None}, 400),
        ({"Sec_WebSocket_Key": "short"}, 400),
        ({"Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25j"}, 400),
        ({"Sec_WebSocket_Key": "ñ" * 24}, 400),
    ],
)
def test_what_is_no_handshake_is_told_why(changes: Mapping[str, str | None], status: int) -> None:
    """426 names the version that is spoken."""
    refusal = answer(given(**changes))
    assert isinstance(refusal, Refusal)
    assert refusal.status == status
    assert (("Sec-WebSocket-Version", "13") in refusal.headers) == (status == 426)


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [(["v1"], "v1"), (["v1, v2"], "v2"), (["v1", "v2"], "v2"), (["v3"], None), ([], None), (["V2"], None)],
)
def test_the_best_subprotocol_that_both_speak_is_chosen(offered: list[str], chosen: str | None) -> None:
    """By our order, over all lines of the header; its names are compared as they are."""
    headers = given()
    for line in offered:
        headers.add("Sec-WebSocket-Protocol", line)
    found = answer(headers, ["v2", "v1"])
    assert not isinstance(found, Refusal)
    assert dict(found).get("Sec-WebSocket-Protocol") == chosen
