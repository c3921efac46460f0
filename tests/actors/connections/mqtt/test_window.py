"""What was published and is not acknowledged."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from actors.connections.mqtt.protocol import Publish, Qos
from actors.connections.mqtt.window import Window
from actors.core.errors import DeliveryError


@dataclass
class Told:
    """Whoever published, and what became of it."""

    ends: list[int | str] = field(default_factory=list)
    """A reason code, or the reason of a failed attempt."""

    def acknowledged(self, publish: Publish, reason: int) -> None:
        self.ends.append(reason)

    def failed(self, publish: Publish, error: DeliveryError) -> None:
        self.ends.append(error.reason)


@dataclass
class Sent:
    """A driver that writes down what it sends."""

    packets: list[tuple[str, int, bool]] = field(default_factory=list)

    def publish(self, packet_id: int, publish: Publish, *, duplicate: bool) -> None:
        if publish.topic == "unsendable":
            raise ValueError("no such topic")
        self.packets.append((publish.topic, packet_id, duplicate))

    def release(self, packet_id: int) -> None:
        self.packets.append(("PUBREL", packet_id, False))


def window(limit: int = 10) -> tuple[Window, Sent]:
    made, sent = Window(lambda publish: None), Sent()
    made.connected(sent, limit, session_present=False)
    return made, sent


def publish(told: Told, topic: str = "t", qos: Qos = 1) -> Publish:
    return Publish(topic, b"", qos, False, told)


def test_at_most_so_many_as_the_broker_takes_are_unacknowledged() -> None:
    """The rest waits for its turn, and goes in its order."""
    made, sent = window(limit=2)
    told = [Told() for _ in range(4)]
    for number, each in enumerate(told):
        made.add(publish(each, str(number)))
    assert [topic for topic, _, _ in sent.packets] == ["0", "1"]
    made.acknowledged(1, 0)
    made.acknowledged(2, 0)
    assert [topic for topic, _, _ in sent.packets] == ["0", "1", "2", "3"]
    assert [each.ends for each in told] == [[0], [0], [], []]


def test_without_a_connection_everything_is_refused_at_once() -> None:
    """Nothing is kept for later."""
    made, told = Window(lambda publish: None), Told()
    for qos in (0, 1, 2):
        made.add(publish(told, qos=qos))
    assert told.ends == ["connect", "connect", "connect"]
    assert len(made) == 0


def test_a_broken_connection_leaves_an_unknown_end_to_what_was_sent() -> None:
    """And refuses what was not, so that it can go elsewhere at once."""
    made, _ = window(limit=1)
    sent, waiting = Told(), Told()
    made.add(publish(sent))
    made.add(publish(waiting))
    made.lost("gone")
    assert (sent.ends, waiting.ends) == (["unknown"], ["connect"])
    assert not made.resumable


def test_qos_2_goes_on_with_its_session() -> None:
    """A PUBLISH that was not received is sent again as a duplicate, one that was is only released."""
    made, _ = window()
    first, second = Told(), Told()
    made.add(publish(first, "first", 2))
    made.add(publish(second, "second", 2))
    made.received(1, 0)
    made.lost("gone")
    assert made.resumable
    again = Sent()
    made.connected(again, 10, session_present=True)
    assert again.packets == [("PUBREL", 1, False), ("second", 2, True)]
    made.acknowledged(1, 0x92)  # the broker was done with it
    made.received(2, 0)
    made.acknowledged(2, 0)
    assert (first.ends, second.ends) == ([0], [0])


def test_qos_2_without_its_session_has_an_unknown_end() -> None:
    """The broker has forgotten what it had received."""
    made, _ = window()
    told = Told()
    made.add(publish(told, qos=2))
    made.lost("gone")
    made.connected(Sent(), 10, session_present=False)
    assert told.ends == ["unknown"]


def test_the_reason_of_qos_2_is_the_one_of_its_pubrec() -> None:
    """PUBCOMP does not say that there were no subscribers."""
    made, _ = window()
    told = Told()
    made.add(publish(told, qos=2))
    made.received(1, 0x10)
    made.acknowledged(1, 0)
    assert told.ends == [0x10]


def test_what_cannot_be_encoded_is_refused_for_good() -> None:
    """And takes no place."""
    made, sent = window(limit=1)
    bad, good = Told(), Told()
    made.add(publish(bad, "unsendable"))
    made.add(publish(good))
    assert bad.ends == ["invalid"]
    assert len(sent.packets) == 1


def test_qos_0_ends_when_it_is_sent_and_waits_for_the_socket() -> None:
    """It is the socket's buffer that bounds it, since nothing acknowledges it."""
    made, sent = window()
    told = Told()
    made.writable(False)
    made.add(publish(told, qos=0))
    assert told.ends == []
    made.writable(True)
    assert told.ends == [0]
    assert sent.packets == [("t", 0, False)]


def test_an_acknowledgement_of_nothing_is_ignored() -> None:
    """A broker may repeat itself."""
    made, sent = window()
    told = Told()
    made.add(publish(told))
    made.acknowledged(1, 0)
    made.acknowledged(1, 0)
    made.acknowledged(77, 0)
    made.received(78, 0)
    assert told.ends == [0]
    assert sent.packets[-1] == ("PUBREL", 78, False)


def test_packet_ids_in_use_are_not_given_again() -> None:
    """They are 16 bits, and come round."""
    made, sent = window(limit=65_535)
    slow = Told()
    made.add(publish(slow))
    for _ in range(65_540):
        made.add(publish(Told()))
        made.acknowledged(sent.packets[-1][1], 0)
    assert [packet_id for _, packet_id, _ in sent.packets].count(1) == 1


@given(st.data())
def test_every_publish_ends_once(data: st.DataObject) -> None:
    """Whatever the broker answers and however often the connection breaks."""
    made = Window(lambda publish: None)
    all_told: list[Told] = []
    sent = Sent()
    for _ in range(data.draw(st.integers(0, 40))):
        ids = [packet_id for _, packet_id, _ in sent.packets if packet_id] or [1]
        match data.draw(st.sampled_from(["add", "ack", "rec", "lost", "connect", "stuck", "free"])):
            case "add":
                all_told.append(Told())
                made.add(publish(all_told[-1], qos=data.draw(st.sampled_from([0, 1, 2]))))
            case "ack":
                made.acknowledged(data.draw(st.sampled_from(ids)), data.draw(st.sampled_from([0, 0x10, 0x87])))
            case "rec":
                made.received(data.draw(st.sampled_from(ids)), 0)
            case "lost":
                made.lost("gone")
            case "connect":
                made.lost("gone")
                sent = Sent()
                made.connected(sent, data.draw(st.integers(1, 3)), session_present=data.draw(st.booleans()))
            case "stuck":
                made.writable(False)
            case "free":
                made.writable(True)
        assert sum(not told.ends for told in all_told) == len(made)
    made.lost("the end")
    made.forget("the end")
    assert len(made) == 0
    assert all(len(told.ends) == 1 for told in all_told)
