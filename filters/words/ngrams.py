"""Numba kernels over token ids: gathering tokens and counting repeated n-grams.

Token ids are int32, characters and places int64, hashes uint64 modulo 2^64.
"""

from __future__ import annotations

import numpy as np

from decant.filters.compile import Number, kernel
from decant.filters.words.marks import ALPHABETIC, WORDLIKE

GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: spreads hashes over a table


@kernel
def expand(ids: np.ndarray, starts: np.ndarray, values: np.ndarray) -> np.ndarray:
    """values[starts[i]:starts[i + 1]] of every i in `ids`, one after the other."""
    total = 0
    for i in ids:
        total += starts[i + 1] - starts[i]
    out = np.empty(total, np.int32)
    place = 0
    for i in ids:
        for j in range(starts[i], starts[i + 1]):
            out[place] = values[j]
            place += 1
    return out


@kernel
def gather(ids: np.ndarray, values: np.ndarray) -> np.ndarray:
    """values[ids] as int64."""
    out = np.empty(len(ids), np.int64)
    for i in range(len(ids)):
        out[i] = values[ids[i]]
    return out


@kernel
def use(chunks: np.ndarray, uses: np.ndarray, flags: np.ndarray, mask: Number) -> np.ndarray:
    """Count one more use of each of `chunks`; the places of those with a flag of `mask`."""
    places = np.empty(len(chunks), np.int64)
    count = 0
    for i in range(len(chunks)):
        uses[chunks[i]] += np.uint32(1)
        if flags[chunks[i]] & mask:
            places[count] = i
            count += 1
    return places[:count].copy()


@kernel
def table_bits(entries: int) -> int:
    """log2 of a hash table at most half full with `entries`."""
    bits = 4
    while (1 << bits) < 2 * entries:
        bits += 1
    return bits


@kernel
def top_ngram_chars(words: np.ndarray, chars: np.ndarray, n: int) -> Number:
    """Characters covered by the most frequent word n-gram: its length times its count.

    Length is that of the words joined by single spaces; of equally frequent n-grams the one seen
    first counts, and a count of 1 counts too. N-grams are compared word by word: the hash table
    decides where to look, never what is equal.
    """
    total = len(words) - n + 1
    if total <= 0:
        return 0
    bits = table_bits(total)
    mask = (1 << bits) - 1
    first = np.full(mask + 1, -1, np.int32)  # slot -> where its n-gram was seen first
    count = np.zeros(mask + 1, np.int32)
    best_count, best_first, length = 0, 0, 0
    for start in range(total):
        code = np.uint64(0)
        for k in range(n):
            code = (code ^ np.uint64(words[start + k])) * GOLDEN
            code ^= code >> np.uint64(29)
        slot = np.int64(code >> np.uint64(64 - bits))
        while first[slot] >= 0:
            same = True
            for k in range(n):
                if words[first[slot] + k] != words[start + k]:
                    same = False
                    break
            if same:
                break
            slot = (slot + 1) & mask
        if first[slot] < 0:
            first[slot] = start
        count[slot] += 1
        if count[slot] > best_count or (count[slot] == best_count and first[slot] < best_first):
            best_count, best_first = count[slot], first[slot]
    for k in range(n):
        length += chars[words[best_first + k]]
    return (length + n - 1) * best_count


@kernel
def running_hashes(words: np.ndarray, hashes: np.ndarray) -> np.ndarray:
    """Hash of the bytes of all words before each word, and base^-length: uint64 [words + 1, 2]."""
    out = np.empty((len(words) + 1, 2), np.uint64)
    code, power, back = np.uint64(0), np.uint64(1), np.uint64(1)
    out[0, 0], out[0, 1] = code, back
    for i in range(len(words)):
        token = words[i]
        code += power * hashes[token, 0]
        power *= hashes[token, 1]
        back *= hashes[token, 2]
        out[i + 1, 0], out[i + 1, 1] = code, back
    return out


@kernel
def same_characters(
    words: np.ndarray, a: Number, b: Number, n: int, byte_starts: np.ndarray, pool: np.ndarray
) -> bool:
    """Whether the n words from `a` and from `b` on are the same bytes when written without gaps."""
    i, j, left = a, b, a + n
    p, p_end = byte_starts[words[i]], byte_starts[words[i] + 1]
    q, q_end = byte_starts[words[j]], byte_starts[words[j] + 1]
    while True:
        while p == p_end:
            i += 1
            if i == left:
                break
            p, p_end = byte_starts[words[i]], byte_starts[words[i] + 1]
        while q == q_end:
            j += 1
            if j == b + n:
                break
            q, q_end = byte_starts[words[j]], byte_starts[words[j] + 1]
        if i == left or j == b + n:
            return i == left and j == b + n
        if pool[p] != pool[q]:
            return False
        p += 1
        q += 1


@kernel
def duplicate_ngram_chars(
    words: np.ndarray,
    running: np.ndarray,
    chars: np.ndarray,
    byte_starts: np.ndarray,
    pool: np.ndarray,
    n: int,
) -> Number:
    """Characters in word n-grams seen before, none counted twice.

    N-grams are compared as the characters of their words without gaps, as in the reference: "ab c"
    equals "a bc". After a repeated n-gram the search goes on behind it. Equal hashes are confirmed
    byte by byte, so that a collision cannot change the count.
    """
    total = len(words) - n + 1
    if total <= 0:
        return 0
    bits = table_bits(total)
    mask = (1 << bits) - 1
    low = np.uint64(mask)  # of a slot: where its n-gram was seen first, plus 1; above: its hash
    slots = np.zeros(mask + 1, np.uint64)
    start, repeated_chars = 0, 0
    while start < total:
        code = (running[start + n, 0] - running[start, 0]) * running[start, 1] * GOLDEN
        slot = np.int64(code >> np.uint64(64 - bits))
        repeated = False
        while slots[slot]:
            if (slots[slot] ^ code) <= low:
                other = np.int64(slots[slot] & low) - 1
                if same_characters(words, other, start, n, byte_starts, pool):
                    repeated = True
                    break
            slot = (slot + 1) & mask
        if repeated:
            for k in range(n):
                repeated_chars += chars[words[start + k]]
            start += n
        else:
            slots[slot] = (code & ~low) | np.uint64(start + 1)
            start += 1
    return repeated_chars


@kernel
def word_counts(words: np.ndarray, chars: np.ndarray, flags: np.ndarray) -> tuple:
    """Words that are no mere symbols, the characters of these, and words with a letter."""
    wordlike, wordlike_chars, alphabetic = 0, 0, 0
    for word in words:
        if flags[word] & WORDLIKE:
            wordlike += 1
            wordlike_chars += chars[word]
        if flags[word] & ALPHABETIC:
            alphabetic += 1
    return wordlike, wordlike_chars, alphabetic


@kernel
def count_ids(words: np.ndarray, ids: np.ndarray, distinct: bool) -> int:
    """How many of `ids` are among `words`, or how often they are."""
    count = 0
    for token in ids:
        for word in words:
            if word == token:
                count += 1
                if distinct:
                    break
    return count
