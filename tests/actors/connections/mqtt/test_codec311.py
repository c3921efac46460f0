"""The packets of MQTT 3.1.1 that come with every message."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt import client as paho

from actors.connections.mqtt import codec311
from actors.connections.mqtt.protocol import Publish

UNTOLD = None
"""Nobody is told, since nothing is sent."""


def split(packet: bytes) -> tuple[int, bytes]:
    """The first byte, and what follows the length, which must be right."""
    length, shift, at = 0, 0, 1
    while True:
        length |= (packet[at] & 127) << shift
        shift += 7
        at += 1
        if packet[at - 1] < 128:
            break
    assert len(packet) - at == length
    return packet[0], packet[at:]


@given(
    st.text(min_size=1).filter(lambda text: max(text) <= "\ud7ff"),
    st.binary(max_size=70_000),
    st.sampled_from([0, 1, 2]),
    st.booleans(),
    st.integers(1, 65_535),
)
def test_a_publish_comes_out_as_it_went_in(topic: str, payload: bytes, qos: int, retain: bool, packet_id: int) -> None:
    """Also where its length takes several bytes."""
    message = Publish(topic, payload, qos, retain, UNTOLD)  # type: ignore[arg-type]  # see there
    packet = codec311.publish(packet_id, message, duplicate=qos > 0)
    expected = (packet_id if qos else 0, topic, payload, qos, retain, qos > 0)
    assert codec311.published(*split(packet)) == expected


def test_acknowledgements_are_those_of_paho() -> None:
    """Two encoders, one answer."""
    for kind, name in (
        (codec311.PUBACK, paho.PUBACK),
        (codec311.PUBREC, paho.PUBREC),
        (codec311.PUBREL, paho.PUBREL | 2),
        (codec311.PUBCOMP, paho.PUBCOMP),
    ):
        packet = codec311.answer(kind, 0x1234)
        assert packet == bytes((name, 2, 0x12, 0x34))
        assert codec311.answered(split(packet)[1]) == 0x1234


@pytest.mark.parametrize(
    ("first", "body"),
    [
        (0x36, b"\x00\x01a\x00\x01"),
        (0x38, b"\x00\x01a"),
        (0x30, b""),
        (0x30, b"\x00\x00"),
        (0x30, b"\x00\x05a"),
        (0x32, b"\x00\x01a"),
        (0x32, b"\x00\x01a\x00\x00"),
        (0x30, b"\x00\x01\xff"),
    ],
)
def test_a_malformed_publish_is_a_value_error(first: int, body: bytes) -> None:
    """QoS 3, a duplicate of QoS 0, no topic, too short, no packet id, no UTF-8."""
    with pytest.raises(ValueError):
        codec311.published(first, body)


@pytest.mark.parametrize("body", [b"", b"\x01", b"\x00\x00", b"\x00\x01\x00"])
def test_a_malformed_acknowledgement_is_a_value_error(body: bytes) -> None:
    """It has two bytes, and not both are zero."""
    with pytest.raises(ValueError):
        codec311.answered(body)


@given(st.binary(max_size=50), st.integers(0x30, 0x3F))
def test_no_bytes_do_worse_than_that(body: bytes, first: int) -> None:
    """They come from outside."""
    with suppress(ValueError):
        codec311.published(first, body)
