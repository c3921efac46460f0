"""What has arrived and is not acknowledged: in the order of arrival, and over a broken connection."""

from __future__ import annotations

from collections import deque
from typing import Protocol

from actors.connections.mqtt.protocol import Arrival


class Acknowledger(Protocol):
    """The part of a driver that acknowledges."""

    def acknowledge(self, packet_id: int, qos: int) -> None: ...

    def complete(self, packet_id: int) -> None: ...


class Arrivals:
    """Acknowledgements leave in the order of arrival (MQTT 5, 4.6), whatever order they are asked for in.

    After a reconnect the broker sends again what was not acknowledged. What is still in our hands is known by
    its packet id and its content and is not handed on a second time; what was settled meanwhile is
    acknowledged at once.
    """

    __slots__ = ("_acknowledger", "_before", "_line", "_received")

    def __init__(self) -> None:
        self._acknowledger: Acknowledger | None = None
        self._line: deque[Arrival] = deque()
        self._before: dict[int, Arrival] = {}
        """What arrived over an earlier connection, until the broker sends it again."""
        self._received: set[int] = set()
        """QoS 2: acknowledged with PUBREC, and not yet released."""

    def __len__(self) -> int:
        """How many wait for their acknowledgement on this connection."""
        return len(self._line)

    def unsettled(self) -> tuple[Arrival, ...]:
        """What has come over this connection, and may not be acknowledged yet."""
        return tuple(arrival for arrival in self._line if not arrival.settled)

    def add(self, arrival: Arrival) -> bool:
        """Take one in; true where it is to be handed on, false where it has been already."""
        if not arrival.qos:
            return True
        packet_id = arrival.packet_id
        if packet_id in self._received:
            # Our PUBREC did not get through.
            if self._acknowledger is not None:
                self._acknowledger.acknowledge(packet_id, arrival.qos)
            return False
        if self._before:
            known = self._before.pop(packet_id, None)
            if known is not None and arrival.duplicate and _same(known, arrival):
                self._line.append(known)
                self._advance()
                return False
        self._line.append(arrival)
        return True

    def settle(self, arrival: Arrival) -> None:
        """It may be acknowledged as soon as all before it are."""
        arrival.settled = True
        line = self._line
        if line and line[0] is arrival:
            self._advance()

    def _advance(self) -> None:
        line, acknowledger = self._line, self._acknowledger
        while line and line[0].settled and acknowledger is not None:
            arrival = line.popleft()
            if arrival.qos == 2:
                self._received.add(arrival.packet_id)
            acknowledger.acknowledge(arrival.packet_id, arrival.qos)

    def released(self, packet_id: int) -> None:
        """PUBREL: the broker will not send it again."""
        self._received.discard(packet_id)
        if self._acknowledger is not None:
            self._acknowledger.complete(packet_id)

    def give_back(self, arrival: Arrival) -> None:
        """It could not be kept: when the broker sends it again, it is to be handed on again.

        Nothing behind it is acknowledged on this connection.
        """
        arrival.packet_id = 0

    # The connection

    def connected(self, acknowledger: Acknowledger, *, session_present: bool) -> None:
        """Another connection; without a session its packet ids mean something else."""
        self.lost()
        self._acknowledger = acknowledger
        if not session_present:
            self._before.clear()
            self._received.clear()

    def lost(self) -> None:
        """The connection broke: what is not acknowledged will come again, if the broker keeps the session."""
        self._acknowledger = None
        self._before.update((arrival.packet_id, arrival) for arrival in self._line if arrival.packet_id)
        self._line.clear()


def _same(known: Arrival, arrival: Arrival) -> bool:
    return (known.topic, known.qos, known.payload) == (arrival.topic, arrival.qos, arrival.payload)
