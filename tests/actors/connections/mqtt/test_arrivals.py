"""What has arrived and is not acknowledged."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from actors.connections.mqtt.arrivals import Arrivals
from actors.connections.mqtt.protocol import Arrival


@dataclass
class Told:
    """A driver that writes down what it acknowledges."""

    packets: list[tuple[str, int]] = field(default_factory=list)

    def acknowledge(self, packet_id: int, qos: int) -> None:
        self.packets.append(("PUBACK" if qos == 1 else "PUBREC", packet_id))

    def complete(self, packet_id: int) -> None:
        self.packets.append(("PUBCOMP", packet_id))


def arrivals() -> tuple[Arrivals, Told]:
    made, told = Arrivals(), Told()
    made.connected(told, session_present=False)
    return made, told


def arrival(packet_id: int, *, qos: int = 1, duplicate: bool = False, payload: bytes = b"") -> Arrival:
    return Arrival(packet_id, "t", payload, qos, False, duplicate)


def test_acknowledgements_leave_in_the_order_of_arrival() -> None:
    """MQTT 5, 4.6: whatever order they are asked for in."""
    made, told = arrivals()
    first, second, third = (arrival(number) for number in (1, 2, 3))
    for each in (first, second, third):
        assert made.add(each)
    made.settle(third)
    made.settle(first)
    assert told.packets == [("PUBACK", 1)]
    made.settle(second)
    assert told.packets == [("PUBACK", 1), ("PUBACK", 2), ("PUBACK", 3)]


def test_qos_2_is_received_when_it_is_safe_and_complete_when_it_is_released() -> None:
    """A copy that comes between is acknowledged again, and not handed on."""
    made, told = arrivals()
    first = arrival(1, qos=2)
    assert made.add(first)
    made.settle(first)
    assert not made.add(arrival(1, qos=2, duplicate=True))
    made.released(1)
    assert told.packets == [("PUBREC", 1), ("PUBREC", 1), ("PUBCOMP", 1)]
    assert made.add(arrival(1, qos=2))


def test_a_release_of_something_unknown_is_completed() -> None:
    """After a restart of ours the broker has to get rid of it."""
    made, told = arrivals()
    made.released(9)
    assert told.packets == [("PUBCOMP", 9)]


def test_what_comes_again_and_is_in_hand_is_not_handed_on_twice() -> None:
    """The connection broke, the session is there, and our acknowledgement is still to come."""
    made, told = arrivals()
    first = arrival(1)
    made.add(first)
    made.lost()
    made.connected(told, session_present=True)
    assert not made.add(arrival(1, duplicate=True))
    assert told.packets == []
    made.settle(first)
    assert told.packets == [("PUBACK", 1)]


def test_what_was_settled_meanwhile_is_acknowledged_as_soon_as_it_comes_again() -> None:
    """Nobody else hears of it."""
    made, told = arrivals()
    first = arrival(1)
    made.add(first)
    made.lost()
    made.settle(first)
    made.connected(told, session_present=True)
    assert told.packets == []
    assert not made.add(arrival(1, duplicate=True))
    assert told.packets == [("PUBACK", 1)]


def test_another_message_with_the_same_packet_id_is_another_message() -> None:
    """Without the session, or where it has another content, or is no repetition."""
    made, told = arrivals()
    old = arrival(1, payload=b"old")
    made.add(old)
    made.lost()
    made.connected(told, session_present=True)
    assert made.add(arrival(1, duplicate=True, payload=b"new"))
    made.lost()
    made.connected(told, session_present=True)
    assert made.add(arrival(1, payload=b"new"))
    made.lost()
    made.connected(told, session_present=False)
    assert made.add(arrival(1, duplicate=True, payload=b"new"))
    made.settle(old)
    assert told.packets == []


def test_what_is_given_back_is_handed_on_when_it_comes_again() -> None:
    """And nothing behind it is acknowledged before."""
    made, told = arrivals()
    refused, behind = arrival(1), arrival(2)
    made.add(refused)
    made.add(behind)
    made.give_back(refused)
    made.settle(behind)
    assert told.packets == []
    made.lost()
    made.connected(told, session_present=True)
    again = arrival(1, duplicate=True)
    assert made.add(again)
    assert not made.add(arrival(2, duplicate=True))
    made.settle(again)
    assert told.packets == [("PUBACK", 1), ("PUBACK", 2)]


@given(st.permutations(range(1, 8)), st.integers(0, 7))
def test_each_is_acknowledged_once_and_in_order(order: list[int], broken_after: int) -> None:
    """With a reconnect in the middle, after which the broker repeats what it has not heard of."""
    made, told = arrivals()
    all_of_them = {number: arrival(number) for number in range(1, 8)}
    for each in all_of_them.values():
        made.add(each)
    for step, number in enumerate(order):
        if step == broken_after:
            made.lost()
            made.connected(told, session_present=True)
            heard = {packet_id for _, packet_id in told.packets}
            for again in range(1, 8):
                if again not in heard:
                    assert not made.add(arrival(again, duplicate=True))
        made.settle(all_of_them[number])
    assert told.packets == [("PUBACK", number) for number in range(1, 8)]
    assert len(made) == 0
