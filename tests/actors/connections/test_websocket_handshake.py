"""Which requests go over to WebSocket, and what they are answered (RFC 6455)."""

from collections.abc import Mapping

import pytest

from actors.connections.http_table import Refusal
from actors.connections.websocket_handshake import answer

ASKING = {
    "upgrade": "websocket",
    "connection": "Upgrade",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def given(**changes: str | None) -> dict[str, str]:
    """What a client asks with; underscores stand for hyphens, and None leaves a header out."""
    changed = {name.replace("_", "-"): value for name, value in changes.items()}
    headers: Mapping[str, str | None] = {**ASKING, **changed}
    return {name: value for name, value in headers.items() if value is not None}


def test_the_example_of_the_rfc_is_answered_as_there() -> None:
    """RFC 6455, 1.3."""
    assert answer(given()) == [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
    ]


def test_a_browsers_own_way_of_writing_it_is_understood() -> None:
    """Firefox keeps the connection alive as well; names and tokens are of any case."""
    assert not isinstance(answer(given(connection="keep-alive, upgrade", upgrade="WebSocket")), Refusal)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"upgrade": None}, 426),
        ({"upgrade": "h2c"}, 426),
        ({"connection": None}, 426),
        ({"connection": "close"}, 426),
        ({"sec_websocket_version": None}, 426),
        ({"sec_websocket_version": "8"}, 426),
        ({"sec_websocket_key": None}, 400),
        ({"sec_websocket_key": "short"}, 400),
        ({"sec_websocket_key": "dGhlIHNhbXBsZSBub25j"}, 400),
        ({"sec_websocket_key": "ñ" * 24}, 400),
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
    found = answer(given(sec_websocket_protocol=", ".join(offered)), ["v2", "v1"])
    assert not isinstance(found, Refusal)
    assert dict(found).get("Sec-WebSocket-Protocol") == chosen
