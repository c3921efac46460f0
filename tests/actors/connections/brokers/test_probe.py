"""Whether a broker takes connections, asked of servers that answer well, badly or not at all."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from actors.connections.mqtt.brokers.house_broker import Address, Addresses, Login
from actors.connections.mqtt.brokers.probe import NotReadyError, connect_packet, frame, probe
from tests.loop import Run

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

ACCEPTED = b"\x20\x02\x00\x00"
REFUSED = b"\x20\x02\x00\x05"


@asynccontextmanager
async def server(behave: Behaviour) -> AsyncIterator[Addresses]:
    """A server at one address for both versions."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await behave(reader, writer)
        finally:
            writer.close()

    listening = await asyncio.start_server(connected, "127.0.0.1", 0)
    address = Address("127.0.0.1", listening.sockets[0].getsockname()[1])
    async with listening:
        yield Addresses(address, address)


def answering(answer: bytes, asked: list[bytes] | None = None) -> Behaviour:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        packet = await reader.read(1024)
        if asked is not None:
            asked.append(packet)
        writer.write(answer)
        await writer.drain()
        if answer == ACCEPTED:
            assert not await reader.read()

    return behave


async def outcome(behave: Behaviour, timeout_s: float = 5.0) -> str | None:
    async with server(behave) as addresses:
        try:
            await probe(addresses, None, timeout_s=timeout_s)
        except NotReadyError as error:
            return str(error)
    return None


def test_a_broker_that_accepts_both_versions_is_ready(run: Run) -> None:
    """It is asked as 3.1.1 and as 5, under two client ids."""
    asked: list[bytes] = []
    assert run(outcome(answering(ACCEPTED, asked))) is None
    assert [packet[8] for packet in asked] == [4, 5]
    assert asked[0][-1:] != asked[1][-1:]


@pytest.mark.parametrize(
    ("behave", "says"),
    [
        (answering(REFUSED), "answered CONNECT with 20020005"),
        (answering(b"HTTP/1.1 400"), "answered CONNECT with"),
        (answering(b"\x20"), "no answer"),
        (answering(b""), "no answer"),
    ],
    ids=["refused", "no broker", "half", "closed"],
)
def test_a_broker_that_answers_otherwise_is_not(run: Run, behave: Behaviour, says: str) -> None:
    said = run(outcome(behave))
    assert said is not None
    assert says in said


def test_a_broker_that_does_not_answer_is_not(run: Run) -> None:
    async def wait_for_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    said = run(outcome(wait_for_the_end, timeout_s=0.05))
    assert said is not None
    assert "within 0.05 s" in said


def test_where_nobody_listens_there_is_no_broker(run: Run, free_port: int) -> None:
    address = Address("127.0.0.1", free_port)
    with pytest.raises(NotReadyError, match=str(free_port)):
        run(probe(Addresses(address, address), None, timeout_s=5.0))


def test_connect_carries_the_login() -> None:
    """MQTT 5 has an empty list of properties behind the keepalive."""
    packet = connect_packet(4, Login("us", "pä"), client_id="probe")
    assert packet[:10] == bytes([0x10, len(packet) - 2]) + b"\x00\x04MQTT" + bytes([4, 0xC2])
    assert packet.endswith(b"\x00\x05probe\x00\x02us\x00\x03p\xc3\xa4")
    assert len(connect_packet(5, None, client_id="")) == len(connect_packet(4, None, client_id="")) + 1


def test_a_long_packet_has_a_long_length() -> None:
    packet = connect_packet(4, Login("u", "p" * 1000), client_id="")
    assert packet[1] & 0x80
    assert (packet[1] & 0x7F) + (packet[2] << 7) == len(packet) - 3


@pytest.mark.parametrize("size", [1, 125, 126, 2000])
def test_a_frame_is_unmasked_to_what_it_holds(size: int) -> None:
    packet = bytes(range(256)) * 8
    framed = frame(packet[:size])
    assert framed[0] == 0x82
    start = 2 if size < 126 else 4
    assert (framed[1] & 0x7F if start == 2 else int.from_bytes(framed[2:4], "big")) == size
    mask, masked = framed[start : start + 4], framed[start + 4 :]
    assert bytes(byte ^ mask[place % 4] for place, byte in enumerate(masked)) == packet[:size]
