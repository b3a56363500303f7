"""One pass over the UTF-8 bytes of a text: its white-space chunks, their numbers, and its lines.

Chunks are looked up in a table of 64-bit keys. A chunk under 8 bytes is its own key; a longer one
is found by a hash and confirmed byte by byte, so that no collision can pass for a chunk. The
multiplier is drawn anew by every process: nobody can make texts that crowd one part of the table.
"""

from __future__ import annotations

import numpy as np

from decant.filters.compile import Number, kernel, leaf_kernel

# Of the white space before a chunk.
ONE_SPACE = 0
OTHER_SPACE = 1  # a token of its own to spaCy

LONG = np.uint64(1 << 63)
PADDING = 8  # zero bytes that must follow a text, so that a kernel may look beyond its end


@leaf_kernel
def space_bytes(data: np.ndarray, i: int) -> int:
    """Bytes of the white-space character at data[i], 0 where there is none (str.isspace)."""
    a = data[i]
    if a < 0x80:
        return 1 if a == 0x20 or 0x09 <= a <= 0x0D or 0x1C <= a <= 0x1F else 0
    if a == 0xC2:
        return 2 if data[i + 1] == 0x85 or data[i + 1] == 0xA0 else 0
    if a == 0xE2:
        b, c = data[i + 1], data[i + 2]
        if b == 0x80:
            return 3 if c <= 0x8A or 0xA8 <= c <= 0xA9 or c == 0xAF else 0
        return 3 if b == 0x81 and c == 0x9F else 0
    if a == 0xE1:
        return 3 if data[i + 1] == 0x9A and data[i + 2] == 0x80 else 0
    if a == 0xE3:
        return 3 if data[i + 1] == 0x80 and data[i + 2] == 0x80 else 0
    return 0


@leaf_kernel
def ends_line(data: np.ndarray, i: int) -> bool:
    """Whether the white-space character at data[i] ends a line (str.splitlines)."""
    a = data[i]
    if a < 0x80:
        return 0x0A <= a <= 0x0D or 0x1C <= a <= 0x1E
    if a == 0xC2:
        return data[i + 1] == 0x85
    return a == 0xE2 and data[i + 1] == 0x80 and 0xA8 <= data[i + 2] <= 0xA9


@leaf_kernel
def chunk_key(data: np.ndarray, start: Number, stop: Number, multiplier: Number) -> Number:
    """The key of a chunk: its bytes and length under 8 bytes, else a hash with the top bit set."""
    size = stop - start
    if size < 8:
        key = np.uint64(size) << np.uint64(56)
        for k in range(size):
            key |= np.uint64(data[start + k]) << np.uint64(8 * k)
        return key
    key = np.uint64(size)
    i = start
    while i < stop:
        word = np.uint64(0)
        for k in range(min(8, stop - i)):
            word |= np.uint64(data[i + k]) << np.uint64(8 * k)
        key = (key ^ word) * multiplier
        key ^= key >> np.uint64(32)
        i += 8
    return key | LONG


@leaf_kernel
def find_chunk(
    data: np.ndarray,
    start: Number,
    stop: Number,
    key: Number,
    table: np.ndarray,
    starts: np.ndarray,
    pool: np.ndarray,
    multiplier: Number,
    shift: int,
) -> Number:
    """The slot of the chunk, or of the empty slot where it belongs.

    `table`: uint64 [slots, 2] of key and number + 1, 0 where empty; chunk c has the bytes
    pool[starts[c]:starts[c + 1]].
    """
    mask = len(table) - 1
    slot = np.int64((key * multiplier) >> np.uint64(shift))
    while table[slot, 1]:
        if table[slot, 0] == key:
            if key < LONG:
                return slot
            place = starts[np.int64(table[slot, 1]) - 1]
            if starts[np.int64(table[slot, 1])] - place == stop - start:
                same = True
                for k in range(stop - start):
                    if pool[place + k] != data[start + k]:
                        same = False
                        break
                if same:
                    return slot
        slot = (slot + 1) & mask
    return slot


@kernel
def scan(
    data: np.ndarray,
    table: np.ndarray,
    starts: np.ndarray,
    pool: np.ndarray,
    multiplier: Number,
    shift: int,
) -> tuple:
    """Chunks and lines of the text whose UTF-8 bytes are `data`, which `PADDING` zero bytes follow.

    Per chunk: number (-1 where it is not in the table), where it starts and stops, the kind of
    white space before it. Per line of `str.splitlines`: chunks before it, and whether white space
    inside it is anything but single spaces; one entry more of the former at the end.
    """
    size = len(data) - PADDING
    room = size // 2 + 2
    numbers = np.empty(room, np.int32)
    spans = np.empty((room, 2), np.int32)
    spaces = np.empty(room, np.uint8)
    line_chunks = np.empty(64, np.int32)
    line_odd = np.empty(64, np.bool_)
    chunks, lines, i = 0, 0, 0
    line_start, space_start = 0, 0  # bytes
    line_chunks[0], line_odd[0] = 0, False
    while i < size:
        width = space_bytes(data, i)
        if width:
            if ends_line(data, i):
                if data[i] == 0x0D and data[i + 1] == 0x0A:
                    width = 2
                lines += 1
                if lines == len(line_odd):
                    line_chunks = np.concatenate((line_chunks, np.empty(lines, np.int32)))
                    line_odd = np.concatenate((line_odd, np.empty(lines, np.bool_)))
                line_chunks[lines], line_odd[lines] = chunks, False
                line_start = i + width
            i += width
            continue
        start = i
        while i < size and (0x20 < data[i] < 0x80 or not space_bytes(data, i)):
            i += 1
        one_space = start - space_start == 1 and data[space_start] == 0x20
        spaces[chunks] = ONE_SPACE if one_space else OTHER_SPACE
        if not one_space and chunks > line_chunks[lines]:
            line_odd[lines] = True
        key = chunk_key(data, start, i, multiplier)
        slot = find_chunk(data, start, i, key, table, starts, pool, multiplier, shift)
        numbers[chunks] = np.int64(table[slot, 1]) - 1
        spans[chunks, 0], spans[chunks, 1] = start, i
        chunks += 1
        space_start = i
    if line_start < size:
        lines += 1
    line_chunks = (
        line_chunks[: lines + 1].copy()
        if lines < len(line_chunks)
        else np.concatenate((line_chunks, np.empty(1, np.int32)))
    )
    line_chunks[lines] = chunks
    return (
        numbers[:chunks].copy(),
        spans[:chunks],
        spaces[:chunks],
        line_chunks,
        line_odd[:lines].copy(),
    )


@kernel
def insert_chunks(
    first: int,
    count: int,
    table: np.ndarray,
    starts: np.ndarray,
    pool: np.ndarray,
    multiplier: Number,
    shift: int,
) -> None:
    """Enter chunks `first` … `first + count - 1`, whose bytes are in the pool, into the table."""
    for number in range(first, first + count):
        start, stop = starts[number], starts[number + 1]
        if start == stop:
            continue  # a variant, which no text finds by its bytes
        key = chunk_key(pool, start, stop, multiplier)
        slot = find_chunk(pool, start, stop, key, table, starts, pool, multiplier, shift)
        table[slot, 0], table[slot, 1] = key, np.uint64(number + 1)
