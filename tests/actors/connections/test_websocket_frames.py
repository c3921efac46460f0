"""Frames are what a WebSocket library reads."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame
from websockets.protocol import CLIENT, OPEN, Protocol

from actors.connections.websocket_frames import encoded
from actors.core.errors import DeliveryError


def read(frame: bytes) -> Frame:
    client = Protocol(CLIENT, state=OPEN, max_size=None)
    client.receive_data(frame)
    (event,) = client.events_received()
    assert isinstance(event, Frame)
    return event


@given(st.binary(max_size=300) | st.sampled_from([b"x" * size for size in (125, 126, 65_535, 65_536, 70_000)]))
def test_bytes_are_a_binary_message_of_any_size(payload: bytes) -> None:
    """Each of the three ways to write a length."""
    frame = read(encoded(payload))
    assert (frame.opcode.name, bytes(frame.data), frame.fin) == ("BINARY", payload, True)


@pytest.mark.parametrize(("data", "text"), [("ñ", "ñ"), ({"a": [1, None]}, '{"a":[1,null]}'), (None, "null"), (5, "5")])
def test_all_else_is_a_text_message(data: Any, text: str) -> None:
    """Text as it is, and values as JSON."""
    frame = read(encoded(data))
    assert (frame.opcode.name, bytes(frame.data).decode()) == ("TEXT", text)


@pytest.mark.parametrize("data", ["\ud800", float("nan"), object()])
def test_what_cannot_be_sent_is_a_failed_attempt(data: Any) -> None:
    """No repetition helps."""
    with pytest.raises(DeliveryError) as refused:
        encoded(data)
    assert not refused.value.retryable
