"""The clients of one endpoint: by their ids, by the rooms that they are in, and what is sent to several of them."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from actors.connections.websocket_frames import TRY_AGAIN_LATER
from actors.connections.websocket_postbox import Parcel
from actors.core.events import Events, Notice

if TYPE_CHECKING:
    from actors.connections.websocket_peer import Peer

AT_A_TIME: Final = 128
"""Clients that are given a message before others on the loop have their turn."""


class Clients:
    """Who is connected; a room is there while somebody is in it."""

    def __init__(self, endpoint: str, events: Events) -> None:
        """`endpoint` is whose they are, for notices."""
        self.too_slow = 0
        """Those that had to go because there was no room in their mailbox."""
        self._endpoint = endpoint
        self._events = events
        self._conflated = 0
        """Of clients that have left."""
        self._by_id: dict[str, Peer] = {}
        self._rooms: dict[str, dict[Peer, None]] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Peer]:
        return iter(self._by_id.values())

    def __contains__(self, peer: Peer) -> bool:
        return self._by_id.get(peer.client) is peer

    @property
    def rooms(self) -> int:
        """How many there are."""
        return len(self._rooms)

    @property
    def conflated(self) -> int:
        """Messages that a newer one took the place of, in the mailboxes of all that are or were here."""
        return self._conflated + sum(peer.postbox.conflated for peer in self)

    def get(self, client: str) -> Peer | None:
        return self._by_id.get(client)

    def all(self) -> Collection[Peer]:
        return self._by_id.values()

    def in_room(self, room: str) -> Collection[Peer]:
        return self._rooms.get(room, ())

    def add(self, peer: Peer) -> None:
        self._by_id[peer.client] = peer
        for room in peer.rooms:
            self._rooms.setdefault(room, {})[peer] = None

    def remove(self, peer: Peer) -> None:
        """It gets no more messages; a second time does nothing."""
        if self._by_id.pop(peer.client, None) is None:
            return
        self._conflated += peer.postbox.conflated
        for room in peer.rooms:
            others = self._rooms[room]
            del others[peer]
            if not others:
                del self._rooms[room]

    # What is sent

    def post(self, parcel: Parcel, peers: Collection[Peer]) -> int:
        """Put it into the mailboxes of some; returns how many have it now. Those who have no room have to go."""
        slow = [peer for peer in peers if not peer.postbox.post(parcel)]
        for peer in slow:
            self.too_slow += 1
            fields = (("client", peer.client), ("remote", peer.remote))
            self._events.emit(Notice(f"{self._endpoint}: a client was too slow", "warning", fields))
            peer.close(TRY_AGAIN_LATER, "too slow")
        return len(peers) - len(slow)

    async def post_in_turns(self, parcel: Parcel, peers: Sequence[Peer]) -> int:
        """The same, where there are many; a client that leaves meanwhile is not counted."""
        reached = 0
        for start in range(0, len(peers), AT_A_TIME):
            reached += self.post(parcel, [peer for peer in peers[start : start + AT_A_TIME] if peer in self])
            await asyncio.sleep(0)
        return reached
