"""Topics, filters, and topics that a message completes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from actors.connections.mqtt.topics import TopicTemplate, check_filter, check_reply_topic, check_topic
from actors.core.errors import DeliveryError
from actors.core.message import Message


def rendered(source: str, data: object) -> str:
    return TopicTemplate(source).render(Message("1", "it", data), 0.0)


@pytest.mark.parametrize("topic", ["", "a/+", "a/#", "a\0", "$SYS/a", "x" * 65_536, "\ud800"])
def test_what_cannot_be_published_to(topic: str) -> None:
    """Also as the place for an answer, which comes from whoever sent the message."""
    with pytest.raises(PydanticCustomError):
        check_topic(topic)
    with pytest.raises(DeliveryError) as error:
        check_reply_topic(topic)
    assert not error.value.retryable


@pytest.mark.parametrize("filter_", ["a", "a/b", "#", "+", "+/a/+", "a/#", "/", "$SYS/#"])
def test_filters(filter_: str) -> None:
    """As MQTT has them."""
    check_filter(filter_)


@pytest.mark.parametrize("filter_", ["", "a#", "a/#/b", "a+", "a/+b", "a\0", "$share/g/a"])
def test_what_is_no_filter(filter_: str) -> None:
    """A shared one has an option of its own."""
    with pytest.raises(PydanticCustomError):
        check_filter(filter_)


def test_a_constant_topic_is_what_it_is() -> None:
    """No expression, no cost."""
    template = TopicTemplate("whatsapp/clientes/send")
    assert template.is_constant
    assert rendered("whatsapp/clientes/send", {}) == "whatsapp/clientes/send"


@pytest.mark.parametrize("source", ["a/+", "#", "", "$SYS/x", "a/{{ data.x }}/#", "{% if data %}a{% endif %}"])
def test_what_is_no_template_of_a_topic(source: str) -> None:
    """A problem of the file, and not of a message."""
    with pytest.raises(PydanticCustomError):
        TopicTemplate(source)


def test_values_stand_in_their_level() -> None:
    """Numbers too."""
    assert rendered("rooms/{{ data.room }}/{{ data.n }}", {"room": "a b", "n": 5}) == "rooms/a b/5"


@pytest.mark.parametrize(
    ("source", "filter_"),
    [("a/b", "a/b"), ("a/{{ data.x }}/b", "a/+/b"), ("a/x-{{ data.x }}-{{ data.y }}", "a/+"), ("{{ data.x }}", "+")],
)
def test_its_filter_gets_whatever_is_published_by_it(source: str, filter_: str) -> None:
    """A level is the most that a value can fill."""
    assert TopicTemplate(source).filter == filter_


@pytest.mark.parametrize("value", ["a/b", "+", "#", "a\0b", "", "/"])
def test_values_that_lead_elsewhere_are_refused(value: str) -> None:
    """No repetition changes that."""
    with pytest.raises(DeliveryError) as error:
        rendered("rooms/{{ data }}", value)
    assert (error.value.reason, error.value.retryable) == ("invalid", False)


def test_a_message_cannot_make_a_topic_of_the_brokers() -> None:
    """Also where it decides the first level."""
    with pytest.raises(DeliveryError):
        rendered("{{ data }}/x", "$SYS")


@given(st.text())
def test_a_value_never_adds_a_level(value: str) -> None:
    """Whatever it is."""
    try:
        topic = rendered("a/{{ data }}/b", value)
    except DeliveryError:
        return
    assert topic.count("/") == 2
    assert topic == f"a/{value}/b"
