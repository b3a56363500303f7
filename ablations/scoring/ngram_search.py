"""A kernel that looks for n-grams of words in a text: one pass over its characters.

A word is a run of `\\w` characters of the lowered text. Its hash is FNV-1a (Fowler, Noll and Vo)
over code points; an n-gram's is a polynomial in its words' hashes, so that with every word the
n-grams of all sizes that end there are known from prefix sums (Karp and Rabin 1987). Hashes are
uint64 modulo 2^64. Equal hashes are hits to verify, not yet equal words.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from decant.filters.compile import Number, kernel

_OFFSET, _PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)  # FNV-1a's, 64 bits
_BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, hence invertible: no word's weight ever vanishes
_SPREAD = np.uint64(0xBF58476D1CE4E5B9)
_RING = 32  # prefix sums kept, more than the words of the longest n-gram
# 16 to 32 flags a hash: at most one word in 16 of a clean text gets as far as the table.
_FLAGS_PER_HASH = 16


class Index(NamedTuple):
    """The hashes to look for. sizes: int64, words of an n-gram; powers: uint64, base^size of each.

    sieve: uint64 words of 64 flags, one for the last words of each n-gram, as many as the shortest
    has: one look tells that a word of the text ends no n-gram of any size. keys: uint64, an
    open-addressed table of all hashes, at most a quarter full; 0 is an empty place. Both lengths
    are powers of two.
    """

    sizes: np.ndarray
    powers: np.ndarray
    sieve: np.ndarray
    keys: np.ndarray


def make_index(sizes: list[int], hashes: np.ndarray, tails: np.ndarray) -> Index:
    """The index of the n-grams of all sizes together; sizes ascend.

    hashes, tails: uint64 [n], of each n-gram and of its last `sizes[0]` words.
    """
    powers = [pow(int(_BASE), size, 1 << 64) for size in sizes]
    slots = 1 << max(6, (4 * len(hashes)).bit_length())
    flags = 1 << max(6, (_FLAGS_PER_HASH * len(hashes)).bit_length())
    sieve, keys = np.zeros(flags // 64, np.uint64), np.zeros(slots, np.uint64)
    _insert(hashes, tails, sieve, keys)
    return Index(np.array(sizes, np.int64), np.array(powers, np.uint64), sieve, keys)


@lru_cache(maxsize=1)
def word_characters() -> np.ndarray:
    """What each code point counts as in a word, uint32 [0x110000]: 0 is none of `\\w`.

    ASCII capitals count as their small letters, so that ASCII texts need not be lowered.
    """
    codes = np.fromiter((c if chr(c).isalnum() else 0 for c in range(0x110000)), np.uint32)
    codes[ord("_")] = ord("_")
    codes[ord("A") : ord("Z") + 1] += 32
    return codes


def lowered(text: str) -> str:
    """The text with small letters, or as it is where `word_characters` sees to that."""
    return text if text.isascii() else text.lower()


def code_points(text: str) -> np.ndarray:
    """The text's code points: uint8 where all are ASCII, else uint32."""
    if text.isascii():
        return np.frombuffer(text.encode("ascii"), np.uint8)
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


@kernel
def _place(key: Number, bits_less_one: int) -> int:
    """Where a hash is looked for, in 0 … bits_less_one, which is a power of two less one."""
    return int((key * _SPREAD) >> np.uint64(33)) & bits_less_one


@kernel
def _insert(hashes: np.ndarray, tails: np.ndarray, sieve: np.ndarray, keys: np.ndarray) -> None:
    last_flag, last_slot = 64 * len(sieve) - 1, len(keys) - 1
    for key, tail in zip(hashes, tails):  # noqa: B905  numba knows no strict
        flag = _place(tail, last_flag)
        sieve[flag >> 6] |= np.uint64(1) << np.uint64(flag & 63)
        slot = _place(key, last_slot)
        while keys[slot] != 0 and keys[slot] != key:
            slot = (slot + 1) & last_slot
        keys[slot] = key


@kernel
def word_hashes(codes: np.ndarray, counts_as: np.ndarray) -> np.ndarray:
    """The hash of each word of a text, uint64 [words]; counts_as: `word_characters()`."""
    out = np.empty(len(codes) // 2 + 1, np.uint64)
    count, inside, hashed = 0, False, _OFFSET
    for k in range(len(codes) + 1):
        code = counts_as[codes[k]] if k < len(codes) else np.uint32(0)
        if code:
            hashed = (hashed ^ np.uint64(code)) * _PRIME
            inside = True
        elif inside:
            out[count] = hashed
            count, inside, hashed = count + 1, False, _OFFSET
    return out[:count].copy()


@kernel
def ngram_hashes(words: np.ndarray, size: int) -> np.ndarray:
    """The hash of every n-gram of `size` words, uint64 [max(len - size + 1, 0)]; never 0."""
    out = np.empty(max(len(words) - size + 1, 0), np.uint64)
    for first in range(len(out)):
        total = np.uint64(0)
        for word in words[first : first + size]:
            total = total * _BASE + word
        out[first] = total | np.uint64(1)
    return out


@kernel
def find(
    codes: np.ndarray, ends: np.ndarray, counts_as: np.ndarray, index: Index
) -> tuple[np.ndarray, np.ndarray]:
    """(hash uint64 [hits], int64 [hits, 3]: text, words of the n-gram, where it ends) of each hit.

    codes: texts one after the other, text t ending before ends[t]; no n-gram crosses an end.
    """
    hashes, places = np.empty(16, np.uint64), np.empty((16, 3), np.int64)
    count, start = 0, 0
    if not len(index.sizes):
        return hashes[:0], places[:0]
    prefix = np.zeros(_RING, np.uint64)  # Σ word · base^(words after it), at the last 32 words
    last_flag, last_slot = 64 * len(index.sieve) - 1, len(index.keys) - 1
    shortest, power = index.sizes[0], index.powers[0]
    for text in range(len(ends)):
        end = ends[text]
        prefix[0], total, words = np.uint64(0), np.uint64(0), 0
        inside, hashed = False, _OFFSET
        for k in range(start, end + 1):
            code = counts_as[codes[k]] if k < end else np.uint32(0)
            if code:
                hashed = (hashed ^ np.uint64(code)) * _PRIME
                inside = True
                continue
            if not inside:
                continue
            total = total * _BASE + hashed
            words, inside, hashed = words + 1, False, _OFFSET
            prefix[words & (_RING - 1)] = total
            if words < shortest:
                continue
            before = prefix[(words - shortest) & (_RING - 1)]
            flag = _place((total - before * power) | np.uint64(1), last_flag)
            if not (index.sieve[flag >> 6] >> np.uint64(flag & 63)) & np.uint64(1):
                continue
            for i in range(len(index.sizes)):
                size = index.sizes[i]
                if words < size:
                    break
                before = prefix[(words - size) & (_RING - 1)]
                key = (total - before * index.powers[i]) | np.uint64(1)
                slot = _place(key, last_slot)
                while index.keys[slot] != 0 and index.keys[slot] != key:
                    slot = (slot + 1) & last_slot
                if index.keys[slot] != key:
                    continue
                if count == len(hashes):
                    hashes = np.concatenate((hashes, np.empty(count, np.uint64)))
                    places = np.concatenate((places, np.empty((count, 3), np.int64)))
                hashes[count] = key
                places[count, 0], places[count, 1], places[count, 2] = text, size, k - start
                count += 1
        start = end
    return hashes[:count], places[:count]
