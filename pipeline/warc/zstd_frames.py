"""Frames of a .warc.zst file: one record each, after a dictionary that they share.

Source: IIPC, "Zstandard Compression for WARC Files 1.0" (proposed): the file may begin with a
skippable frame of magic number 0x184D2A5D that holds a dictionary, as it is or compressed; other
skippable frames say nothing to us. The sizes of a frame's blocks stand in the clear (RFC 8878,
section 3.1.1), so a damaged frame gives the blocks before its damage, and its end is known.
"""

import io
from collections.abc import Iterator
from typing import Any

import zstandard

from decant.pipeline.warc.members import PIECE_BYTES, Damage, Format, Window

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
DICTIONARY_MAGIC = b"\x5d\x2a\x4d\x18"
MAX_DICTIONARY_BYTES = 16 << 20  # decompressed; writers train some hundred kilobytes
MAX_WINDOW_BYTES = 128 << 20  # what `zstd --long` asks a reader for; a header may ask for 3.75 TB
MAX_HEADER_BYTES = 18
BLOCK_BYTES = 128 << 10  # the largest block of the format
RAW, RLE, COMPRESSED = range(3)


def zstd_format(window: Window) -> tuple[Format, int]:
    """(how to open a frame of this file, the place of its first one)."""
    dictionary = None
    if bytes(window.view(0, 4)) == DICTIONARY_MAGIC:
        dictionary = _dictionary(window)
    opener = _Opener(dictionary)
    return Format(ZSTD_MAGIC, opener.open), behind_skippable(window, 0)


def _dictionary(window: Window) -> zstandard.ZstdCompressionDict | None:
    """The file's dictionary; None where it is cut off, above the limit or none."""
    size = int.from_bytes(window.view(4, 4), "little")
    if size > MAX_DICTIONARY_BYTES:
        return None
    data = bytes(window.view(8, size))
    if len(data) < size:
        return None
    if data.startswith(ZSTD_MAGIC):
        parts, length = [], 0
        try:
            for part in Frame(Window(io.BytesIO(data)), 0).blocks():
                parts.append(part)
                length += len(part)
                if length > MAX_DICTIONARY_BYTES:
                    return None
        except Damage:
            return None
        data = b"".join(parts)
    return zstandard.ZstdCompressionDict(data)


def behind_skippable(window: Window, at: int) -> int:
    """The place behind the skippable frames at `at`; one whose size leads nowhere is not passed."""
    while is_skippable(head := bytes(window.view(at, 8))):
        end = at + 8 + int.from_bytes(head[4:], "little")
        follows = bytes(window.view(end, 4))
        if not window.view(end - 1, 1) or not (
            not follows or follows == ZSTD_MAGIC or is_skippable(follows)
        ):
            break
        at = end
    return at


def is_skippable(head: bytes) -> bool:
    """Whether these are the first four bytes of a frame that says nothing to zstd itself."""
    return head[1:4] == DICTIONARY_MAGIC[1:] and head[0] >> 4 == DICTIONARY_MAGIC[0] >> 4


class _Opener:
    """Opens frames with one file's dictionary."""

    def __init__(self, dictionary: zstandard.ZstdCompressionDict | None):
        self._dictionary = dictionary

    def open(self, window: Window, at: int) -> Iterator[bytes]:
        """The bytes of the frame at `at` in pieces; the next frame's place is returned."""
        frame = Frame(window, at, self._dictionary)
        out: list[bytes] = []
        try:
            for data in frame.blocks():
                out.append(data)
                if sum(map(len, out)) >= PIECE_BYTES:
                    yield b"".join(out)
                    out = []
        except Damage:
            if any(out):
                yield b"".join(out)
            raise
        if any(out):
            yield b"".join(out)
        return behind_skippable(window, frame.at)


class Frame:
    """One frame, decompressed block by block; `at` is the place of the next block."""

    def __init__(
        self, window: Window, at: int, dictionary: zstandard.ZstdCompressionDict | None = None
    ):
        self._window = window
        self._head = bytes(window.view(at, MAX_HEADER_BYTES))
        self._dictionary = dictionary
        self.at = at

    def blocks(self) -> Iterator[bytes]:
        """The bytes of each block; Damage where the frame cannot be read on."""
        size = header_bytes(self._head)
        if size is None:
            raise Damage("zstd_header")
        try:
            unpack = decompressor(self._dictionary).decompressobj()
            unpack.decompress(self._head[:size])
        except zstandard.ZstdError as error:
            raise Damage("zstd_header") from error
        self.at += size
        last = False
        while not last:
            last, size = self._block()
            try:
                data = unpack.decompress(self._window.view(self.at, size))
            except zstandard.ZstdError as error:
                raise Damage("zstd", self._end(), stopped=self.at) from error
            self.at += size
            yield data
        self.at += self._verify(unpack)

    def _verify(self, unpack: Any) -> int:
        """Hand over the checksum of the content, where there is one; returns its length."""
        size = self._checksum_bytes()
        checksum = self._window.view(self.at, size)
        if len(checksum) < size:
            raise Damage("truncated", stopped=self.at)
        try:
            if size:
                unpack.decompress(checksum)
        except zstandard.ZstdError as error:
            raise Damage("checksum", self.at + size, stopped=self.at) from error
        return size

    def _block(self) -> tuple[bool, int]:
        """(whether the block is the last, its bytes with its header)."""
        head = bytes(self._window.view(self.at, 3))
        if len(head) < 3:
            raise Damage("truncated", stopped=self.at)
        word = int.from_bytes(head, "little")
        kind, size = word >> 1 & 3, word >> 3
        if kind not in (RAW, RLE, COMPRESSED) or size > BLOCK_BYTES:
            raise Damage("zstd_block", stopped=self.at)
        size = 3 + (1 if kind == RLE else size)
        if len(self._window.view(self.at, size)) < size:
            raise Damage("truncated", stopped=self.at)
        return bool(word & 1), size

    def _end(self) -> int | None:
        """The frame's end, by the sizes of the blocks that are left; None where they are wrong."""
        place, last = self.at, False
        try:
            while not last:
                last, size = self._block()
                self.at += size
        except Damage:
            return None
        else:
            return self.at + self._checksum_bytes()
        finally:
            self.at = place

    def _checksum_bytes(self) -> int:
        return 4 if self._head[4] & 4 else 0


def header_bytes(head: bytes) -> int | None:
    """The length of a frame's header; None where these bytes are none.

    >>> header_bytes(ZSTD_MAGIC + bytes([0x24, 5]))
    6
    """
    if len(head) < 6 or not head.startswith(ZSTD_MAGIC) or head[4] & 0x08:
        return None
    single = head[4] >> 5 & 1
    content_size = (single, 2, 4, 8)[head[4] >> 6]
    size = 5 + (1 - single) + (0, 1, 2, 4)[head[4] & 3] + content_size
    return size if size <= len(head) else None


def decompressor(dictionary: zstandard.ZstdCompressionDict | None) -> zstandard.ZstdDecompressor:
    """A decompressor that refuses windows above MAX_WINDOW_BYTES."""
    return zstandard.ZstdDecompressor(dictionary, max_window_size=MAX_WINDOW_BYTES)  # type: ignore[arg-type]
