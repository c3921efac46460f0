"""The clients of one endpoint: by their ids, and by the rooms that they are in."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from actors.connections.websocket_peer import Peer


class Clients:
    """Who is connected; a room is there while somebody is in it."""

    def __init__(self) -> None:
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

    def remove(self, peer: Peer) -> bool:
        """False where it was not there."""
        if self._by_id.pop(peer.client, None) is None:
            return False
        for room in peer.rooms:
            others = self._rooms[room]
            del others[peer]
            if not others:
                del self._rooms[room]
        return True
