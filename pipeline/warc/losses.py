"""Byte ranges of an archive file that no record could be read from, bounded in memory."""

import heapq
from collections import Counter
from dataclasses import dataclass

LARGEST = 1_000  # ranges named one by one; all of them are counted


@dataclass(frozen=True)
class Loss:
    """A range of bytes without a readable record.

    `offset` is its place as row keys count: in the file, or in the decompressed stream of a file
    whose members do not hold one record each. `bytes` are the file's where its container is
    damaged, and decompressed ones for the reason `no_header`.
    """

    offset: int
    bytes: int
    reason: str


class Losses:
    """Every loss of one reading counted, and the largest named.

    >>> losses = Losses()
    >>> losses.add(100, 7, "deflate")
    >>> losses.bytes, losses.ranges, losses.largest()
    (7, 1, [Loss(offset=100, bytes=7, reason='deflate')])
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.ranges = 0
        self.bytes_by_reason: Counter[str] = Counter()
        self._largest: list[tuple[int, int, str]] = []  # a heap: the smallest of them first

    @property
    def bytes(self) -> int:
        return self.bytes_by_reason.total()

    def add(self, offset: int, size: int, reason: str) -> None:
        """Count a range; an empty one is none."""
        if size <= 0:
            return
        self.ranges += 1
        self.bytes_by_reason[reason] += size
        entry = (size, -offset, reason)  # of two equal ranges the earlier one is named
        if len(self._largest) < LARGEST:
            heapq.heappush(self._largest, entry)
        else:
            heapq.heappushpop(self._largest, entry)

    def largest(self) -> list[Loss]:
        """The largest ranges, at most LARGEST of them, in the file's order."""
        return sorted(
            (Loss(-place, size, reason) for size, place, reason in self._largest),
            key=lambda loss: (loss.offset, loss.bytes),
        )
