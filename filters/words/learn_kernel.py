"""New chunks of a text split and remembered without Python: nine in ten of them.

Splitting a new chunk in Python takes 20 µs and a page of 1,100 words brings 80 of them, which was
a third of the time of all rules in a first pass; here it takes under 1 µs.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from decant.filters.compile import Number, kernel, leaf_kernel
from decant.filters.words.marks import ALPHABETIC, PUNCTUATION_MARK, SENTENCE_END, WORDLIKE
from decant.filters.words.scan import chunk_key, find_chunk
from decant.filters.words.spacy_tables import DIGIT, GAP, IN_NUMBER, UPPER, VISIBLE, WordRules
from decant.filters.words.split_kernel import NOT_HERE, split
from decant.filters.words.tables import (
    CHUNK_BYTES,
    CHUNKS,
    ROOM,
    SHINGLE_WORDS,
    TOKEN_BYTES,
    TOKENS,
    WORDS,
    ChunkTable,
    Seeds,
    TokenTable,
    intern_token,
    slot_shift,
)

LONGEST = 120  # bytes; a longer chunk is split in Python
ZERO = ord("0")
MARK_CODES = np.zeros(64, np.uint8)  # by the last byte of E2 80 xx, see spacy_tables.MARKS
MARK_CODES[[0x18, 0x19, 0x1C, 0x1D, 0x13, 0x14, 0x26]] = np.arange(128, 135)


class Work(NamedTuple):
    """What the kernel writes to and forgets: a chunk, and a part of it when normalised."""

    codes: np.ndarray  # uint8, one per character
    places: np.ndarray  # int64, where each character starts in the text
    part_codes: np.ndarray
    part: np.ndarray  # UTF-8
    cuts: np.ndarray  # see split_kernel.split


@kernel
def learn(
    data: np.ndarray,
    spans: np.ndarray,
    chunks: np.ndarray,
    first: int,
    rules: WordRules,
    table: ChunkTable,
    tokens: TokenTable,
    sizes: np.ndarray,
    seeds: Seeds,
) -> int:
    """Number those of chunks[first:] that are negative, where this kernel can split them.

    Returns where it stopped for want of room in the tables; the number of chunks when it is done.
    """
    shift, token_shift = slot_shift(table.slots), slot_shift(tokens.slots)
    work = Work(
        np.empty(LONGEST + 8, np.uint8),
        np.empty(LONGEST + 1, np.int64),
        np.empty(LONGEST + 8, np.uint8),
        np.empty(2 * LONGEST, np.uint8),
        np.empty(2 * LONGEST + 2, np.int64),
    )
    for i in range(first, len(chunks)):
        start, stop = np.int64(spans[i, 0]), np.int64(spans[i, 1])
        if chunks[i] >= 0 or stop - start > LONGEST:
            continue
        if not has_room(table, tokens, sizes):
            return i
        key = chunk_key(data, start, stop, seeds.multiplier)
        slot = find_chunk(
            data, start, stop, key, table.slots, table.byte_starts, table.bytes,
            seeds.multiplier, shift,
        )  # fmt: skip
        if not table.slots[slot, 1]:
            if not split_chunk(
                data, start, stop, rules, work, table, tokens, sizes, seeds, token_shift
            ):
                continue
            table.slots[slot, 0], table.slots[slot, 1] = key, np.uint64(sizes[CHUNKS])
        chunks[i] = np.int64(table.slots[slot, 1]) - 1
    return len(chunks)


@leaf_kernel
def split_chunk(
    data: np.ndarray,
    start: Number,
    stop: Number,
    rules: WordRules,
    work: Work,
    table: ChunkTable,
    tokens: TokenTable,
    sizes: np.ndarray,
    seeds: Seeds,
    token_shift: int,
) -> bool:
    """Add the chunk data[start:stop] and its tokens to the tables; False where it cannot tell."""
    size = encode(data, start, stop, rules.kinds, work.codes, work.places)
    if size == NOT_HERE:
        return False
    words = split(work.codes, 0, size, rules, work.cuts)
    if words == NOT_HERE:
        return False
    for k in range(words):
        flags = token_flags(work.codes, work.cuts[k], work.cuts[k + 1], rules.token_flags)
        first, last = work.places[work.cuts[k]], work.places[work.cuts[k + 1]]
        table.word_tokens[sizes[WORDS] + k] = intern_token(
            data, first, last, flags, tokens, sizes, seeds, token_shift
        )
    shingle_words = add_shingle_words(size, rules, work, table, tokens, sizes, seeds, token_shift)
    if shingle_words == NOT_HERE:
        return False
    number, place = sizes[CHUNKS], sizes[CHUNK_BYTES]
    sizes[CHUNKS] += 1
    sizes[WORDS] += words
    sizes[SHINGLE_WORDS] += shingle_words
    sizes[CHUNK_BYTES] += stop - start
    table.word_starts[number + 1] = sizes[WORDS]
    table.shingle_starts[number + 1] = sizes[SHINGLE_WORDS]
    table.byte_starts[number + 1] = sizes[CHUNK_BYTES]
    table.flags[number], table.uses[number] = 0, 0
    for k in range(stop - start):
        table.bytes[place + k] = data[start + k]
    return True


@leaf_kernel
def has_room(table: ChunkTable, tokens: TokenTable, sizes: np.ndarray) -> bool:
    """Whether any chunk can be added as the tables are."""
    return (
        2 * (sizes[CHUNKS] + ROOM) <= len(table.slots)
        and sizes[CHUNKS] + ROOM <= len(table.flags)
        and sizes[CHUNK_BYTES] + ROOM <= len(table.bytes)
        and sizes[WORDS] + ROOM <= len(table.word_tokens)
        and sizes[SHINGLE_WORDS] + ROOM <= len(table.shingle_tokens)
        and 2 * (sizes[TOKENS] + ROOM) <= len(tokens.slots)
        and sizes[TOKENS] + ROOM <= len(tokens.flags)
        and sizes[TOKEN_BYTES] + ROOM <= len(tokens.bytes)
    )


@leaf_kernel
def encode(
    data: np.ndarray,
    start: Number,
    stop: Number,
    kinds: np.ndarray,
    codes: np.ndarray,
    places: np.ndarray,
) -> int:
    """Characters of a chunk as one byte each, and where each starts; NOT_HERE for any others."""
    size, place = 0, start
    while place < stop:
        byte = data[place]
        places[size] = place
        if byte < 0x80:
            if not kinds[byte] & VISIBLE:
                return NOT_HERE
            codes[size] = byte
            place += 1
        else:
            if byte != 0xE2 or data[place + 1] != 0x80 or data[place + 2] >= 0xC0:
                return NOT_HERE
            codes[size] = MARK_CODES[data[place + 2] - 0x80]
            if codes[size] == 0:
                return NOT_HERE
            place += 3
        size += 1
    places[size] = stop
    return size


@leaf_kernel
def token_flags(codes: np.ndarray, start: int, stop: int, flags: np.ndarray) -> Number:
    """The flags of a token by those of its characters."""
    some, every = 0, PUNCTUATION_MARK
    for place in range(start, stop):
        some |= flags[codes[place]]
        every &= flags[codes[place]]
    kind = (some & (ALPHABETIC | WORDLIKE)) | every
    return kind | (some & SENTENCE_END) if stop - start == 1 else kind


@leaf_kernel
def add_shingle_words(
    size: int,
    rules: WordRules,
    work: Work,
    table: ChunkTable,
    tokens: TokenTable,
    sizes: np.ndarray,
    seeds: Seeds,
    token_shift: int,
) -> int:
    """How many words the chunk has as MinHash compares them, whose ids are written to the table.

    `words.simplify`, then a split of each part that it leaves.
    """
    count, place = 0, 0
    while place < size:
        length, place = next_part(work.codes, place, size, rules.kinds, work.part_codes)
        if length == 0:
            continue
        words = split(work.part_codes, 0, length, rules, work.cuts)
        if words == NOT_HERE:
            return NOT_HERE
        for k in range(words):
            first, last = work.cuts[k], work.cuts[k + 1]
            flags = token_flags(work.part_codes, first, last, rules.token_flags)
            written = decode(work.part_codes, first, last, work.part)
            table.shingle_tokens[sizes[SHINGLE_WORDS] + count] = intern_token(
                work.part, 0, written, flags, tokens, sizes, seeds, token_shift
            )
            count += 1
    return count


@leaf_kernel
def next_part(
    codes: np.ndarray, place: int, size: int, kinds: np.ndarray, part: np.ndarray
) -> tuple[int, int]:
    """Length of the part of the normalised chunk that starts at `place`, and where it ends.

    Letters become lower case, each number 0; what becomes a space ends the part.
    """
    length = 0
    while place < size:
        code = codes[place]
        kind = kinds[code]
        if kind & GAP:
            return length, place + 1
        if kind & DIGIT:
            place = number_end(codes, place, size, kinds)
            code = ZERO
        else:
            place += 1
            if kind & UPPER:
                code += 32
        part[length] = code
        length += 1
    return length, place


@leaf_kernel
def number_end(codes: np.ndarray, place: int, size: int, kinds: np.ndarray) -> int:
    """Where the number at `place` ends: digits, and more behind one full stop or comma."""
    while place < size and kinds[codes[place]] & DIGIT:
        place += 1
    if place + 1 < size and kinds[codes[place]] & IN_NUMBER and kinds[codes[place + 1]] & DIGIT:
        place += 1
        while place < size and kinds[codes[place]] & DIGIT:
            place += 1
    return place


@leaf_kernel
def decode(codes: np.ndarray, start: int, stop: int, out: np.ndarray) -> int:
    """The UTF-8 bytes of codes[start:stop], which are ASCII or the mark ‘, and their number."""
    place = 0
    for k in range(start, stop):
        if codes[k] < 128:
            out[place] = codes[k]
            place += 1
        else:
            out[place], out[place + 1], out[place + 2] = 0xE2, 0x80, 0x98
            place += 3
    return place
