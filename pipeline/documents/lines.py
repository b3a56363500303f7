"""Lines of a JSONL file, plain or compressed, in bounded memory whatever a line holds."""

from collections.abc import Callable, Iterator
from typing import BinaryIO

import pyarrow as pa
from zlib_ng import zlib_ng

CHUNK_BYTES = 1 << 20
PACKED_BYTES = 256 << 10
ZSTD_BYTES = 64 << 10
WINDOW = 31  # zlib's sign for a gzip header

Read = Callable[[int], bytes]
Line = tuple[int, bytes | None, int]  # its number, its bytes (None: too many), how many


def reader_of(file: BinaryIO, container: str) -> Read:
    """What reads the decompressed bytes of a JSONL file, all members or frames of it.

    It gives what stands before damage, then raises an OSError or an ArrowException.
    """
    if container == "jsonl_gzip":
        return _Gzip(file).read
    if container == "jsonl_zstd":
        unpacked = pa.CompressedInputStream(pa.PythonFile(file, "r"), "zstd")
        # Arrow gives nothing of a read that meets damage: small ones lose little.
        return lambda _: unpacked.read(ZSTD_BYTES)
    return file.read


BROKEN: type[Exception] = zlib_ng.error  # type: ignore[assignment]  (its stub says an instance)


class _Gzip:
    """Gzip members one after the other; unlike Python's, gives the bytes before damage."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._data = file, b""
        self._member = zlib_ng.decompressobj(WINDOW)
        self._begun = False

    def read(self, size: int) -> bytes:
        """About `size` bytes, none at the end."""
        while True:
            if self._member.eof:
                self._data = self._member.unused_data.lstrip(b"\0")  # padding between members
                self._member, self._begun = zlib_ng.decompressobj(WINDOW), False
            self._data = self._data or self._member.unconsumed_tail or self._file.read(PACKED_BYTES)
            if not self._data:
                if self._begun:
                    raise OSError("the file ends in the middle of a gzip member")
                return b""
            data, self._data, self._begun = self._data, b"", True
            try:
                found = self._member.decompress(data, size)
            except BROKEN as error:
                raise OSError(f"damaged gzip data: {error}") from None
            if found:
                return found


def count_lines(file: BinaryIO, start: int, end: int) -> int:
    """How many lines begin at the bytes `start` to `end` of a plain file."""
    file.seek(max(0, start - 1))  # a line begins behind a line feed
    left, count = end - max(1, start), 1 if start == 0 and end > 0 else 0
    while left > 0 and (chunk := file.read(min(left, CHUNK_BYTES))):
        count += chunk.count(b"\n")
        left -= len(chunk)
    return count


def lines_between(
    file: BinaryIO, start: int, end: int | None, row: int, limit: int
) -> Iterator[Line]:
    """The lines that begin at these bytes of a plain file, the first of them number `row`."""
    at = max(0, start - 1)
    file.seek(at)
    skip = start > 0
    for number, line, size in lines(file.read, limit, row - skip):
        if not skip and end is not None and at >= end:
            return
        if not skip:
            yield number, line, size
        skip = False
        at += size + 1


def lines(read: Read, limit: int, row: int = 0) -> Iterator[Line]:
    """The lines of a stream, blank ones too, numbered from `row`, without their line feeds."""
    parts: list[bytes] = []
    size = 0
    while chunk := read(CHUNK_BYTES):
        *ended, rest = chunk.split(b"\n")
        for piece in ended:
            size += len(piece)
            if size <= limit:
                yield row, b"".join((*parts, piece)) if parts else piece, size
            else:
                yield row, None, size
            parts, size, row = [], 0, row + 1
        size += len(rest)
        if size > limit:
            parts = []
        elif rest:
            parts.append(rest)
    if size:
        yield row, b"".join(parts) if size <= limit else None, size
