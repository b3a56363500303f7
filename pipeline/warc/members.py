"""What every container has in common: a window on its file, members in it, and their damage."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

# Output is handed on in pieces of at most this size, so a decompression bomb costs no memory.
PIECE_BYTES = 1 << 20
WINDOW_BYTES = 1 << 20
VIEW_WORK = 128  # what looking at a place costs beside its bytes, as bytes read


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
    """Random access to a seekable file through one block, cheap where reads move forward.

    `work` counts what was done with it, in bytes: hostile files are met within a budget of it.
    """

    def __init__(self, file: BinaryIO):
        self.work = 0
        self._file = file
        self._bytes = b""
        self._view = memoryview(self._bytes)
        self._at = 0
        self._ends = False  # whether the block reaches the file's end

    def view(self, at: int, size: int) -> memoryview:
        """Bytes [at, at + size) of the file, fewer at its end."""
        self.work += VIEW_WORK
        skip = at - self._at
        if skip < 0 or (skip + size > len(self._bytes) and not self._ends):
            self._read(at, max(size, WINDOW_BYTES))
            skip = 0
        return self._view[skip : skip + size]

    def find(self, needle: bytes, at: int) -> int:
        """The place of the first `needle` at or after `at`; -1 where there is none."""
        while True:
            self.view(at, len(needle))
            place = self._bytes.find(needle, at - self._at)
            if place >= 0:
                return self._at + place
            if self._ends:
                return -1
            at = max(at + 1, self._at + len(self._bytes) - len(needle) + 1)

    def _read(self, at: int, size: int) -> None:
        self._file.seek(at)
        self._bytes = _read_fully(self._file, size)
        self._view = memoryview(self._bytes)
        self._at, self._ends = at, len(self._bytes) < size
        self.work += len(self._bytes)


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


def plain_pieces(window: Window, at: int) -> Iterator[Piece]:
    """The bytes of a file without a container, from `at` on."""
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
