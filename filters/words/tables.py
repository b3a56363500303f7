"""The growing tables of a lexicon, as kernels take them: chunks, and the tokens they fall into.

Arrays are longer than what they hold; `sizes` says how much that is, kernels and Python alike write
behind it and move it on.
"""

from __future__ import annotations

import secrets
from typing import Any, NamedTuple, TypeVar

import numpy as np

from decant.filters.compile import Number, kernel, leaf_kernel
from decant.filters.words.scan import chunk_key, find_chunk, insert_chunks

# Places in `sizes`.
CHUNKS, CHUNK_BYTES, WORDS, SHINGLE_WORDS, TOKENS, TOKEN_BYTES = range(6)
FIRST_ROWS = 4096
ROOM = 1024  # rows and bytes that a kernel may write before it looks again for room
FIRST_SLOTS = 1 << 14


class Seeds(NamedTuple):
    """Multipliers of the hashes that find chunks, tokens and repeated n-grams.

    They are drawn anew by every process so that no text can be made to collide. What a hash finds
    is confirmed byte by byte: no result depends on them.
    """

    multiplier: Any  # uint64, as the others
    base: Any
    inverse: Any


def drawn_seeds() -> Seeds:
    """Seeds of this process."""
    base = secrets.randbits(64) | 1
    odd = np.uint64(secrets.randbits(64) | 1)
    return Seeds(odd, np.uint64(base), np.uint64(pow(base, -1, 1 << 64)))


class ChunkTable(NamedTuple):
    """Chunk c has the bytes bytes[byte_starts[c]:byte_starts[c + 1]], found through `slots`.

    Its words are word_tokens[word_starts[c]:word_starts[c + 1]], its words as MinHash compares them
    shingle_tokens[shingle_starts[c]:shingle_starts[c + 1]]: token ids, int32.
    """

    slots: np.ndarray  # uint64 [slots, 2], see scan.find_chunk; first, as `with_room` expects
    byte_starts: np.ndarray
    bytes: np.ndarray
    word_starts: np.ndarray
    word_tokens: np.ndarray
    shingle_starts: np.ndarray
    shingle_tokens: np.ndarray
    flags: np.ndarray
    uses: np.ndarray


class TokenTable(NamedTuple):
    """Token t has the UTF-8 bytes bytes[byte_starts[t]:byte_starts[t + 1]].

    `chars`: code points. `flags`: see filters.flags. `hashes`, uint64 [tokens, 3]: sum of
    (byte + 1) * base^place over its bytes, base^length, base^-length.
    """

    slots: np.ndarray
    byte_starts: np.ndarray
    bytes: np.ndarray
    chars: np.ndarray
    flags: np.ndarray
    hashes: np.ndarray


Table = TypeVar("Table", ChunkTable, TokenTable)


def empty_chunks() -> ChunkTable:
    """A table without a chunk."""
    rows = (np.int64, np.uint8, np.int32, np.int32, np.int32, np.int32, np.uint8, np.uint32)
    arrays = [np.zeros(FIRST_ROWS, kind) for kind in rows]
    return ChunkTable(np.zeros((FIRST_SLOTS, 2), np.uint64), *arrays)


def empty_tokens() -> TokenTable:
    """A table without a token."""
    return TokenTable(
        slots=np.zeros((FIRST_SLOTS, 2), np.uint64),
        byte_starts=np.zeros(FIRST_ROWS, np.int64),
        bytes=np.zeros(FIRST_ROWS, np.uint8),
        chars=np.zeros(FIRST_ROWS, np.int32),
        flags=np.zeros(FIRST_ROWS, np.uint8),
        hashes=np.zeros((FIRST_ROWS, 3), np.uint64),
    )


def with_room(table: Table, rows: int, **pools: int) -> Table:
    """The table with room for so many rows, and for so many values in its `pools`.

    Arrays of rows have one entry more, where the last row ends, and are of one length always.
    """
    for name in table._fields[1:]:
        array, size = getattr(table, name), pools.get(name, rows + 1)
        if size > len(array):
            more = np.zeros((max(size - len(array), len(array)), *array.shape[1:]), array.dtype)
            table = table._replace(**{name: np.concatenate([array, more])})
    return table


def with_slots(table: Table, rows: int, room: int, seeds: Seeds) -> Table:
    """The table of `rows` rows with slots for `room` of them, at most half of them taken."""
    if 2 * room <= len(table.slots):
        return table
    table = table._replace(slots=np.zeros((1 << (2 * room).bit_length(), 2), np.uint64))
    enter(table, 0, rows, seeds)
    return table


def enter(table: ChunkTable | TokenTable, first: int, stop: int, seeds: Seeds) -> None:
    """Make the rows first … stop - 1 of a table findable by their bytes."""
    shift, multiplier = slot_shift(table.slots), seeds.multiplier
    starts, pool = table.byte_starts, table.bytes
    insert_chunks(first, stop - first, table.slots, starts, pool, multiplier, shift)


@leaf_kernel
def slot_shift(slots: np.ndarray) -> int:
    """What a hash is shifted by to become a place in `slots`: 64 less log2 of their number."""
    bits = 0
    while (1 << bits) < len(slots):
        bits += 1
    return 64 - bits


@leaf_kernel
def intern_token(
    data: np.ndarray,
    start: Number,
    stop: Number,
    flags: Number,
    tokens: TokenTable,
    sizes: np.ndarray,
    seeds: Seeds,
    shift: int,
) -> Number:
    """The id of the token data[start:stop], which enters the table where it is new."""
    key = chunk_key(data, start, stop, seeds.multiplier)
    slot = find_chunk(
        data, start, stop, key, tokens.slots, tokens.byte_starts, tokens.bytes, seeds.multiplier,
        shift,
    )  # fmt: skip
    if tokens.slots[slot, 1]:
        return np.int64(tokens.slots[slot, 1]) - 1
    number, place = sizes[TOKENS], sizes[TOKEN_BYTES]
    chars = 0
    code, power, back = np.uint64(0), np.uint64(1), np.uint64(1)
    for k in range(start, stop):
        tokens.bytes[place] = data[k]
        place += 1
        chars += data[k] & 0xC0 != 0x80
        code += power * (np.uint64(data[k]) + np.uint64(1))
        power *= seeds.base
        back *= seeds.inverse
    tokens.byte_starts[number + 1] = place
    tokens.chars[number], tokens.flags[number] = chars, flags
    tokens.hashes[number, 0], tokens.hashes[number, 1], tokens.hashes[number, 2] = code, power, back
    tokens.slots[slot, 0], tokens.slots[slot, 1] = key, np.uint64(number + 1)
    sizes[TOKENS], sizes[TOKEN_BYTES] = number + 1, place
    return number


@kernel
def intern_tokens(
    data: np.ndarray,
    ends: np.ndarray,
    flags: np.ndarray,
    tokens: TokenTable,
    sizes: np.ndarray,
    seeds: Seeds,
) -> np.ndarray:
    """The ids of the tokens that lie one after the other in `data`, int32."""
    ids = np.empty(len(ends), np.int32)
    shift = slot_shift(tokens.slots)
    start = 0
    for i in range(len(ends)):
        ids[i] = intern_token(data, start, ends[i], flags[i], tokens, sizes, seeds, shift)
        start = ends[i]
    return ids
