"""The records of a WARC or ARC file, every one that can be read, each with its place in the file.

Built for files that other people's software wrote, cut off or damaged: a record whose length lies,
that is cut short or whose checksum fails is still a record, with its damage named; what cannot be
read is counted in bytes, and reading goes on behind it.
"""

import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import BinaryIO

from decant.pipeline.warc.gzip_members import GZIP, GZIP_MAGIC
from decant.pipeline.warc.headers import (
    RECORD_START,
    Headers,
    length_of,
    parse_arc_line,
    parse_fields,
)
from decant.pipeline.warc.losses import Losses
from decant.pipeline.warc.lz4_frames import LZ4, LZ4_MAGIC
from decant.pipeline.warc.members import Piece, Window, plain_pieces
from decant.pipeline.warc.recovery import members
from decant.pipeline.warc.stream import ArchiveStream
from decant.pipeline.warc.zstd_frames import ZSTD_MAGIC, is_skippable, zstd_format


def container(head: bytes) -> str:
    """gzip, zstd, lz4 or plain, by the first bytes of a file; its name says nothing.

    >>> container(b"WARC/1.0")
    'plain'
    """
    if head.startswith(GZIP_MAGIC):
        return "gzip"
    if head.startswith(ZSTD_MAGIC) or is_skippable(head):
        return "zstd"
    return "lz4" if head.startswith(LZ4_MAGIC) else "plain"


def pieces(file: BinaryIO, kind: str, start: int) -> Iterator[Piece]:
    """The file's decompressed bytes from `start` on; past 0, from the first member that opens."""
    window = Window(file)
    if kind == "plain":
        return plain_pieces(window, start)
    if kind == "zstd":
        frames, first = zstd_format(window)
        return members(window, max(start, first), frames, inside=start > first)
    if kind == "lz4":
        return members(window, start, LZ4, inside=start > 0)
    return members(window, start, GZIP, inside=start > 0)


# How far behind a record of wrong length its member's checksum is looked for.
CHECKSUM_BYTES = 1 << 20
# Content kept of one record; the rest is read and let go. CommonCrawl cuts pages at 1 to 5 MB.
MAX_CONTENT_BYTES = 64 << 20


@dataclass(slots=True)
class Record:
    """One WARC record or ARC document. `offset` is its row key's second half (see Reader)."""

    offset: int
    type: str  # response, conversion, request, …; "response" for ARC documents
    headers: Headers
    content: bytes
    # None where the record is whole; else truncated, checksum, deflate, no_length or too_long.
    damage: str | None = None
    content_bytes: int = 0  # before the limit cut it
    arc: bool = False
    checked: bool = False  # its container compared a checksum of its bytes


@dataclass
class Reading:
    """What a reader met on its way, for the ledger and for the check of partition borders."""

    first: int | None = None  # offset of the first record of this range
    following: int | None = None  # offset of the first record behind it; None at the file's end
    records: Counter = field(default_factory=Counter)
    losses: Losses = field(default_factory=Losses)
    wrong_lengths: int = 0


class Reader:
    """Iterates over the records of `file` that begin in [start, end), and keeps a Reading.

    Offsets: the byte offset of a record's compressed member where members hold one record each
    (`by_member`), else the offset in the decompressed stream. A second record in such a member
    counts on from the member's offset, so that keys stay unique and in file order.
    """

    def __init__(
        self,
        file: BinaryIO,
        start: int = 0,
        end: int | None = None,
        by_member: bool = True,
        max_content_bytes: int = MAX_CONTENT_BYTES,
    ):
        file.seek(0)
        self.kind = container(file.read(4))
        self._end = end
        self._by_member = by_member and self.kind != "plain"
        self._begins_inside = start > 0
        self._limit = max_content_bytes
        data_pieces = pieces(file, self.kind, start)
        self._stream = ArchiveStream(data_pieces, start, self.kind == "plain", self._by_member)
        self.reading = Reading(losses=self._stream.losses)

    def __iter__(self) -> Iterator[Record]:
        last, begun = -1, self._begins_inside
        while (offset := self._seek_record()) is not None:
            if begun:  # what lies before the first record of a range belongs to the range before
                self.reading.losses.clear()
                begun = False
            offset = max(offset, last + 1)
            last = offset
            if self._end is not None and offset >= self._end:
                self.reading.following = offset
                break
            if self.reading.first is None:
                self.reading.first = offset
            record = self._read(offset)
            record.checked = self.kind == "gzip"
            self.reading.records[record.type] += 1
            yield record
        if begun:
            self.reading.losses.clear()

    def _seek_record(self) -> int | None:
        """The offset of the next record, where the stream then stands; None at the end."""
        stream = self._stream
        while stream.skip_blank():
            if stream.at_record():
                return stream.member_offset() if self._by_member else stream.offset()
            stream.skip_to_record()
        return None

    def _read(self, offset: int) -> Record:
        stream = self._stream
        if stream.at_warc():
            block, ended = stream.take_header()
            fields = parse_fields(block.partition(b"\n")[2])
            kind = fields.get("warc-type", "").lower() or "unknown"
            record = self._read_content(Record(offset, kind, fields, b""))
            record.damage = record.damage or (None if ended else "truncated")
            return record
        stream.arc = True
        line = stream.take(len(stream.line()))
        kind = "filedesc" if line.startswith(b"filedesc:") else "response"
        return self._read_content(Record(offset, kind, parse_arc_line(line) or {}, b"", arc=True))

    def _read_content(self, record: Record) -> Record:
        """The record with its content: as long as its header says, unless the bytes disagree."""
        stream = self._stream
        length = length_of(record.headers.get("content-length"))
        have = stream.fill(self._limit + 1 if length is None else min(length, self._limit))
        if max(length or 0, have if length is None else 0) > self._limit:
            return self._read_oversize(record, length)
        if length is not None and have >= length and stream.aligned(length):
            record.content = stream.take(length)
            record.damage = stream.damage(complete=True)
        else:
            self._settle_length(record, length, have)
        record.content_bytes = len(record.content)
        return record

    def _settle_length(self, record: Record, length: int | None, have: int) -> None:
        """Give a record of wrong length the content up to the next record, or what there is."""
        stream = self._stream
        self.reading.wrong_lengths += 1
        if length is not None and have >= length:
            # A member cut short inflates into the bytes of the next one, past the declared length,
            # and only its checksum tells: read on until it does.
            stream.fill(length + CHECKSUM_BYTES)
        reach = have if length is None else min(length, have)
        inner = stream.find_record(reach, least=0)
        if inner is not None:
            record.content = _without_end(stream.take(inner))
            return
        record.content = stream.take(reach)
        if length is None:
            record.content = _without_end(record.content)
        record.damage = stream.damage(complete=length is None or have >= length)

    def _read_oversize(self, record: Record, length: int | None) -> Record:
        """A record above the limit: its head kept, the rest let go as it passes.

        Where members do not bound records, a record header met on the way ends it: the bytes are
        gone by the time the declared length could be checked.
        """
        stream = self._stream
        stream.fill(self._limit)
        inner = None if self._by_member else stream.find_record(self._limit, least=0)
        if inner is not None:
            record.content = _without_end(stream.take(inner))
            record.content_bytes = len(record.content)
            self.reading.wrong_lengths += 1
            return record
        record.content = stream.take(self._limit)
        rest = None if length is None else length - self._limit
        record.content_bytes = self._limit + stream.let_go(rest, scan=not self._by_member)
        record.damage = "too_long"
        return record


def _without_end(content: bytes) -> bytes:
    """Content cut at the next record's first byte, without the blank lines between the two."""
    for ending in (b"\r\n\r\n", b"\n\n", b"\r\n", b"\n"):
        if content.endswith(ending):
            return content[: -len(ending)]
    return content


def first_member(file: BinaryIO, kind: str) -> tuple[bool, Headers]:
    """(whether members hold one record each, the fields of a warcinfo record) of a file's start.

    A second member that does not open with a record, or a first one that holds two, says that
    offsets in this file are those of the decompressed stream.
    """
    opened = list(islice(pieces(file, kind, 0), 2)) if kind != "plain" else []
    by_member = bool(opened) and _one_record(opened[0].data)
    if len(opened) > 1 and not opened[1].lost:
        by_member = by_member and opened[1].starts and bool(RECORD_START.match(opened[1].data))
    file.seek(0)
    record = next(iter(Reader(file, max_content_bytes=1 << 16)), None)
    if record is None or record.type != "warcinfo":
        return by_member, {}
    return by_member, parse_fields(record.content)


def _one_record(data: bytes) -> bool:
    return sum(1 for _ in islice(Reader(io.BytesIO(data)), 2)) == 1
