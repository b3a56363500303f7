"""MinHash signatures, bit for bit those of datatrove 0.10.1.

A signature holds, per permutation, the least hash over the shingles of a document. With FineWeb's
14 bands x 8 rows, two documents of Jaccard similarity s become a candidate pair with probability
1 - (1 - s^8)^14: 0.56 at 0.70, 0.77 at 0.75, 0.92 at 0.80, 0.988 at 0.85.

Bands and rows can also be picked by intent (`threshold: 0.75, permutations: 112`). The choice is
datasketch's: the areas of false positives below the threshold and of false negatives above it add
up to least.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from decant.filters.doc import Doc
from decant.filters.words.shingles import (
    MERSENNE,
    minima,
    sha1_shingles,
    spaced_bytes,
    xxhash_shingles,
)

CURVE = tuple(step / 20 for step in range(8, 21))  # 0.40, 0.45, … 1.00


@lru_cache(maxsize=64)
def bands_and_rows(
    threshold: float, permutations: int, false_negative_weight: float = 0.5
) -> tuple[int, int]:
    """(bands, rows) with bands x rows <= permutations.

    >>> bands_and_rows(0.8, 112)
    (9, 12)
    """
    from datasketch.lsh import _optimal_param  # imports scipy: half a second, only when asked

    weights = 1 - false_negative_weight, false_negative_weight
    bands, rows = _optimal_param(threshold, permutations, *weights)
    return int(bands), int(rows)


def meeting_probability(jaccard: float, bands: int, rows: int) -> float:
    """The probability that two documents of this similarity share a band.

    >>> round(meeting_probability(0.8, 14, 8), 3)
    0.924
    """
    return 1 - (1 - jaccard**rows) ** bands


def half_point(bands: int, rows: int) -> float:
    """The similarity at which one pair in two is found."""
    return (1 - 0.5 ** (1 / bands)) ** (1 / rows)


def s_curve(bands: int, rows: int) -> list[tuple[float, float]]:
    """(similarity, probability of being compared) for the similarities that matter."""
    return [(jaccard, meeting_probability(jaccard, bands, rows)) for jaccard in CURVE]


@dataclass(frozen=True, slots=True)
class MinHash:
    """How signatures are made; the defaults are FineWeb's."""

    ngram: int = 5
    bands: int = 14
    rows: int = 8
    hash: Literal["sha1", "xxhash"] = "sha1"
    seed: int = 1

    @property
    def permutations(self) -> int:
        """Hashes per signature: bands x rows."""
        return self.bands * self.rows


@lru_cache(maxsize=8)
def parameters(seed: int, permutations: int) -> tuple[np.ndarray, np.ndarray]:
    """Factors and offsets of the permutations: uint64 [permutations] each."""
    generator = np.random.RandomState(seed)
    prime = int(MERSENNE)
    factors = generator.randint(1, prime, dtype=np.uint64, size=permutations)
    offsets = generator.randint(0, prime, dtype=np.uint64, size=permutations)
    return factors, offsets


def shingles(doc: Doc, minhash: MinHash = MinHash()) -> np.ndarray:
    """The 64-bit hashes of the word n-grams of the normalised text, in order: uint64 [n_grams].

    Empty where the text has fewer than `ngram` tokens.
    """
    words, tokens = doc.shingle_words, doc.lexicon.tokens
    text, places = spaced_bytes(words, tokens.byte_starts, tokens.bytes)
    hash_shingles = sha1_shingles if minhash.hash == "sha1" else xxhash_shingles
    return hash_shingles(text, places, minhash.ngram)


def signature(hashes: np.ndarray, minhash: MinHash = MinHash()) -> np.ndarray | None:
    """The signature of a document's shingles, uint64 [bands x rows]; None where there are none.

    A document without a signature is no duplicate of anything.
    """
    if len(hashes) == 0:
        return None
    return minima(hashes, *parameters(minhash.seed, minhash.permutations))
