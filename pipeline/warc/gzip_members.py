"""Members of a gzip file: opened, salvaged after damage, resumed at the next header."""

from collections.abc import Iterator
from typing import Any

from zlib_ng import zlib_ng

from decant.pipeline.warc.members import PIECE_BYTES, Damage, Format, Window

# zlib copies its unused input at the end of every member: small meals keep that copy small.
MEAL_BYTES = 64 << 10

BROKEN: type[Exception] = zlib_ng.error  # type: ignore[assignment]  (its stub says an instance)

GZIP_MAGIC = b"\x1f\x8b\x08"
MAX_NAME_BYTES = 4096  # of the file name or the comment in a header


def _open_gzip(window: Window, at: int) -> Iterator[bytes]:
    """The bytes of the gzip member at `at` in pieces; its end is returned."""
    header = gzip_header_bytes(window.view(at, MEAL_BYTES))
    if header is None:
        raise Damage("gzip_header")
    body, at = at + header, at + header
    meal_at = at
    inflate, crc, size, given = zlib_ng.decompressobj(-zlib_ng.MAX_WBITS), 0, 0, 0
    out: list[bytes] = []
    while not inflate.eof:
        meal = window.view(at, MEAL_BYTES)
        try:
            data = inflate.decompress(meal, PIECE_BYTES - (size - given))
        except BROKEN as error:
            yield from _salvaged(window, body, given)
            raise Damage("deflate", stopped=at) from error
        meal_at, at = (at if meal else meal_at), at + len(meal) - len(_unread(inflate))
        crc, size = zlib_ng.crc32(data, crc), size + len(data)
        out.append(data)
        if size - given >= PIECE_BYTES:
            yield b"".join(out)
            out, given = [], size
        elif not meal:
            yield b"".join(out)
            raise Damage("truncated", stopped=meal_at)
    if size > given:
        yield b"".join(out)
    trailer = crc.to_bytes(4, "little") + (size & 0xFFFFFFFF).to_bytes(4, "little")
    if bytes(window.view(at, 8)) != trailer:
        raise Damage("checksum", end=at + 8, stopped=at)
    return at + 8


def _unread(inflate: Any) -> bytes:
    """The rest of the last meal. At the end both tails are set, and hold the same bytes."""
    return inflate.unused_data if inflate.eof else inflate.unconsumed_tail


GZIP = Format(GZIP_MAGIC, _open_gzip)

SALVAGE_BYTES = 4096


def _salvaged(window: Window, at: int, skip: int) -> Iterator[bytes]:
    """What a broken deflate stream gives before its error, without its first `skip` bytes.

    The call that raises loses all its output, so the stream is read once more in steps that halve
    towards the damage, the last of them one byte: the records before it are whole.
    """
    inflate, out, size = zlib_ng.decompressobj(-zlib_ng.MAX_WBITS), [], 0
    try:
        inflate.copy().decompress(window.view(at, SALVAGE_BYTES), 1)
    except BROKEN:
        return
    step = SALVAGE_BYTES
    while meal := window.view(at, SALVAGE_BYTES):
        before = inflate.copy() if step > 1 else inflate
        try:
            data = inflate.decompress(meal, step)
        except BROKEN:
            if step == 1:
                break
            inflate, step = before, step // 2
            continue
        at += len(meal) - len(_unread(inflate))
        out.append(data[skip:])
        skip -= min(skip, len(data))
        size += len(out[-1])
        if size >= PIECE_BYTES:
            yield b"".join(out)
            out, size = [], 0
    if size:
        yield b"".join(out)


def gzip_header_bytes(head: memoryview) -> int | None:
    """The length of a gzip member header; None where these bytes are none.

    >>> gzip_header_bytes(memoryview(b"\\x1f\\x8b\\x08\\x00" + bytes(6)))
    10
    """
    if len(head) < 10 or bytes(head[:3]) != GZIP_MAGIC or head[3] & 0xE0:
        return None
    flags, size = head[3], 10
    if flags & 4:  # extra field
        size += 2 + int.from_bytes(head[size : size + 2], "little")
    for flag in (8, 16):  # file name, comment
        if flags & flag:
            end = bytes(head[size : size + MAX_NAME_BYTES]).find(b"\0")
            if end < 0:
                return None
            size += end + 1
    size += 2 if flags & 2 else 0  # header checksum
    return size if size <= len(head) else None
