"""Checksums of a file's blocks, kept in the file itself, so that a reader checks what it reads.

A writer of a run's tables remembers xxh3_64 of every BLOCK_BYTES that went by and puts the list at
the end of the file, under a checksum of its own. A reader checks the list once and then each block
before anybody looks into it: no library parses damaged bytes, and nobody fetches a file, or a
manifest, for the sake of a column. Parquet's page checksums leave out the headers of pages and the
footer, and Arrow's files have none.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

import xxhash

BLOCK_BYTES = 256 << 10
TAIL_BYTES = 64 << 10  # read at once from the end of a file: most footers are shorter

# Called with what is wrong; returns the error to raise, which names the file.
Damage = Callable[[str], Exception]


@dataclass(frozen=True)
class Blocks:
    """xxh3_64 (16 hex digits each) of the blocks that make up the first `size` bytes of a file."""

    size: int
    digests: str

    def encode(self) -> str:
        return f"{BLOCK_BYTES}:{self.size}:{self.digests}"

    @classmethod
    def decode(cls, text: str) -> "Blocks":
        """Raises ValueError where the text is none of `encode`'s, of this block size."""
        block, size, digests = text.split(":")
        blocks = cls(int(size), digests)
        if int(block) != BLOCK_BYTES or len(digests) != 16 * -(-blocks.size // BLOCK_BYTES):
            raise ValueError(f"blocks of {block} bytes, {len(digests)} digits for {size} bytes")
        return blocks


class BlockWriter(io.RawIOBase):
    """A local file that is written in order; `end_of_data` gives the blocks written so far.

    What is written after that is no part of a block: it is held until `close_with` says how it is
    to stand in the file.
    """

    def __init__(self, path: str):
        self._file = open(path, "wb")  # noqa: SIM115
        self._size = 0
        self._block = xxhash.xxh3_64()
        self._digests: list[str] = []
        self._tail: bytearray | None = None

    def writable(self) -> bool:
        return True

    def write(self, data) -> int:
        view = memoryview(data).cast("B")
        if self._tail is not None:
            self._tail += view
            return len(view)
        self._file.write(view)
        start = 0
        while start < len(view):
            stop = min(len(view), start + BLOCK_BYTES - self._size % BLOCK_BYTES)
            self._block.update(view[start:stop])
            self._size += stop - start
            start = stop
            if self._size % BLOCK_BYTES == 0:
                self._end_block()
        return len(view)

    def tell(self) -> int:
        return self._size + len(self._tail or b"")

    def end_of_data(self) -> Blocks:
        """The blocks so far; everything after this call is held for `close_with`."""
        if self._size % BLOCK_BYTES:
            self._end_block()
        self._tail = bytearray()
        return Blocks(self._size, "".join(self._digests))

    def close_with(self, ending: Callable[[bytes], bytes]) -> None:
        """Write what `ending` makes of the bytes held since `end_of_data`, and close the file."""
        self._file.write(ending(bytes(self._tail or b"")))
        self._tail = None
        self.close()

    def close(self) -> None:
        self._file.close()
        super().close()

    def _end_block(self) -> None:
        self._digests.append(self._block.hexdigest())
        self._block.reset()


class CheckedFile(io.RawIOBase):
    """A file to read at any place, every block checked before a byte of it is handed on.

    `tail` holds the bytes from the end of the blocks on, where the reader has checked them already.
    """

    def __init__(self, file: BinaryIO, blocks: Blocks, tail: bytes, damage: Damage):
        self._file, self._blocks, self._tail, self._damage = file, blocks, tail, damage
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        end = self._blocks.size + len(self._tail)
        self._at = offset + {0: 0, 1: self._at, 2: end}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1):
        end = self._blocks.size + len(self._tail)
        stop = end if size < 0 else min(end, self._at + size)
        start, self._at = self._at, max(stop, self._at)
        if start >= self._blocks.size:
            return self._tail[start - self._blocks.size : max(stop - self._blocks.size, 0)]
        data = self._checked(start, min(stop, self._blocks.size))
        over = stop - self._blocks.size
        return bytes(data) + self._tail[:over] if over > 0 else data

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()

    def _checked(self, start: int, stop: int) -> memoryview:
        """Bytes start … stop - 1, which lie within the blocks."""
        first, last = start // BLOCK_BYTES, -(-stop // BLOCK_BYTES)
        begin = first * BLOCK_BYTES
        size = min(last * BLOCK_BYTES, self._blocks.size) - begin
        self._file.seek(begin)
        data = memoryview(read_exactly(self._file, size))
        if len(data) != size:
            raise self._damage(f"it ends {size - len(data)} bytes early")
        for number in range(first, last):
            block = data[number * BLOCK_BYTES - begin :][:BLOCK_BYTES]
            digest = self._blocks.digests[16 * number : 16 * number + 16]
            if xxhash.xxh3_64_hexdigest(block) != digest:
                raise self._damage(
                    f"block {number + 1} of {len(self._blocks.digests) // 16} has another checksum"
                )
        return data[start - begin : stop - begin]


def read_exactly(file: BinaryIO, size: int) -> bytes:
    """`size` bytes from where `file` stands, or what there is up to its end."""
    data = file.read(size)
    if len(data) == size or not data:
        return data
    parts = [data]
    while (missing := size - sum(map(len, parts))) and (more := file.read(missing)):
        parts.append(more)
    return b"".join(parts)


def read_tail(file: BinaryIO, least: int = 0) -> tuple[bytes, int]:
    """(the last bytes of a file, TAIL_BYTES or `least` of them; its size)."""
    size = file.seek(0, io.SEEK_END)
    length = min(size, max(TAIL_BYTES, least))
    file.seek(size - length)
    return read_exactly(file, length), size
