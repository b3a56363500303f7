"""fastText's score of a text for each label of a lid.176 model, bit for bit, several times faster.

The library walks hash maps and a quantized matrix for each of the 10,000 or so character n-grams of
a page: 1.2 ms for 5 kB. Here the pruned buckets are bits, the matrix is written out, and a text is
bytes in one loop: 0.1 ms. The float32 operations and their order are the library's, so are their
results (`tests/parity/test_language.py`); `FastScores` compares itself with the library when it is
made, and whoever asks uses the library where it differs (a processor that fuses multiply and add).

Source: fastText 0.9.2, `dictionary.cc: getLine, computeSubwords, pushHash`, `model.cc: predict`,
`loss.cc: HierarchicalSoftmaxLoss::dfs` (Joulin et al. 2016, arXiv 1607.01759, §2.1-2.2).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from decant.filters.compile import Number, kernel, leaf_kernel
from decant.filters.lid.file import LidModel

FNV_START, FNV_PRIME = np.uint32(2166136261), np.uint32(16777619)
BEGIN, END = np.uint8(ord("<")), np.uint8(ord(">"))  # fastText's marks around a word
LABEL_PREFIX = np.frombuffer(b"__label__", np.uint8)
LINE_END = np.frombuffer(b"</s>", np.uint8)
ROWS = 4_096  # gathered before they are added: the two loops apart are 1.5 times faster
PIECE = 512  # bytes of a marked word whose n-grams are gathered at once: it may be a whole page
EPSILON = 1e-5  # `std_log` adds it
LEAST = np.float32(math.log(EPSILON))  # std_log(threshold 0): branches below are not followed


class Tables(NamedTuple):
    """A model's arrays as the kernels take them; see `LidModel`."""

    vectors: np.ndarray
    kept: np.ndarray
    buckets: Number
    shortest: int
    longest: int
    words: np.ndarray
    ends: np.ndarray
    numbers: np.ndarray  # from a word's hash to its number, see `word_table`


class FastScores:
    """Scores texts with a model's arrays."""

    def __init__(self, model: LidModel):
        self.labels = model.labels
        self._tables = Tables(
            model.vectors,
            model.kept,
            np.uint32(model.buckets),
            model.shortest,
            model.longest,
            model.word_bytes,
            model.word_ends,
            word_table(model.word_bytes, model.word_ends),
        )
        self._tree = (model.left, model.right, model.output)

    def probabilities(self, text: bytes) -> np.ndarray:
        """The probability of each of `labels`, float32; 0 where the library leaves a label out.

        `text` is UTF-8; a line feed is white space like any other, the end of the text ends it.
        """
        return text_probabilities(np.frombuffer(text, np.uint8), self._tables, *self._tree)


@kernel
def text_probabilities(
    data: np.ndarray, tables: Tables, left: np.ndarray, right: np.ndarray, output: np.ndarray
) -> np.ndarray:
    """The probability of each label for the text `data`."""
    return label_probabilities(text_vector(data, tables), left, right, output)


@leaf_kernel
def fnv(data: np.ndarray, start: int, end: int) -> Number:
    """fastText's 32-bit FNV-1a of data[start:end], which widens bytes with their sign."""
    value = FNV_START
    for i in range(start, end):
        value = hashed(value, data[i])
    return value


@leaf_kernel
def hashed(value: Number, byte: Number) -> Number:
    """The hash of some bytes (uint32) and one more."""
    return np.uint32(np.uint32(value ^ np.uint32(np.int32(np.int8(byte)))) * FNV_PRIME)


@kernel
def word_table(words: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """An open-addressed table from the hash of a word to its number, -1 where empty."""
    size = 1
    while size < 4 * len(ends):
        size *= 2
    table = np.full(size, -1, np.int32)
    start = 0
    for i in range(len(ends)):
        slot = fnv(words, start, ends[i]) & np.uint32(size - 1)
        while table[slot] >= 0:
            slot = (slot + np.uint32(1)) & np.uint32(size - 1)
        table[slot] = i
        start = ends[i]
    return table


@leaf_kernel
def same(a: np.ndarray, start: int, end: int, b: np.ndarray, b_start: int) -> bool:
    """Whether a[start:end] are the bytes of b from b_start on."""
    for i in range(end - start):  # noqa: SIM110 (a generator does not compile)
        if a[start + i] != b[b_start + i]:
            return False
    return True


@leaf_kernel
def word_number(word: np.ndarray, size: Number, value: Number, tables: Tables) -> int:
    """The number of the word word[:size] of hash `value` in the dictionary, -1 if not there."""
    ends = tables.ends
    mask = np.uint32(len(tables.numbers) - 1)
    slot = value & mask
    while tables.numbers[slot] >= 0:
        i = int(tables.numbers[slot])
        begin = ends[i - 1] if i > 0 else 0
        if ends[i] - begin == size and same(tables.words, begin, ends[i], word, 0):
            return i
        slot = (slot + np.uint32(1)) & mask
    return -1


@leaf_kernel
def is_space(byte: Number) -> bool:
    """White space as fastText's reader has it: NUL too."""
    return byte <= 32 and (byte == 32 or 9 <= byte <= 13 or byte == 0)


@kernel
def text_vector(data: np.ndarray, tables: Tables) -> np.ndarray:
    """The mean of the vectors of a text's words and n-grams, and of the line end behind it.

    A word "</s>" ends the text; a word that begins with "__label__" counts for nothing.
    """
    total = np.zeros(tables.vectors.shape[1], np.float32)
    per_piece = 1 + PIECE * (1 + tables.longest - tables.shortest)
    rows = np.empty(ROWS + per_piece, np.uint32)
    word = np.empty(len(data) + 3, np.uint8)  # between its marks, a NUL behind them
    word[0] = BEGIN
    count = added = place = 0
    while True:
        while place < len(data) and is_space(data[place]):
            place += 1
        size, value = np.uint64(1), FNV_START
        while place < len(data) and not is_space(data[place]):
            word[size] = data[place]
            value = hashed(value, word[size])
            size += np.uint64(1)
            place += 1
        if size == 1 or (size == 5 and same(LINE_END, 0, 4, word, 1)):
            break
        number = word_number(word[1:], size - 1, value, tables)
        if number < 0 and size >= 10 and same(LABEL_PREFIX, 0, 9, word, 1):
            continue
        word[size], word[size + np.uint64(1)] = END, 0
        if number >= 0:
            rows[count] = number
            count += 1
        for first in range(0, size + 1, PIECE):
            last = min(first + PIECE, size + 1)
            count = ngram_rows(word, first, last, size + 1, rows, count, tables)
            if count >= ROWS:
                added += add_rows(total, rows, count, tables.vectors)
                count = 0
    added += add_rows(total, rows, count, tables.vectors)
    number = word_number(LINE_END, 4, fnv(LINE_END, 0, 4), tables)
    if number >= 0:
        total += tables.vectors[number]
        added += 1
    if added > 0:
        total *= np.float32(1.0 / added)
    return total


@leaf_kernel
def ngram_rows(
    word: np.ndarray,
    first: int,
    last: Number,
    size: Number,
    rows: np.ndarray,
    count: int,
    tables: Tables,
) -> int:
    """Append the rows of the n-grams that begin before `last` in word[:size] to rows[:count], in
    the library's order: by first character, then by length. How many rows there are then.
    """
    kept, buckets, words = tables.kept, tables.buckets, len(tables.ends)
    shortest, longest = tables.shortest, tables.longest
    at = np.uint64(first)  # unsigned, as numba tests whether a signed index counts from the end
    while inside(word[at]):  # a piece may begin inside a character
        at += np.uint64(1)
    while at < last:
        value, place = hashed(FNV_START, word[at]), at + np.uint64(1)
        while inside(word[place]):
            value = hashed(value, word[place])
            place += np.uint64(1)
        at = place
        for length in range(2, longest + 1):
            if place == size:
                break
            value = hashed(value, word[place])
            place += np.uint64(1)
            while inside(word[place]):
                value = hashed(value, word[place])
                place += np.uint64(1)
            if length < shortest:
                continue
            bucket = value % buckets
            if len(kept) == 0:
                rows[count] = bucket + words
                count += 1
                continue
            entry, bit = kept[bucket >> 5], bucket & np.uint32(31)
            if entry >> np.uint64(bit) & np.uint64(1):  # one in twenty
                below = np.uint32(entry) & np.uint32((np.uint32(1) << bit) - np.uint32(1))
                rows[count] = np.uint32(entry >> np.uint64(32)) + ones(below)
                count += 1
    return count


@leaf_kernel
def inside(byte: Number) -> bool:
    """Whether a UTF-8 character goes on with this byte."""
    return byte & 0xC0 == 0x80


@leaf_kernel
def ones(bits: Number) -> Number:
    """The number of bits set in a uint32."""
    count = np.uint32(0)
    while bits:
        bits &= np.uint32(bits - np.uint32(1))
        count += np.uint32(1)
    return count


@leaf_kernel
def add_rows(total: np.ndarray, rows: np.ndarray, count: int, vectors: np.ndarray) -> int:
    """Add the vectors of the first `count` of `rows` to `total`, one after the other; `count`.

    Eight at a time, each sum in their order: the compiler must prove once for eight, not for each,
    that `total` is no part of `vectors`, which halves the time.
    """
    whole = count - count % 8
    for k in range(0, whole, 8):
        a, b = vectors[rows[k]], vectors[rows[k + 1]]
        c, d = vectors[rows[k + 2]], vectors[rows[k + 3]]
        e, f = vectors[rows[k + 4]], vectors[rows[k + 5]]
        g, h = vectors[rows[k + 6]], vectors[rows[k + 7]]
        for i in range(len(total)):
            total[i] = total[i] + a[i] + b[i] + c[i] + d[i] + e[i] + f[i] + g[i] + h[i]
    for k in range(whole, count):
        for i in range(len(total)):
            total[i] += vectors[rows[k], i]
    return count


@kernel
def label_probabilities(
    vector: np.ndarray, left: np.ndarray, right: np.ndarray, output: np.ndarray
) -> np.ndarray:
    """The probability of each leaf: the product along its path, summed as float32 logarithms."""
    labels = len(output)
    probabilities = np.zeros(labels, np.float32)
    nodes = np.empty(2 * labels, np.int32)
    scores = np.empty(2 * labels, np.float32)
    nodes[0], scores[0] = 2 * labels - 2, np.float32(0)
    waiting = 1
    while waiting:
        waiting -= 1
        node, score = nodes[waiting], scores[waiting]
        if score < LEAST:
            continue
        if left[node] < 0:
            probabilities[node] = np.float32(math.exp(np.float32(score)))
            continue
        dot = np.float32(0)
        for i in range(len(vector)):
            dot += output[node - labels, i] * vector[i]
        sigmoid = np.float32(
            1.0 / np.float64(np.float32(1) + np.float32(math.exp(np.float32(-dot))))
        )
        nodes[waiting], nodes[waiting + 1] = left[node], right[node]
        scores[waiting] = score + log_of(np.float32(1.0 - np.float64(sigmoid)))
        scores[waiting + 1] = score + log_of(sigmoid)
        waiting += 2
    return probabilities


@leaf_kernel
def log_of(value: Number) -> Number:
    """The library's `std_log` of a float32."""
    return np.float32(math.log(np.float64(value) + EPSILON))
