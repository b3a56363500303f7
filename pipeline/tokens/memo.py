"""Token counts of texts, word by word, with a bounded memory of words: one kernel call a text.

A word is white space and what follows it up to the next; its tokens are its own (see
`tokens._SAFE_CUT`). Words met before are looked up, new ASCII words are merged where they stand,
and only the others come back to Python: 50 µs for a text of 1,100 words, where a dict of words took
four times as long.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from decant.filters.compile import Number, kernel, leaf_kernel
from decant.filters.words.scan import PADDING, chunk_key, find_chunk, insert_chunks, space_bytes
from decant.filters.words.tables import drawn_seeds, slot_shift
from decant.pipeline.tokens.bpe import Merges, count_word

WORD_BYTES = 40  # a longer word is counted anew each time
FIRST_WORDS = 1 << 12
ROWS, POOL = 0, 1  # places in `sizes`
MULTIPLIER = drawn_seeds().multiplier


class Words(NamedTuple):
    """Word w has the bytes pool[starts[w]:starts[w + 1]] and counts[w] tokens.

    `slots` lead to it, see scan.find_chunk; `sizes`: words, and bytes of them.
    """

    slots: np.ndarray
    starts: np.ndarray
    pool: np.ndarray
    counts: np.ndarray
    sizes: np.ndarray


def no_words(room: int) -> Words:
    """An empty memory for at most `room` words."""
    slots = 1 << (2 * room).bit_length()
    return Words(
        np.zeros((slots, 2), np.uint64),
        np.zeros(room + 1, np.int64),
        np.zeros(room * WORD_BYTES + PADDING, np.uint8),
        np.zeros(room, np.int32),
        np.zeros(2, np.int64),
    )


class WordMemo:
    """Counts words by `merges` where it can and by `encode` otherwise, and remembers them."""

    def __init__(self, merges: Merges | None, encode: Callable[[str], int], limit: int) -> None:
        self._merges = merges
        self._encode = encode
        self._limit = limit
        self._words = no_words(min(limit, FIRST_WORDS))

    def total(self, text: str, plain: bool) -> int:
        """The tokens of all words of a text; `plain` where none holds a token of its own right."""
        data = np.frombuffer(text.encode() + bytes(PADDING), np.uint8)
        merges = self._merges if plain else None
        total = done = 0
        while done < len(data) - PADDING:
            if len(self._words.counts) <= self._words.sizes[ROWS]:
                self._grow()
            here, done, spans = known_tokens(data, done, merges, self._words, MULTIPLIER)
            total += here + self._count(data, spans)
        return total

    def _count(self, data: np.ndarray, spans: np.ndarray) -> int:
        """The tokens of the words that the kernel could not count."""
        if not len(spans):
            return 0
        words = [data[start:stop].tobytes() for start, stop in spans.tolist()]
        counts = {word: self._encode(word.decode()) for word in dict.fromkeys(words)}
        for word, count in counts.items():
            if len(word) <= WORD_BYTES:
                if len(self._words.counts) <= self._words.sizes[ROWS]:
                    self._grow()
                padded = np.frombuffer(word + bytes(PADDING), np.uint8)
                remember(padded, 0, len(word), count, self._words, MULTIPLIER)
        return sum(map(counts.__getitem__, words))

    def _grow(self) -> None:
        """Make room for more words; forget all of them where there may be no more."""
        old = self._words
        rows, size = old.sizes.tolist()
        if rows >= self._limit:
            self._words = no_words(min(self._limit, FIRST_WORDS))
            return
        new = self._words = no_words(min(self._limit, 4 * rows))
        new.starts[: rows + 1], new.pool[:size] = old.starts[: rows + 1], old.pool[:size]
        new.counts[:rows], new.sizes[:] = old.counts[:rows], old.sizes
        shift = slot_shift(new.slots)
        insert_chunks(0, rows, new.slots, new.starts, new.pool, MULTIPLIER, shift)


@kernel
def known_tokens(
    data: np.ndarray, first: int, merges: Merges | None, words: Words, multiplier: Number
) -> tuple[int, int, np.ndarray]:
    """Tokens of the words from byte `first` on, where it stopped, and spans of words left out.

    It stops where the memory is full.
    """
    size, shift = len(data) - PADDING, slot_shift(words.slots)
    slots, starts, pool, counts = words.slots, words.starts, words.pool, words.counts
    spans = np.empty((64, 2), np.int64)
    left_out, total, start = 0, 0, first
    while start < size:
        stop, mergeable = word_end(data, start, size)
        count = -1
        if stop - start <= WORD_BYTES:
            key = chunk_key(data, start, stop, multiplier)
            slot = find_chunk(data, start, stop, key, slots, starts, pool, multiplier, shift)
            if slots[slot, 1]:
                count = counts[np.int64(slots[slot, 1]) - 1]
            elif merges is not None and mergeable:
                if words.sizes[ROWS] == len(counts):
                    break
                count = count_word(data, start, stop, merges)
                enter(data, start, stop, count, words, key, slot)
        if count >= 0:
            total += count
        else:
            if left_out == len(spans):
                spans = np.concatenate((spans, np.empty((left_out, 2), np.int64)))
            spans[left_out, 0], spans[left_out, 1] = start, stop
            left_out += 1
        start = stop
    return total, start, spans[:left_out]


@leaf_kernel
def word_end(data: np.ndarray, start: int, size: int) -> tuple[int, bool]:
    """Where the word that begins at `start` ends, and whether `count_word` can count it.

    It can where white space is ASCII and so is the rest, but for U+2010-U+203F: typographic quotes,
    dashes and the like, which are neither letters nor numbers.
    """
    place, mergeable = start, True
    while place < size:
        width = white_space_bytes(data, place)
        if not width:
            break
        mergeable = mergeable and width == 1
        place += width
    while place < size:
        byte = data[place]
        if byte >= 0x80:
            if space_bytes(data, place):
                break
            if byte == 0xE2 and data[place + 1] == 0x80:
                place += 2  # and one more below
            else:
                mergeable = False
        elif byte <= 0x20 and white_space_bytes(data, place):
            break
        place += 1
    return place, mergeable


@leaf_kernel
def white_space_bytes(data: np.ndarray, place: int) -> int:
    """Bytes of the character at `place` where it is Unicode's White_Space, else 0.

    Python counts four separators as well, which the tokenizer's own pattern does not.
    """
    return 0 if 0x1C <= data[place] <= 0x1F else space_bytes(data, place)


@kernel
def remember(
    data: np.ndarray, start: int, stop: int, count: int, words: Words, multiplier: Number
) -> None:
    """Add a word that may be there already."""
    key, shift = chunk_key(data, start, stop, multiplier), slot_shift(words.slots)
    slot = find_chunk(
        data, start, stop, key, words.slots, words.starts, words.pool, multiplier, shift
    )
    if not words.slots[slot, 1]:
        enter(data, start, stop, count, words, key, slot)


@leaf_kernel
def enter(
    data: np.ndarray, start: int, stop: int, count: int, words: Words, key: Number, slot: Number
) -> None:
    """Add a word whose slot is known to be empty."""
    number, place = words.sizes[ROWS], words.sizes[POOL]
    for k in range(stop - start):
        words.pool[place + k] = data[start + k]
    words.sizes[ROWS], words.sizes[POOL] = number + 1, place + stop - start
    words.starts[number + 1] = words.sizes[POOL]
    words.counts[number] = count
    words.slots[slot, 0], words.slots[slot, 1] = key, np.uint64(number + 1)
