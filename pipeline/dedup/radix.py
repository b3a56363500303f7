"""Sorting of 64-bit keys with a payload by radix, the inner loop of deduplication.

numpy's vector sort needs 25-75 ns a key on processors with slow compress-stores, and sorts no
payload; band keys are evenly spread, so that two passes by their top bits leave runs of about four.
"""

import numpy as np

from decant.filters.compile import kernel

PASS_BITS = 11  # 2,048 targets: what the second-level cache holds of open lines
SHORT = 24  # records that insertion sorts faster than another pass
STACK = (1 << PASS_BITS) * 7


@kernel
def insert_in_order(keys, docs, start, stop):
    """Sort a short run by key; equal keys keep their order."""
    for place in range(start + 1, stop):
        key, doc = keys[place], docs[place]
        hole = place
        while hole > start and keys[hole - 1] > key:
            keys[hole] = keys[hole - 1]
            docs[hole] = docs[hole - 1]
            hole -= 1
        keys[hole] = key
        docs[hole] = doc


@kernel
def all_equal(keys, start, stop):
    """Whether keys[start:stop] are one and the same."""
    place = start + 1
    while place < stop and keys[place] == keys[start]:
        place += 1
    return place >= stop


@kernel
def part_by(keys, docs, spare_keys, spare_docs, start, stop, shift, bits, ends):
    """Order one run by `bits` bits of its keys above `shift`; leaves in `ends` where parts end."""
    mask = np.uint64((1 << bits) - 1)
    down = np.uint64(shift)
    for digit in range(1 << bits):
        ends[digit] = 0
    for place in range(start, stop):
        ends[np.int64((keys[place] >> down) & mask)] += 1
    total = start
    for digit in range(1 << bits):
        count = ends[digit]
        ends[digit] = total
        total += count
    for place in range(start, stop):
        digit = np.int64((keys[place] >> down) & mask)
        spare_keys[ends[digit]] = keys[place]
        spare_docs[ends[digit]] = docs[place]
        ends[digit] += 1
    keys[start:stop] = spare_keys[start:stop]
    docs[start:stop] = spare_docs[start:stop]


@kernel
def sort_pairs(keys, docs, shared_bits):
    """Sort uint64 `keys` and their `docs` in place, stably; all keys share their top bits."""
    spare_keys, spare_docs = np.empty_like(keys), np.empty_like(docs)
    starts, stops = np.empty(STACK, np.int64), np.empty(STACK, np.int64)
    lefts = np.empty(STACK, np.int64)  # bits that still differ
    ends = np.empty(1 << PASS_BITS, np.int64)
    starts[0], stops[0], lefts[0] = 0, len(keys), 64 - shared_bits
    waiting = 1
    while waiting:
        waiting -= 1
        start, stop, left = starts[waiting], stops[waiting], lefts[waiting]
        if stop - start <= SHORT:
            insert_in_order(keys, docs, start, stop)
            continue
        if left <= 0 or all_equal(keys, start, stop):
            continue
        bits = 4
        while bits < PASS_BITS and (stop - start) >> (bits + 2):
            bits += 1
        bits = min(bits, left)
        part_by(keys, docs, spare_keys, spare_docs, start, stop, left - bits, bits, ends)
        begin = start
        for digit in range(1 << bits):
            if ends[digit] - begin > 1:
                starts[waiting], stops[waiting] = begin, ends[digit]
                lefts[waiting] = left - bits
                waiting += 1
            begin = ends[digit]
