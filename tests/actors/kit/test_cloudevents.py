"""CloudEvents over HTTP: what one side writes, the other reads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.errors import DecodeError
from actors.core.message import Message
from actors.kit import cloudevents

REQUIRED = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/shop", "ce-type": "order"}


def test_headers_without_a_version_are_no_event() -> None:
    """A lone `ce-id` may be anything."""
    assert cloudevents.from_headers({"ce-id": "1"}) is None


@pytest.mark.parametrize("missing", ["ce-id", "ce-source", "ce-type"])
def test_half_an_event_is_an_error(missing: str) -> None:
    """The required attributes are required."""
    with pytest.raises(DecodeError, match=missing.removeprefix("ce-")):
        cloudevents.from_headers({name: value for name, value in REQUIRED.items() if name != missing})


def test_another_version_is_an_error() -> None:
    """It might mean something else."""
    with pytest.raises(DecodeError, match="version"):
        cloudevents.from_headers(REQUIRED | {"ce-specversion": "0.3"})


def test_an_expiry_time_becomes_epoch_seconds() -> None:
    """RFC 3339, with its offset."""
    event = cloudevents.from_headers(REQUIRED | {"ce-expirytime": "2023-11-14T23:13:20+01:00"})
    assert event is not None
    assert event.attributes["expirytime"] == 1_700_000_000.0
    for wrong in ("soon", "2023-11-14T23:13:20"):
        with pytest.raises(DecodeError, match="timestamp"):
            cloudevents.from_headers(REQUIRED | {"ce-expirytime": wrong})


def test_a_stranger_does_not_choose_where_answers_go() -> None:
    """`replyto` is not taken, in either mode."""
    event = cloudevents.from_headers(REQUIRED | {"ce-replyto": "queue"})
    assert event is not None
    document = {"specversion": "1.0", "id": "1", "source": "s", "type": "t", "replyto": "queue"}
    other, _ = cloudevents.from_document(document)
    for taken in (event, other):
        assert "replyto" not in taken.attributes
        assert "ce-replyto" not in taken.headers


def test_a_document_may_carry_bytes() -> None:
    """As Base64; and numbers and booleans as attributes, in their own spelling."""
    document = {"specversion": "1.0", "id": "1", "source": "s", "type": "t", "n": 5, "b": True}
    event, data = cloudevents.from_document(document | {"data_base64": "AAE="})
    assert (data, event.headers) == (b"\x00\x01", {"ce-source": "s", "ce-n": "5", "ce-b": "true"})
    wrongs: list[dict[str, object]] = [{"data_base64": "?"}, {"data_base64": 5}, {"x": []}]
    for wrong in wrongs:
        with pytest.raises(DecodeError):
            cloudevents.from_document(document | wrong)


@pytest.mark.parametrize("document", [None, [], "x", {}, {"specversion": 1.0}])
def test_what_is_no_event_is_an_error(document: object) -> None:
    """And never a crash."""
    with pytest.raises(DecodeError):
        cloudevents.from_document(document)


@given(
    id_=st.text(min_size=1),
    subject=st.none() | st.text(min_size=1),
    key=st.none() | st.text(min_size=1),
    expirytime=st.none() | st.integers(0, 2_000_000_000),
)
def test_attributes_survive_the_way_through_headers(
    id_: str, subject: str | None, key: str | None, expirytime: int | None
) -> None:
    """Whatever they hold, the headers are printable ASCII without a space."""
    try:
        (id_ + (subject or "") + (key or "")).encode()
    except UnicodeEncodeError:
        return  # half a surrogate pair: no text
    message = Message(id_, "it", None, {"ce-custom": "ä b"}, "t", 1.5).with_attributes(
        subject=subject, partitionkey=key, expirytime=expirytime
    )
    headers = cloudevents.to_headers(message)
    assert all(value.isascii() and value.isprintable() and " " not in value for value in headers.values())
    event = cloudevents.from_headers(headers)
    assert event is not None
    assert (event.id, event.type, event.attributes) == (id_, "t", dict(message.attributes))
    assert event.headers == {"ce-source": "it", "ce-time": "1970-01-01T00:00:01.500000Z", "ce-custom": "ä b"}


def test_an_event_that_is_passed_on_keeps_its_source() -> None:
    """The message's own source is the actor that it came in by."""
    assert cloudevents.to_headers(Message("1", "it", None, {"ce-source": "/shop"}))["ce-source"] == "/shop"
