"""Runs of decompressed bytes of one archive file, each with the place in the file it came from.

`pieces` hides the container: gzip members, lz4 frames or plain bytes. Damage never ends a file: the
reader goes on at the next member that opens, and says which byte range it could not read.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from decant.pipeline.warc.headers import RECORD_START

# Output is handed on in pieces of at most this size, so a decompression bomb costs no memory.
PIECE_BYTES = 1 << 20
WINDOW_BYTES = 1 << 20


@dataclass(slots=True)
class Piece:
    """Decompressed bytes in a row.

    `offset` is the place in the file: of the member the bytes belong to, or of the first byte
    itself in a plain file. `starts` marks the first piece of a member. `lost` is the byte range
    from a damaged member to the next that opens, and `stopped` the place in it where reading
    stopped; no record continues across it.
    """

    data: bytes
    offset: int
    starts: bool = False
    lost: tuple[int, int] | None = None
    stopped: int = 0
    reason: str = ""


class Window:
    """Random access to a seekable file through one block, cheap where reads move forward."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self._block = memoryview(b"")
        self._at = 0

    def view(self, at: int, size: int) -> memoryview:
        """Bytes [at, at + size) of the file, fewer at its end."""
        skip = at - self._at
        if skip < 0 or skip + size > len(self._block):
            self._file.seek(at)
            self._block = memoryview(_read_fully(self._file, max(size, WINDOW_BYTES)))
            self._at, skip = at, 0
        return self._block[skip : skip + size]

    def find(self, needle: bytes, at: int) -> int:
        """The place of the first `needle` at or after `at`; -1 where there is none."""
        while True:
            block = bytes(self.view(at, WINDOW_BYTES))
            found = block.find(needle)
            if found >= 0:
                return at + found
            if len(block) < WINDOW_BYTES:
                return -1
            at += WINDOW_BYTES - len(needle) + 1


def _read_fully(file: BinaryIO, size: int) -> bytes:
    """`size` bytes, fewer only at the end of the file (remote files may give short reads)."""
    first = file.read(size)
    if len(first) == size or not first:
        return first
    blocks, missing = [first], size - len(first)
    while missing and (block := file.read(missing)):
        blocks.append(block)
        missing -= len(block)
    return b"".join(blocks)


def _plain(window: Window, at: int) -> Iterator[Piece]:
    while data := bytes(window.view(at, WINDOW_BYTES)):
        yield Piece(data, at)
        at += len(data)


@dataclass(frozen=True)
class Format:
    """A container of members: its magic bytes, and the function that opens the member at a place.

    `open(window, at)` yields the member's bytes and returns where it ends; it raises Damage.
    """

    magic: bytes
    open: Callable[[Window, int], "Iterator[bytes]"]


class Damage(Exception):
    """A member cannot be read on; `end` is its end where that is known (a checksum failed).

    `stopped` is the place in the file up to which its bytes were decompressed, 0 for none.
    """

    def __init__(self, reason: str, end: int | None = None, stopped: int = 0):
        super().__init__(reason)
        self.reason = reason
        self.end = end
        self.stopped = stopped


def _members(window: Window, at: int, form: Format) -> Iterator[Piece]:
    if at > 0:
        at = _next_member(window, at, form)
    while at >= 0 and window.view(at, 1):
        begin, starts = at, True
        try:
            if bytes(window.view(at, len(form.magic))) != form.magic:
                raise Damage("not_a_member")
            body = form.open(window, at)
            while True:
                try:
                    data = next(body)
                except StopIteration as stop:
                    at = stop.value
                    break
                yield Piece(data, begin, starts)
                starts = False
            if starts:
                yield Piece(b"", begin, True)
        except Damage as damage:
            at = _behind(window, begin, damage.end, form)
            until = at if at >= 0 else _end_of(window, begin)
            lost = (begin, until)
            yield Piece(b"", begin, lost=lost, stopped=damage.stopped, reason=damage.reason)


def _behind(window: Window, begin: int, end: int | None, form: Format) -> int:
    """The place to go on at after damage in the member at `begin`; -1 where there is none.

    The end of a member that fails its checksum is believed only where another member (or nothing)
    follows, and no record opens before it: a member cut short runs on into its neighbours, and can
    fall into step with the next one's codes and end where that one ends.
    """
    if end is not None:
        follows = bytes(window.view(end, len(form.magic)))
        if not follows or follows == form.magic:
            inner = _next_record(window, begin + 1, end, form)
            return end if inner < 0 else inner
    return _next_member(window, begin + 1, form)


def _end_of(window: Window, at: int) -> int:
    while view := window.view(at, WINDOW_BYTES):
        at += len(view)
    return at


def _next_member(window: Window, at: int, form: Format) -> int:
    """The first place at or after `at` where a member truly opens; -1 where none does.

    The magic bytes alone prove nothing inside compressed data. A member counts when it opens with
    a record, or when all of it (up to a piece) is whole to its checksum.
    """
    while (at := window.find(form.magic, at)) >= 0:
        if _opens(window, at, form):
            return at
        at += 1
    return -1


def _next_record(window: Window, at: int, until: int, form: Format) -> int:
    """The first place in [at, until) where a member opens with a record; -1 where none does."""
    while 0 <= (at := window.find(form.magic, at)) < until:
        try:
            if RECORD_START.match(next(form.open(window, at), b"")):
                return at
        except Damage:
            pass
        at += 1
    return -1


def _opens(window: Window, at: int, form: Format) -> bool:
    body = form.open(window, at)
    try:
        head = next(body)
        if RECORD_START.match(head):
            return True
        if len(head) < PIECE_BYTES:
            next(body)
    except Damage as damage:
        # The record is there even where what follows its head is not.
        return damage.end is not None
    except StopIteration:
        return True
    return False
