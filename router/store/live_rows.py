"""Which rows are on disk and how large each is, in five bytes a row instead of a hundred."""

from __future__ import annotations

from array import array
from typing import Final

_BITS: Final = 8
_BLOCK: Final = 1 << _BITS
_EMPTY: Final = bytes(4 * _BLOCK)


class LiveRows:
    """Sizes by row number, for numbers that mostly follow one another."""

    __slots__ = ("_blocks", "_live", "count", "size_bytes")

    def __init__(self) -> None:
        self._blocks: dict[int, array[int]] = {}
        self._live: dict[int, int] = {}
        self.count = 0
        self.size_bytes = 0

    def __contains__(self, row: int) -> bool:
        return self.size(row) > 0

    def size(self, row: int) -> int:
        """Its size, or 0 where it is not there."""
        block = self._blocks.get(row >> _BITS)
        return block[row & (_BLOCK - 1)] if block is not None else 0

    def put(self, row: int, size: int) -> None:
        """Add a row, or change its size; a size is at least 1 and fits 32 bits."""
        index = row >> _BITS
        block = self._blocks.get(index)
        if block is None:
            block = self._blocks[index] = array("I", _EMPTY)
            self._live[index] = 0
        before = block[row & (_BLOCK - 1)]
        if not before:
            self._live[index] += 1
            self.count += 1
        block[row & (_BLOCK - 1)] = size
        self.size_bytes += size - before

    def remove(self, row: int) -> int:
        """The size it had, or 0 where it was not there."""
        index = row >> _BITS
        block = self._blocks.get(index)
        if block is None:
            return 0
        size = block[row & (_BLOCK - 1)]
        if size:
            self.count -= 1
            self.size_bytes -= size
            block[row & (_BLOCK - 1)] = 0
            live = self._live[index] - 1
            if live:
                self._live[index] = live
            else:
                del self._blocks[index], self._live[index]
        return size
