"""A body without its content encoding: gzip, deflate, brotli or zstd undone, within a limit.

A body that only claims an encoding passes as it stands. One that breaks off or is damaged gives
what decodes before the damage, and one whose checksum alone is wrong gives all of it.
"""

import contextlib
import io
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import brotli

from decant.pipeline.warc.gzip_members import gzip_header_bytes
from decant.pipeline.warc.members import Damage, Window
from decant.pipeline.warc.zstd_frames import ZSTD_MAGIC, Frame, behind_skippable

STEP_BYTES = 1 << 20
SALVAGE_BYTES = 4096
GZIP_ID = b"\x1f\x8b"
GZIP_TRAILER_BYTES = 8


class TooLarge(Exception):
    """Decoding was stopped; `size_bytes` is how far it got."""

    def __init__(self, size_bytes: int):
        super().__init__(f"decoded to more than {size_bytes} bytes")
        self.size_bytes = size_bytes


def gunzipped(body: bytes, limit_bytes: int) -> bytes:
    """The bytes of all gzip members in a row; the body itself where it is not gzip."""
    parts: list[bytes] = []
    size, rest = 0, memoryview(body)
    while (header := gzip_header_bytes(rest)) is not None:
        data, after = _inflated(rest[header:], limit_bytes - size)
        parts.append(data)
        size += len(data)
        if after is None:
            break
        rest = rest[header + after + GZIP_TRAILER_BYTES :]
    return b"".join(parts) if parts or body.startswith(GZIP_ID) else body


def inflated(body: bytes, limit_bytes: int) -> bytes:
    """HTTP's "deflate": zlib's format by the standard, raw by habit, else the body itself."""
    is_zlib = len(body) > 1 and body[0] & 15 == 8 and (body[0] << 8 | body[1]) % 31 == 0
    for start in (2, 0) if is_zlib else (0,):
        data, after = _inflated(memoryview(body)[start:], limit_bytes)
        if data or after is not None:
            return data
    return body


def _inflated(stream: memoryview, limit_bytes: int) -> tuple[bytes, int | None]:
    """(what a raw deflate stream decodes to before its end or first error, its length if whole)."""
    inflate, parts, size, at = zlib.decompressobj(-zlib.MAX_WBITS), [], 0, 0
    while not inflate.eof:
        meal = stream[at : at + STEP_BYTES]
        try:
            data = inflate.decompress(meal, STEP_BYTES)
        except zlib.error:
            return b"".join(_until_damage(stream)), None
        left = len(inflate.unused_data if inflate.eof else inflate.unconsumed_tail)
        at += len(meal) - left
        parts.append(data)
        size += len(data)
        if size > limit_bytes:
            raise TooLarge(size)
        if not meal and not data:
            return b"".join(parts), None
    return b"".join(parts), at


def _until_damage(stream: memoryview) -> Iterator[bytes]:
    """What a damaged deflate stream gives before its error: the call that raises gives nothing.

    So the steps halve towards the error. They are not bounded again: the same bytes passed the
    limit once, up to one step.
    """
    inflate, step, at = zlib.decompressobj(-zlib.MAX_WBITS), SALVAGE_BYTES, 0
    while step:
        before = inflate.copy()
        meal = stream[at : at + SALVAGE_BYTES]
        try:
            data = inflate.decompress(meal, step)
        except zlib.error:
            inflate, step = before, step // 2
            continue
        at += len(meal) - len(inflate.unconsumed_tail)
        yield data


def unbrotlied(body: bytes, limit_bytes: int) -> bytes:
    """What decodes of a brotli stream; the body itself where it is none."""
    parts, size = [], 0
    try:
        for data in _brotli_output(brotli.Decompressor(), body):
            parts.append(data)
            size += len(data)
            if size > limit_bytes:
                raise TooLarge(size)
    except brotli.error:
        parts = list(_until_brotli_error(body))
    return b"".join(parts) or body


def _brotli_output(stream: Any, feed: bytes) -> Iterator[bytes]:
    """What a stream gives for some more bytes of input."""
    while not stream.is_finished():
        data = stream.process(feed, output_buffer_limit=STEP_BYTES)
        yield data
        feed = b""
        if not data and stream.can_accept_more_data():
            break


def _until_brotli_error(body: bytes) -> Iterator[bytes]:
    """What a damaged brotli stream gives before its error, fed more and more slowly towards it."""
    good = 0
    for feed_bytes in (SALVAGE_BYTES, 1):
        stream, parts = brotli.Decompressor(), []
        with contextlib.suppress(brotli.error):
            parts += _brotli_output(stream, body[:good]) if good else []
            while good < len(body) and not stream.is_finished():
                parts += _brotli_output(stream, body[good : good + feed_bytes])
                good += feed_bytes
    yield from parts


def unzstded(body: bytes, limit_bytes: int) -> bytes:
    """The bytes of all zstandard frames in a row; the body itself where it is none."""
    if not body.startswith(ZSTD_MAGIC):
        return body
    window, parts, size, at = Window(io.BytesIO(body)), [], 0, 0
    with contextlib.suppress(Damage):  # what came before it stands
        while at < len(body):
            frame = Frame(window, at)
            for data in frame.blocks():
                parts.append(data)
                size += len(data)
                if size > limit_bytes:
                    raise TooLarge(size)
            at = behind_skippable(window, frame.at)
    return b"".join(parts)


DECODERS: dict[str, Callable[[bytes, int], bytes]] = {
    "gzip": gunzipped,
    "x-gzip": gunzipped,
    "deflate": inflated,
    "br": unbrotlied,
    "zstd": unzstded,
}
