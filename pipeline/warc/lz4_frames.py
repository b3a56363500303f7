"""Frames of an lz4 archive: one record each, as FastWARC's recompressor writes them."""

from collections.abc import Iterator

import pyarrow as pa
import xxhash

from decant.pipeline.warc.members import PIECE_BYTES, Damage, Format, Window

LZ4_MAGIC = b"\x04\x22\x4d\x18"

MAX_HEADER = 4 + 2 + 8 + 4 + 1


def _open_lz4(window: Window, at: int) -> Iterator[bytes]:
    """The bytes of the frame at `at` in pieces; its end is returned.

    Block sizes stand in the clear, so the frame's end is known before anything is decompressed.
    """
    head = bytes(window.view(at, MAX_HEADER))
    size = _header_bytes(head)
    if size is None:
        raise Damage("lz4_header")
    flags = head[4]
    end = _frame_end(window, at + size, block_checksum=bool(flags & 0x10))
    end += 4 if flags & 0x04 else 0
    frame = bytes(window.view(at, end - at))
    if len(frame) < end - at:
        raise Damage("truncated")
    try:
        with pa.CompressedInputStream(pa.BufferReader(frame), "lz4") as stream:
            while data := stream.read(PIECE_BYTES):
                yield data
    except OSError as error:
        raise Damage("checksum", end=end) from error
    return end


def _header_bytes(head: bytes) -> int | None:
    """The length of a frame's header, whose own checksum must be right; None where it is none."""
    if len(head) < 7 or not head.startswith(LZ4_MAGIC) or head[4] & 0xC0 != 0x40:
        return None
    size = 6 + (8 if head[4] & 0x08 else 0) + (4 if head[4] & 0x01 else 0)
    if len(head) <= size:
        return None
    check = xxhash.xxh32_intdigest(head[4:size]) >> 8 & 0xFF
    return size + 1 if head[size] == check else None


def _frame_end(window: Window, at: int, block_checksum: bool) -> int:
    """Where the end mark of the frame's blocks ends."""
    while True:
        word = bytes(window.view(at, 4))
        if len(word) < 4:
            raise Damage("truncated")
        size = int.from_bytes(word, "little") & 0x7FFFFFFF
        at += 4
        if size == 0:
            return at
        if size > 4 << 20:  # the largest block the format knows
            raise Damage("lz4_block")
        at += size + (4 if block_checksum else 0)


LZ4 = Format(LZ4_MAGIC, _open_lz4)
