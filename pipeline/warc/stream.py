"""Reading forward through an archive's decompressed bytes, one record's reach at a time.

The stream stops at a barrier: where the next member opens with a record, or where bytes were lost.
No record reads across one; only `skip_blank`, between records, does.
"""

import re
from collections import deque
from collections.abc import Iterator

from decant.pipeline.warc.headers import (
    ARC_INSIDE,
    MAX_HEADER_BYTES,
    MAX_LINE_BYTES,
    MAX_VERSION_BYTES,
    RECORD_START,
    WARC_INSIDE,
    WARC_VERSION,
    header_end,
    parse_arc_line,
)
from decant.pipeline.warc.losses import Losses
from decant.pipeline.warc.members import Piece

BLANK = re.compile(rb"[\r\n]*")
COMPACT_BYTES = 4 << 20
MAX_BLANK_BYTES = 16  # line ends before a record


class HeaderSearch:
    """The next match of a pattern, remembered: a stretch without any is looked through once.

    Every record of wrong length asks where the next header is. Without the memory a file of
    nothing else costs its size times its records.
    """

    def __init__(self, pattern: re.Pattern[bytes], longest: int):
        self._pattern = pattern
        self._longest = longest  # bytes of a match
        self._clear = (0, 0)  # no match begins in these places of the decompressed stream …
        self._hit: int | None = None  # … and this is the first behind them, where one is known

    def first(self, data: bytearray, base: int, start: int, stop: int, last: bool) -> int | None:
        """The first place in [start, stop) of `data` where a match begins, which may end behind.

        `base` is the place of data[0] in the stream; `last`: no more bytes will follow.
        """
        begin, end = self._clear
        if not begin <= base + start <= end:
            self._clear, self._hit = (base + start, base + start), None
        if self._hit is not None and self._hit < base + start:
            self._clear, self._hit = (base + start, base + start), None
        begin, end = self._clear
        if self._hit is None and end < base + stop:
            place = self._search(data, end - base, min(len(data), stop + self._longest))
            self._hit = base + place.start() if place else None
            sure = stop if last else min(stop, len(data) - self._longest)
            self._clear = (begin, base + max(place.start() if place else sure, end - base))
        return self._hit - base if self._hit is not None and self._hit < base + stop else None

    def _search(self, data: bytearray, start: int, stop: int) -> re.Match[bytes] | None:
        return self._pattern.search(data, start, stop)


class ArchiveStream:
    """A position in the decompressed bytes, with as many of them in memory as a record needs."""

    def __init__(self, pieces: Iterator[Piece], start: int, plain: bool, by_member: bool = False):
        self.losses = Losses()
        self._by_member = by_member
        self._warc = HeaderSearch(WARC_INSIDE, MAX_VERSION_BYTES)
        self._arc = HeaderSearch(ARC_INSIDE, MAX_LINE_BYTES)
        self.arc = False  # an ARC line was met: lines of its form may start records
        self._pieces = pieces
        self._plain = plain
        self._bytes = bytearray()
        self._at = 0
        self._began = start  # where the record being read begins
        self._base = start  # place in the decompressed stream of the first byte in memory
        self._members: deque[tuple[int, int]] = deque()  # (first byte, offset in the file)
        self._barrier: Piece | None = None
        self._ended = False

    # Where the stream stands.

    def offset(self) -> int:
        """The place of the next byte in the decompressed stream."""
        return self._base + self._at

    def member_offset(self) -> int:
        """The place in the file of the member that holds the next byte."""
        while len(self._members) > 1 and self._members[1][0] <= self.offset():
            self._members.popleft()
        return self._members[0][1]

    def place(self) -> int:
        """The place of the next byte as row keys count: that of its member, or in the stream."""
        return self.member_offset() if self._by_member else self.offset()

    def at_record(self) -> bool:
        """Whether a WARC record or an ARC document begins here."""
        return self.at_warc() or parse_arc_line(self.line()) is not None

    def at_warc(self) -> bool:
        """Whether a WARC record begins here."""
        self.fill(32)
        return WARC_VERSION.match(self._bytes, self._at) is not None

    # Moving forward.

    def fill(self, size: int) -> int:
        """How many bytes there are up to the barrier, after trying to have `size`."""
        while len(self._bytes) - self._at < size and self._pull():
            pass
        return len(self._bytes) - self._at

    def take(self, size: int) -> bytes:
        """The next `size` bytes, fewer at the barrier."""
        have = min(size, self.fill(size))
        data = bytes(memoryview(self._bytes)[self._at : self._at + have])
        self._move(have)
        return data

    def line(self) -> bytes:
        """The line that begins here, its end included, without moving on."""
        size = 1024
        while (end := self._bytes.find(b"\n", self._at, self._at + size)) < 0:
            if self.fill(size) < size or size > MAX_LINE_BYTES:
                end = min(len(self._bytes), self._at + size) - 1
                break
            size *= 2
        return bytes(self._bytes[self._at : end + 1])

    def take_header(self) -> tuple[bytes, bool]:
        """The header block that begins here, and whether its end is there.

        Without a blank line before the barrier or the next record, all up to there is header.
        """
        size = 4096
        while True:
            have = self.fill(size)
            end = header_end(self._bytes, self._at, self._at + size)
            if end:
                block = self.take(end[0] - self._at)
                self._move(end[1] - end[0])
                return block, True
            inner = self.find_record(min(have, size))
            if inner is not None or have < size or size >= MAX_HEADER_BYTES:
                return self.take(have if inner is None else inner), inner is not None
            size *= 4

    def skip_blank(self) -> bool:
        """Move over line ends, and over the barrier; False at the end of the file."""
        while True:
            match = BLANK.match(self._bytes, self._at)
            self._move(match.end() - self._at if match else 0)
            if self._at < len(self._bytes):
                self._began = self.offset()
                return True
            if not self._pull() and not self._cross():
                return False

    def skip_to_record(self) -> None:
        """Move to the next record or the barrier, and count what is passed as lost."""
        begin, least, place = self.offset(), 1, self.place()
        while True:
            distance = self.find_record(len(self._bytes) - self._at, least)
            if distance is not None:
                self._move(distance)
                break
            self._move(max(0, len(self._bytes) - self._at - MAX_LINE_BYTES))
            least = 0 if self._at else 1
            if not self._pull():
                self._move(len(self._bytes) - self._at)
                break
        self.losses.add(place, self.offset() - begin, "no_header")

    def let_go(self, size: int | None, scan: bool) -> int:
        """How many bytes were passed: `size`, or up to the barrier, or (scan) the next record."""
        passed = 0
        while size is None or passed < size:
            have = self.fill(1 << 20)
            if have == 0:
                break
            distance = self.find_record(have, 0) if scan else None
            step = distance if distance is not None else max(1, have - MAX_LINE_BYTES * scan)
            if self._barrier or self._ended:
                step = distance if distance is not None else have
            step = step if size is None else min(step, size - passed)
            self._move(step)
            passed += step
            if step == distance:
                break
        return passed

    # Looking ahead, for records whose length is wrong.

    def find_record(self, reach: int, least: int = 1) -> int | None:
        """How far the first record header that begins within `reach` is; None without one.

        At least `least`; the header itself may go on behind the reach, where a declared length
        ends inside it.
        """
        self.fill(reach + (MAX_LINE_BYTES if self.arc else MAX_VERSION_BYTES))
        data, base, last = self._bytes, self._base, self._barrier is not None or self._ended
        start, stop = self._at + least, min(self._at + reach, len(self._bytes))
        distance = self._warc.first(data, base, start, stop, last)
        if self.arc:
            until = stop if distance is None else distance
            line = self._arc.first(data, base, start, until, last)
            distance = distance if line is None else line
        return None if distance is None else distance - self._at

    def aligned(self, size: int) -> bool:
        """Whether a record of `size` bytes would be followed by another one or by nothing."""
        have = self.fill(size + (MAX_LINE_BYTES if self.arc else 64))
        after = self._at + size
        if RECORD_START.match(self._bytes, after):
            return True
        blank = BLANK.match(self._bytes, after)
        return blank is not None and blank.end() - self._at >= have

    def damage(self, complete: bool) -> str | None:
        """Why the bytes of the record just read cannot be trusted or are not all there."""
        barrier = self._barrier
        member = next((one for one in reversed(self._members) if one[0] < self.offset()), (0, -1))
        if barrier is not None and barrier.lost and barrier.lost[0] == member[1]:
            blank = BLANK.match(self._bytes, self._at)
            at_end = blank is not None and blank.end() >= len(self._bytes)
            if not complete or at_end or self._is_alone(barrier.lost[0]):
                return barrier.reason
        return "truncated" if not complete and self._plain and self._ended else None

    def _is_alone(self, offset: int) -> bool:
        """Whether the last record begins with the member at `offset`, or that gave no bytes."""
        first, place = self._members[-1] if self._members else (0, -1)
        return place != offset or self._began - first <= MAX_BLANK_BYTES

    # The plumbing.

    def _pull(self) -> bool:
        """Bring one more piece into memory; False at a barrier or the end of the file."""
        if self._barrier is not None or self._ended:
            return False
        piece = next(self._pieces, None)
        if piece is None:
            self._ended = True
            return False
        if piece.lost or (piece.starts and RECORD_START.match(piece.data)):
            self._barrier = piece
            return False
        self._append(piece)
        return True

    def _cross(self) -> bool:
        """Go over the barrier; False where there is none."""
        piece, self._barrier = self._barrier, None
        if piece is None:
            return False
        if piece.lost:
            first, end = piece.lost
            if not self._is_alone(first):  # the records before the damage were read
                first = max(first, piece.stopped)
            self.losses.add(first, end - first, piece.reason)
        else:
            self._append(piece)
        return True

    def _append(self, piece: Piece) -> None:
        if piece.starts or not self._members:
            self._members.append((self._base + len(self._bytes), piece.offset))
        self._bytes += piece.data

    def _move(self, size: int) -> None:
        self._at += size
        if self._at == len(self._bytes) or self._at > COMPACT_BYTES:
            gone = max(0, self._at - 1)  # the byte before a header tells whether it begins a line
            self._base += gone
            del self._bytes[:gone]
            self._at -= gone
