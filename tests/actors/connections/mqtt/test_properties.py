"""Messages as MQTT carries them."""

import pytest

from actors.connections.mqtt import properties
from actors.connections.mqtt.protocol import Arrival
from actors.core.errors import DeliveryError
from actors.core.message import Message


def message_of(*user: tuple[str, str], **more: object) -> Message:
    arrival = Arrival(1, "rooms/5", b"x", 1, False, False, user, **more)  # type: ignore[arg-type]  # by name
    return properties.message_of(arrival, "in", "x", 100.0)


def test_the_topic_is_the_subject_and_an_id_is_made() -> None:
    """Another one for each message."""
    one, other = message_of(), message_of()
    assert (one.subject, one.source, one.type, one.time, one.headers) == ("rooms/5", "in", "message", 100.0, {})
    assert one.id != other.id


def test_the_id_comes_from_its_property() -> None:
    """The idempotency key before the CloudEvent's."""
    assert message_of(("ce-id", "a")).id == "a"
    assert message_of(("ce-id", "a"), ("Idempotency-Key", "b")).id == "b"
    assert message_of(("idempotency-key", "b"), ("ce-id", "a")).id == "b"


@pytest.mark.parametrize("given", ["", "a\nb", "x" * 256])
def test_an_id_that_is_none_is_replaced(given: str) -> None:
    """It goes into headers and logs."""
    assert message_of(("idempotency-key", given)).id != given


def test_attributes_and_headers_come_from_properties() -> None:
    """What is no attribute is a header."""
    found = message_of(
        ("ce-type", "alarm"),
        ("ce-partitionkey", "5"),
        ("traceparent", "00-1-2-3"),
        ("priority", "high"),
        ("ce-specversion", "1.0"),
        content_type="text/plain",
        response_topic="answers/1",
        correlation_data=b"c-1",
        expiry_s=60,
    )
    assert (found.type, found.key, found.traceparent) == ("alarm", "5", "00-1-2-3")
    assert found.headers == {"priority": "high"}
    assert (found.datacontenttype, found.replyto, found.correlationid) == ("text/plain", "answers/1", "c-1")
    assert found.expirytime == 160.0


@pytest.mark.parametrize("correlation", [b"c-1", b"\xff\x00", b"", b"hex:00", "ñ".encode(), b"a\nb"])
def test_correlation_data_comes_back_as_it_was(correlation: bytes) -> None:
    """It is bytes, and a message's is text."""
    found = message_of(correlation_data=correlation)
    assert properties.correlation_data(found) == correlation


def test_a_message_goes_out_with_its_id_its_type_and_its_headers() -> None:
    """What came in as an attribute goes out as one; the topic it came from does not."""
    found = message_of(("idempotency-key", "a"), ("ce-type", "alarm"), ("ce-partitionkey", "5"), ("x", "y"))
    assert properties.user_properties(found) == [
        ("idempotency-key", "a"),
        ("ce-type", "alarm"),
        ("ce-partitionkey", "5"),
        ("x", "y"),
    ]


def test_a_header_cannot_take_the_place_of_the_key() -> None:
    """The promise hangs on it."""
    message = Message("a", "in", None, {"Idempotency-Key": "b", "x": "y"})
    assert properties.user_properties(message) == [("idempotency-key", "a"), ("x", "y")]


@pytest.mark.parametrize("pair", [("a", "b\0c"), ("a\0", "b")])
def test_a_nul_is_refused(pair: tuple[str, str]) -> None:
    """A broker would break the connection over it, and all that is under way with it."""
    with pytest.raises(DeliveryError):
        properties.check_text([pair])


@pytest.mark.parametrize(
    ("data", "given", "expected"),
    [
        (b"x", "image/png", (b"x", "image/png")),
        (b"x", None, (b"x", "application/octet-stream")),
        ("x", "text/csv; charset=latin-1", (b"x", "text/csv; charset=utf-8")),
        ({"a": 1}, "text/csv", (b'{"a":1}', "application/json")),
    ],
)
def test_bytes_and_text_keep_their_media_type(data: object, given: str | None, expected: tuple[bytes, str]) -> None:
    """All else is JSON by now."""
    attributes = {} if given is None else {"datacontenttype": given}
    assert properties.payload(Message("1", "in", data, attributes=attributes)) == expected


@pytest.mark.parametrize(
    ("expires", "longest", "expected"),
    [(None, None, None), (None, 60.0, 60), (130.0, None, 30), (130.0, 10.0, 10), (100.4, None, 1), (90.0, None, 1)],
)
def test_expiry(expires: float | None, longest: float | None, expected: int | None) -> None:
    """In whole seconds, at least one; whichever is sooner."""
    message = Message("1", "in", None).with_attributes(expirytime=expires)
    assert properties.expiry_s(message, 100.0, longest) == expected
