"""fastText's score of a text for each label of a lid.176 model, bit for bit, several times faster.

The library walks hash maps and a quantized matrix for each of the 10,000 or so character n-grams of
a page: 1.2 ms for 5 kB. Here the pruned buckets are one table, the matrix is written out, and a
text is bytes in one loop. The float32 operations and their order are the library's, so are their
results (`tests/parity/test_language.py`); `FastScores` compares itself with the library when it is
made, and whoever asks uses the library where it differs (a processor that fuses multiply and add).

Source: fastText 0.9.2, `dictionary.cc: getLine, computeSubwords, pushHash`, `model.cc: predict`,
`loss.cc: HierarchicalSoftmaxLoss::dfs` (Joulin et al. 2016, arXiv 1607.01759, §2.1-2.2).
"""

from __future__ import annotations

import math
import threading
from typing import NamedTuple

import numpy as np

from filters.compile import Number, kernel
from filters.lid_file import LidModel

FNV_START, FNV_PRIME = np.uint32(2166136261), np.uint32(16777619)
BEGIN, END = np.uint8(ord("<")), np.uint8(ord(">"))  # fastText's marks around a word
LABEL_PREFIX = np.frombuffer(b"__label__", np.uint8)
LINE_END = np.frombuffer(b"</s>", np.uint8)
ROWS = 4_096  # gathered before they are added: the two loops apart are 1.5 times faster
PIECE = 4_096  # first characters of n-grams whose rows are gathered at once
MEMO_WORDS, MEMO_BYTES, MEMO_ROWS = 1 << 15, 24, 16  # 4 MB
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


class Memo(NamedTuple):
    """The rows of words seen lately: a word's hash is its slot, a newer word takes it over.

    `lengths` and `counts` int64 [slots], `words` uint8 [slots, bytes], `rows` int32 [slots, rows].
    """

    lengths: np.ndarray
    counts: np.ndarray
    words: np.ndarray
    rows: np.ndarray


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
        self._memo = Memo(
            np.zeros(MEMO_WORDS, np.int64),
            np.zeros(MEMO_WORDS, np.int64),
            np.zeros((MEMO_WORDS, MEMO_BYTES), np.uint8),
            np.zeros((MEMO_WORDS, MEMO_ROWS), np.int32),
        )
        self._using_memo = threading.Lock()
        self._tree = (model.left, model.right, model.output)

    def probabilities(self, text: bytes) -> np.ndarray:
        """The probability of each of `labels`, float32; 0 where the library leaves a label out.

        `text` is UTF-8; a line feed is white space like any other, the end of the text ends it.
        """
        with self._using_memo:
            mean = text_vector(np.frombuffer(text, np.uint8), self._tables, self._memo)
        return label_probabilities(mean, *self._tree)


@kernel
def fnv(data: np.ndarray, start: int, end: int) -> Number:
    """fastText's 32-bit FNV-1a of data[start:end], which widens bytes with their sign."""
    value = FNV_START
    for i in range(start, end):
        value = np.uint32(np.uint32(value ^ signed(data[i])) * FNV_PRIME)
    return value


@kernel
def signed(byte: Number) -> Number:
    """A byte as the 32-bit pattern of an int8 of the same bits."""
    return np.uint32(byte) | (np.uint32(0xFFFFFF00) if byte & 0x80 else np.uint32(0))


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


@kernel
def same(a: np.ndarray, start: int, end: int, b: np.ndarray, b_start: int) -> bool:
    """Whether a[start:end] are the bytes of b from b_start on."""
    for i in range(end - start):  # noqa: SIM110 (a generator does not compile)
        if a[start + i] != b[b_start + i]:
            return False
    return True


@kernel
def word_number(
    data: np.ndarray, start: int, end: int, words: np.ndarray, ends: np.ndarray, numbers: np.ndarray
) -> int:
    """The number of the word data[start:end] in the dictionary, -1 if it is not there."""
    mask = np.uint32(len(numbers) - 1)
    slot = fnv(data, start, end) & mask
    while numbers[slot] >= 0:
        i = int(numbers[slot])
        begin = ends[i - 1] if i > 0 else 0
        if ends[i] - begin == end - start and same(data, start, end, words, begin):
            return i
        slot = (slot + np.uint32(1)) & mask
    return -1


@kernel
def is_space(byte: Number) -> bool:
    """White space as fastText's reader has it: NUL too."""
    return byte == 32 or 9 <= byte <= 13 or byte == 0


@kernel
def text_vector(data: np.ndarray, tables: Tables, memo: Memo) -> np.ndarray:
    """The mean of the vectors of a text's words and n-grams, and of the line end behind it.

    A word "</s>" ends the text; a word that begins with "__label__" counts for nothing.
    """
    total = np.zeros(tables.vectors.shape[1], np.float32)
    rows = np.empty(ROWS, np.int32)
    count = added = place = 0
    while True:
        while place < len(data) and is_space(data[place]):
            place += 1
        start, value = place, FNV_START
        while place < len(data) and not is_space(data[place]):
            value = np.uint32(np.uint32(value ^ np.uint32(data[place])) * FNV_PRIME)
            place += 1
        if start == place or (place - start == 4 and same(data, start, place, LINE_END, 0)):
            break
        if count + MEMO_ROWS > ROWS:
            added += add_rows(total, rows, count, tables.vectors)
            count = 0
        slot = np.int64(value & np.uint32(MEMO_WORDS - 1))
        if memo.lengths[slot] == place - start and same(data, start, place, memo.words[slot], 0):
            for i in range(memo.counts[slot]):
                rows[count + i] = memo.rows[slot, i]
            count += memo.counts[slot]
            continue
        added += add_rows(total, rows, count, tables.vectors)
        count = 0
        number = word_number(data, start, place, tables.words, tables.ends, tables.numbers)
        if number < 0 and place - start >= 9 and same(data, start, start + 9, LABEL_PREFIX, 0):
            continue
        for first in range(start - 1, place + 1, PIECE):  # a word may be a page of base64
            last = min(first + PIECE, place + 1)
            found = word_rows(
                data, start, place, first, last, number, tables.kept, tables.buckets,
                tables.shortest, tables.longest, len(tables.ends),
            )  # fmt: skip
            added += add_rows(total, found, len(found), tables.vectors)
            if place - start <= MEMO_BYTES and len(found) <= MEMO_ROWS:
                memo.lengths[slot], memo.counts[slot] = place - start, len(found)
                memo.words[slot, : place - start] = data[start:place]
                memo.rows[slot, : len(found)] = found
    added += add_rows(total, rows, count, tables.vectors)
    number = word_number(LINE_END, 0, 4, tables.words, tables.ends, tables.numbers)
    if number >= 0:
        total += tables.vectors[number]
        added += 1
    if added > 0:
        total *= np.float32(1.0 / added)
    return total


@kernel
def word_rows(
    data: np.ndarray,
    start: int,
    end: int,
    first: int,
    last: int,
    number: int,
    kept: np.ndarray,
    buckets: Number,
    shortest: int,
    longest: int,
    words: int,
) -> np.ndarray:
    """The rows of the word data[start:end] and of the n-grams of "<word>", in the library's order.

    That is by first character, here of those from `first` to before `last`, then by length. The
    marks stand at start - 1 and at `end`. The word's own row, its number if it has one, is before
    all of them.
    """
    rows = np.empty(1 + longest * (last - first), np.int32)
    count = 0
    if number >= 0 and first == start - 1:
        rows[0] = number
        count = 1
    for at in range(first, last):
        if start <= at < end and (data[at] & 0xC0) == 0x80:
            continue
        value, place = FNV_START, at
        for length in range(1, longest + 1):
            if place > end:
                break
            byte = BEGIN if place < start else (END if place == end else data[place])
            value = np.uint32(np.uint32(value ^ signed(byte)) * FNV_PRIME)
            place += 1
            while start <= place < end and (data[place] & 0xC0) == 0x80:
                value = np.uint32(np.uint32(value ^ signed(data[place])) * FNV_PRIME)
                place += 1
            if length >= shortest:
                bucket = np.int64(value % buckets)
                rows[count] = kept[bucket] if len(kept) else bucket + words
                count += rows[count] >= 0
    return rows[:count]


@kernel
def add_rows(total: np.ndarray, rows: np.ndarray, count: int, vectors: np.ndarray) -> int:
    """Add the vectors of the first `count` of `rows` to `total`, one after the other; `count`."""
    for k in range(count):
        vector = vectors[rows[k]]
        for i in range(len(total)):
            total[i] += vector[i]
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


@kernel
def log_of(value: Number) -> Number:
    """The library's `std_log` of a float32."""
    return np.float32(math.log(np.float64(value) + EPSILON))
