"""Hashes of word n-grams, the shingles that MinHash compares: SHA-1 or xxHash64, 64 bits each.

A shingle is n tokens of the normalised text joined by single spaces. SHA-1 runs on sixteen shingles
side by side, so that the compiler can use vector instructions: nearly all of them fit one block.
"""

from __future__ import annotations

import numpy as np

from decant.filters.compile import Number, kernel

LANES = 16
MERSENNE = np.uint64((1 << 61) - 1)
ONE_BLOCK_BYTES = 55  # 64 less the end mark and the 8 bytes of length


@kernel
def spaced_bytes(words: np.ndarray, byte_starts: np.ndarray, pool: np.ndarray) -> tuple:
    """The words' UTF-8 bytes, a space behind each, and where each word starts (one more entry)."""
    places = np.empty(len(words) + 1, np.int64)
    places[0] = 0
    for i in range(len(words)):
        places[i + 1] = places[i] + byte_starts[words[i] + 1] - byte_starts[words[i]] + 1
    text = np.empty(places[-1], np.uint8)
    for i in range(len(words)):
        start = byte_starts[words[i]]
        size = places[i + 1] - places[i] - 1
        for j in range(size):
            text[places[i] + j] = pool[start + j]
        text[places[i] + size] = 32
    return text, places


@kernel
def rotate(value: Number, bits: int) -> Number:
    """A uint32 rotated left."""
    return np.uint32((value << np.uint32(bits)) | (value >> np.uint32(32 - bits)))


@kernel
def swap(value: Number) -> Number:
    """A uint32 with its bytes in the other order."""
    return np.uint32(
        ((value & np.uint32(0xFF)) << np.uint32(24))
        | ((value & np.uint32(0xFF00)) << np.uint32(8))
        | ((value >> np.uint32(8)) & np.uint32(0xFF00))
        | (value >> np.uint32(24))
    )


@kernel
def sha1_rounds(w: np.ndarray, state: np.ndarray) -> None:
    """Adds a block per lane to the state. w: uint32 [80, lanes], state: uint32 [5, lanes]."""
    for t in range(16, 80):
        for lane in range(LANES):
            w[t, lane] = rotate(
                w[t - 3, lane] ^ w[t - 8, lane] ^ w[t - 14, lane] ^ w[t - 16, lane], 1
            )
    v = np.empty((5, LANES), np.uint32)
    v[:] = state
    for t in range(80):
        part = t // 20
        for lane in range(LANES):
            b, c, d = v[1, lane], v[2, lane], v[3, lane]
            if part == 0:
                f = np.uint32(((b & (c ^ d)) ^ d) + np.uint32(0x5A827999))
            elif part == 1:
                f = np.uint32((b ^ c ^ d) + np.uint32(0x6ED9EBA1))
            elif part == 2:
                f = np.uint32(((b & c) | (d & (b | c))) + np.uint32(0x8F1BBCDC))
            else:
                f = np.uint32((b ^ c ^ d) + np.uint32(0xCA62C1D6))
            a = v[0, lane]
            v[0, lane] = np.uint32(rotate(a, 5) + f + v[4, lane] + w[t, lane])
            v[4, lane] = d
            v[3, lane] = c
            v[2, lane] = rotate(b, 30)
            v[1, lane] = a
    for row in range(5):
        for lane in range(LANES):
            state[row, lane] += v[row, lane]


@kernel
def start_state(state: np.ndarray) -> None:
    """SHA-1's initial state in every lane."""
    for lane in range(LANES):
        state[0, lane] = 0x67452301
        state[1, lane] = 0xEFCDAB89
        state[2, lane] = 0x98BADCFE
        state[3, lane] = 0x10325476
        state[4, lane] = 0xC3D2E1F0


@kernel
def first_64_bits(state: np.ndarray, lane: int) -> Number:
    """The first 8 bytes of the digest as a little-endian uint64."""
    return np.uint64(swap(state[0, lane])) | (np.uint64(swap(state[1, lane])) << np.uint64(32))


@kernel
def load_block(
    w: np.ndarray, lane: int, text: np.ndarray, start: int, stop: int, block: int
) -> None:
    """The block of this number of the message text[start:stop] into w[:16, lane], padded."""
    size = stop - start
    first = start + 64 * block
    whole = min(16, max(0, (stop - first) // 4))
    for row in range(whole):
        place = first + 4 * row
        w[row, lane] = np.uint32(
            (np.uint32(text[place]) << np.uint32(24))
            | (np.uint32(text[place + 1]) << np.uint32(16))
            | (np.uint32(text[place + 2]) << np.uint32(8))
            | np.uint32(text[place + 3])
        )
    for row in range(whole, 16):
        w[row, lane] = 0
    for place in range(first + 4 * whole, min(stop, first + 64)):
        offset = place - first
        w[offset // 4, lane] |= np.uint32(text[place]) << np.uint32(24 - 8 * (offset % 4))
    if 0 <= stop - first < 64:
        offset = stop - first
        w[offset // 4, lane] |= np.uint32(0x80) << np.uint32(24 - 8 * (offset % 4))
    if block == (size + 8) // 64:
        w[14, lane] = np.uint32((size * 8) >> 32)
        w[15, lane] = np.uint32((size * 8) & 0xFFFFFFFF)


@kernel
def sha1_long(text: np.ndarray, start: int, stop: int) -> Number:
    """The first 8 bytes of SHA-1 of text[start:stop], of any length."""
    w = np.zeros((80, LANES), np.uint32)
    state = np.empty((5, LANES), np.uint32)
    start_state(state)
    for block in range((stop - start + 8) // 64 + 1):
        load_block(w, 0, text, start, stop, block)
        sha1_rounds(w, state)
    return first_64_bits(state, 0)


@kernel
def sha1_shingles(text: np.ndarray, places: np.ndarray, n: int) -> np.ndarray:
    """The first 8 bytes of SHA-1, little-endian, of every shingle of n words: uint64 [shingles]."""
    total = max(0, len(places) - n)
    out = np.empty(total, np.uint64)
    w = np.zeros((80, LANES), np.uint32)
    state = np.empty((5, LANES), np.uint32)
    waiting = np.empty(LANES, np.int64)
    filled = 0
    for i in range(total):
        start, stop = places[i], places[i + n] - 1
        if stop - start > ONE_BLOCK_BYTES:
            out[i] = sha1_long(text, start, stop)
        else:
            load_block(w, filled, text, start, stop, 0)
            waiting[filled] = i
            filled += 1
        if filled == LANES or (filled and i == total - 1):
            start_state(state)
            sha1_rounds(w, state)
            for lane in range(filled):
                out[waiting[lane]] = first_64_bits(state, lane)
            filled = 0
    return out


@kernel
def minima(shingles: np.ndarray, factors: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Per permutation the least (x * factor + offset mod 2^64) mod (2^61 - 1) over all shingles x.

    The wrap-around at 2^64 makes it no true universal hash; it is the reference's, and kept so that
    signatures agree.
    """
    out = np.full(len(factors), MERSENNE, np.uint64)
    for x in shingles:
        for k in range(len(factors)):
            value = x * factors[k] + offsets[k]
            value = (value & MERSENNE) + (value >> np.uint64(61))
            value = value - MERSENNE if value >= MERSENNE else value
            out[k] = min(out[k], value)
    return out


PRIME_1 = np.uint64(0x9E3779B185EBCA87)
PRIME_2 = np.uint64(0xC2B2AE3D27D4EB4F)
PRIME_3 = np.uint64(0x165667B19E3779F9)
PRIME_4 = np.uint64(0x85EBCA77C2B2AE63)
PRIME_5 = np.uint64(0x27D4EB2F165667C5)


@kernel
def rotate_64(value: Number, bits: int) -> Number:
    """A uint64 rotated left."""
    return (value << np.uint64(bits)) | (value >> np.uint64(64 - bits))


@kernel
def little_endian(text: np.ndarray, place: int, size: int) -> Number:
    """The `size` bytes of `text` from `place` on as a little-endian uint64."""
    value = np.uint64(0)
    for k in range(size):
        value |= np.uint64(text[place + k]) << np.uint64(8 * k)
    return value


@kernel
def mix_lane(state: Number, value: Number) -> Number:
    """One xxHash64 round."""
    return rotate_64(state + value * PRIME_2, 31) * PRIME_1


@kernel
def xxhash64(text: np.ndarray, start: int, stop: int) -> Number:
    """xxHash64 with seed 0 of text[start:stop]."""
    place = start
    if stop - start >= 32:
        a, b = PRIME_1 + PRIME_2, PRIME_2
        c, d = np.uint64(0), np.uint64(0) - PRIME_1
        while place + 32 <= stop:
            a = mix_lane(a, little_endian(text, place, 8))
            b = mix_lane(b, little_endian(text, place + 8, 8))
            c = mix_lane(c, little_endian(text, place + 16, 8))
            d = mix_lane(d, little_endian(text, place + 24, 8))
            place += 32
        code = rotate_64(a, 1) + rotate_64(b, 7) + rotate_64(c, 12) + rotate_64(d, 18)
        for lane in (a, b, c, d):
            code = (code ^ mix_lane(np.uint64(0), lane)) * PRIME_1 + PRIME_4
    else:
        code = PRIME_5
    code += np.uint64(stop - start)
    while place + 8 <= stop:
        code ^= mix_lane(np.uint64(0), little_endian(text, place, 8))
        code = rotate_64(code, 27) * PRIME_1 + PRIME_4
        place += 8
    if place + 4 <= stop:
        code ^= little_endian(text, place, 4) * PRIME_1
        code = rotate_64(code, 23) * PRIME_2 + PRIME_3
        place += 4
    while place < stop:
        code ^= np.uint64(text[place]) * PRIME_5
        code = rotate_64(code, 11) * PRIME_1
        place += 1
    code = (code ^ (code >> np.uint64(33))) * PRIME_2
    code = (code ^ (code >> np.uint64(29))) * PRIME_3
    return code ^ (code >> np.uint64(32))


@kernel
def xxhash_shingles(text: np.ndarray, places: np.ndarray, n: int) -> np.ndarray:
    """xxHash64 of every shingle of n words: uint64 [shingles]."""
    total = max(0, len(places) - n)
    out = np.empty(total, np.uint64)
    for i in range(total):
        out[i] = xxhash64(text, places[i], places[i + n] - 1)
    return out
