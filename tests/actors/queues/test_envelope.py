"""A message becomes a job and comes back as it was, and a job of somebody else's becomes a message."""

import json
import re
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.core.errors import DecodeError, DeliveryError
from actors.core.message import Message
from actors.queues.envelope import job_id, pack, undecoded, unpack
from actors.queues.job import Job, JobOptions, check_id

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=15
)
messages = st.builds(
    Message,
    id=texts,
    source=texts,
    data=json_values | st.binary(max_size=40),
    headers=st.dictionaries(texts, texts, max_size=3),
    type=texts,
    time=st.floats(0, 4e9),
    attributes=st.fixed_dictionaries(
        {},
        optional={"subject": texts, "partitionkey": texts, "expirytime": st.floats(0, 4e9), "tenant": texts},
    ),
)


def job(data: str, envelope: str | None = None, *, id: str = "7", name: str = "greet") -> Job:
    return Job(id, name, data, JobOptions(), 1_700_000_000_500, envelope)


@given(messages)
def test_a_message_comes_back_as_it_was(message: Message) -> None:
    """But for its source: that is the actor it comes out of, as everywhere."""
    assert unpack(job(*pack(message)), "inbound") == message._replace(source="inbound")


@given(messages)
def test_the_data_of_a_job_is_the_payload_and_nothing_else(message: Message) -> None:
    """Whoever works it beside us, in whatever language, sees what was sent."""
    data, envelope = pack(message)
    if not isinstance(message.data, bytes):
        assert json.loads(data) == message.data
    assert isinstance(json.loads(envelope), dict)


def test_binary_data_is_base64_text() -> None:
    """The envelope says so; without it, it is text."""
    data, envelope = pack(Message("1", "in", b"\x00\xff"))
    assert data == '"AP8="'
    assert unpack(job(data, envelope), "q").data == b"\x00\xff"
    assert unpack(job(data), "q").data == "AP8="


def test_mappings_of_any_kind_travel() -> None:
    """Attributes and headers may be read-only views."""
    message = Message("1", "in", {}, MappingProxyType({"a": "b"}), attributes=MappingProxyType({"subject": "s"}))
    back = unpack(job(*pack(message)), "q")
    assert (dict(back.headers), dict(back.attributes)) == ({"a": "b"}, {"subject": "s"})


@pytest.mark.parametrize("data", [float("nan"), {"a": [float("inf")]}, object(), "\ud800", {"a": "\ud800"}])
def test_what_json_cannot_express_is_refused_for_good(data: Any) -> None:
    with pytest.raises(DeliveryError, match="not JSON") as refused:
        pack(Message("1", "in", data))
    assert (refused.value.reason, refused.value.retryable) == ("invalid", False)


def test_an_id_that_is_no_text_is_refused_for_good() -> None:
    with pytest.raises(DeliveryError, match="not JSON"):
        pack(Message("\ud800", "in", None))


def test_a_job_of_somebody_elses_is_a_message_too() -> None:
    """Its id and its name are the message's id, type and subject; its time is when it was added."""
    assert unpack(job('{"to":"ñ"}'), "inbound") == Message(
        "7", "inbound", {"to": "ñ"}, type="greet", time=1_700_000_000.5, attributes={"subject": "greet"}
    )


@pytest.mark.parametrize(
    ("data", "envelope"),
    [
        ("{", None),
        ("NaN", None),
        ("", None),
        ("[" * 201 + "]" * 201, None),
        ("1", "{"),
        ("1", "[]"),
        ("1", "{}"),
        ("1", '{"id": 1, "type": "t", "time": 0}'),
        ("1", '{"id": "1", "type": "t", "time": 0, "headers": null}'),
        ("1", '{"id": "1", "type": "t", "time": 0, "encoding": "base64"}'),
        ('"*"', '{"id": "1", "type": "t", "time": 0, "encoding": "base64"}'),
    ],
)
def test_what_does_not_decode_says_so(data: str, envelope: str | None) -> None:
    """What is known of it is shown with the text that it has."""
    with pytest.raises(DecodeError):
        unpack(job(data, envelope), "q")
    assert undecoded(job(data, envelope), "q").data == data


def test_a_payload_deeper_than_sources_take_in_comes_back() -> None:
    """Steps may have nested it."""
    data: Any = 1
    for _ in range(150):
        data = [data]
    assert unpack(job(*pack(Message("1", "in", data))), "q").data == data


@given(texts, texts, texts)
def test_ids_of_jobs_are_what_bullmq_takes_and_always_the_same(id: str, sender: str, actor: str) -> None:
    message = Message(id, "in", None)
    made = job_id(message, sender, actor)
    check_id(made)
    assert re.fullmatch(r"pm-[0-9a-f]{32}(-[1-9][0-9]{0,14})?", made)
    assert made == job_id(message.with_data(1), sender, actor)


def test_ids_of_jobs_count_up_as_those_of_messages_do() -> None:
    """An index of them is then written at one place."""
    first, second = (job_id(Message(f"m-{number}", "in", None), "a", "b") for number in (9, 10))
    assert first.removesuffix("-9") == second.removesuffix("-10")


def test_ids_of_jobs_tell_messages_routes_and_actors_apart() -> None:
    made = {
        job_id(Message(id, "in", None), sender, actor)
        for id in ("1", "2")
        for sender in ("a", "ab")
        for actor in ("b", "bc")
    }
    assert len(made) == 8
