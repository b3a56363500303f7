"""Seeded 64-bit mixing: every order, sample and split of a study comes from here.

`hash()` depends on the process and `random` on call order; these depend on the document and the
seed alone, so common documents keep their order in every arm.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import xxhash

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def hash_strings(values: Iterable[str]) -> np.ndarray:
    """xxh64 of each string's UTF-8 bytes, uint64 [n]."""
    return np.array(
        [xxhash.xxh64_intdigest(v.encode("utf-8", "replace")) for v in values], dtype=np.uint64
    )


def mix(hashes: np.ndarray, *seeds: int) -> np.ndarray:
    """splitmix64 of each hash, once per seed: a fresh uniform uint64 [n] for each seed tuple."""
    mixed = np.asarray(hashes, dtype=np.uint64)
    with np.errstate(over="ignore"):
        for seed in (*seeds, 0):
            mixed = mixed + _GOLDEN * np.uint64(2 * (seed & 0x7FFFFFFFFFFFFFFF) + 1)
            mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            mixed = mixed ^ (mixed >> np.uint64(31))
    return mixed


def uniform(hashes: np.ndarray, *seeds: int) -> np.ndarray:
    """A number in [0, 1) for each hash and seed tuple, float64 [n]."""
    return (mix(hashes, *seeds) >> np.uint64(11)).astype(np.float64) / 2.0**53
